"""The consent page: one notice in plain words, and the choice that comes back from it.

The notice is `consent.notices`' document; what stands on the page beyond it are the reader's own
masked values, which no hash covers and nobody else sees (CUX-7, P-28).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from flask import Response
from werkzeug.datastructures import MultiDict

from api.web import languages, pages, words
from api.web.clusters import clusters_of
from api.web.forms import named, number
from api.web.pages import Problem
from api.web.sharing.amending import compare
from api.web.sharing.consent_check import is_sensitive
from consent.asks import Ask
from consent.choices import Agreed, Choice
from consent.notices import notice_sha256
from consent.vocabulary import Instances
from pds.catalogue import (
    CATALOGUE,
    Attribute,
    Cluster,
    Coarsening,
    Collection,
    Sensitivity,
    mask,
)
from pds.errors import Issue
from pds.records import Opened, RecordService

_PAGE_RECORDS = 200
_MOST_RECORDS = 2_000  # looked through for examples; beyond it, an item shows none
_MOST_ENTRIES = 60  # that can be chosen one by one
_RECORDS = "records."


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is asked for.

    `example` is a masked value of the reader's own; None: their vault has none.
    """

    attribute: Attribute
    reason: str
    example: str | None
    is_ticked: bool
    coarsened_to: Coarsening | None  # the form asked for; None: the value itself
    coarsenings: Sequence[Coarsening]  # coarser forms that may be chosen instead
    form: str | None  # what was chosen before, when the page is shown again

    @property
    def is_sensitive(self) -> bool:
        """Tell whether sharing it takes a second tick (CUX-22)."""
        return self.attribute.sensitivity is Sensitivity.SENSITIVE


Group = tuple[Cluster, list[Item]]


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that can be chosen, by words that only its owner sees."""

    id: UUID
    text: str
    is_ticked: bool


@dataclass(frozen=True, slots=True)
class Several:
    """A collection with many records, of which less than all may be shared (P-26).

    `options` are those of the notice, the one asked for first; `which` is what was chosen before.
    """

    collection: Collection
    options: Sequence[str]
    entries: Sequence[Entry]
    which: str | None


def render_consent(
    notice: Mapping[str, Any],
    *,
    ask: Ask,
    examples: Mapping[str, str],
    entries: Mapping[str, Mapping[UUID, str]],
    reference: str | None,
    hidden: Mapping[str, str],
    here: str,
    problems: Iterable[Problem] = (),
    changed: Names[str] = (),
    form: MultiDict[str, str] | None = None,
    status: int = 200,
) -> Response:
    """Return the page for a notice.

    Args:
        notice: the document that is decided on; its hash travels in the form.
        ask: what it was built from.
        examples: masked values by attribute (`examples_from`).
        entries: words for the records that can be chosen, by collection (`entries_from`).
        reference: the number that the organisation would be told, if it invited by one.
        hidden: further hidden fields, such as the request's address.
        here: this page's own path, to come back to after a switch of language.
        problems: what was wrong with the form that was sent.
        changed: members of the notice that differ from what was shown before (P-28).
        form: what was ticked before, when the page is shown again; or what is shared today.
        status: of the answer.
    """
    form = form if form is not None else MultiDict()
    required = _groups(notice["required"], examples, form)
    optional = _groups(notice["optional"], examples, form)
    items = [item for _, group in (*required, *optional) for item in group]
    return pages.page(
        "sharing/consent.html",
        status,
        here=here,
        notice=notice,
        ask=ask,
        hidden=hidden,
        reference=reference,
        sha256=notice_sha256(notice),
        comparison=compare(notice, notice["locale"]),
        required=required,
        optional=optional,
        any_missing=any(item.example is None for item in items),
        required_is_sensitive=any(item.is_sensitive for _, group in required for item in group),
        any_sensitive=any(item.is_sensitive for item in items),
        confirmed="confirm_sensitive" in form,
        duration=form.get("duration", ""),
        fetches_per_day=form.get("fetches_per_day", ""),
        any_narrowing=any(item.coarsenings for item in items)
        or any(len(options) > 1 for options in notice["instances"].values()),
        several=_several(notice["instances"], entries, form),
        ranges=[(CATALOGUE.collection(name), at) for name, at in notice["data_from"].items()],
        changed=changed,
        problems=list(problems),
    )


def render_cooling(notice_name: str, until: datetime, *, anyway: str, here: str) -> Response:
    """Return the page that stands before a request which was refused lately (CUX-16)."""
    return pages.page(
        "sharing/cooling.html", here=here, organisation=notice_name, until=until, anyway=anyway
    )


def parse_choice(form: MultiDict[str, str]) -> tuple[str, Choice]:
    """Return what is to be done (`api.web.sharing.authorize`), and what was chosen.

    What cannot be read stands for something that was not offered.
    """
    locale = form.get("locale", "")
    choice = Choice(
        notice_sha256=form.get("notice_sha256", ""),
        locale=locale if locale in languages.LOCALES else languages.current(),
        optional=frozenset(form.getlist("attributes")),
        duration=form.get("duration", ""),
        fetches_per_day=number(form.get("fetches_per_day", "")),
        coarsenings=named(form, "coarsen."),
        instances=named(form, "instances."),
        records={
            name.removeprefix(_RECORDS): frozenset(map(_id, form.getlist(name)))
            for name in form
            if name.startswith(_RECORDS)
        },
    )
    return "fill" if form.get("fill") else form.get("decision", ""), choice


def missing_confirmation(agreed: Agreed, form: Mapping[str, str]) -> list[Problem]:
    """Return the problem of sensitive items without the second tick, if there is one (CUX-22)."""
    if not is_sensitive(agreed.attributes) or "confirm_sensitive" in form:
        return []
    return [Problem("confirm_sensitive", words.issue(Issue("", "confirm_sensitive", "")))]


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> frozenset[str]:
    """Return which members of a notice differ from what was shown (P-28, CUX-42)."""
    return frozenset(name for name in after if before.get(name) != after[name])


def examples_from(records: RecordService, names: Iterable[str]) -> dict[str, str]:
    """Return a masked value of the vault for each attribute that it holds (CUX-7)."""
    wanted: dict[str, set[str]] = {}
    for name in names:
        collection, _, field = name.partition(".")
        wanted.setdefault(collection, set()).add(field)
    return {
        f"{collection}.{field}": text
        for collection, fields in wanted.items()
        for field, text in _examples(records, collection, fields).items()
    }


def entries_from(
    records: RecordService, notice: Mapping[str, Any], locale: str
) -> dict[str, dict[UUID, str]]:
    """Return words for each record that can be chosen, by collection.

    Masked as the examples are, unless two would read the same. A collection with more records
    than fit a list has none.
    """
    asked = {item["name"] for item in (*notice["required"], *notice["optional"])}
    found: dict[str, dict[UUID, str]] = {}
    for name, options in notice["instances"].items():
        page, following = records.page(name, limit=_MOST_ENTRIES)
        if Instances.CHOSEN.value in options and following is None:
            collection = CATALOGUE.collection(name)
            masked = {each.id: _words(collection, asked, each, locale) for each in page}
            often = Counter(masked.values())
            found[name] = {
                each.id: masked[each.id]
                if masked[each.id] and often[masked[each.id]] == 1
                else collection.title(each.data, locale)
                for each in page
            }
    return found


def _words(collection: Collection, asked: Names[str], record: Opened, locale: str) -> str:
    shown = [
        mask(attribute, record.data[attribute.name])
        for attribute in collection.attributes.values()
        if attribute.qualified_name in asked and attribute.name in record.data
    ]
    label = record.data.get("label")
    if shown and isinstance(label, str) and label in collection.companions["label"].options:
        shown.append(collection.companions["label"].options[label].text(locale))
    return ", ".join(shown)


def _several(
    offered: Mapping[str, list[str]],
    entries: Mapping[str, Mapping[UUID, str]],
    form: MultiDict[str, str],
) -> list[Several]:
    return [
        Several(
            CATALOGUE.collection(name),
            [each for each in options if each != Instances.CHOSEN or entries.get(name)],
            [
                Entry(record_id, text, str(record_id) in form.getlist(f"{_RECORDS}{name}"))
                for record_id, text in entries.get(name, {}).items()
            ],
            form.get(f"instances.{name}"),
        )
        for name, options in offered.items()
    ]


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)


def _examples(records: RecordService, collection: str, fields: set[str]) -> dict[str, str]:
    kind, found, after = CATALOGUE.collection(collection), dict[str, str](), 0
    for _ in range(0, _MOST_RECORDS, _PAGE_RECORDS):
        page, following = records.page(collection, after=after, limit=_PAGE_RECORDS)
        # The main one first, where there are several.
        for record in sorted(page, key=lambda each: not each.data.get("primary")):
            for field in fields - found.keys():
                if field in record.data:
                    found[field] = mask(kind.attributes[field], record.data[field])
        if following is None or fields <= found.keys():
            break
        after = following
    return found


def _groups(
    asked: Iterable[Mapping[str, Any]], examples: Mapping[str, str], form: MultiDict[str, str]
) -> list[Group]:
    items = {item["name"]: item for item in asked}
    return [
        (cluster, [_item(items[each.qualified_name], each, examples, form) for each in attributes])
        for cluster, attributes in clusters_of(items)
    ]


def _item(
    asked: Mapping[str, Any],
    attribute: Attribute,
    examples: Mapping[str, str],
    form: MultiDict[str, str],
) -> Item:
    name, coarser = attribute.qualified_name, attribute.coarsenings
    return Item(
        attribute,
        asked["reason"],
        examples.get(name),
        name in form.getlist("attributes"),
        coarser[asked["coarsened_to"]] if asked["coarsened_to"] else None,
        [coarser[each] for each in asked["coarsenings"]],
        form.get(f"coarsen.{name}"),
    )
