"""Which refusals are counted: those that no vault's own events tell of (P-35).

Every server process writes its own counts once a minute; what it counted since is lost with it.
"""

from __future__ import annotations

import logging
import threading

from flask import Flask, Response, g, request

from api import sources
from api.wiring import wiring
from consent.log.refusals import RefusalKind, Refusals

WRITE_SECONDS = 60.0
_UNAUTHENTICATED = 401
_MALFORMED = 400
_GRANTS = "/oauth/grants/"  # a resource, though it is the authorization server's


_logger = logging.getLogger(__name__)


def start(counts: Refusals, *, stopping: threading.Event) -> threading.Thread:
    """Write the counts once a minute in a thread, until told to stop."""

    def run() -> None:
        while not stopping.wait(WRITE_SECONDS):
            try:
                counts.write()
            except Exception as exc:  # noqa: BLE001 - the edge of a thread: it tries again
                _logger.error("refusals: %s", type(exc).__name__)  # noqa: TRY400 - a trace may quote

    thread = threading.Thread(target=run, name="pds-refusals", daemon=True)
    thread.start()
    return thread


def register(app: Flask) -> None:
    """Count after every answer; the count is written by whoever runs `Refusals.write`."""
    app.after_request(_count)


def unknown_login() -> None:
    """Note that this request named nobody; its answer is that of a wrong passphrase."""
    g.refusal = RefusalKind.SIGN_IN


def _count(response: Response) -> Response:
    kind = g.get("refusal") or _kind(response)
    if kind is not None:
        address = sources.address()
        wiring().refusals.count(kind, str(address) if address else None)
    return response


def _kind(response: Response) -> RefusalKind | None:
    if response.status_code not in {_MALFORMED, _UNAUTHENTICATED}:
        return None
    if request.path.startswith("/oauth/") and not request.path.startswith(_GRANTS):
        answer = response.get_json(silent=True)
        is_client = isinstance(answer, dict) and answer.get("error") == "invalid_client"
        return RefusalKind.CLIENT if is_client else RefusalKind.GRANT
    if response.status_code == _UNAUTHENTICATED and request.path.startswith(("/v1/", _GRANTS)):
        return RefusalKind.TOKEN
    return None
