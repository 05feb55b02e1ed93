"""A run is killed with SIGKILL, in a process of its own; the next process heals it (CON-G1 to G6).

The server is on a loopback port, the CRM is a real Tryton, the state is on either store.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from connector.crm.tryton import PARTY, TrytonCrm
from connector.crm.tryton_http import TrytonHTTP
from connector.engine.context import Point
from connector.keys import ConnectorKeys
from connector.pds.proofs import generate_key
from connector.state.store import StateStore
from tests.integration.connector.conftest import AYSEL
from tests.integration.connector.identity import CLIENT, SECRET
from tests.integration.connector.kill_run import AheadClock
from tests.integration.connector.tryton_rules import VALUES
from tests.support.pds_peer import PDSPeer

pytestmark = [pytest.mark.crm, pytest.mark.drill]
CHECKOUT = Path(__file__).parents[3]
LEASE_SECONDS = 150  # longer than a dead run keeps its lease
POINTS = [
    Point.PAGE_READ,
    Point.PAGE_QUEUED,
    Point.ERASE_SENT,
    Point.ERASE_NOTED,
    Point.RECEIPT_SENT,
    Point.SNAPSHOT_READ,
    Point.WRITE_SENT,
    Point.WRITE_NOTED,
]


@pytest.mark.parametrize("point", POINTS, ids=lambda point: point.name.lower())
def test_a_killed_run_is_healed_by_the_next_process(store_url, database, point, request):
    clock = AheadClock(0)
    peer = PDSPeer(clock)
    key, dpop_key = generate_key(), generate_key()
    peer.register(CLIENT, key.as_dict(private=False))
    store = StateStore(store_url, keys=ConnectorKeys(SECRET), clock=clock)
    request.addfinalizer(store.engine.dispose)
    store.create()
    with peer.served() as issuer:
        given = {
            "store": store_url,
            "issuer": issuer,
            "key": json.dumps(key.as_dict(private=True)),
            "dpop_key": json.dumps(dpop_key.as_dict(private=True)),
            "tryton": {
                "url": database.url,
                "token": database.token,
                "login": database.login,
                "password": database.password,
            },
        }
        gone, stays = person(peer, store), person(peer, store)
        run(given, clock, ahead=0)
        obligation = peer.withdraw(gone)
        peer.change(stays, "contact", email="new@mail.example")
        new = person(peer, store)

        assert run(given, clock, ahead=LEASE_SECONDS, point=point) == -signal.SIGKILL
        assert run(given, clock, ahead=2 * LEASE_SECONDS) == 0

    assert peer.obligations[obligation]["state"] == "fulfilled"
    assert contacts(database, gone, stays, new) == {
        gone.id: [None],
        stays.id: [{**VALUES, "contact_mechanisms[email]": "new@mail.example"}],
        new.id: [VALUES],
    }


def person(peer, store):
    connection = peer.grant(AYSEL)
    with store.write() as state:
        state.connections.put_refresh_token(connection.grant_id, connection.refresh_token)
    return connection


def run(given, clock, *, ahead, point=0):
    clock.ahead = timedelta(seconds=ahead)  # the server goes on in step with the process
    document = json.dumps({**given, "ahead": ahead, "point": int(point)})
    command = [sys.executable, "-m", "tests.integration.connector.kill_run", document]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=False)  # noqa: S603 - our own arguments
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode


def contacts(database, *connections):
    """Return, for each connection, the parties with its key: None for an erased one."""
    keys = {ConnectorKeys(SECRET).contact_key(who.id, life=1): who.id for who in connections}
    with httpx.Client(timeout=60) as http:
        tryton = TrytonHTTP(
            database.url,
            token=database.token,
            login=database.login,
            password=database.password,
            http=http,
        )
        found = TrytonCrm(tryton).find_by_key(PARTY, list(keys), fields=list(VALUES))
        rows = tryton.search(PARTY, [["code", "in", list(keys)]], ["code"])
    assert len(rows) == len(found), "one party for each key"
    return {
        keys[key]: [dict(record.fields) if record.fields["name"] else None]
        for key, record in found.items()
    }
