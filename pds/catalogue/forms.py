"""HTML forms of a record: text fields in, data out, and back.

A money attribute is two fields, `<name>.value` and `<name>.currency`. A list is a textarea with an
entry a line; an entry of a labelled list may begin with its label's code or words: `work: 012 …`.
What a form yields is not yet validated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pds.text import az_fold

if TYPE_CHECKING:
    from pds.catalogue.model import Attribute, Collection

HOME_CURRENCY = "AZN"


def read_form(collection: Collection, form: Mapping[str, str]) -> dict[str, object]:
    """Return the data that a form holds, without what only the vault may set."""
    data = {name: _read(field, form) for name, field in collection.fields.items() if field.editable}
    return {name: value for name, value in data.items() if value not in (None, "", [])}


def write_form(
    collection: Collection, data: Mapping[str, object], locale: str | None = None
) -> dict[str, str]:
    """Return the texts that fill a form with `data`."""
    texts: dict[str, str] = {}
    for name, field in collection.fields.items():
        value = data.get(name)
        if isinstance(value, Mapping):
            texts |= {f"{name}.{part}": str(text) for part, text in value.items()}
        elif isinstance(value, list):
            texts[name] = "\n".join(_line(field, entry, locale) for entry in value)
        elif isinstance(value, bool):
            texts[name] = "on" if value else ""
        elif value is not None:
            texts[name] = str(value)
    return texts


def _read(field: Attribute, form: Mapping[str, str]) -> object:
    text = form.get(field.name, "").strip()
    match field.kind:
        case "boolean":
            return bool(text)
        case "money":
            return _money(field, form)
        case "tags":
            return _lines(text)
        case "labelled":
            return [_entry(field, line) for line in _lines(text)]
        case _:
            return text


def _money(field: Attribute, form: Mapping[str, str]) -> dict[str, str] | None:
    value = form.get(f"{field.name}.value", "").replace(" ", "").replace("\xa0", "")
    if not value:
        return None
    currency = form.get(f"{field.name}.currency", "").strip() or HOME_CURRENCY
    # An Azerbaijani keyboard writes 12,50; a text with both signs is left for the schema to refuse.
    return {"value": value if "." in value else value.replace(",", "."), "currency": currency}


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _entry(field: Attribute, line: str) -> dict[str, str]:
    before, colon, after = line.partition(":")
    if colon:
        named = az_fold(before.strip())
        for code, words in field.options.items():
            if named in {code, az_fold(words.az), az_fold(words.en)}:
                return {"label": code, "value": after.strip()}
    return {"value": line}


def _line(field: Attribute, entry: object, locale: str | None) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    label = entry.get("label")
    words = field.options.get(str(label))
    return f"{words.text(locale)}: {entry['value']}" if words else str(entry["value"])
