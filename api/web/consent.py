"""The consent page: one notice in plain words, and the choice that comes back from it.

The notice is `consent.notices`' document; what stands on the page beyond it are the reader's own
masked values, which no hash covers and nobody else sees (CUX-7, P-28).
"""

from __future__ import annotations

from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Response
from werkzeug.datastructures import MultiDict

from api.web import languages, pages, words
from api.web.connections import clusters_of
from api.web.pages import Problem
from consent.agreements import Choice
from consent.notices import Ask, notice_sha256
from pds.catalogue import CATALOGUE, Attribute, Cluster, Sensitivity, mask
from pds.errors import Issue
from pds.records import RecordService

_PAGE_RECORDS = 200
_MOST_RECORDS = 2_000  # looked through for examples; beyond it, an item shows none


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that is asked for.

    `example` is a masked value of the reader's own; None: their vault has none.
    """

    attribute: Attribute
    reason: str
    example: str | None
    is_ticked: bool

    @property
    def is_sensitive(self) -> bool:
        """Tell whether sharing it takes a second tick (CUX-22)."""
        return self.attribute.sensitivity is Sensitivity.SENSITIVE

    @property
    def place(self) -> str:
        """The page on which the reader can fill it in (CUX-8)."""
        return f"/vault/{self.attribute.collection}"


Group = tuple[Cluster, list[Item]]


def render_consent(
    notice: Mapping[str, Any],
    *,
    ask: Ask,
    examples: Mapping[str, str],
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
        hidden: further hidden fields, such as the request's address.
        here: this page's own path, to come back to after a switch of language.
        problems: what was wrong with the form that was sent.
        changed: members of the notice that differ from what was shown before (P-28).
        form: what was ticked before, when the page is shown again.
        status: of the answer.
    """
    ticked = frozenset(form.getlist("attributes")) if form is not None else frozenset()
    required = _groups(notice["required"], examples, frozenset())
    optional = _groups(notice["optional"], examples, ticked)
    items = [item for _, group in (*required, *optional) for item in group]
    return pages.page(
        "consent.html",
        status,
        here=here,
        notice=notice,
        ask=ask,
        hidden=hidden,
        sha256=notice_sha256(notice),
        required=required,
        optional=optional,
        any_missing=any(item.example is None for item in items),
        required_is_sensitive=any(item.is_sensitive for _, group in required for item in group),
        any_sensitive=any(item.is_sensitive for item in items),
        confirmed=form is not None and "confirm_sensitive" in form,
        duration=form.get("duration", "") if form is not None else "",
        ranges=[(CATALOGUE.collection(name), at) for name, at in notice["data_from"].items()],
        changed=changed,
        problems=list(problems),
    )


def render_cooling(notice_name: str, until: datetime, *, anyway: str, here: str) -> Response:
    """Return the page that stands before a request which was refused lately (CUX-16)."""
    return pages.page(
        "cooling.html", here=here, organisation=notice_name, until=until, anyway=anyway
    )


def parse_choice(form: MultiDict[str, str]) -> tuple[str, Choice]:
    """Return the decision, `allow`, `refuse` or something else, and what was chosen."""
    locale = form.get("locale", "")
    choice = Choice(
        notice_sha256=form.get("notice_sha256", ""),
        locale=locale if locale in languages.LOCALES else languages.current(),
        optional=frozenset(form.getlist("attributes")),
        duration=form.get("duration", ""),
    )
    return form.get("decision", ""), choice


def missing_confirmation(ask: Ask, choice: Choice, form: Mapping[str, str]) -> list[Problem]:
    """Return the problem of sensitive items without the second tick, if there is one (CUX-22)."""
    shared = (*ask.required, *(name for name in ask.optional if name in choice.optional))
    sensitive = any(
        CATALOGUE.attribute(name).sensitivity is Sensitivity.SENSITIVE for name in shared
    )
    if not sensitive or "confirm_sensitive" in form:
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
    asked: Iterable[Mapping[str, str]], examples: Mapping[str, str], ticked: Names[str]
) -> list[Group]:
    reasons = {item["name"]: item["reason"] for item in asked}
    return [
        (
            cluster,
            [
                Item(
                    each,
                    reasons[each.qualified_name],
                    examples.get(each.qualified_name),
                    each.qualified_name in ticked,
                )
                for each in attributes
            ],
        )
        for cluster, attributes in clusters_of(reasons)
    ]
