"""What changes while nothing runs is logged once it does; a witness that fails, once (LOG-12)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from api.wiring import wire
from api.witnesses.asking import WitnessUnavailableError
from api.witnesses.rounds import FAILING_AFTER, Rounds
from api.worker import Worker
from consent.models import Event, EventPayload
from tests.support.worlds import TickingClock


@pytest.fixture
def services(store):
    services = wire(store.settings, clock=TickingClock())
    yield services
    services.uow.close()


def turned(services):
    worker = Worker(services)
    worker.turn()
    worker.stop()


def told(services):
    """Return the names and outcomes of the deployment's events, in order."""
    query = (
        select(Event.name, EventPayload.pub)
        .join(EventPayload, EventPayload.event_id == Event.id)
        .where(Event.stream == "d")
        .order_by(Event.seq)
    )
    with services.uow.read() as session:
        rows = session.execute(query).all()
    return [(name, pub.split(b'"outcome":"')[1].split(b'"')[0].decode()) for name, pub in rows]


def test_settings_and_keys_that_changed_are_told_once(store, services):
    turned(services)
    first = told(services)
    vault = replace(store.settings.vault, argon2_lanes=3)
    receipts = replace(services.receipts, key=Ed25519PrivateKey.generate())
    other = replace(services, settings=replace(store.settings, vault=vault), receipts=receipts)
    for _ in range(2):
        turned(other)

    assert first == []
    assert told(services) == [
        ("deployment.key_changed", "receipts"),
        ("deployment.settings_changed", "vault"),
    ]


class Asked:
    """A correspondence that goes as it is told, and then ends the thread that asks."""

    def __init__(self, rounds, course):
        self.witness, self._rounds, self._course = self, rounds, list(course)
        self.name = "w1.example"

    def ask(self, _under_lease):
        fails = self._course.pop(0)
        if not self._course:
            self._rounds._stopping.set()
        if fails:
            raise WitnessUnavailableError("it does not answer")


def test_a_witness_is_told_of_when_it_begins_to_fail_and_when_it_answers(services, monkeypatch):
    """Not at every try, and not anew by the process that has the lease afterwards."""
    monkeypatch.setattr("api.witnesses.rounds.FIRST_PAUSE_SECONDS", 0.0)
    for course in ([True] * (FAILING_AFTER + 2), [True] * 2 + [False, True, False]):
        rounds = Rounds(services, services.uow.write, holds_lease=lambda: True)
        rounds._pause_seconds = 0.0
        rounds._run(Asked(rounds, course))

    assert [name for name, _ in told(services)] == ["witness.failed", "witness.recovered"]
