"""Consent as a machine: any order of consents, ends, tokens, rotations and days (REL-R4, CM-13).

The model knows in a few lines what may be read; the server must agree after every step, over HTTP.
`PDS_MACHINE_EXAMPLES` sets how many walks are taken, 15 if it is not set.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

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

from api.worker import Worker
from consent import organisations
from consent.models import Agreement, Event, Grant
from consent.vocabulary import Standing
from pds.models import KeyWrap
from pds.records import Draft
from tests.support.reading import values
from tests.support.worlds import TickingClock, world_on

EXAMPLES = int(os.environ.get("PDS_MACHINE_EXAMPLES", "15"))
STEPS = 40
EMAIL = "contact.email"
DURATIONS = {"P1D": 1, "P7D": 7, "P30D": 30}
which = st.integers(0, 1)


@dataclass
class Access:
    """An access token, as the model knows it."""

    text: str
    consent: int
    ends_at: object
    is_revoked: bool = False


@dataclass
class Side:
    """An organisation, and what it may do, as the model knows it."""

    organisation: object
    template: object
    is_good: bool = True
    consents: list = field(default_factory=list)  # (connected, end); the last one may be live
    is_live: bool = False
    has_refresh: bool = False
    tokens: list = field(default_factory=list)


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
        self.emails = {}
        self.delivered = 0
        self.sides = []
        for name in ("Shop", "Bank"):
            organisation = self.world.organisation(name)
            template = organisation.publish(
                required=[EMAIL], access={"mode": "on_change", "fetches_per_day": 1440}
            )
            self.sides.append(Side(organisation, template))

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

    @rule(one=which, duration=st.sampled_from(sorted(DURATIONS)))
    def consent(self, one, duration):
        """Consent, for the first time or again."""
        side = self.sides[one]
        if not side.is_good:
            return
        self._be_unlocked()
        ends_at = self.clock.instant.replace(microsecond=0) + timedelta(days=DURATIONS[duration])
        connected = self.world.connect(
            self.aysel, side.organisation, side.template, duration=duration
        )
        side.consents.append((connected, ends_at))
        side.is_live, side.has_refresh = True, True
        self._remember(side, connected.access_token)

    @rule(one=which)
    def withdraw(self, one):
        """Stop sharing; it may have stopped already."""
        side = self.sides[one]
        if side.consents:
            self._be_unlocked()
            side.consents[-1][0].withdraw()
            side.is_live = False

    @rule(one=which)
    def refresh(self, one):
        """Ask for another access token."""
        side = self.sides[one]
        if not side.consents:
            return
        connected = side.consents[-1][0]
        answer = side.organisation.client.refresh(connected.refresh_token)
        allowed = side.is_good and self._is_in_force(side) and side.has_refresh
        assert (answer.status_code == 200) == allowed, answer.text
        if allowed:
            self._remember(side, answer.json()["access_token"])

    @rule(one=which)
    def revoke(self, one):
        """Give the refresh token up, and with it every access token."""
        side = self.sides[one]
        if not side.consents or not side.is_good:
            return
        side.organisation.client.revoke(side.consents[-1][0].refresh_token)
        if self._is_in_force(side) or self._was_recorded_as_live(side):
            side.has_refresh = False
            for token in side.tokens:
                token.is_revoked |= token.consent == len(side.consents) - 1

    @rule(one=which, data=st.data())
    def read(self, one, data):
        """Read with any token that there ever was."""
        side = self.sides[one]
        if not side.tokens:
            return
        token = data.draw(st.sampled_from(side.tokens))
        alive = not token.is_revoked and self.clock.instant < token.ends_at
        answer = side.organisation.get("/v1/records", token.text)
        is_latest = token.consent == len(side.consents) - 1
        allowed = alive and side.is_good and is_latest and self._is_in_force(side)
        assert (answer.status_code == 200) == allowed, (answer.status_code, answer.text)
        if allowed:
            self.delivered += 1
            expected = sorted(record.data["email"] for record in self.emails.values())
            assert sorted(values(answer.json(), "email")) == expected
        else:
            assert answer.status_code in {401, 403}
            assert "example.com" not in answer.text.replace("vault.example", "")

    @rule(one=which, good=st.booleans())
    def set_standing(self, one, good):
        """Suspend an organisation, or reinstate it (CM-10: dead grants stay dead)."""
        side = self.sides[one]
        standing = Standing.GOOD if good else Standing.SUSPENDED
        self.world.services.uow.write(
            lambda session: organisations.set_standing(session, side.organisation.id, standing)
        )
        side.is_good = good

    @rule(step=st.sampled_from([{"minutes": 5}, {"minutes": 11}, {"hours": 13}, {"days": 6}]))
    def wait(self, step):
        """Let time pass."""
        self.clock.move(**step)

    @rule()
    def work(self):
        """Let the worker run: it ends what is over and sweeps what ran out."""
        Worker(self.world.services).turn()

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
    def ended_grants_hold_no_key(self):
        """CM-9, CM-13, TAK-42: the four objects agree."""
        if not hasattr(self, "world"):
            return
        with self.world.services.uow.read() as session:
            agreements = {row.id: row.state for row in session.scalars(select(Agreement))}
            grants = session.scalars(select(Grant)).all()
            held = set(session.scalars(select(KeyWrap.by_id).where(KeyWrap.by_kind == "grant")))
        for grant in grants:
            is_active = agreements[grant.agreement_id] == "active"
            assert (grant.state == "active") == is_active
            assert (grant.id in held) == is_active
        assert sum(1 for state in agreements.values() if state == "active") <= len(self.sides)

    def _be_unlocked(self):
        if self.aysel.visitor is None or self.aysel.visitor.open_vault is None:
            self.aysel.sign_in()

    def _remember(self, side, text):
        ends_at = (self.clock.instant + timedelta(seconds=600)).replace(microsecond=0)
        # The end lies within the second in which it was minted: do not ask within it.
        side.tokens.append(Access(text, len(side.consents) - 1, ends_at - timedelta(seconds=1)))
        self.clock.move(seconds=2)

    def _is_in_force(self, side):
        return side.is_live and self.clock.instant < side.consents[-1][1]

    def _was_recorded_as_live(self, side):
        connected = side.consents[-1][0]
        with self.world.services.uow.read() as session:
            states = session.scalars(
                select(Grant.state).where(Grant.agreement_id == connected.agreement_id)
            )
            return "active" in set(states)


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
