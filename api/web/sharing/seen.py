"""See exactly what they see: the snapshot of one agreement as its organisation gets it now.

It is made by what makes the organisation's own answers (`api.releasing`), with the keys
that its grant holds, so it cannot show more, less or anything else. The person's look is no
reading: nothing is counted and nothing logged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, request
from flask.typing import ResponseReturnValue

from api.oauth import live
from api.oauth.live import LiveGrant, Opened
from api.releasing import Release
from api.web import (
    guards,
    languages,
    pages,
    words,
)
from api.web.sharing import one_connection
from api.web.vault import inputs
from api.wiring import wiring
from consent import policy
from consent.policy import Terms
from consent.vocabulary import Action, DenialReason
from pds import feed
from pds.catalogue import CATALOGUE, Collection
from pds.errors import NotFoundError, VaultLockedError
from pds.sessions import Visitor

blueprint = Blueprint("seen", __name__, url_prefix="/connections")

_PAGE_RECORDS = 25
# What rests may go on, so there is something to see; with all else it is over.
_MAY_GO_ON = frozenset({DenialReason.PAUSED, DenialReason.FROZEN, DenialReason.LIMIT})


@dataclass(frozen=True, slots=True)
class Record:
    """A record as the organisation gets it: its fields in the reader's words."""

    collection: Collection
    rows: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A page of what the organisation gets; `text` is the answer itself, in JSON."""

    records: list[Record]
    text: str
    missing: list[str]  # agreed, and not in the vault: in the reader's words
    following: int | None


@blueprint.get("/<uuid:agreement_id>/seen")
@guards.unlocked
def show(visitor: Visitor, agreement_id: UUID) -> ResponseReturnValue:
    """Show what the organisation would get at this instant, a page at a time."""
    if visitor.open_vault is None:
        raise VaultLockedError
    services = wiring()
    now = services.clock.now()
    view = one_connection.of(visitor, agreement_id)
    with services.uow.rows() as connection:
        grant = live.find_owned(connection, visitor.open_vault, agreement_id, now=now)
    if grant is None or grant.opened is None:
        raise NotFoundError
    denial = policy.decide(grant.terms, grant.facts, action=Action.READ, now=now)
    after = min(max(request.args.get("after", 0, type=int), 0), grant.vault_seq)
    is_shown = denial is None or denial in _MAY_GO_ON
    return pages.page(
        "sharing/seen.html",
        view=view,
        denial=denial,
        snapshot=_snapshot(grant, grant.opened, after) if is_shown else None,
        is_first=after == 0,
        now=now,
    )


def _snapshot(grant: LiveGrant, opened: Opened, after: int) -> Snapshot:
    services = wiring()
    release = Release(services.keys.deployment, grant, opened, services.today)
    with services.uow.rows() as connection:
        page = feed.read_page(
            connection,
            release.view(None),
            base=0,
            position=after,
            began=grant.vault_seq,
            upto=grant.vault_seq,
            limit=_PAGE_RECORDS,
        )
    is_whole = after == 0 and not page.has_more
    content = release.content(None, page.changes, is_whole=is_whole)
    absent = [
        words.item(CATALOGUE.attribute(each["attribute"]), languages.current())
        for each in content["manifest"]["withheld"]
        if each["reason"] in ("not_filled_in", "out_of_range")
    ]
    return Snapshot(
        records=list(_records(content["records"], opened.terms)),
        text=json.dumps(content, ensure_ascii=False, indent=2),
        missing=absent,
        following=page.position if page.has_more else None,
    )


def _records(found: list[dict[str, Any]], terms: Terms) -> Iterator[Record]:
    locale = languages.current()
    for each in found:
        if not each["deleted"]:
            collection = CATALOGUE.collection(each["collection"])
            yield Record(collection, list(_rows(collection, each["data"], terms, locale)))


def _rows(
    collection: Collection, data: Mapping[str, Any], terms: Terms, locale: str
) -> Iterator[tuple[str, str]]:
    for name, field in collection.fields.items():
        if name in data:
            coarse = f"{collection.name}.{name}" in terms.coarsenings
            value = data[name]
            # A coarser form is none of the field's own values, and is shown as it goes out.
            is_plain = coarse and isinstance(value, str | int)
            yield (
                field.label.text(locale),
                str(value) if is_plain else inputs.shown(field, value, locale),
            )
