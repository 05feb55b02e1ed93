"""Home: what is in the vault, who can see what, and what waits for its owner.

It answers from plain rows, so that a locked vault says what waits, and in a number of statements
that does not grow with the vault.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import Blueprint, Response
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext
from sqlalchemy.orm import Session

from api.letters import transports
from api.oauth import stores
from api.web import languages, pages, visitors
from api.web.clusters import clusters_of
from api.wiring import wiring
from consent import connections, requests
from consent.connections import ConnectionView
from consent.requests import Undecided
from pds import waiting
from pds.catalogue import CATALOGUE, Collection, Sensitivity, Wording
from pds.sessions import Visitor
from pds.waiting import Waiting

blueprint = Blueprint("home", __name__)

_MOST_SHOWN = 5  # connections
_ENDS_SOON = timedelta(days=14)
_REQUESTS_LIVE = timedelta(minutes=10)  # at most (FAPI 2.0 section 5.3.2.2)
# What is good to fill in, in this order: sensitive data is not asked for.
_GOOD_TO_HAVE = tuple(
    each
    for cluster in CATALOGUE.clusters.values()
    for each in CATALOGUE.collections.values()
    if each.cluster is cluster and each.sensitivity is Sensitivity.ORDINARY
)


@dataclass(frozen=True, slots=True)
class Item:
    """Something that waits: its icon, a sentence, and the link that goes on with it."""

    icon: str
    text: str
    path: str = ""  # empty: there is nothing to press
    label: str = ""
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a vault holds, by the number of its records."""

    counts: Mapping[str, int]

    @property
    def records(self) -> int:
        """How many records there are."""
        return sum(self.counts.values())

    @property
    def filled(self) -> int:
        """How many of the collections that are good to have hold something."""
        return sum(1 for each in _GOOD_TO_HAVE if self.counts[each.name])

    @property
    def most(self) -> int:
        """How many such collections there are."""
        return len(_GOOD_TO_HAVE)

    @property
    def following(self) -> Collection | None:
        """The next collection to fill in; None: each holds something."""
        return next((each for each in _GOOD_TO_HAVE if not self.counts[each.name]), None)

    @property
    def largest(self) -> list[tuple[Collection, int]]:
        """The collections that hold most, the largest first."""
        found = [(each, self.counts[name]) for name, each in CATALOGUE.collections.items()]
        return sorted((one for one in found if one[1]), key=lambda one: -one[1])[:_MOST_SHOWN]


@dataclass(frozen=True, slots=True)
class _Found:
    """What was read in one transaction."""

    views: Sequence[ConnectionView]
    waiting: Waiting
    asked: Sequence[tuple[Undecided, datetime]]  # and until when each can be opened


@blueprint.get("/")
def show() -> ResponseReturnValue:
    """Show whoever is signed in how things stand; say to others what this is."""
    visitor = visitors.current()
    return pages.page("welcome.html") if visitor is None else _home(visitor)


def _home(visitor: Visitor) -> Response:
    services = wiring()
    now = services.clock.now()
    with services.uow.read() as session:
        found = _read(session, visitor, now)
    has_second_step = services.second_factors.is_on(visitor.vault.id)
    current = [view for view in found.views if view.is_current]
    current.sort(key=lambda view: view.last_read_at or view.granted_at, reverse=True)
    return pages.page(
        "home.html",
        items=[
            *_of_vault(visitor, found),
            *_of_connections(found.views, now),
            *_of_account(found.waiting, has_second_step=has_second_step),
        ],
        holdings=Holdings(services.records(visitor).counts()) if visitor.open_vault else None,
        views=current[:_MOST_SHOWN],
        total=len(current),
        clusters_of=clusters_of,
    )


def _read(session: Session, visitor: Visitor, now: datetime) -> _Found:
    bucket, vault_id = visitor.vault.bucket, visitor.vault.id
    asked = requests.undecided(session, bucket, vault_id, since=now - _REQUESTS_LIVE)
    until = stores.open_until(session, [each.pushed_request for each in asked], now=now)
    # One line each, with the latest: whoever asks twenty times does not hide what else waits.
    latest: dict[tuple[Wording, bool], tuple[Undecided, datetime]] = {}
    for each in asked:
        if each.pushed_request in until:
            key = each.organisation_name, each.changes_agreement
            latest.setdefault(key, (each, until[each.pushed_request]))
    return _Found(
        connections.at_a_glance(session, bucket, vault_id, now=now),
        waiting.of_vault(session, bucket, vault_id),
        [*latest.values()],
    )


def _of_vault(visitor: Visitor, found: _Found) -> Iterator[Item]:
    if visitor.deletion_due_at is not None:
        day = languages.day(visitor.deletion_due_at)
        yield Item(
            "triangle-alert",
            gettext("Your vault will be deleted on %(day)s.", day=day),
            "/vault-deletion",
            gettext("Keep the vault"),
            is_urgent=True,
        )
    for each, until in found.asked:
        name, at = each.organisation_name.text(languages.current()), languages.clock(until)
        text = (
            gettext(
                "%(name)s asks to change what you share. Its page leads to the request until"
                " %(at)s.",
                name=name,
                at=at,
            )
            if each.changes_agreement
            else gettext(
                "%(name)s asks for your data. Its page leads to the request until %(at)s.",
                name=name,
                at=at,
            )
        )
        yield Item("building-2", text)
    if found.waiting.deposits:
        yield Item(
            "file-text",
            ngettext(
                "An organisation left %(num)d document. It comes in when you unlock your vault.",
                "Organisations left %(num)d documents. They come in when you unlock your vault.",
                found.waiting.deposits,
            ),
            "/unlock?next=/",
            gettext("Unlock"),
        )
    for job in found.waiting.imports:
        text = (
            gettext(
                "An import is not finished: %(done)s of %(total)s.",
                done=languages.number(job.done),
                total=languages.number(job.total),
            )
            if job.total
            else gettext("An import waits for you to say what its columns mean.")
        )
        yield Item("upload", text, f"/imports/{job.id}", gettext("Continue"))


def _of_connections(views: Sequence[ConnectionView], now: datetime) -> Iterator[Item]:
    for view in views:
        name = view.organisation.name.text(languages.current())
        path, label = f"/connections/{view.agreement_id}", gettext("Look at it")
        if view.is_overdue:
            text = gettext("%(name)s has not answered in time for what it owes you.", name=name)
            yield Item("triangle-alert", text, path, label, is_urgent=True)
        if view.frozen is not None:
            text = gettext("%(name)s: paused by us, as its keys were reported stolen.", name=name)
            yield Item("circle-pause", text, path, label, is_urgent=True)
        if view.is_current and view.expires_at <= now + _ENDS_SOON:
            day = languages.day(view.expires_at)
            text = gettext("Your agreement with %(name)s ends on %(day)s.", name=name, day=day)
            yield Item("clock", text, path, label)
        if view.is_unused(now):
            text = gettext("%(name)s has read nothing for 90 days.", name=name)
            yield Item("clock", text, path, label)


def _of_account(found: Waiting, *, has_second_step: bool) -> Iterator[Item]:
    if not found.is_code_kept:
        text = gettext(
            "You have not checked yet that you kept your recovery code. Whoever loses it and the"
            " passphrase loses the data for ever."
        )
        yield Item("key-round", text, "/settings/recovery-code", gettext("Check it"))
    if transports.of(wiring().settings) is not None and not found.is_address_confirmed:
        text = (
            gettext("Your address for letters is not confirmed yet.")
            if found.has_address
            else gettext(
                "You have given no address for letters: nobody can tell you of requests, or send"
                " you a link if you lose your passphrase."
            )
        )
        label = gettext("Confirm it") if found.has_address else gettext("Give an address")
        yield Item("info", text, "/settings/letters", label)
    if not has_second_step:
        text = gettext("Only your passphrase guards your vault. A second step makes it safer.")
        yield Item("key-round", text, "/settings#second-step", gettext("Set it up"))
