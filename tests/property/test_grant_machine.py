"""Consent as a machine: every order of acts by both sides, of reads and of days (REL-R4, CM-13).

The model knows in a few lines what may be read and why not; the server must agree after every step,
over HTTP. `PDS_MACHINE_EXAMPLES` sets how many walks are taken, 15 if it is not set; `make
drill-consent` takes many.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import func, select

from api.worker import sweep
from consent import organisations
from consent.lifecycle import MOVES, Act, follow
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
from tests.support.reading import values
from tests.support.worlds import TickingClock, world_on

EXAMPLES = int(os.environ.get("PDS_MACHINE_EXAMPLES", "15"))
STEPS = 40
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
which = st.integers(0, 1)


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

    @property
    def is_live(self):
        return self.state in LIVE

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
class Side:
    """An organisation, as the model knows it; of its consents only the last may live."""

    organisation: object
    template: object
    is_once: bool = False
    is_good: bool = True
    consents: list = field(default_factory=list)
    tokens: list = field(default_factory=list)

    @property
    def last(self):
        return self.consents[-1] if self.consents else None


class GrantMachine(RuleBasedStateMachine):
    """One person, two organisations."""

    stores = None

    @initialize()
    def begin(self):
        """Make the world."""
        self.stack = ExitStack()
        self.clock = TickingClock()
        store = self.stack.enter_context(self.stores.migrated("sqlite"))
        self.world = self.stack.enter_context(world_on(store, clock=self.clock))
        self.aysel = self.world.person()
        self.aysel.save("profile", given_name="Aysel")
        self.emails = {}
        self.delivered = 0
        self.sides = []
        for name, mode in (("Shop", "on_change"), ("Bank", "once")):
            organisation = self.world.organisation(name)
            template = organisation.publish(
                required=[EMAIL],
                optional=[NAME],
                access={"mode": mode, "fetches_per_day": 200},
            )
            self.sides.append(Side(organisation, template, is_once=mode == "once"))
        # So that what follows has something to be about, also in a short walk.
        for one in range(len(self.sides)):
            self.consent(one, "P30D", name=True)

    def teardown(self):
        """Leave nothing behind."""
        if hasattr(self, "stack"):
            self.stack.close()

    @rule(number=st.integers(0, 9))
    def write(self, number):
        """Make or change an e-mail address."""
        self._be_unlocked()
        email = f"{number}-{len(self.emails)}@example.com"
        record = self.emails.get(number)
        if record is None:
            record = self.aysel.save("contact", email=email)
        else:
            draft = Draft("contact", {"email": email}, record.id, record.version)
            record = self.aysel.records.save(draft)
        self.emails[number] = record

    @precondition(lambda self: self.emails)
    @rule(data=st.data())
    def delete(self, data):
        """Delete an e-mail address."""
        self._be_unlocked()
        number = data.draw(st.sampled_from(sorted(self.emails)))
        record = self.emails.pop(number)
        self.aysel.records.delete(record.id, version=record.version)

    @rule(one=which, duration=st.sampled_from(DURATIONS), name=st.booleans())
    def consent(self, one, duration, name):
        """Consent: anew, or to the next version of what is in force (P-29)."""
        side = self.sides[one]
        if not side.is_good:
            return
        self._be_unlocked()
        is_amended = side.last and self._is_current(side.last) and not side.last.is_fetched
        amended = side.last if is_amended else None
        connected = self.world.connect(
            self.aysel,
            side.organisation,
            side.template,
            duration=duration,
            optional=[NAME] if name else [],
        )
        found, starts_at = self._agreement(connected.agreement_id)
        ends_at = found.expires_at
        assert ends_at - starts_at == timedelta(days=int(duration[1:-1]))
        if amended is None:
            if side.last and side.last.is_live:
                side.last.state = "terminated"
            assert found.supersedes == (side.last and side.last.connected.agreement_id)
            side.consents.append(Consent(connected, starts_at, ends_at, ends_at, name))
        else:
            assert connected.agreement_id == amended.connected.agreement_id
            assert connected.body["grant_id"] == amended.connected.body["grant_id"]
            if ends_at < amended.ends_at or (amended.has_name and not name):
                self._end_tokens(side, amended)
            amended.connected, amended.has_refresh = connected, True
            amended.starts_at, amended.has_name = starts_at, name
            amended.ends_at = amended.refresh_ends_at = ends_at
            amended.version += 1
        self._remember(side, connected.access_token)

    @rule(one=which)
    def narrow(self, one):
        """Take the optional item away; where there is none, nothing is changed (P-13)."""
        side, visitor = self.sides[one], self._unlocked
        narrowing = self.world.services.narrowing

        def step(consent):
            agreement_id = consent.connected.agreement_id
            seen = narrowing.offer(visitor.vault, agreement_id).before.sha256
            reduction = Reduction(seen, frozenset())
            if not consent.has_name:
                with pytest.raises(ValidationFailedError):
                    narrowing.narrow(visitor.vault, visitor.open_vault, agreement_id, reduction)
                return
            narrowing.narrow(visitor.vault, visitor.open_vault, agreement_id, reduction)
            consent.has_name = False
            consent.version += 1
            self._end_tokens(side, consent)

        self._act(one, step, None)

    @rule(one=which)
    def withdraw(self, one):
        """Stop sharing; it may have stopped already."""
        self._act(one, lambda consent: consent.connected.withdraw(), "withdrawn")

    @rule(one=which)
    def pause(self, one):
        """Let sharing rest, whatever became of it."""
        pauses = self.world.services.pauses
        self._act(one, lambda c: pauses.pause(self._vault, c.connected.agreement_id), "suspended")

    @rule(one=which)
    def resume(self, one):
        """Go on sharing, whatever became of it."""
        pauses = self.world.services.pauses
        self._act(one, lambda c: pauses.resume(self._vault, c.connected.agreement_id), "active")

    @rule(one=which)
    def terminate(self, one):
        """End it as the organisation."""

        def step(consent):
            self.world.services.endings.terminate(
                consent.connected.agreement_id,
                organisation_id=consent.connected.organisation.id,
                reason=TerminationReason.SERVICE_ENDED,
            )

        self._act(one, step, "terminated")

    @rule(one=which)
    def invalidate(self, one):
        """Declare it void."""

        def step(consent):
            self.world.services.endings.invalidate(
                consent.connected.agreement_id,
                actor=Actor.AUTHORITY,
                reason=InvalidationReason.COURT_ORDER,
            )

        self._act(one, step, "invalidated")

    @rule(one=which)
    def refresh(self, one):
        """Ask for another access token: a pause does not keep it away, an end does."""
        side, consent = self.sides[one], self.sides[one].last
        if consent is None:
            return
        answer = side.organisation.client.refresh(consent.connected.refresh_token)
        allowed = side.is_good and consent.has_refresh and self._is_current(consent)
        assert (answer.status_code == 200) == allowed, answer.text
        if allowed:
            self._remember(side, answer.json()["access_token"])

    @rule(one=which)
    def revoke(self, one):
        """Give the refresh token up, and with it every access token."""
        side, consent = self.sides[one], self.sides[one].last
        if consent is None or not side.is_good:
            return
        side.organisation.client.revoke(consent.connected.refresh_token)
        # Its row outlives the agreement's end, until its own.
        if consent.has_refresh and self.clock.instant < consent.refresh_ends_at:
            consent.has_refresh = False
            self._end_tokens(side, consent)

    @rule(one=which, data=st.data())
    def read(self, one, data):
        """Read with any token that there ever was, of whatever consent."""
        side = self.sides[one]
        if not side.tokens:
            return
        token = data.draw(st.sampled_from(side.tokens))
        now = self.clock.instant
        alive = not token.is_dead and now < token.ends_at
        reason = token.consent.denial(side, now)
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

    @rule(one=which, good=st.booleans())
    def set_standing(self, one, good):
        """Suspend an organisation, or reinstate it once all it had has ended (CM-10)."""
        side = self.sides[one]
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

    @rule(
        step=st.sampled_from(
            [{"minutes": 5}, {"minutes": 11}, {"hours": 13}, {"days": 1}, {"days": 6}, {"days": -1}]
        )
    )
    def wait(self, step):
        """Let time pass, or have the clock set back."""
        self.clock.move(**step)

    @rule()
    def work(self):
        """Do what the worker does: end what is over or excluded, sweep what ran out."""
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
                    consent.state = consent.natural_end
                elif consent.is_live and not side.is_good:
                    consent.state = "terminated"
            for token in side.tokens:
                token.is_dead |= now >= token.ends_at

    @rule()
    def unlock(self):
        """Sign in afresh: keys rotate where a consent ended."""
        self.aysel.sign_in()

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
            consent.connected.agreement_id: consent.state
            for side in self.sides
            for consent in side.consents
        }
        assert {key: row.state for key, row in agreements.items()} == modelled
        names = {
            consent.connected.agreement_id: consent.has_name
            for side in self.sides
            for consent in side.consents
        }
        for grant in grants:
            state = modelled[grant.agreement_id]
            assert grant.state == GRANTS.get(state, "revoked")
            assert grant.agreement_version == agreements[grant.agreement_id].version
            covered = {"contact", "profile"} if names[grant.agreement_id] else {"contact"}
            assert held.get(grant.id, set()) == (covered if state in LIVE else set())
        self._check_histories(events, modelled, owed)

    def _check_histories(self, events, modelled, owed):
        """Every consent's events are a walk through the table of acts, in order of time."""
        for agreement_id, state in modelled.items():
            course = [each for each in events if each.agreement_id == agreement_id]
            assert [each.seq for each in course] == list(range(1, len(course) + 1))
            assert [each.at for each in course] == sorted(each.at for each in course)
            status, reached = None, None
            for each in course:
                move = MOVES[Act(each.act)]
                assert Actor(each.actor) in move.actors
                status = follow(move.consent, status)
                reached = follow(move.agreement, reached)
                assert status == each.status
            assert reached == state
            assert (agreement_id in owed) == MOVES[Act(course[-1].act)].owes_deletion

    def _begin_the_one_fetch(self, consent):
        """P-10: it may be repeated for 24 hours, and no longer than was agreed."""
        found = self._agreement(consent.connected.agreement_id)[0].expires_at
        expected = min(consent.ends_at, self.clock.instant + timedelta(hours=24))
        assert abs(found - expected) < timedelta(seconds=1)
        consent.is_fetched, consent.ends_at = True, found

    def _act(self, one, step, state):
        """Do something about the latest agreement: it ends once, and only the living rest.

        `state` is what it leads to; None: where it was.
        """
        consent = self.sides[one].last
        if consent is None:
            return
        self._be_unlocked()
        is_over = not consent.is_live or self.clock.instant >= consent.ends_at
        refused = (state is None or state in LIVE) and is_over
        refused |= state is None and consent.is_fetched
        try:
            step(consent)
        except ConflictError:
            assert refused, (state, consent.state)
        else:
            assert not refused, (state, consent.state)
            if consent.is_live and state is not None:
                consent.state = state

    @property
    def _vault(self):
        return self.aysel.visitor.vault

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

    @property
    def _unlocked(self):
        self._be_unlocked()
        return self.aysel.visitor

    def _is_current(self, consent):
        return consent.is_live and self.clock.instant < consent.ends_at

    def _be_unlocked(self):
        if self.aysel.visitor is None or self.aysel.visitor.open_vault is None:
            self.aysel.sign_in()

    def _remember(self, side, text):
        ends_at = (self.clock.instant + timedelta(seconds=600)).replace(microsecond=0)
        # The end lies within the second in which it was minted: do not ask within it.
        side.tokens.append(Access(text, side.last, ends_at - timedelta(seconds=1)))
        self.clock.move(seconds=2)


def test_the_server_agrees_with_the_model_in_every_order_of_events(stores):
    """REL-R4."""
    machine = type("Machine", (GrantMachine,), {"stores": stores})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
