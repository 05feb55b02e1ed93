"""The uniform clauses: what every agreement says, whoever asks.

A set of clauses is data (`clauses-1.yaml`), immutable once released, and known by the SHA-256 of
its canonical JSON. A template of `pds-template/2` cites the present set, the notice shows it, and
the agreement cites both. A set that was ever released stays readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from consent.formats import canonical
from pds.catalogue import Wording
from pds.catalogue.files import read_yaml
from pds.errors import NotFoundError

TYPE = "pds-clauses"


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause: a stable name, and its words in both languages."""

    name: str
    title: Wording
    text: Wording


@dataclass(frozen=True, slots=True)
class Clauses:
    """A released set of clauses; `sha256` is what templates and agreements cite."""

    version: int
    clauses: tuple[Clause, ...]

    @property
    def document(self) -> dict[str, canonical.JSONValue]:
        """The set as published, in both languages."""
        return {
            "type": f"{TYPE}/{self.version}",
            "clauses": [
                {
                    "name": each.name,
                    "title": {"az": each.title.az, "en": each.title.en},
                    "text": {"az": each.text.az, "en": each.text.en},
                }
                for each in self.clauses
            ],
        }

    @property
    def sha256(self) -> str:
        """The hash of the set, in lowercase hex."""
        return canonical.sha256_hex(self.document)

    def shown(self, locale: str) -> dict[str, canonical.JSONValue]:
        """Return the set as a notice holds it, in one language."""
        return {
            "version": self.version,
            "sha256": self.sha256,
            "clauses": [
                {"title": each.title.text(locale), "text": each.text.text(locale)}
                for each in self.clauses
            ],
        }


def find(sha256: str) -> Clauses:
    """Return a released set by its hash.

    Raises:
        NotFoundError: none of that hash was ever released.
    """
    try:
        return _BY_HASH[sha256]
    except KeyError:
        raise NotFoundError from None


def _read(version: int) -> Clauses:
    found = read_yaml(f"clauses-{version}.yaml", package="consent")
    if not isinstance(found, Mapping):
        raise TypeError(f"clauses-{version}.yaml is no mapping")
    return Clauses(
        version,
        tuple(
            Clause(name, Wording(**each["title"]), Wording(**each["text"]))
            for name, each in found.items()
        ),
    )


RELEASED = tuple(map(_read, (1,)))
CURRENT = RELEASED[-1]
_BY_HASH = {each.sha256: each for each in RELEASED}
