"""The two calls of a witness as a WSGI application (PEP 3333): nothing else is answered."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING

from consent.formats.witnessing import monitoring_path
from witness.judging import TEXT_TYPE, Answer, open_signed, origin_of, read_request
from witness.state import State

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# A note may have a hundred signatures, of which those of ML-DSA take 3.3 kB each.
MOST_BODY_BYTES = 524_288

_logger = logging.getLogger(__name__)

Application = Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]


def application(state: State) -> Application:
    """Return the application of one witness."""

    def answer(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            found = _answer(state, environ)
        except sqlite3.Error as exc:
            # Nothing was cosigned: the transaction ends before the cosignature is returned.
            _logger.error("the state cannot be kept: %s", type(exc).__name__)  # noqa: TRY400 - no trace
            found = Answer(503, "the witness cannot keep its state\n")
        body = found.body.encode("utf-8")
        headers = [
            ("Content-Type", found.content_type),
            ("Content-Length", str(len(body))),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
        ]
        start_response(f"{found.status} {HTTPStatus(found.status).phrase}", headers)
        return [body]

    return answer


def _answer(state: State, environ: WSGIEnvironment) -> Answer:
    path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
    if path == "/add-checkpoint":
        if method != "POST":
            return Answer(405, "POST only\n")
        body = _body(environ)
        return body if isinstance(body, Answer) else add_checkpoint(state, body)
    if path.endswith("/checkpoint"):
        return _latest(state, path) if method in {"GET", "HEAD"} else Answer(405, "GET only\n")
    return Answer(404, "add-checkpoint, and checkpoint of a log by the hash of its origin\n")


def add_checkpoint(state: State, body: bytes) -> Answer:
    """Answer `add-checkpoint`."""
    request = read_request(body)
    if isinstance(request, Answer):
        return request
    opened = open_signed(request, state.keys_of(origin_of(request)))
    if isinstance(opened, Answer):
        return opened
    cosigned = state.cosign(request, opened)
    if isinstance(cosigned, str):
        return Answer(200, cosigned)
    if cosigned.status == HTTPStatus.UNPROCESSABLE_ENTITY:
        new = opened.checkpoint
        _logger.warning("not cosigned: a tree of %s of size %d", new.origin, new.size)
    return cosigned


def _body(environ: WSGIEnvironment) -> bytes | Answer:
    try:
        length = int(environ.get("CONTENT_LENGTH") or "")
    except ValueError:
        return Answer(411, "a length is needed\n")
    if not 0 <= length <= MOST_BODY_BYTES:
        return Answer(413, f"at most {MOST_BODY_BYTES} bytes\n")
    body: bytes = environ["wsgi.input"].read(length)
    return body


def _latest(state: State, path: str) -> Answer:
    for log in state.watched():
        if log.note is not None and path == monitoring_path(log.origin):
            return Answer(200, log.note, TEXT_TYPE)
    return Answer(404, "no checkpoint of such a log was cosigned\n")
