"""What a large evidence pack costs: to make, and to verify (AUD-12).

    python -m bench.packs [ENTRIES]

Makes a log of ENTRIES entries on SQLite: consents of 50 entries each, all but one of them reads.
Pack and verification run in processes of their own, whose memory is told at its highest.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import tempfile
import time
import zipfile
from pathlib import Path

from sqlalchemy import insert, select

from api import packing, seats
from api.wiring import wire
from api.worker import Worker
from consent.auditing.search import Query
from consent.log.entries import grant_stream, seal_private
from consent.models import AgreementVersion, Grant
from consent.verifier import cli as verifier
from pds.ids import random_uuid
from tests.support.auditing import engaged
from tests.support.stores import Stores
from tests.support.worlds import world_on

OF_ONE = 50  # entries of a consent
MIB = 1 << 20


def main():
    """Make the log, take a pack of it, verify the pack, print what that took."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with (
        tempfile.TemporaryDirectory(prefix="pds-bench-packs-") as folder,
        Stores(Path(folder), lambda: None).migrated("sqlite") as store,
        world_on(store) as world,
    ):
        services = world.services
        started = time.perf_counter()
        _write(world, count // OF_ONE)
        written = time.perf_counter() - started
        worker = Worker(services)
        while worker.turn():
            pass
        worker.stop()
        auditor = engaged(world)
        path = Path(folder) / "pack.zip"
        sys.stdout.write(f"{count} entries written in {written:.0f} s, placed after ")
        sys.stdout.write(f"{time.perf_counter() - started - written:.0f} s\n")
        took = _alone(_take, services.settings, auditor.access, auditor.engagement_id, path)
        sys.stdout.write(f"pack: {took}, {path.stat().st_size / MIB:.0f} MiB\n")
        vkey = services.log_signer.verifier.to_text()
        sys.stdout.write(f"verified: {_alone(_verify, path, vkey)}\n")


def _write(world, consents):
    aysel, shop = world.person(), world.organisation()
    aysel.save("contact", email="aysel@poct.example")
    world.connect(aysel, shop, shop.publish(required=["contact.email"]))
    services, key = world.services, os.urandom(32)
    with services.uow.read() as session:
        grant = session.scalars(select(Grant)).one()
        columns = {each.name: getattr(grant, each.name) for each in Grant.__table__.columns}
        sha256 = session.scalars(select(AgreementVersion.sha256)).one()
    # One agreement serves all: what is measured is entries.
    for number in range(consents):
        grant_id = services.ids.new(columns["bucket"])
        at = services.clock.now()
        # A vault for each: of one that had them all, every consent would be looked for among all.
        row = columns | {"id": grant_id, "vault_id": random_uuid(), "seq": OF_ONE, "created_at": at}
        sealed = [seal_private({"n": seq}, grant_key=key) for seq in range(OF_ONE)]

        def job(session, row=row, sealed=sealed, at=at):
            session.execute(insert(Grant).values(row))
            for seq, private in enumerate(sealed, start=1):
                services.log.append(
                    session,
                    bucket=row["bucket"],
                    stream=grant_stream(row["id"]),
                    seq=seq,
                    name="consent.given" if seq == 1 else "data.read",
                    at=at,
                    private=private,
                    vault_id=row["vault_id"],
                    grant_id=row["id"],
                    client=row["client_id"],
                    collections=("contact",),
                    purpose="service_provision",
                    agreement_sha256=sha256,
                    count=1,
                )

        services.uow.write(job)
        if number % 500 == 0:
            sys.stderr.write(f"{number} of {consents} consents\n")


def _alone(target, *arguments):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_measured, args=(theirs, target, *arguments))
    process.start()
    seconds, kibibytes, told = ours.recv()
    process.join()
    return f"{seconds:.0f} s, {kibibytes / 1024:.0f} MiB of memory{told}"


def _measured(pipe, target, *arguments):
    started = time.perf_counter()
    told = target(*arguments)
    seconds = time.perf_counter() - started
    highest = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text("ascii"))
    pipe.send((seconds, int(highest[1]), told))


def _take(settings, access, engagement_id, path):
    services = wire(settings)
    seat = seats.take(services, seats.by_access(services, access), engagement_id)
    pack = packing.take(services, seat, Query())
    with path.open("wb") as file:
        for chunk in pack.chunks:
            file.write(chunk)
    services.uow.close()
    return ""


def _verify(path, vkey):
    keys = path.with_name("keys.json")
    keys.write_bytes(_receipt_keys(path))
    code = verifier.main([str(path), "--vkey", vkey, "--receipt-key", str(keys)])
    return f", exit status {code}"


def _receipt_keys(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read("keys/receipt-keys.json")


if __name__ == "__main__":
    main()
