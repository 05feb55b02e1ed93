"""What an auditor's access opens: evidence without anyone's name or data in it (AUD-1, AUD-8).

    Authorization: Bearer pds_ad.…        given out once by `pds auditor create`

An auditor is a person with a browser or a script and holds no client keys, so the access is not
sender-constrained; it opens public parts of the log and nothing else.
"""

from __future__ import annotations

import re

from flask import Blueprint, Response, request

from api import evidence, problems
from api.wiring import wiring
from consent.formats import canonical
from consent.formats.encoding import b64u

blueprint = Blueprint("audit", __name__)
_BEARER = re.compile(r"Bearer (pds_ad\.[A-Za-z0-9_.-]+)", re.ASCII)


@blueprint.get("/v1/audit/bundle")
def bundle() -> Response:
    """Return the evidence of all streams up to the signed checkpoint, as `pds-bundle/1`."""
    match = _BEARER.fullmatch(request.headers.get("Authorization", ""))
    found = evidence.export(wiring(), match[1]) if match else None
    if found is None:
        return problems.problem(
            "invalid-token", headers={"WWW-Authenticate": 'Bearer realm="audit"'}
        )
    response = Response(found, mimetype="application/json")
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
