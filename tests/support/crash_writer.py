"""A process to be killed: it logs events as fast as it can and says which are acknowledged.

    python -m tests.support.crash_writer FOLDER URL BUCKET GRANT

Each line of its output is the reference of an entry whose write job has returned. Its worker places
entries meanwhile.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from uuid import UUID

from sqlalchemy import select

from api.wiring import wire
from api.worker import Worker
from consent.models import Grant
from tests.support.events import Shared, log_event
from tests.support.stores import settings_for

THREADS = 4


def find(session, bucket: int, grant_id: UUID) -> Shared:
    """Return the grant as the test made it."""
    grant = session.scalars(select(Grant).where(Grant.bucket == bucket, Grant.id == grant_id)).one()
    return Shared(
        grant_id=grant.id,
        agreement_id=grant.agreement_id,
        organisation_id=grant.organisation_id,
        connection_id=grant.id,
        client_id=grant.client_id,
        bucket=bucket,
        vault_id=grant.vault_id,
        agreement_sha256="0" * 64,
    )


def main(folder: str, url: str, bucket: str, grant_id: str) -> None:
    """Write until killed."""
    services = wire(settings_for(Path(folder), url))
    with services.uow.read() as session:
        shared = find(session, int(bucket), UUID(grant_id))
    Worker(services).start()

    def write():
        while True:
            reference = services.uow.write(
                lambda session: log_event(session, shared, services.log, "token.refreshed")
            )
            sys.stdout.write(f"{reference.text()}\n")
            sys.stdout.flush()

    threads = [threading.Thread(target=write) for _ in range(THREADS)]
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main(*sys.argv[1:])
