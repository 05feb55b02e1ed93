"""A withdrawal that was acknowledged wins over every read that was not (P-7, SEC-S25, SEC-S74).

A read is held in another process between its decision and its commit, and the withdrawal happens
in this one: two processes that share nothing but the store.
"""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select

from consent import organisations
from consent.models import Event
from consent.vocabulary import Standing
from pds.models import Deposit

EMAIL, CANARY = "contact.email", "canary@example.com"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def connected(world):
    aysel, shop = world.person(), world.organisation()
    aysel.save("contact", email=CANARY)
    template = shop.publish(required=[EMAIL], actions=["read", "write"])
    return world.connect(aysel, shop, template, ask={"actions": ["read", "write"]})


class Reader:
    """The other process, which keeps nothing from one request to the next."""

    def __init__(self, process):
        self._process = process
        self._holds = False

    def hold(self, request):
        """Send a request; it is held when this returns."""
        self._tell(request)
        assert self._hear() == {"held": True}
        self._holds = True

    def let_go(self):
        """Let what is held go on; returns its answer, or None where nothing is held."""
        if not self._holds:
            return None
        self._holds = False
        self._tell("go on")
        return self._hear()

    def _tell(self, message):
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()

    def _hear(self):
        return json.loads(self._process.stdout.readline())


@pytest.fixture(scope="module")
def other_process():
    """Start the other process."""
    command = [sys.executable, "-m", "tests.drills.held_reader"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Reader(process)


@pytest.fixture
def held(world, other_process):
    """Hold a request in the other process; gives what lets it go on."""

    def hold(connected, method="GET", path="/v1/records", body=None):
        client, url = connected.organisation.client, world.url(path)
        proof = client.proof(method, url, access_token=connected.access_token)
        request = {
            "instance": str(world.store.settings.instance),
            "method": method,
            "url": url,
            "headers": {"Authorization": f"DPoP {connected.access_token}", "DPoP": proof},
            "body": body,
            "now": world.services.clock.now().isoformat(),
        }
        other_process.hold(request)
        return other_process.let_go

    yield hold
    other_process.let_go()  # what a test that failed has left


def names(world):
    with world.services.uow.read() as session:
        query = select(Event.name).where(Event.stream.startswith("g.")).order_by(Event.seq)
        return list(session.scalars(query))


def test_a_read_that_nothing_interrupts_is_delivered(held, connected):
    """The hold itself changes nothing: without this the tests below would prove nothing."""
    let_go = held(connected)
    answer = let_go()

    assert answer["status"] == 200
    assert CANARY in answer["body"]


def test_a_read_held_while_consent_is_withdrawn_delivers_nothing(world, held, connected):
    """P-7: decided on before, committed after: thrown away, and refused in the log."""
    let_go = held(connected)
    connected.withdraw()
    answer = let_go()

    assert answer["status"] in {403, 409}
    assert CANARY not in answer["body"]
    assert names(world)[-1] == "data.read_denied"
    assert "consent.withdrawn" in names(world)
    assert "data.read" not in names(world)


def test_a_read_held_while_its_organisation_is_suspended_delivers_nothing(world, held, connected):
    """P-8, P-30."""
    let_go = held(connected)
    world.services.uow.write(
        lambda session: organisations.set_standing(
            session, connected.organisation.id, Standing.SUSPENDED
        )
    )
    answer = let_go()

    assert answer["status"] in {403, 409}
    assert CANARY not in answer["body"]
    assert "data.read" not in names(world)


def test_a_read_held_while_its_last_fetch_is_used_delivers_nothing(world, held):
    """P-10: two at once do not get one more than was agreed."""
    aysel, shop = world.person(), world.organisation()
    aysel.save("contact", email=CANARY)
    template = shop.publish(required=[EMAIL], access={"mode": "periodic", "fetches_per_day": 1})
    connected = world.connect(aysel, shop, template)

    let_go = held(connected)
    assert connected.get("/v1/records").status_code == 200
    answer = let_go()

    assert answer["status"] in {409, 429}
    assert CANARY not in answer["body"]


def test_a_deposit_held_while_consent_is_withdrawn_is_not_taken_in(world, held, connected):
    body = {"document_id": "1", "data": {"email": "other@example.com"}}
    let_go = held(connected, "POST", "/v1/records/contact", body)
    connected.withdraw()
    answer = let_go()

    assert answer["status"] in {403, 409}
    with world.services.uow.read() as session:
        assert session.scalars(select(Deposit)).all() == []


def test_no_read_is_acknowledged_after_the_withdrawal_was(world, connected):
    """REL-R5: 32 threads read while one withdraws; the log is the order of what happened."""
    acknowledged_after = []
    withdrawn = []

    def read(_number):
        told = []
        for _ in range(3):
            began_after = bool(withdrawn)
            answer = connected.get("/v1/records")
            told.append(answer)
            if began_after and answer.status_code == 200:
                acknowledged_after.append(answer)
        return told

    def withdraw():
        connected.withdraw()
        withdrawn.append(True)

    with ThreadPoolExecutor(33) as pool:
        reads = [pool.submit(read, number) for number in range(16)]
        ending = pool.submit(withdraw)
        reads += [pool.submit(read, number) for number in range(16)]
        ending.result()
        answers = [answer for one in reads for answer in one.result()]

    assert acknowledged_after == []
    logged = names(world)
    end = logged.index("consent.withdrawn")
    assert "data.read" not in logged[end:]
    delivered = [answer for answer in answers if answer.status_code == 200]
    assert len(delivered) == logged.count("data.read")
    assert {answer.status_code for answer in answers} <= {200, 403, 409}
    assert all(CANARY not in answer.text for answer in answers if answer.status_code != 200)
