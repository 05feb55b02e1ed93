"""What an auditor's access opens: evidence without anyone's name or data in it (AUD-1, AUD-8).

    Authorization: Bearer pds_ad.…        given out once by `pds auditor create`

An auditor is a person with a browser or a script and holds no client keys, so the access is not
sender-constrained; it opens public parts of the log and nothing else.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from api import problems
from api.wiring import wiring
from consent import auditors
from consent.formats import canonical
from consent.formats.bundle import Hints
from consent.formats.encoding import b64u
from consent.log import evidence
from consent.log.evidence import DEPLOYMENT, Stream
from consent.models import Event
from consent.vocabulary import EventName

blueprint = Blueprint("audit", __name__)
_BEARER = re.compile(r"Bearer (pds_ad\.[A-Za-z0-9_.-]+)", re.ASCII)


@blueprint.get("/v1/audit/bundle")
def bundle() -> Response:
    """Return the evidence of all streams up to the signed checkpoint, as `pds-bundle/1`."""
    match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    services = wiring()
    now = services.clock.now()
    with services.uow.read() as session:
        auditor = auditors.find(session, match[1], now=now) if match else None
    if auditor is None:
        response = problems.problem("invalid-token")
        response.headers["WWW-Authenticate"] = 'Bearer realm="audit"'
        return response
    return export()


def export() -> Response:
    """Return the evidence, and log that it was taken; the caller has checked who asks."""
    services = wiring()
    now = services.clock.now()
    services.uow.write(
        lambda session: services.log.append_deployment(session, EventName.EVIDENCE_EXPORTED, at=now)
    )
    with services.uow.read() as session:
        found = evidence.build_bundle(session, all_streams(session), hints=_hints())
    response = Response(found.to_bytes(), mimetype="application/json")
    response.headers["Content-Disposition"] = 'attachment; filename="evidence.json"'
    return response


@blueprint.get("/receipts/keys")
def receipt_keys() -> Response:
    """Return the key that signs receipts, as a JWK set (RFC 7517, RFC 8037)."""
    receipts = wiring().receipts
    public = receipts.key.public_key().public_bytes_raw()
    jwk = {"kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": receipts.kid, "x": b64u(public)}
    return Response(
        canonical.canonical_bytes({"keys": [dict(jwk)]}), mimetype="application/jwk-set+json"
    )


def _hints() -> Hints:
    # Keys that travel along; a verifier trusts its own (P-34).
    services = wiring()
    public = services.receipts.key.public_key().public_bytes_raw()
    return Hints(
        vkeys=(services.log_signer.verifier.to_text(),),
        receipt_keys={services.receipts.kid: public},
    )


def all_streams(session: Session) -> list[Stream]:
    """Return every stream that the log knows."""
    query = select(Event.bucket, Event.stream).distinct()
    streams = [Stream(bucket, name) for bucket, name in session.execute(query)]
    return streams or [DEPLOYMENT]
