"""SIGKILL under load: nothing acknowledged is lost, nothing left without its entry (REL-R1).

Each round starts the real server, loads it with reads, deposits and refreshes, and kills all its
processes at a moment of chance. What was acknowledged by then is looked for in the store, and the
log's new checkpoint must extend the one before (LOG-31, REL-R11).

`PDS_DRILL_KILLS` sets the number of kills for each store; 3 if it is not set.
"""

from __future__ import annotations

import json
import os
import random
import threading
import time
from dataclasses import dataclass, field, replace

import httpx
import pytest
from sqlalchemy import func, select

from api.worker import Worker
from consent.formats.trust import Trust
from consent.formats.verify import verify_bundle, verify_log_extension
from consent.log.evidence import build_bundle, streams_of_vault
from consent.log.reader import extension
from consent.models import Event
from pds.models import Deposit
from tests.support.serving import served_world

KILLS = int(os.environ.get("PDS_DRILL_KILLS", "3"))
READERS, DEPOSITORS = 3, 2
LOAD_SECONDS = (0.2, 1.5)
EMAIL = "contact.email"


@dataclass
class Load:
    """Clients that use the server as fast as it answers, and remember what was acknowledged."""

    connected: object
    client: object
    entries: set = field(default_factory=set)
    delivered: set = field(default_factory=set)
    deposits: set = field(default_factory=set)
    unexpected: list = field(default_factory=list)
    token: str = ""
    _cursor: str = ""
    _stopping: threading.Event = field(default_factory=threading.Event)
    _number: int = 0

    def refresh(self):
        """Get a new access token, a write too, and the cursor to the rest of a first page.

        Pages that follow are not counted against the day's fetches, which the load would use up.
        """
        answer = self.client.refresh(self.connected.refresh_token)
        assert answer.status_code == 200, answer.text
        self.token = answer.json()["access_token"]
        self._cursor = self._read_page(limit=1)

    def run_for(self, seconds, kill):
        """Load the server, and have it killed meanwhile."""
        self._stopping.clear()
        self._number += 1
        jobs = [self._read] * READERS + [self._deposit] * DEPOSITORS
        threads = [
            threading.Thread(target=self._repeat, args=(job, place))
            for place, job in enumerate(jobs)
        ]
        for thread in threads:
            thread.start()
        time.sleep(seconds)
        kill()
        self._stopping.set()
        for thread in threads:
            thread.join()

    def _repeat(self, job, place):
        turn = 0
        while not self._stopping.is_set():
            turn += 1
            try:
                job(f"{self._number}-{place}-{turn}")
            except httpx.TransportError:
                return  # killed: whatever was under way was not acknowledged

    def _read(self, _name):
        self._read_page(cursor=self._cursor)

    def _read_page(self, **query):
        answer = self.client.get(f"{self.connected_url}/v1/records", self.token, params=query)
        if answer.status_code != 200:
            self.unexpected.append(answer.text)
            return None
        self.delivered.add(answer.headers["PDS-Log-Entry"])
        return answer.json()["next_cursor"]

    def _deposit(self, name):
        body = {"document_id": name, "data": {"email": f"d{name}@example.com"}}
        answer = self.client.request(
            "POST", f"{self.connected_url}/v1/records/contact", self.token, json=body
        )
        if answer.status_code == 202:
            self.deposits.add(name)
            self.entries.add(answer.headers["PDS-Log-Entry"])
        else:
            self.unexpected.append(answer.text)

    @property
    def connected_url(self):
        return self.client.issuer


@pytest.fixture
def served(store, tmp_path):
    """Give a world whose issuer is a real server that is not running yet."""
    with served_world(store, log=tmp_path / "server.log") as served:
        yield served


@pytest.mark.drill
def test_kills_under_load_lose_nothing_that_was_acknowledged(served):
    world, server = served
    chance = random.Random(1)  # noqa: S311 - moments to kill at
    aysel, shop = world.person(), world.organisation()
    for n in range(5):
        aysel.save("contact", email=f"{n}@example.com")
    template = shop.publish(
        required=[EMAIL],
        actions=["read", "write"],
        access={"mode": "on_change", "fetches_per_day": 1440},
    )
    connected = world.connect(aysel, shop, template, ask={"actions": ["read", "write"]})
    with httpx.Client(timeout=30) as http:
        load = Load(connected, replace(shop.client, http=http, clock=time.time))
        first = checkpoint = None
        for _ in range(KILLS):
            server.start()
            checkpoint = check_log(world, http, load, checkpoint)
            first = first or checkpoint
            load.refresh()
            load.run_for(chance.uniform(*LOAD_SECONDS), server.kill)
            check_acknowledged(world, load)
        server.start()
        check_log(world, http, load, checkpoint)
        server.stop()

    check_acknowledged(world, load)
    assert load.unexpected == []
    assert len(load.delivered) >= KILLS
    assert len(load.deposits) >= KILLS
    Worker(world.services).turn()
    check_evidence(world, aysel, first)
    assert aysel.sign_in().absorbed == deposits_held(world)


def check_acknowledged(world, load):
    """Check that the store has all that a client was told."""
    with world.services.uow.read() as session:
        logged = {
            f"{stream}/{seq}": name
            for stream, seq, name in session.execute(select(Event.stream, Event.seq, Event.name))
        }
        documents = set(session.scalars(select(Deposit.document_id)))
        query = select(Event.stream, func.count(), func.max(Event.seq)).group_by(Event.stream)
        gaps = [row for row in session.execute(query) if row[1] != row[2]]
    assert gaps == []
    assert load.deposits <= documents
    assert {logged.get(entry) for entry in load.delivered} <= {"data.read"}
    assert {logged.get(entry) for entry in load.entries} <= {"data.deposited"}
    # Nothing came without its entry, and no deposit is there without one.
    assert list(logged.values()).count("data.deposited") >= len(documents)


def check_log(world, http, load, before):
    """Check that the log goes on from the checkpoint that was seen before; return the new one."""
    signer = world.services.log_signer
    deadline = time.monotonic() + 30
    while True:
        answer = http.get(f"{load.connected_url}/log/checkpoint")
        if answer.status_code == 200 or time.monotonic() > deadline:
            break
        time.sleep(0.1)
    assert answer.status_code == 200, answer.text
    if before is None:
        return answer.text
    sizes = [int(note.splitlines()[1]) for note in (before, answer.text)]
    with world.services.uow.read() as session:
        proof = extension(session, *sizes)
    verify_log_extension(before, answer.text, proof, signer.verifier)
    return answer.text


def check_evidence(world, person, pinned):
    """Check the whole evidence offline: no gap, no read outside consent, and one history."""
    vault, issuer = person.visitor.vault, world.services.receipts
    with world.services.uow.read() as session:
        streams = streams_of_vault(session, vault.bucket, vault.id)
        size = int(pinned.splitlines()[1])
        bundle = build_bundle(session, streams, pinned_sizes=[size])
    trust = Trust(
        log_keys=(world.services.log_signer.verifier,),
        receipt_keys={issuer.kid: issuer.key.public_key().public_bytes_raw()},
        pinned=pinned,
    )
    report = verify_bundle(bundle.to_bytes(), trust)
    assert report.verdict.name == "VERIFIED", json.dumps(report.to_dict(), indent=1)


def deposits_held(world):
    with world.services.uow.read() as session:
        return session.execute(select(func.count()).select_from(Deposit)).scalar_one()
