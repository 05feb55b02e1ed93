"""What comes in as JSON or in a query, read strictly (SEC-S42, SEC-S43).

JSON is UTF-8, at most `DEPTH_MAX` levels deep, without NaN and without halves of characters, each
of which Python's own reader lets through or stumbles over.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn
from uuid import UUID

import orjson
from flask import Request, abort, request
from flask_smorest import Blueprint
from marshmallow import ValidationError
from webargs.core import missing
from webargs.flaskparser import FlaskParser

from pds.errors import Issue, ValidationFailedError

DEPTH_MAX = 32  # no document of ours comes near it


def json_body() -> object:
    """Return the JSON of the current request, whatever its shape.

    Answers 415 for another content type and 400 for what is no JSON.
    """
    if not request.is_json:
        abort(415)
    return _parsed(request)


def cursor_id(text: str) -> UUID:
    """Return the id that a cursor is.

    Raises:
        ValidationFailedError: it is none.
    """
    try:
        return UUID(text)
    except ValueError as exc:
        issue = Issue("cursor", "malformed", "use the `next_cursor` of the last page")
        raise ValidationFailedError([issue]) from exc


class StrictParser(FlaskParser):
    """webargs with the strict reader, and with our own error for what does not fit a schema."""

    def load_json(self, req: Request, schema: Any) -> Any:  # noqa: ANN401, ARG002 - webargs' hook
        """Return the parsed body, or `missing` for another content type."""
        return _parsed(req) if req.is_json else missing

    def handle_error(
        self,
        error: ValidationError,
        req: Request,  # noqa: ARG002 - webargs' hook
        schema: Any,  # noqa: ANN401, ARG002 - as above
        **_more: Any,  # noqa: ANN401 - as above
    ) -> NoReturn:
        """Say which members are wrong."""
        raise ValidationFailedError(list(_issues(error.messages))) from error


class StrictBlueprint(Blueprint):  # type: ignore[misc]  # flask-smorest ships no types
    """A blueprint whose arguments are read strictly."""

    ARGUMENTS_PARSER = StrictParser()


def _parsed(req: Request) -> Any:  # noqa: ANN401 - JSON
    body = req.get_data()
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        abort(400)
    # Few have so many brackets; only those are looked through.
    if body.count(b"[") + body.count(b"{") > DEPTH_MAX and _is_deeper(found, DEPTH_MAX):
        abort(400)
    return found


def _is_deeper(value: object, most: int) -> bool:
    level = [value]
    for _ in range(most + 1):
        inner = [each for each in level if isinstance(each, dict | list)]
        if not inner:
            return False
        level = [
            one for each in inner for one in (each.values() if isinstance(each, dict) else each)
        ]
    return True


def _issues(messages: object, path: str = "") -> Iterator[Issue]:
    # {"json": {"data": {"x": ["…"]}}}: the location says nothing to whoever sent it.
    if isinstance(messages, dict):
        for name, found in messages.items():
            inner = f"{path}.{name}" if path else str(name)
            yield from _issues(found, "" if inner in ("json", "query") else inner)
    elif isinstance(messages, list):
        yield Issue(path or "body", "shape", str(messages[0]))
