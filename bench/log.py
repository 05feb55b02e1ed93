"""What the log costs: writing entries, placing them, proving them, and checking them all.

    python -m bench.log [--entries 1000000] [--vaults 1000000] [--rounds 5] [--json FILE]

Writing is measured on SQLite, beside SQLite's own rate for the same rows in the same batches, round
by round. Absolute figures are the machine's.
"""

from __future__ import annotations

import argparse
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from bisect import bisect_right
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select

from api.wiring import wire
from api.worker import Worker
from consent.formats.merkle import inclusion_proof, leaf_hash, root_at, verify_inclusion
from consent.formats.tiles import decode_bundle, tile_reader
from consent.log.entries import EventLog, grant_stream, seal_private
from consent.models import Event, LogCheckpoint, LogEntry, LogPending
from pds.clock import SystemClock
from pds.ids import random_uuid, time_ordered_uuid
from pds.models import Vault
from tests.support.published import PublishedLog
from tests.support.stores import Stores
from tests.support.trees import Sequencer

BATCH = 32
EVENTS = 4_096  # a round
THREADS = 32
PLACED = 65_536
PROOFS = 2_000
RATE, SECONDS = 1_000, 20  # events a second, for the merge delay, and for how long
TABLES = ("events", "event_payloads", "log_pending")
# `getrusage` would tell of this process's memory too, which the new one was split off from.
VERIFY = """
import re, sys
from consent.verifier.cli import main
code = main()
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1], file=sys.stderr)
sys.exit(code)
"""
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@contextmanager
def sqlite_store():
    """Make a store on the disk that temporary files are on."""
    with (
        tempfile.TemporaryDirectory(prefix="pds-bench-log-") as folder,
        Stores(Path(folder), lambda: None).migrated("sqlite") as store,
    ):
        yield store


class Writer:
    """Writes the entries of reads, as the API does."""

    def __init__(self, uow):
        """Take the store's unit of work."""
        self._uow, self._log = uow, EventLog(SystemClock())
        self._key, self._client = os.urandom(32), random_uuid()

    def batches(self, count, *, size=BATCH):
        """Write `count` entries of one stream, `size` to a transaction; return entries a second."""
        stream, started = grant_stream(random_uuid()), time.perf_counter()
        for first in range(1, count + 1, size):
            self.write(stream, range(first, first + size))
        return count / (time.perf_counter() - started)

    def singly(self, count):
        """Write `count` entries from threads, each acknowledged alone; return entries a second."""

        def work():
            stream = grant_stream(random_uuid())
            for seq in range(1, count // THREADS + 1):
                self.write(stream, [seq])

        threads = [threading.Thread(target=work) for _ in range(THREADS)]
        started = time.perf_counter()
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return count / (time.perf_counter() - started)

    def write(self, stream, numbers):
        """Write one transaction of entries."""
        sealed = [(seq, seal_private({"reason": None}, grant_key=self._key)) for seq in numbers]

        def job(session):
            for seq, private in sealed:
                self._log.append(
                    session,
                    bucket=0,
                    stream=stream,
                    seq=seq,
                    name="data.read",
                    at=AT,
                    private=private,
                    client=self._client,
                    collections=("contact", "profile"),
                    purpose="service_provision",
                    agreement_sha256="a1" * 32,
                    count=1,
                )

        self._uow.write(job)


class Floor:
    """The same rows, made beforehand, into a copy of the tables, by the driver alone."""

    def __init__(self, path, copy):
        """Copy the tables' definitions and a round's rows."""
        source = sqlite3.connect(path)
        self._copy = sqlite3.connect(copy, isolation_level=None)
        self._copy.execute("PRAGMA journal_mode = WAL")
        self._copy.execute("PRAGMA synchronous = FULL")
        self._rows = {}
        for table in TABLES:
            named = "SELECT sql FROM sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL"
            for (sql,) in source.execute(named, (table,)):
                self._copy.execute(sql)
            self._rows[table] = source.execute(f"SELECT * FROM {table} LIMIT {EVENTS}").fetchall()  # noqa: S608 - our names
        source.close()

    def rate(self):
        """Insert all rows, `BATCH` events to a transaction; return events a second."""
        for table in TABLES:
            self._copy.execute(f"DELETE FROM {table}")  # noqa: S608 - our names
        started = time.perf_counter()
        for first in range(0, EVENTS, BATCH):
            self._copy.execute("BEGIN IMMEDIATE")
            for table, rows in self._rows.items():
                marks = ", ".join("?" * len(rows[0]))
                some = rows[first : first + BATCH]
                self._copy.executemany(f"INSERT INTO {table} VALUES ({marks})", some)  # noqa: S608 - our names
            self._copy.execute("COMMIT")
        return EVENTS / (time.perf_counter() - started)

    def close(self):
        """Close the copy."""
        self._copy.close()


def appending(arguments):
    """Entries written a second, beside SQLite's own rate; and with many vaults in the store."""
    with sqlite_store() as store, tempfile.TemporaryDirectory(prefix="pds-floor-") as folder:
        writer = Writer(store.uow)
        writer.batches(EVENTS)
        floor = Floor(store.uow.engine.url.database, Path(folder) / "floor.db")
        rates = [
            (floor.rate(), writer.batches(EVENTS), writer.singly(EVENTS))
            for _ in range(arguments.rounds)
        ]
        floor.close()
        few = statistics.median(writer.batches(EVENTS) for _ in range(arguments.rounds))
        add_vaults(store.uow, arguments.vaults)
        many = statistics.median(writer.batches(EVENTS) for _ in range(arguments.rounds))
    least, batches, singly = (statistics.median(each) for each in zip(*rates, strict=True))
    return {
        "SQLite's own, entries/s": round(least),
        "batches of 32, entries/s": round(batches),
        "32 threads, one each, entries/s": round(singly),
        "batches / own": round(statistics.median(one[1] / one[0] for one in rates), 2),
        "threads / own": round(statistics.median(one[2] / one[0] for one in rates), 2),
        f"empty store / {arguments.vaults} vaults": round(few / many, 2),
    }


def add_vaults(uow, count):
    """Put so many vaults into the store."""
    for first in range(0, count, 10_000):
        rows = [
            {
                "bucket": number % 1024,
                "id": random_uuid(),
                "state": "active",
                "seq": 0,
                "event_seq": 0,
                "created_at": AT,
            }
            for number in range(first, min(first + 10_000, count))
        ]
        uow.write(lambda session, rows=rows: session.execute(insert(Vault), rows))


def placing(_arguments):
    """Prepared entries placed into the tree a second, in the worker's batches and larger ones."""
    found = {}
    with sqlite_store() as store:
        sequencer = Sequencer(store.uow)
        for size in (256, 4_096):
            rows = [
                {
                    "bucket": 0,
                    "event_id": time_ordered_uuid(datetime.now(UTC)),
                    "commitment": number.to_bytes(32, "big"),
                }
                for number in range(PLACED)
            ]
            store.uow.write(lambda session, rows=rows: session.execute(insert(LogPending), rows))
            started = time.perf_counter()
            sequencer.run(limit=size)
            rate = PLACED / (time.perf_counter() - started)
            found[f"placed in batches of {size}, entries/s"] = round(rate)
    return found


def merge_delay(_arguments):
    """Seconds from an entry's commit to the checkpoint that holds it, at a steady rate."""
    with sqlite_store() as store:
        services = wire(store.settings)
        worker, writer, written = Worker(services), Writer(services.uow), {}
        worker.start()
        stream, count, started = grant_stream(random_uuid()), 0, time.perf_counter()
        while (elapsed := time.perf_counter() - started) < SECONDS:
            due = range(count + 1, int(elapsed * RATE) + 1)
            if due:
                writer.write(stream, due)
                count = due[-1]
                now = datetime.now(UTC)
                written |= dict.fromkeys(due, now)
            time.sleep(0.005)
        while placed_count(services.uow) < count:
            time.sleep(0.1)
        worker.stop()
        delays = sorted(delays_of(services.uow, stream, written))
        services.uow.close()
    return {
        "entries/s": round(count / elapsed),
        "median, s": round(statistics.median(delays), 2),
        "p99, s": round(delays[len(delays) * 99 // 100], 2),
        "most, s": round(delays[-1], 2),
    }


def placed_count(uow):
    """Return the size of the last signed tree."""
    with uow.read() as session:
        query = select(LogCheckpoint.size).order_by(LogCheckpoint.size.desc()).limit(1)
        return session.scalar(query) or 0


def delays_of(uow, stream, written):
    """Yield for each entry the seconds until a checkpoint held it."""
    joined = (LogEntry.bucket == Event.bucket) & (LogEntry.event_id == Event.id)
    query = select(Event.seq, LogEntry.index).join(LogEntry, joined).where(Event.stream == stream)
    with uow.read() as session:
        signed = session.execute(
            select(LogCheckpoint.size, LogCheckpoint.signed_at).order_by(LogCheckpoint.size)
        ).all()
        sizes = [size for size, _ in signed]
        for seq, index in session.execute(query):
            yield (signed[bisect_right(sizes, index)][1] - written[seq]).total_seconds()


def proving(arguments):
    """A proof of inclusion from the tiles of a large log, and a check of the whole log."""
    with tempfile.TemporaryDirectory(prefix="pds-bench-tiles-") as folder:
        log = PublishedLog(Path(folder))
        for size in (*range(65_536, arguments.entries, 65_536), arguments.entries):
            log.publish(size)
        return one_by_one(log) | whole(log)


def one_by_one(log):
    """Make and verify proofs of entries here and there."""

    def read_tile(tile):
        return log.tiles[tile.level, tile.index]

    root = root_at(tile_reader(read_tile, log.size), log.size)
    read, made, checked, longest = tile_reader(read_tile, log.size), [], [], 0
    for number in range(PROOFS):
        index = number * 7_919_317 % log.size
        entry = decode_bundle(log.bundles[index // 256])[index % 256]
        started = time.perf_counter()
        proof = inclusion_proof(read, index, log.size)
        between = time.perf_counter()
        verify_inclusion(leaf_hash(entry), index=index, size=log.size, proof=proof, root=root)
        made.append(between - started)
        checked.append(time.perf_counter() - between)
        longest = max(longest, len(proof))
    return {
        "proof, bytes of hashes": 32 * longest,
        "proof made from tiles, µs": round(statistics.median(made) * 1e6),
        "proof verified, µs": round(statistics.median(checked) * 1e6, 1),
    }


def whole(log):
    """Run `pds verify` over the log in a process of its own."""
    command = [sys.executable, "-c", VERIFY, str(log.folder), "--vkey", log.vkey]
    started = time.perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own program
    return {
        f"whole log of {log.size} verified, s": round(time.perf_counter() - started, 1),
        "most resident, MiB": int(done.stderr.split()[-1]) // 1024,
    }


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--vaults", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=[each.__name__ for each in PARTS])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    results = {}
    for part in PARTS:
        if arguments.only in {None, part.__name__}:
            print(f"\n{part.__doc__.splitlines()[0]}")
            results[part.__name__] = part(arguments)
            for name, value in results[part.__name__].items():
                print(f"  {name:40} {value}")
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


PARTS = (appending, placing, merge_delay, proving)

if __name__ == "__main__":
    main()
