"""The public log: checkpoint, tiles and keys, as C2SP tlog-tiles lays them out (LOG-1).

Anyone may mirror it. A tile's path names its width, so what a path holds never changes; only the
checkpoint does. Entries are blinded: the tree shows how much happens, and nothing else.
"""

from __future__ import annotations

from flask import Blueprint, Response

from api.wiring import wiring
from consent.log import epochs, reader

blueprint = Blueprint("log", __name__, url_prefix="/log")

_TEXT = "text/plain; charset=utf-8"
_FOREVER = "public, max-age=31536000, immutable"
_SECONDS = "public, max-age=2"
_MINUTES = "public, max-age=300"


@blueprint.get("/checkpoint")
def checkpoint() -> Response:
    """Return the newest signed checkpoint."""
    with wiring().uow.read() as session:
        note = reader.checkpoint(session)
    return _answer(note.encode(), _TEXT, _SECONDS)


@blueprint.get("/tile/<path:path>")
def tile(path: str) -> Response:
    """Return a tile or an entry bundle, full or partial."""
    with wiring().uow.read() as session:
        data = reader.tile(session, f"tile/{path}")
    return _answer(data, "application/octet-stream", _FOREVER)


@blueprint.get("/continues")
def continues() -> Response:
    """Return the proof that this epoch continues the one before, a tlog-proof; 404 in the first."""
    with wiring().uow.read() as session:
        proof = epochs.continuation(session)
    return _answer(proof.to_text().encode(), _TEXT, _SECONDS)


@blueprint.get("/vkeys")
def vkeys() -> Response:
    """Return the log's note verifier keys, one a line: to be pinned, not to be believed (P-34)."""
    vkey = wiring().log_signer.verifier.to_text()
    return _answer(f"{vkey}\n".encode(), _TEXT, _MINUTES)


def _answer(body: bytes, content_type: str, caching: str) -> Response:
    headers = {"Content-Type": content_type, "Cache-Control": caching}
    return Response(body, headers=headers)
