"""What an import costs: transactions validated, deduplicated and sealed, beside sealing alone.

    python -m bench.importing [--transactions 100000]

The control seals the same rows under a fresh key and inserts them in the same batches, with no
validation, merge keys, versions, sequence or log. Both run in turn on SQLite, in one process.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import orjson
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert

from api.serving import spare_the_collector
from pds.crypto.sealed_box import Kind, pad, seal
from pds.importing import parse
from pds.imports.staging import BATCH_RECORDS
from tests.support.stores import Stores
from tests.support.worlds import world_on

RAW = Table(
    "raw_rows", MetaData(), Column("id", Integer, primary_key=True), Column("box", LargeBinary)
)
KEY = bytes(range(32))


def statement(transactions: int) -> bytes:
    """Return an OFX file of different transactions."""
    rows = "".join(
        f"<STMTTRN><TRNTYPE>POS<DTPOSTED>2026{n % 12 + 1:02}{n % 28 + 1:02}"
        f"<TRNAMT>-{n % 900 + 1}.50<FITID>F{n}<NAME>Shop {n % 500}</STMTTRN>"
        for n in range(transactions)
    )
    account = "<CURDEF>AZN<BANKACCTFROM><ACCTID>42</BANKACCTFROM>"
    return f"<OFX><STMTRS>{account}{rows}</STMTRS></OFX>".encode()


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transactions", type=int, default=100_000)
    data = statement(parser.parse_args().transactions)
    with (
        tempfile.TemporaryDirectory(prefix="pds-bench-importing-") as folder,
        Stores(Path(folder), lambda: None).migrated("sqlite") as store,
        world_on(store) as world,
    ):
        ours = _imported(world, data)
        control = _raw(world.services.uow, data)
    print(f"imported: {ours:.0f} a second; sealed and inserted alone: {control:.0f} a second")
    print(f"ratio {ours / control:.2f} (aim: 0.5)")
    return 0


def _imported(world, data: bytes) -> float:
    imports = world.services.imports(world.person().visitor)
    spare_the_collector()  # as the server does
    start = time.perf_counter()
    import_id = imports.stage("ofx", data)
    progress = imports.advance(import_id)
    while progress.state != "done":
        progress = imports.advance(import_id)
    return progress.total / (time.perf_counter() - start)


def _raw(uow, data: bytes) -> float:
    rows = [dict(candidate.data) for candidate in parse("ofx", data).candidates]
    uow.write(lambda session: RAW.create(session.connection()))
    start = time.perf_counter()
    for at in range(0, len(rows), BATCH_RECORDS):
        boxes = [
            {
                "box": seal(
                    KEY, pad(orjson.dumps(row)), kind=Kind.RECORD, key_version=1, fields=(b"raw",)
                )
            }
            for row in rows[at : at + BATCH_RECORDS]
        ]
        uow.write(lambda session, boxes=boxes: session.execute(insert(RAW), boxes))
    return len(rows) / (time.perf_counter() - start)


if __name__ == "__main__":
    sys.exit(main())
