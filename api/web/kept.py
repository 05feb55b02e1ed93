"""A form that cannot be taken as it came, with what was typed in it (CUX-21).

Shown when a sign-in has ended or changed in another tab, or the vault has locked itself, before a
form was sent. What was typed stands there to be copied; it is not offered for sending again,
because a form that is not known to be ours may have been filled in by someone else. Whatever came
from another site is not shown at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from flask import Response, request

from api.web import pages
from api.wiring import wiring

_SECRETS = frozenset(
    {
        "passphrase",
        "new_passphrase",
        "code",
        "check",
        "key",
        "access",
        "csrf",
        "notice_sha256",
        "attestation",
        "assertion",
        "prf",
    }
)
_PARTS_OF_THE_CODE = "group-"
_MOST_CHARACTERS = 20_000


class Reason(StrEnum):
    """Why a form was not taken."""

    STALE = "stale"
    LOCKED = "locked"


def page(reason: Reason) -> Response:
    """Return the page, with the status of a form that was not taken."""
    status = 400 if reason is Reason.STALE else 403
    return pages.page("kept.html", status, reason=reason.value, typed=list(_typed()))


def _typed() -> Iterator[tuple[str, str]]:
    if request.headers.get("Origin") != wiring().settings.server.issuer:
        return
    for name, values in request.form.lists():
        if name not in _SECRETS and not name.startswith(_PARTS_OF_THE_CODE):
            for value in values:
                if value.strip():
                    yield name, value[:_MOST_CHARACTERS]
