"""One run in a process of its own, which kills itself with SIGKILL at a numbered point.

Arguments: a JSON document with the state store, server, CRM, keys, seconds that the clock is ahead,
and the point (0 for none).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import UTC, datetime, timedelta

import httpx

from connector.crm.tryton import PARTY, TrytonCrm
from connector.crm.tryton_http import TrytonHTTP
from connector.engine.context import Policy, ReceiptSigner, SilentProgress
from connector.engine.run import Engine
from connector.keys import ConnectorKeys
from connector.pds.client import PDSClient, http_client
from connector.pds.proofs import load_keys, receipt_key
from connector.state.store import StateStore
from tests.integration.connector.identity import CLIENT, SECRET, rules_of
from tests.integration.connector.tryton_rules import TABLE


class AheadClock:
    def __init__(self, seconds):
        self.ahead = timedelta(seconds=seconds)

    def now(self):
        return datetime.now(UTC) + self.ahead

    def sleep(self, seconds):
        raise AssertionError(f"nothing waits {seconds} seconds here")


def main(given):
    clock = AheadClock(given["ahead"])
    keys = load_keys(given["key"])
    signing_key, kid = receipt_key(keys)

    def reach(point):
        if point == given["point"]:
            os.kill(os.getpid(), signal.SIGKILL)

    engine = Engine(
        client=PDSClient(
            given["issuer"],
            client_id=CLIENT,
            key=keys[0],
            dpop_key=load_keys(given["dpop_key"])[0],
            http=http_client(),
            clock=clock,
        ),
        store=StateStore(given["store"], keys=ConnectorKeys(SECRET), clock=clock),
        crm=TrytonCrm(TrytonHTTP(**given["tryton"], http=httpx.Client(timeout=60))),
        crm_name="main",
        rules=rules_of(TABLE, obj=PARTY),
        policy=Policy(per_second=1e6, erase_per_second=1e6),
        clock=clock,
        signer=ReceiptSigner(signing_key, kid, "pds-connector/test"),
        reach=reach,
    )
    report = engine.run(progress=SilentProgress())
    assert report.problem is None, report.problem


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
