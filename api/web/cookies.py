"""The cookies of the pages: their names, and how they are set (P-15, P-37).

    s   signed in       u   unlocked        f   what forms of signed-out visitors are bound to
    l   language        t   colours         n   codes of notes to show on the next page
    d   whose vaults were opened in this browser before: marks that open nothing
    r   signed in with limits: no page for `s` looks at it
    a   signed in as an auditor
    c   what was chosen on a consent page that is still open (`api.web.sharing.kept_choices`)

All are `__Host-`, Secure, HttpOnly and SameSite=Lax: no other site and no sister domain can set or
read them. On an insecure loopback, browsers take neither, so there the names are plain.
"""

from __future__ import annotations

from typing import Literal

from flask import Response, g, request

from api.wiring import wiring

Kind = Literal["s", "u", "f", "l", "t", "n", "d", "r", "a", "c"]
A_YEAR = 31_536_000


def read(kind: Kind) -> str:
    """Return a cookie's text; empty if the browser sent none."""
    return request.cookies.get(name(kind), "")


def put(kind: Kind, text: str, *, max_age_seconds: int | None = None) -> None:
    """Have a cookie set with this request's answer; without an age it ends with the browser."""
    _waiting()[kind] = (text, max_age_seconds)


def drop(kind: Kind) -> None:
    """Have a cookie taken away with this request's answer."""
    _waiting()[kind] = None


def is_waiting(kind: Kind) -> bool:
    """Tell whether this request's answer sets or takes away a cookie."""
    return kind in _waiting()


def send(response: Response) -> Response:
    """Put what waits on the answer; runs after every view."""
    for kind, waiting in _waiting().items():
        text, age = waiting or ("", 0)
        response.set_cookie(
            name(kind),
            text,
            max_age=age,
            path="/",
            secure=not is_insecure(),
            httponly=True,
            samesite="Lax",
        )
    return response


def name(kind: Kind) -> str:
    """Return a cookie's name."""
    return f"pds_{kind}" if is_insecure() else f"__Host-pds_{kind}"


def is_insecure() -> bool:
    """Tell whether this is plain HTTP on 127.0.0.1, for a trial only (P-37)."""
    return wiring().settings.server.insecure_loopback


def _waiting() -> dict[Kind, tuple[str, int | None] | None]:
    found: dict[Kind, tuple[str, int | None] | None] = g.setdefault("cookies", {})
    return found
