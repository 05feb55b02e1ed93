"""What an auditor's access opens: evidence without anyone's name or data in it (AUD-1, AUD-8).

    Authorization: Bearer pds_ad.…        given out once by `pds auditor create`

An auditor is a person with a browser or a script and holds no client keys, so the access is not
sender-constrained; it opens public parts of the log and nothing else.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from uuid import UUID

from flask import Blueprint, Response, request

from api import evidence, problems
from api.wiring import wiring
from consent.formats import canonical
from consent.formats.encoding import b64u
from pds.clock import from_rfc3339
from pds.errors import Issue, ValidationFailedError

blueprint = Blueprint("audit", __name__)
_PAGE, _PAGE_MOST = 100, 500
_OBLIGATION_STATES = ("overdue", "due", "confirmed", "retained_with_basis")
_BEARER = re.compile(r"Bearer (pds_ad\.[A-Za-z0-9_.-]+)", re.ASCII)


@blueprint.get("/v1/audit/bundle")
def bundle() -> Response:
    """Return the evidence of all streams up to the signed checkpoint, as `pds-bundle/1`."""
    access = _access()
    found = evidence.export(wiring(), access) if access else None
    if found is None:
        return _refused()
    response = Response(found, mimetype="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="evidence.json"'
    return response


@blueprint.get("/v1/audit/state")
def state() -> Response:
    """Return what was permitted at an instant, `at`; `after` and `limit` page (AUD-5)."""
    issues: list[Issue] = []
    at = _instant(issues)
    after, limit = _page(issues)
    access = _access()
    page = evidence.state(wiring(), access, at=at, after=after, limit=limit) if access else None
    if page is None:
        return _refused()
    return Response(canonical.canonical_bytes(page), mimetype="application/json")


@blueprint.get("/v1/audit/obligations")
def obligations() -> Response:
    """Return what organisations owe, `state` overdue if it is not given (CM-7)."""
    issues: list[Issue] = []
    asked = request.args.get("state", "overdue")
    if asked not in _OBLIGATION_STATES:
        issues.append(Issue("/state", "unknown", f"one of {', '.join(_OBLIGATION_STATES)}"))
    after, limit = _page(issues)
    access = _access()
    page = (
        evidence.obligations(wiring(), access, state=asked, after=after, limit=limit)
        if access
        else None
    )
    if page is None:
        return _refused()
    return Response(canonical.canonical_bytes(page), mimetype="application/json")


def _access() -> str | None:
    match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    return match[1] if match else None


def _refused() -> Response:
    return problems.problem("invalid-token", headers={"WWW-Authenticate": 'Bearer realm="audit"'})


def _instant(issues: list[Issue]) -> datetime:
    try:
        return from_rfc3339(request.args.get("at", ""))
    except ValueError:
        issues.append(Issue("/at", "instant", "write an instant such as 2026-03-01T12:00:00Z"))
        return datetime.min.replace(tzinfo=UTC)


def _page(issues: list[Issue]) -> tuple[UUID | None, int]:
    """Return `after` and `limit`, or raise with what is wrong with them and was before."""
    after = None
    try:
        after = UUID(request.args["after"]) if "after" in request.args else None
    except ValueError:
        issues.append(Issue("/after", "malformed", "use the `after` of the last page"))
    limit = request.args.get("limit", _PAGE, type=int)
    if not 1 <= limit <= _PAGE_MOST:
        issues.append(Issue("/limit", "range", f"1 to {_PAGE_MOST}"))
    if issues:
        raise ValidationFailedError(issues)
    return after, limit


@blueprint.get("/receipts/keys")
def receipt_keys() -> Response:
    """Return the key that signs receipts, as a JWK set (RFC 7517, RFC 8037)."""
    receipts = wiring().receipts
    public = receipts.key.public_key().public_bytes_raw()
    jwk = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": receipts.kid, "x": b64u(public)}
    return Response(
        canonical.canonical_bytes({"keys": [dict(jwk)]}), mimetype="application/jwk-set+json"
    )
