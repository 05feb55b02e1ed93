"""The fields of a record's form, ready for the template: one for each input element.

The catalogue's field kinds become HTML input types here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from babel import Locale
from flask_babel import gettext

from api.web.pages import Problem
from pds.catalogue import Attribute, Collection, FieldKind
from pds.catalogue.describing import display
from pds.catalogue.wording import is_azerbaijani
from pds.text import az_sort_key

_TYPES = {
    FieldKind.EMAIL: "email",
    FieldKind.TEL: "tel",
    FieldKind.DATE: "date",
    FieldKind.URL: "url",
}
_AREAS = (FieldKind.TEXTAREA, FieldKind.TAGS, FieldKind.LABELLED)
_CHOICES = (FieldKind.SELECT, FieldKind.COUNTRY, FieldKind.LANGUAGE)
_LANGUAGES = ("az", "en", "ru", "tr", "de", "fr", "es", "it", "ar", "fa", "ka", "uk", "zh")
_COUNTRY_LETTERS = 2

Option = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Input:
    """One field: `shape` is `line`, `area`, `choice`, `tick` or `money`."""

    name: str
    shape: str
    type: str
    label: str
    help: str
    example: str
    required: bool
    text: str
    currency: str
    options: tuple[Option, ...]
    problem: str

    @property
    def hint_id(self) -> str:
        """The id of the help text, for `aria-describedby`."""
        return f"{self.name}-hint"


def of(
    kind: Collection, texts: Mapping[str, str], problems: Iterable[Problem], locale: str
) -> list[Input]:
    """Return the fields of a form, filled with `texts`."""
    wrong = {each.field: each.text for each in problems}
    return [
        _input(field, texts, wrong.get(field.name, ""), locale)
        for field in kind.fields.values()
        if field.editable
    ]


def shown(field: Attribute, value: object, locale: str) -> str:
    """Return a value in the reader's words; codes of countries and languages by their names."""
    if isinstance(value, bool):
        return str(gettext("Yes") if value else gettext("No"))
    if field.kind in (FieldKind.COUNTRY, FieldKind.LANGUAGE):
        return dict(_names(field.kind, locale)).get(str(value), str(value))
    return display(field, value, locale)


def _input(field: Attribute, texts: Mapping[str, str], problem: str, locale: str) -> Input:
    money = field.kind is FieldKind.MONEY
    return Input(
        name=field.name,
        shape=_shape(field.kind),
        type=_TYPES.get(field.kind, "text"),
        label=field.label.text(locale),
        help=field.help.text(locale),
        example=_example(field, locale),
        required=field.required,
        text=_money(texts.get(f"{field.name}.value", ""), locale)
        if money
        else texts.get(field.name, ""),
        currency=texts.get(f"{field.name}.currency", "") or "AZN",
        options=_options(field, texts.get(field.name, ""), locale),
        problem=problem,
    )


def _money(text: str, locale: str) -> str:
    """Write an amount with the decimal sign that its reader types (UI-15)."""
    return text.replace(".", ",") if is_azerbaijani(locale) else text


def _shape(kind: FieldKind) -> str:
    if kind in _AREAS:
        return "area"
    if kind in _CHOICES:
        return "choice"
    return {FieldKind.MONEY: "money", FieldKind.BOOLEAN: "tick"}.get(kind, "line")


def _example(field: Attribute, locale: str) -> str:
    if field.kind in (*_CHOICES, FieldKind.BOOLEAN, FieldKind.DATE):
        return ""
    example = field.example(locale)
    if isinstance(example, list):
        entry = example[0]
        if isinstance(entry, Mapping):
            label = field.options.get(str(entry.get("label")))
            return f"{label.text(locale)}: {entry['value']}" if label else str(entry["value"])
        return str(entry)
    return display(field, example, locale)


def _options(field: Attribute, chosen: str, locale: str) -> tuple[Option, ...]:
    if field.kind is FieldKind.SELECT:
        return tuple((code, words.text(locale)) for code, words in field.options.items())
    if field.kind not in _CHOICES:
        return ()
    names = _names(field.kind, locale)
    # A code that the list lacks came in by an import or an organisation; it is not to be lost.
    strange = bool(chosen) and chosen not in dict(names)
    return ((chosen, chosen), *names) if strange else names


@cache
def _names(kind: FieldKind, locale: str) -> tuple[Option, ...]:
    known = Locale(locale)
    if kind is FieldKind.LANGUAGE:
        return tuple((code, known.languages[code]) for code in _LANGUAGES)
    names = [
        (code, name)
        for code, name in known.territories.items()
        if len(code) == _COUNTRY_LETTERS and code.isalpha() and code not in ("ZZ", "EU", "UN", "EZ")
    ]
    return tuple(sorted(names, key=lambda each: az_sort_key(each[1])))
