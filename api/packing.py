"""Making evidence packs, and keeping account of who took which (AUD-10, AUD-11)."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO

from flask import Response
from sqlalchemy.orm import Session

from api import evidence, searching
from api.wiring import Wiring
from consent.auditing import custody, packs
from consent.auditing.custody import Taken
from consent.auditing.engagements import Seat
from consent.auditing.packs import Signing
from consent.auditing.search import Query

_CHUNK_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that may be handed out: its taking is in the log."""

    sha256: str
    length: int
    chunks: Iterator[bytes]


def take(services: Wiring, seat: Seat, query: Query, *, bom: bool = False) -> Pack:
    """Make a pack in a file without a name, log its hash, then hand it out.

    Raises:
        LimitExceededError: too much for one pack.
        NotFoundError: nothing is signed yet.
    """
    # Erased entries are in its bundles, and its tree is the signed one: proof selects nothing here.
    query = replace(query, proof=None)
    asked = searching.echo(query)
    receipts = services.receipts
    signing = Signing(receipts.key, receipts.kid, evidence.hints(services))
    # Public parts only, as everything of an auditor's; closed by whoever reads it to its end.
    file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - outlives this call
    try:
        with services.uow.read() as session:
            written = packs.write(
                session, seat.scope, query, file, asked=asked, signing=signing, bom=bom
            )
        now = services.clock.now()

        def job(session: Session) -> None:
            custody.record(
                session,
                seat,
                sha256=written.sha256,
                asked=asked,
                length=written.length,
                entries=written.entries,
                log=services.log,
                now=now,
            )

        services.uow.write(job)
    except BaseException:
        file.close()
        raise
    return Pack(written.sha256, written.length, _chunks(file))


def taken(services: Wiring, seat: Seat) -> list[Taken]:
    """Return the packs that were taken in the engagement, newest first."""
    with services.uow.read() as session:
        return custody.of_engagement(session, seat.scope.engagement_id)


def find(services: Wiring, seat: Seat, sha256: str) -> Taken:
    """Return when a pack was taken, checked against the log.

    Raises:
        NotFoundError: none of that hash was, in this engagement.
    """
    with services.uow.read() as session:
        return custody.find(session, seat.scope.engagement_id, sha256)


def sent(pack: Pack) -> Response:
    """Answer with a pack, sent as it is read from its file."""
    response = Response(pack.chunks, mimetype="application/zip")
    response.content_length = pack.length
    name = f"evidence-{pack.sha256[:12]}.zip"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["PDS-Pack-SHA256"] = pack.sha256
    return response


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk
