"""What address books of every format share: labelled entries, and names for the nameless."""

from __future__ import annotations

from collections.abc import Mapping

from pds.catalogue import CATALOGUE


def entry(value: str, label: str | None) -> dict[str, str]:
    """Return a labelled entry; a label that the catalogue does not know is left out."""
    known = CATALOGUE.attribute("address_book.phones").options
    return {"value": value, "label": label} if label and label in known else {"value": value}


def stand_in_name(data: Mapping[str, object]) -> tuple[str | None, str]:
    """Return what a nameless contact can go by, and the vCard property that holds it."""
    stand_ins = (
        ("ORG", "organization"),
        ("NICKNAME", "nickname"),
        ("EMAIL", "emails"),
        ("TEL", "phones"),
    )
    for source, name in stand_ins:
        value = data[name]
        if isinstance(value, list) and value:
            return source, str(value[0]["value"])
        if isinstance(value, str) and value:
            return source, value
    return None, ""
