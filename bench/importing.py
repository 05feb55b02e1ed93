"""What an import costs: validated, deduplicated and sealed, beside sealing alone; and each format.

    python -m bench.importing [--transactions 100000]
    python -m bench.importing --formats [--records 10000] [--only FORMAT]...

The first: transactions of an OFX file. The control seals the same rows under a fresh key and
inserts them in the same batches, with no validation, merge keys, versions, sequence or log. Both
run in turn on SQLite, in one process.

The second: a file of each format that the product takes, generated, from its bytes to the last
record; records a second by the clock and by the processor's time, and how far the memory of the
process rose above what it had before. Each format has a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, insert

from api.serving import spare_the_collector
from bench import import_files
from pds.crypto.sealed_box import Kind, pad, seal
from pds.importing import parse
from pds.importing.bank_csv import open_bank_csv, propose
from pds.imports.staging import BATCH_RECORDS
from tests.support.stores import Stores
from tests.support.worlds import world_on

RAW = Table(
    "raw_rows", MetaData(), Column("id", Integer, primary_key=True), Column("box", LargeBinary)
)
KEY = bytes(range(32))
MIB = 1 << 20


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--transactions", type=int, default=100_000)
    parser.add_argument("--formats", action="store_true", help="measure each format instead")
    parser.add_argument("--records", type=int, default=10_000, help="in the file of each format")
    parser.add_argument("--only", action="append", choices=sorted(import_files.FILES))
    options = parser.parse_args()
    if options.formats or options.only:
        print(f"{'file, MB':>8} {'records':>8} {'a second':>9} {'cpu':>7} {'MiB':>5}  format")
        # A process of its own, begun anew: what another format took would hide what this one does.
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            for name in options.only or import_files.FILES:
                print(pool.apply(_format, (name, options.records)), flush=True)
        return 0
    data = import_files.ofx(options.transactions)
    with _world() as world:
        ours = _imported(world, world.person().visitor, "ofx", data)
        control = _raw(world.services.uow, data)
    print(f"imported: {ours:.0f} a second; sealed and inserted alone: {control:.0f} a second")
    print(f"ratio {ours / control:.2f} (aim: 0.5)")
    return 0


@contextmanager
def _world() -> Iterator:
    with (
        tempfile.TemporaryDirectory(prefix="pds-bench-importing-") as folder,
        Stores(Path(folder), lambda: None).migrated("sqlite") as store,
        world_on(store) as world,
    ):
        yield world


def _format(name: str, records: int) -> str:
    format_name, write = import_files.FILES[name]
    data = write(records)
    with _world() as world:
        visitor = world.person().visitor  # before: its passphrase alone takes 46 MiB
        before, worked = _memory("VmRSS"), time.process_time()
        Path("/proc/self/clear_refs").write_text("5")  # the highest begins here
        rate = _imported(world, visitor, format_name, data)
        worked = time.process_time() - worked
        rose = (_memory("VmHWM") - before) / MIB
    megabytes = len(data) / 1_000_000
    return f"{megabytes:8.1f} {records:8} {rate:9.0f} {records / worked:7.0f} {rose:5.0f}  {name}"


def _memory(name: str) -> int:
    """Return a figure of this process's memory in bytes, by its name in proc(5)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _imported(world, visitor, format_name: str, data: bytes) -> float:
    """Import a file and return how many records a second became of it."""
    imports = world.services.imports(visitor)
    spare_the_collector()  # as the server does
    start = time.perf_counter()
    import_id = _staged(imports, format_name, data)
    progress = imports.advance(import_id)
    while progress.state != "done":
        progress = imports.advance(import_id)
    took = time.perf_counter() - start
    if progress.refused or sum(progress.imported.values()) < progress.total:
        raise ValueError(f"{format_name}: not all of the file became records of its own")
    return progress.total / took


def _staged(imports, format_name: str, data: bytes):
    if format_name == "bank_csv":
        import_id = imports.tables.hold(data)
        imports.tables.map_columns(import_id, propose(open_bank_csv(data)), keep=False)
        return import_id
    if format_name == "export":
        archive = imports.archives.files.write(most_bytes=len(data))
        for at in range(0, len(data), MIB):
            archive.write(data[at : at + MIB])
        return imports.archives.stage(archive.finish().id)
    return imports.stage(format_name, data)


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
