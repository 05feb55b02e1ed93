"""Consent as a machine: every order of acts by both sides, of reads and of days (REL-R4, CM-13).

The model knows in a few lines what may be read and why not, and what each act writes down; the
server must agree after every step, over HTTP. It knows nothing of the server's own table of acts.
Acts are tried in every state, on agreements that ended long ago too.

`PDS_MACHINE_EXAMPLES` sets how many walks of 40 steps are taken on SQLite, and an eighth as many on
PostgreSQL; 56 if it is not set. `make drill-consent` takes many. All walks begin in the same store.
"""

from __future__ import annotations

import os
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select
from werkzeug.exceptions import HTTPException

from api.worker import sweep
from consent import organisations
from consent.errors import NoticeChangedError
from consent.extending import Extension
from consent.models import Agreement, AgreementVersion, ConsentEvent, Event, Grant, Obligation
from consent.narrowing import Reduction
from consent.vocabulary import (
    Actor,
    InvalidationReason,
    Standing,
    TerminationReason,
)
from pds.errors import ConflictError, ValidationFailedError
from pds.models import KeyWrap
from pds.records import Draft
from tests.support.oauth_client import pkce_pair
from tests.support.reading import values
from tests.support.stores import STORES, left_behind
from tests.support.worlds import START, TickingClock, world_on

EXAMPLES = int(os.environ.get("PDS_MACHINE_EXAMPLES", "56"))
LENGTH = 40
EMAIL, NAME = "contact.email", "profile.given_name"
DURATIONS = ("P1D", "P30D", "P7D")
LIVE = ("active", "suspended")
DENIALS = {
    "suspended": "consent-paused",
    "withdrawn": "consent-withdrawn",
    "terminated": "consent-terminated",
    "expired": "consent-expired",
    "invalidated": "consent-invalidated",
    "fulfilled": "consent-fulfilled",
}
# Else: revoked.
GRANTS = {
    "active": "active",
    "suspended": "paused",
    "expired": "expired",
    "fulfilled": "consumed",
}
# What each act makes of a consent, and whether deletion is owed after it.
STATUSES = {
    "allow": "dpv:ConsentGiven",
    "amend": "dpv:ConsentGiven",
    "renew": "dpv:RenewedConsentGiven",
    "narrow": "dpv:ConsentGiven",
    "extend": "dpv:RenewedConsentGiven",
    "pause": "dpv:ConsentStatusInvalidForProcessing",
    "resume": "dpv:ConsentGiven",
    "withdraw": "dpv:ConsentWithdrawn",
    "replace": "dpv:ConsentRevoked",
    "terminate": "dpv:ConsentRevoked",
    "exclude": "dpv:ConsentRevoked",
    "invalidate": "dpv:ConsentInvalidated",
    "expire": "dpv:ConsentExpired",
    "fulfil": "dpv:ConsentExpired",
}
REASONS = ("service-ended", "other")
CHANGES = ("amend", "renew", "narrow", "extend")
OWING = ("withdraw", "terminate", "exclude", "invalidate", "expire", "fulfil")
STEPS = []  # (name, strategies of its arguments)
which = st.integers(0, 1)
# The latest agreement most of the time, and those that ended before it.
back = st.sampled_from((0, 0, 0, 1, 2))


def step(*, times=1, **strategies):
    """Make a method a step of walks, drawn `times` as often as others."""

    def named(method):
        STEPS.extend([(method.__name__, strategies)] * times)
        return method

    return named


@dataclass
class Access:
    """An access token, as the model knows it."""

    text: str
    consent: Consent
    ends_at: object
    is_dead: bool = False


@dataclass
class Consent:
    """One agreement, as the model knows it: `state` is what is written down."""

    connected: object
    starts_at: object
    ends_at: object
    refresh_ends_at: object
    has_name: bool
    version: int = 1
    state: str = "active"
    has_refresh: bool = True
    is_fetched: bool = False  # the one fetch of access mode `once`
    course: list = field(default_factory=list)  # (act, status, version) of each consent event

    @property
    def is_live(self):
        return self.state in LIVE

    def note(self, act):
        """Write down what is done: new terms are no word about a pause."""
        status = STATUSES[act.removesuffix("_part")]
        if self.state == "suspended" and act.removesuffix("_part") in CHANGES:
            status = STATUSES["pause"]
        self.course.append((act, status, self.version))

    @property
    def in_force(self):
        """Return what a page shows of it."""
        return self.connected.agreement_id, self.version, self.state

    @property
    def natural_end(self):
        return "fulfilled" if self.is_fetched else "expired"

    def denial(self, side, now):
        """Return why nothing may be read now, or None: the whole model."""
        if not side.is_good:
            return "organisation-suspended"
        if self.state != "active":
            return DENIALS[self.state]
        if now >= self.ends_at:
            return DENIALS[self.natural_end]
        return "consent-pending" if now < self.starts_at else None


@dataclass
class Page:
    """A request that the person has open, and what of the agreement in force it showed."""

    opened: object
    verifier: str
    shown: object
    at: object
    is_decided: bool = False


@dataclass
class Side:
    """An organisation, as the model knows it; of its consents only the last may live."""

    organisation: object
    template: object
    is_once: bool = False
    is_good: bool = True
    consents: list = field(default_factory=list)
    tokens: list = field(default_factory=list)
    pages: list = field(default_factory=list)
    sent: list = field(default_factory=list)  # (key, consent, reason) of each termination

    @property
    def last(self):
        return self.consents[-1] if self.consents else None


@dataclass
class Start:
    """Where every walk begins: one person, two organisations that share, and the way back."""

    world: object
    person: object
    connected: list  # of each organisation, with whether access is to be had once
    go_back: object


@contextmanager
def start_on(stores, kind):
    """Make the world once; walks go back to it."""
    with (
        stores.migrated(kind) as store,
        world_on(store, clock=TickingClock()) as world,
    ):
        person = world.person()
        person.save("profile", given_name="Aysel")
        connected = []
        for name, mode in (("Shop", "on_change"), ("Bank", "once")):
            organisation = world.organisation(name)
            template = organisation.publish(
                required=[EMAIL],
                optional=[NAME],
                access={"mode": mode, "fetches_per_day": 200},
            )
            # So that what follows has something to be about, also in a short walk.
            first = world.connect(person, organisation, template, optional=[NAME])
            connected.append((first, mode == "once"))
            world.services.clock.move(seconds=2)
        with stores.kept(store, world.services.uow) as go_back:
            yield Start(world, person, connected, go_back)


class GrantMachine(RuleBasedStateMachine):
    """One person, two organisations."""

    start = None
    done = None  # counts what was really done: (rule, state that it met)

    @initialize()
    def begin(self):
        """Go back to the beginning."""
        self.start.go_back()
        self.world = self.start.world
        self.clock = self.world.services.clock
        self.clock.instant = START + timedelta(minutes=1)
        self.aysel = replace(self.start.person)
        self.emails = {}
        self.delivered = 0
        self.sides = []
        for connected, is_once in self.start.connected:
            side = Side(connected.organisation, connected.template, is_once=is_once)
            self.sides.append(side)
            found, starts_at = self._agreement(connected.agreement_id)
            ends_at = found.expires_at
            consent = Consent(connected, starts_at, ends_at, ends_at, has_name=True)
            consent.note("allow")
            side.consents.append(consent)
            self._remember(side, connected.access_token)

    def teardown(self):
        """Leave nothing behind that breaks a rule."""
        if hasattr(self, "world"):
            assert left_behind(self.world.services.uow) == []

    @step(
        times=4,
        one=which,
        ago=back,
        what=st.sampled_from(("resume", "pause", "narrow", "extend", "withdraw")),
    )
    def act_as_the_person(self, one, ago, what):
        """Pause, go on, take away or stop, whatever became of it."""
        getattr(self, f"_{what}")(one, ago)

    @step(times=2, one=which, ago=back, what=st.sampled_from(("terminate", "invalidate")))
    def act_as_another(self, one, ago, what):
        """End it as its organisation, or declare it void as an authority."""
        getattr(self, f"_{what}")(one, ago)

    def _narrow(self, one, ago):
        """Take the optional item away; where there is none, nothing is changed (P-13)."""
        side, narrowing = self.sides[one], self.world.services.narrowing

        def step(consent):
            agreement_id = consent.connected.agreement_id
            seen = narrowing.offer(self.visitor.vault, agreement_id).before.sha256
            reduction = Reduction(seen, frozenset())
            vault, opened = self.visitor.vault, self.visitor.open_vault
            if not consent.has_name:
                with pytest.raises(ValidationFailedError):
                    narrowing.narrow(vault, opened, agreement_id, reduction)
                return
            narrowing.narrow(vault, opened, agreement_id, reduction)
            consent.has_name = False
            consent.version += 1
            consent.note("narrow")
            self._end_tokens(side, consent)

        self._act("narrow", one, ago, step, None)

    def _extend(self, one, ago):
        """Share the same for longer: never beyond what was asked, and every token lives on."""
        side, extending = self.sides[one], self.world.services.extending

        def step(consent):
            vault, opened = self.visitor.vault, self.visitor.open_vault
            agreement_id = consent.connected.agreement_id
            offer = extending.offer(vault, agreement_id)
            assert all(
                consent.ends_at < end <= self.clock.instant + timedelta(days=30)
                for end in offer.ends.values()
            )
            longest = max(offer.ends, key=offer.ends.get, default="P30D")
            extension = Extension(offer.before.sha256, longest)
            if not side.is_good or not offer.ends:
                error = ValidationFailedError if side.is_good else NoticeChangedError
                with pytest.raises(error):
                    extending.extend(vault, opened, agreement_id, extension)
                return
            extending.extend(vault, opened, agreement_id, extension)
            found, consent.starts_at = self._agreement(agreement_id)
            consent.ends_at = consent.refresh_ends_at = found.expires_at
            consent.version += 1
            consent.note("extend")

        self._act("extend", one, ago, step, None)

    def _withdraw(self, one, ago):
        """Stop sharing; it may have stopped already."""

        def step(consent):
            self.world.services.endings.withdraw(
                self.visitor.vault, consent.connected.agreement_id, request_deletion=True
            )

        self._act("withdraw", one, ago, step, "withdrawn")

    def _pause(self, one, ago):
        """Let sharing rest, whatever became of it."""
        pauses = self.world.services.pauses

        def step(consent):
            pauses.pause(self.visitor.vault, consent.connected.agreement_id)

        self._act("pause", one, ago, step, "suspended")

    def _resume(self, one, ago):
        """Go on sharing, whatever became of it."""
        pauses = self.world.services.pauses

        def step(consent):
            pauses.resume(self.visitor.vault, consent.connected.agreement_id)

        self._act("resume", one, ago, step, "active")

    def _terminate(self, one, ago):
        """End it as the organisation."""

        def step(consent):
            self.world.services.endings.terminate(
                consent.connected.agreement_id,
                organisation_id=consent.connected.organisation.id,
                reason=TerminationReason.SERVICE_ENDED,
            )

        self._act("terminate", one, ago, step, "terminated")

    @step(one=which)
    def ask(self, one):
        """Ask, and have the person open the page; they decide when they like, or never."""
        self._ask(self.sides[one])

    def _ask(self, side):
        self._count("ask", "good" if side.is_good else "suspended")
        details = side.organisation.details(side.template, duration="P30D")
        if not side.is_good:
            answer = side.organisation.client.push(pkce_pair()[1], details=details)
            assert answer.status_code == 400, answer.text
            return
        self._be_unlocked()
        uri, verifier = self.world.push(side.organisation, details)
        opened = self.world.open_request(self.aysel, side.organisation, uri)
        page = Page(opened, verifier, self._in_force(side), self.clock.instant)
        side.pages = [*side.pages[-2:], page]

    @step(
        times=2,
        one=which,
        data=st.data(),
        how=st.sampled_from(("allow", "allow", "refuse", "defer")),
        duration=st.sampled_from(DURATIONS),
        name=st.booleans(),
    )
    def decide(self, one, data, how, duration, name):
        """Decide on a page that may be out of date by now, or was decided on already (P-28)."""
        side = self.sides[one]
        side.pages = [
            each for each in side.pages if abs(self.clock.instant - each.at) < timedelta(minutes=6)
        ]
        if not side.is_good or not side.pages:
            self._ask(side)
        if not side.is_good:
            return
        page = data.draw(st.sampled_from(side.pages))
        self._be_unlocked()
        stale = page.shown != self._in_force(side)
        self._count(how, "stale" if stale else "fresh")
        with self.world.app.app_context():
            try:
                if how == "allow":
                    chosen = [NAME] if name else []
                    callback = self.world.allow(
                        self.aysel,
                        page.opened,
                        optional=chosen,
                        duration=duration,
                        visitor=self.visitor,
                    )
                else:
                    getattr(self.world, how)(self.aysel, page.opened)
            except (ConflictError, NoticeChangedError, HTTPException):
                assert stale or page.is_decided, (how, page.shown)
                return
        assert not stale, (how, page.shown)
        assert not page.is_decided, how
        page.is_decided = True
        if how == "allow":
            answer = side.organisation.client.redeem(callback["code"], page.verifier)
            assert answer.status_code == 200, answer.text
            connected = self.world.connected(
                self.aysel, side.organisation, side.template, answer.json()
            )
            self._agreed(side, connected, duration, name=name, asked="P30D")

    @step(times=2, one=which, duration=st.sampled_from(DURATIONS), name=st.booleans())
    def consent(self, one, duration, name):
        """Consent: anew, or to the next version of what is in force (P-29)."""
        side = self.sides[one]
        if not side.is_good:
            self._ask(side)
            return
        self._count("consent", side.last.state)
        self._be_unlocked()
        connected = self.world.connect(
            self.aysel,
            side.organisation,
            side.template,
            duration=duration,
            optional=[NAME] if name else [],
        )
        self._agreed(side, connected, duration, name=name)

    def _agreed(self, side, connected, duration, *, name, asked=None):
        amended = side.last if self._in_force(side) else None
        found, starts_at = self._agreement(connected.agreement_id)
        ends_at = found.expires_at
        assert ends_at - starts_at == timedelta(days=int(duration[1:-1]))
        part = "" if name and duration == (asked or duration) else "_part"
        if amended is None:
            if side.last.is_live:
                side.last.note("replace")
                side.last.state = "terminated"
            assert found.supersedes == side.last.connected.agreement_id
            consent = Consent(connected, starts_at, ends_at, ends_at, name)
            consent.note(f"allow{part}")
            side.consents.append(consent)
        else:
            assert connected.agreement_id == amended.connected.agreement_id
            assert connected.body["grant_id"] == amended.connected.body["grant_id"]
            if ends_at < amended.ends_at or (amended.has_name and not name):
                self._end_tokens(side, amended)
            renews = ends_at > amended.ends_at and amended.has_name == name
            amended.connected, amended.has_refresh = connected, True
            amended.starts_at, amended.has_name = starts_at, name
            amended.ends_at = amended.refresh_ends_at = ends_at
            amended.version += 1
            amended.note(("renew" if renews else "amend") + part)
        self._remember(side, connected.access_token)

    @step(one=which, data=st.data(), is_new=st.booleans(), reason=st.sampled_from(REASONS))
    def terminate_over_http(self, one, data, is_new, reason):
        """End it as the organisation, or repeat a request whose answer was lost (ORG-10).

        A repetition that comes late ends nothing that was agreed since; a key that stood for
        another request is refused.
        """
        side = self.sides[one]
        if not side.is_good:
            self._count("terminate_over_http", "suspended")
            assert side.organisation.client.client_credentials("organisation").status_code == 400
            return
        # A key is forgotten after a day.
        side.sent = [
            each for each in side.sent if abs(self.clock.instant - each[-1]) < timedelta(hours=23)
        ]
        if is_new or not side.sent:
            key, consent, was = str(self.done.total()), side.last, None
        else:
            key, consent, was, _ = data.draw(st.sampled_from(side.sent))
        self._count("terminate_over_http", "repeated" if was else consent.state)
        token = side.organisation.client.client_credentials("organisation").json()
        answer = side.organisation.post(
            f"/v1/agreements/{consent.connected.agreement_id}/termination",
            token["access_token"],
            {"reason": reason},
            headers={"Idempotency-Key": key},
        )
        if was not in {None, reason}:
            assert answer.status_code == 422, answer.text
            return
        if was is None:
            side.sent.append((key, consent, reason, self.clock.instant))
        if consent.is_live:
            consent.note("terminate")
            consent.state = "terminated"
        assert (answer.status_code, answer.json()["state"]) == (200, consent.state)

    def _invalidate(self, one, ago):
        """Declare it void."""

        def step(consent):
            self.world.services.endings.invalidate(
                consent.connected.agreement_id,
                actor=Actor.AUTHORITY,
                reason=InvalidationReason.COURT_ORDER,
            )

        self._act("invalidate", one, ago, step, "invalidated")

    @step(one=which)
    def refresh(self, one):
        """Ask for another access token: a pause does not keep it away, an end does."""
        self._refresh(self.sides[one])

    def _refresh(self, side):
        consent = side.last
        self._count("refresh", consent.state)
        answer = side.organisation.client.refresh(consent.connected.refresh_token)
        allowed = side.is_good and consent.has_refresh and self._is_current(consent)
        assert (answer.status_code == 200) == allowed, answer.text
        if allowed:
            self._remember(side, answer.json()["access_token"])

    @step(one=which)
    def revoke(self, one):
        """Give the refresh token up, and with it every access token."""
        side, consent = self.sides[one], self.sides[one].last
        if not side.is_good:
            self._refresh(side)
            return
        self._count("revoke", consent.state)
        side.organisation.client.revoke(consent.connected.refresh_token)
        # Its row outlives the agreement's end, until its own.
        if consent.has_refresh and self.clock.instant < consent.refresh_ends_at:
            consent.has_refresh = False
            self._end_tokens(side, consent)

    @step(times=3, one=which, data=st.data())
    def read(self, one, data):
        """Read with any token that there ever was, of whatever consent."""
        side = self.sides[one]
        token = data.draw(st.sampled_from(side.tokens))
        now = self.clock.instant
        alive = not token.is_dead and now < token.ends_at
        reason = token.consent.denial(side, now)
        self._count("read", token.consent.state)
        if alive:
            said = side.organisation.get("/v1/grant", token.text).json()
            assert (said["usable"], said["reason"]) == (reason is None, reason)
        answer = side.organisation.get("/v1/records", token.text)
        if not alive:
            assert answer.status_code == 401, answer.text
        elif reason:
            assert answer.status_code == 403, answer.text
            assert answer.json()["type"].endswith(f"/{reason}"), (answer.text, reason)
        else:
            assert answer.status_code == 200, answer.text
            self.delivered += 1
            expected = sorted(record.data["email"] for record in self.emails.values())
            assert sorted(values(answer.json(), "email")) == expected
            names = ["Aysel"] if token.consent.has_name else []
            assert values(answer.json(), "given_name") == names
            assert answer.json()["agreement"]["version"] == token.consent.version
            if side.is_once and (expected or names) and not token.consent.is_fetched:
                self._begin_the_one_fetch(token.consent)
            return
        assert "example.com" not in answer.text.replace("vault.example", "")
        assert "Aysel" not in answer.text

    @step(number=st.integers(0, 9))
    def write(self, number):
        """Make or change an e-mail address."""
        self._count("write")
        self._be_unlocked()
        email = f"{number}-{len(self.emails)}@example.com"
        record = self.emails.get(number)
        if record is None:
            record = self.aysel.save("contact", email=email)
        else:
            draft = Draft("contact", {"email": email}, record.id, record.version)
            record = self.aysel.records.save(draft)
        self.emails[number] = record

    @step(data=st.data())
    def delete(self, data):
        """Delete an e-mail address."""
        if not self.emails:
            self.write(0)
        self._count("delete")
        self._be_unlocked()
        number = data.draw(st.sampled_from(sorted(self.emails)))
        record = self.emails.pop(number)
        self.aysel.records.delete(record.id, version=record.version)

    @step(one=which, good=st.booleans())
    def set_standing(self, one, good):
        """Suspend an organisation, or reinstate it once all it had has ended (CM-10)."""
        side = self.sides[one]
        self._count("set_standing", "good" if side.is_good else "suspended")
        standing = Standing.GOOD if good else Standing.SUSPENDED
        refused = good and not side.is_good and any(each.is_live for each in side.consents)
        try:
            self.world.services.uow.write(
                lambda session: organisations.set_standing(session, side.organisation.id, standing)
            )
        except ConflictError:
            assert refused
        else:
            assert not refused
            side.is_good = good

    @step(
        step=st.sampled_from(
            [{"minutes": n} for n in (5, 11, 780)] + [{"days": n} for n in (1, 6, 31, -1)]
        )
    )
    def wait(self, step):
        """Let time pass, or have the clock set back."""
        self._count("wait")
        self.clock.move(**step)

    @step(times=2, unlocks=st.booleans(), days=st.sampled_from((0, 0, 1, 31)))
    def work(self, unlocks, days):
        """Do what the worker does: end what is over or excluded, sweep what ran out.

        It may have been away for days. Who signs in afresh after it has keys rotated.
        """
        self._count("work")
        self.clock.move(days=days)
        services, now = self.world.services, self.clock.now()

        def job(session):
            services.endings.end_due(session, now=now)
            for each in organisations.excluded(session):
                services.endings.end_excluded(session, each, now=now)

        services.uow.write(job)
        sweep(services)
        for side in self.sides:
            for consent in side.consents:
                consent.has_refresh &= now < consent.refresh_ends_at
                if consent.is_live and now >= consent.ends_at:
                    consent.note("fulfil" if consent.is_fetched else "expire")
                    consent.state = consent.natural_end
                elif consent.is_live and not side.is_good:
                    consent.note("exclude")
                    consent.state = "terminated"
            for token in side.tokens:
                token.is_dead |= now >= token.ends_at
        if unlocks:
            self.aysel.sign_in()

    @rule(data=st.data())
    def go_on(self, data):
        """Take any step: of several rules, Hypothesis would leave out most for a whole walk."""
        name, strategies = data.draw(st.sampled_from(STEPS))
        chosen = {each: data.draw(strategy) for each, strategy in strategies.items()}
        note(f"{name}: {chosen}")
        getattr(self, name)(**chosen)

    @invariant()
    def streams_have_no_gaps(self):
        """P-31, and every delivered read has its entry (D9)."""
        if not hasattr(self, "world"):
            return
        with self.world.services.uow.read() as session:
            query = select(Event.stream, func.count(), func.max(Event.seq)).group_by(Event.stream)
            assert all(count == last for _, count, last in session.execute(query))
            reads = session.execute(
                select(func.count()).where(Event.name == "data.read")
            ).scalar_one()
        assert reads == self.delivered

    @invariant()
    def the_four_objects_agree(self):
        """CM-9, CM-13, TAK-42: with the model, and with each other."""
        if not hasattr(self, "world"):
            return
        with self.world.services.uow.read() as session:
            agreements = {row.id: row for row in session.scalars(select(Agreement))}
            grants = session.scalars(select(Grant)).all()
            wraps = select(KeyWrap.by_id, KeyWrap.wrapped_id).where(KeyWrap.by_kind == "grant")
            held = {}
            for grant_id, collection in session.execute(wraps):
                held.setdefault(grant_id, set()).add(collection)
            owed = set(session.scalars(select(Obligation.agreement_id)))
            events = session.scalars(select(ConsentEvent).order_by(ConsentEvent.seq)).all()
        modelled = {
            consent.connected.agreement_id: consent
            for side in self.sides
            for consent in side.consents
        }
        assert {key: row.state for key, row in agreements.items()} == {
            key: consent.state for key, consent in modelled.items()
        }
        for grant in grants:
            consent = modelled[grant.agreement_id]
            assert grant.state == GRANTS.get(consent.state, "revoked")
            assert grant.agreement_version == consent.version
            covered = {"contact", "profile"} if consent.has_name else {"contact"}
            assert held.get(grant.id, set()) == (covered if consent.is_live else set())
        for agreement_id, consent in modelled.items():
            course = [each for each in events if each.agreement_id == agreement_id]
            assert [each.seq for each in course] == list(range(1, len(course) + 1))
            assert [each.at for each in course] == sorted(each.at for each in course)
            told = [(each.act, each.status, each.agreement_version) for each in course]
            assert told == consent.course
            assert (agreement_id in owed) == (consent.course[-1][0] in OWING)

    def _begin_the_one_fetch(self, consent):
        """P-10: it may be repeated for 24 hours, and no longer than was agreed."""
        found = self._agreement(consent.connected.agreement_id)[0].expires_at
        expected = min(consent.ends_at, self.clock.instant + timedelta(hours=24))
        assert abs(found - expected) < timedelta(seconds=1)
        consent.is_fetched, consent.ends_at = True, found

    def _act(self, name, one, ago, step, state):
        """Do something about an agreement, whatever became of it: only what lives is moved.

        `state` is what it leads to; None: where it was.
        """
        side = self.sides[one]
        consent = side.consents[-1 - min(ago, len(side.consents) - 1)]
        self._count(name, consent.state)
        self._be_unlocked()
        is_over = not self._is_current(consent)
        refused = (state is None or state in LIVE) and is_over
        refused |= state is None and consent.is_fetched
        try:
            step(consent)
        except ConflictError:
            assert refused, (state, consent.state)
        else:
            assert not refused, (state, consent.state)
            if consent.is_live and state is not None and state != consent.state:
                consent.note(name)
                consent.state = state

    def _count(self, what, state=""):
        self.done[what, state] += 1

    def _in_force(self, side):
        """Return what a decision now would amend; None: it would make a new agreement."""
        consent = side.last
        return consent.in_force if self._is_current(consent) and not consent.is_fetched else None

    def _agreement(self, agreement_id):
        """Return an agreement, and when its present version began."""
        with self.world.services.uow.read() as session:
            found = session.scalars(select(Agreement).where(Agreement.id == agreement_id)).one()
            key = (found.bucket, agreement_id, found.version)
            begun = session.get(AgreementVersion, key).created_at
        return found, begun.replace(microsecond=0)

    @staticmethod
    def _end_tokens(side, consent):
        for token in side.tokens:
            token.is_dead |= token.consent is consent

    def _is_current(self, consent):
        return consent.is_live and self.clock.instant < consent.ends_at

    def _be_unlocked(self):
        """Unlock where it is needed; `visitor` is the person as one request sees them."""
        self.visitor = self.aysel.visitor
        if self.visitor is None or self.visitor.open_vault is None:
            self.aysel.sign_in()
            self.visitor = self.aysel.visitor

    def _remember(self, side, text):
        ends_at = (self.clock.instant + timedelta(seconds=600)).replace(microsecond=0)
        # The end lies within the second in which it was minted: do not ask within it.
        side.tokens.append(Access(text, side.last, ends_at - timedelta(seconds=1)))
        self.clock.move(seconds=2)


@pytest.mark.drill
@pytest.mark.parametrize("kind", STORES)
def test_the_server_agrees_with_the_model_in_every_order_of_events(stores, kind):
    """REL-R4."""
    walks = EXAMPLES if kind == "sqlite" else EXAMPLES // 8
    done = Counter()
    with start_on(stores, kind) as start:
        run_state_machine_as_test(
            type("Machine", (GrantMachine,), {"start": start, "done": done}),
            settings=settings(
                max_examples=walks,
                stateful_step_count=LENGTH,
                deadline=None,
                # Making a failing walk shorter takes minutes; it is told as it is.
                phases=(Phase.reuse, Phase.generate),
                suppress_health_check=list(HealthCheck),
            ),
        )

    print(f"{kind}: {done.total()} steps in {walks} walks")  # noqa: T201 - the drill's figure
    for (what, state), times in sorted(done.items()):
        print(f"{times:7} {what} {state}")  # noqa: T201 - likewise
    # Hypothesis ends a walk when it likes; of 56 walks on SQLite, 2,000 steps at least are left.
    assert done.total() >= (walks - 1) * LENGTH * 10 // 11
