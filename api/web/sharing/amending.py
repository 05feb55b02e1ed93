"""What would change: the agreement in force beside the one that is asked for (CUX-42, P-28).

Both sides come from the notice, so that its hash covers them. What is shared today may be ticked,
as the sealed terms have it; what would be added never does (CUX-9).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from werkzeug.datastructures import MultiDict

from api.web import words
from consent.asks import Ask
from consent.policy import Terms
from consent.vocabulary import AgreementState, Instances
from pds.catalogue import CATALOGUE, Attribute
from pds.clock import from_rfc3339


@dataclass(frozen=True, slots=True)
class Comparison:
    """The agreement in force, and what of it stays, is added and goes.

    `added` are required items, which come with allowing; `offered` come only if they are ticked.
    """

    version: int
    is_replaced: bool
    is_paused: bool
    shared: list[str]
    stays: list[str]
    added: list[str]
    offered: list[str]
    dropped: list[str]
    expires_at: datetime
    frozen_at: datetime | None  # since then nothing goes out; None: it does
    fetches_per_day: int
    fetches_asked: int


def compare(notice: Mapping[str, Any], locale: str) -> Comparison | None:
    """Return both sides of what a notice would amend, in words; None: it amends nothing."""
    amends = notice["amends"]
    if amends is None:
        return None
    asked = {item["name"]: item["coarsened_to"] for item in notice["required"]}
    optional = {item["name"]: item["coarsened_to"] for item in notice["optional"]}
    shared, forms = amends["attributes"], amends["coarsenings"]

    def named(names: Iterable[str], how: Mapping[str, str | None]) -> list[str]:
        return [_words(name, how.get(name), locale) for name in names]

    return Comparison(
        version=amends["version"],
        is_replaced=amends.get("is_replaced", False),
        is_paused=amends["state"] == AgreementState.SUSPENDED,
        shared=named(shared, forms),
        stays=named((name for name in shared if name not in amends["dropped"]), forms),
        added=named((name for name in amends["added"] if name in asked), asked),
        offered=named((name for name in amends["added"] if name in optional), optional),
        dropped=named(amends["dropped"], forms),
        expires_at=from_rfc3339(amends["expires_at"]),
        frozen_at=from_rfc3339(amends["frozen_at"]) if "frozen_at" in amends else None,
        fetches_per_day=amends["fetches_per_day"],
        fetches_asked=notice["access"]["fetches_per_day"],
    )


def standing_form(terms: Terms, ask: Ask) -> MultiDict[str, str]:
    """Return a form that is filled in as the agreement in force has it.

    The duration stays open: for how long is decided anew.
    """
    form: MultiDict[str, str] = MultiDict()
    for name in (*ask.required, *ask.optional):
        if name in terms.attributes:
            if name in ask.optional:
                form.add("attributes", name)
            form[f"coarsen.{name}"] = terms.coarsenings.get(name, "")
    for name in terms.primary:
        form[f"instances.{name}"] = Instances.PRIMARY.value
    for name, records in terms.chosen.items():
        form[f"instances.{name}"] = Instances.CHOSEN.value
        form.setlist(f"records.{name}", sorted(str(each) for each in records))
    form["fetches_per_day"] = str(terms.fetches_per_day)
    return form


def _words(name: str, form: str | None, locale: str) -> str:
    attribute: Attribute = CATALOGUE.attribute(name)
    text = words.item(attribute, locale)
    return f"{text} ({attribute.coarsenings[form].label.text(locale)})" if form else text
