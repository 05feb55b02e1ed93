"""What an auditor's access opens: evidence without anyone's name or data in it (AUD-1, AUD-8).

    Authorization: Bearer pds_ad.…        given out once by `pds auditor create`
    ?engagement=…                         which one, for whoever works in several

An auditor is a person with a browser or a script and holds no client keys, so the access is not
sender-constrained; it opens public parts of the log within an engagement, and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Concatenate, ParamSpec
from uuid import UUID

from flask import Blueprint, Response, request

from api import evidence, problems, searching, seats
from api.wiring import wiring
from consent.auditing import search
from consent.auditing.engagements import Seat
from consent.formats import canonical
from consent.formats.canonical import JSONValue
from consent.models import Auditor
from pds.clock import from_rfc3339, rfc3339
from pds.errors import Issue, NotFoundError, ValidationFailedError

P = ParamSpec("P")

blueprint = Blueprint("audit", __name__)
_PAGE, _PAGE_MOST = 100, 500
_OBLIGATION_STATES = ("overdue", "due", "confirmed", "retained_with_basis")
_BEARER = re.compile(r"Bearer (pds_ad\.[A-Za-z0-9_.-]+)", re.ASCII)
_CHALLENGE = 'Bearer realm="audit"'


def seated(view: Callable[Concatenate[Seat, P], Response]) -> Callable[P, Response]:
    """Let in an auditor who works in a living engagement; the view gets their seat."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> Response:
        auditor = _auditor()
        if auditor is None:
            return _refused()
        issues: list[Issue] = []
        named = uuid_of("engagement", issues)
        if issues:
            raise ValidationFailedError(issues)
        try:
            seat = seats.take(wiring(), auditor, named)
        except NotFoundError:
            # Somebody else's, ended and never opened are one answer.
            return problems.problem("insufficient-scope", headers={"WWW-Authenticate": _CHALLENGE})
        return view(seat, *args, **kwargs)

    return guarded


@blueprint.get("/v1/audit/engagements")
def engagements() -> Response:
    """Return the engagements in which the auditor may work now (AUD-1)."""
    auditor = _auditor()
    if auditor is None:
        return _refused()
    found = seats.engagements_of(wiring(), auditor)
    listed: list[JSONValue] = [
        {
            "id": str(each.id),
            "organisations": None if each.organisations is None else list(each.organisations),
            "since": rfc3339(each.since),
            "until": rfc3339(each.until),
            "expires_at": rfc3339(each.expires_at),
        }
        for each in found
    ]
    return as_json({"engagements": listed})


@blueprint.get("/v1/audit/bundle")
@seated
def bundle(seat: Seat) -> Response:
    """Return the evidence of the engagement up to the signed checkpoint, as `pds-bundle/1`."""
    response = Response(evidence.export(wiring(), seat), mimetype="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="evidence.json"'
    return response


@blueprint.get("/v1/audit/state")
@seated
def state(seat: Seat) -> Response:
    """Return what was permitted at an instant, `at`; `after` and `limit` page (AUD-5)."""
    issues: list[Issue] = []
    at = instant("at", issues)
    after, limit = uuid_of("after", issues), limit_of(issues)
    if not issues and not seat.scope.is_in_period(at):
        period = f"{rfc3339(seat.scope.since)} to {rfc3339(seat.scope.until)}"
        issues.append(Issue("/at", "range", f"within the engagement's period, {period}"))
    if issues:
        raise ValidationFailedError(issues)
    return as_json(evidence.state(wiring(), seat, at=at, after=after, limit=limit))


@blueprint.get("/v1/audit/obligations")
@seated
def obligations(seat: Seat) -> Response:
    """Return what organisations owe, `state` overdue if it is not given (CM-7)."""
    issues: list[Issue] = []
    asked = request.args.get("state", "overdue")
    if asked not in _OBLIGATION_STATES:
        issues.append(Issue("/state", "unknown", f"one of {', '.join(_OBLIGATION_STATES)}"))
    after, limit = uuid_of("after", issues), limit_of(issues)
    if issues:
        raise ValidationFailedError(issues)
    return as_json(evidence.obligations(wiring(), seat, state=asked, after=after, limit=limit))


@blueprint.get("/v1/audit/events")
@seated
def events(seat: Seat) -> Response:
    """Search the log's public parts, newest first; `before` and `limit` page (AUD-2)."""
    issues: list[Issue] = []
    query, limit = searching.read(request.args, issues), limit_of(issues)
    before = request.args.get("before", type=int)
    if before is None and "before" in request.args:
        issues.append(Issue("/before", "malformed", "use the `before` of the last page"))
    if issues:
        raise ValidationFailedError(issues)
    found = searching.answer(wiring(), seat, query, before=before, limit=limit)
    return as_json(
        {
            "query": searching.echo(query),
            "count": min(found.count, search.COUNT_MOST),
            "count_is_exact": found.is_exact,
            "waiting": found.waiting,
            "erased": dict(found.erased),
            "events": [each.to_dict() for each in found.page.events],
            "before": found.page.before,
        }
    )


def as_json(value: JSONValue) -> Response:
    """Answer with a value in canonical form."""
    return Response(canonical.canonical_bytes(value), mimetype="application/json")


def instant(name: str, issues: list[Issue]) -> datetime:
    """Return an instant of the query; what is wrong with it is put to the issues."""
    try:
        return from_rfc3339(request.args.get(name, ""))
    except ValueError:
        detail = "write an instant such as 2026-03-01T12:00:00Z"
        issues.append(Issue(f"/{name}", "instant", detail))
        return datetime.min.replace(tzinfo=UTC)


def uuid_of(name: str, issues: list[Issue]) -> UUID | None:
    """Return an id of the query, None if it has none; what is wrong is put to the issues."""
    try:
        return UUID(request.args[name]) if name in request.args else None
    except ValueError:
        issues.append(Issue(f"/{name}", "malformed", "an id as it was given in an answer"))
        return None


def limit_of(issues: list[Issue]) -> int:
    """Return how many entries a page has at most; what is wrong is put to the issues."""
    limit = request.args.get("limit", _PAGE, type=int)
    if not 1 <= limit <= _PAGE_MOST:
        issues.append(Issue("/limit", "range", f"1 to {_PAGE_MOST}"))
    return limit


def _auditor() -> Auditor | None:
    match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    return seats.by_access(wiring(), match[1]) if match else None


def _refused() -> Response:
    return problems.problem("invalid-token", headers={"WWW-Authenticate": _CHALLENGE})


@blueprint.get("/receipts/keys")
def receipt_keys() -> Response:
    """Return the key that signs receipts, as a JWK set (RFC 7517, RFC 8037)."""
    return Response(wiring().receipts.jwks(), mimetype="application/jwk-set+json")
