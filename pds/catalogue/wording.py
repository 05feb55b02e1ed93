"""Words in both languages of the product, and the rule for choosing between them."""

from __future__ import annotations

from dataclasses import dataclass


def is_azerbaijani(locale: str | None) -> bool:
    """Tell whether a locale such as `az` or `az_AZ` asks for Azerbaijani."""
    return locale is not None and locale.replace("_", "-").split("-")[0] == "az"


@dataclass(frozen=True, slots=True)
class Wording:
    """The same words in Azerbaijani and English."""

    az: str
    en: str

    def text(self, locale: str | None) -> str:
        """Return the Azerbaijani words for an `az` locale, else the English ones."""
        return self.az if is_azerbaijani(locale) else self.en

    def public(self, locale: str | None) -> str | dict[str, str]:
        """Return the words of one locale, or both by language for None."""
        return {"az": self.az, "en": self.en} if locale is None else self.text(locale)


def read_wordings(source: object) -> dict[str, Wording]:
    """Return the wordings of a YAML mapping of code to words.

    Raises:
        TypeError: a code lacks one of the languages, or has a third.
    """
    if not isinstance(source, dict):
        raise TypeError("a mapping of codes to words is expected")
    return {str(code): Wording(**words) for code, words in source.items()}
