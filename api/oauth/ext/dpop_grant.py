"""DPoP at the authorization server, RFC 9449 sections 5 and 10.

    POST /par    DPoP: proof, or dpop_jkt=thumbprint, or both if they agree   -> binds the code
    POST /token  DPoP: proof                                    -> {"token_type": "DPoP", ...}

Every token is sender-constrained (FAPI-G4), so a token request without a proof is refused. The
error is then `invalid_grant`, as certified servers answer; `invalid_dpop_proof` is for a proof
that was sent and is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError, OAuth2Request

from api.oauth.ext.dpop_rfc9449 import DPoPProof, InvalidDPoPProofError, ProofVerifier
from api.oauth.ext.grants import TokenResponse, refuse_mismatched_key
from api.oauth.ext.replay import DPOP_PROOF, OneTimeValue, ReplayStore, use_up

_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class DPoPBinding:
    """A grant extension that binds what is issued to the key of the request's proof."""

    verifier: ProofVerifier
    replays: ReplayStore
    now: Callable[[], int]

    def __call__(self, grant: Any) -> None:  # noqa: ANN401 - Authlib ships no types
        """Hang the checks on a grant: proof, then binding, then the answer's token type."""
        grant.register_hook("after_authenticate_token_endpoint_client", self.require_proof)
        grant.register_hook("after_validate_token_request", self.check_binding)
        grant.register_hook("after_create_token_response", self.set_token_type)

    def proof_of(self, request: OAuth2Request) -> DPoPProof | None:
        """Return the request's proof, or None without one; it joins the one-time values."""
        if not request.dpop_headers:
            return None
        now = self.now()
        proof = self.verifier.verify(
            request.dpop_headers, method=request.method, url=request.uri, now=now
        )
        value = OneTimeValue(
            DPOP_PROOF, proof.jkt, proof.replay_key(), proof.expires_at, _used_before
        )
        request.one_time_values = (*request.one_time_values, value)
        return proof

    def pushed_key(self, request: OAuth2Request) -> str | None:
        """Return the thumbprint that a pushed request binds its code to (FAPI-G12).

        Parameter and proof may both be there and must then agree (DPoP-D17, section 10.1).
        """
        parameter: str | None = request.payload.data.get("dpop_jkt")
        if parameter is not None and not _THUMBPRINT.fullmatch(parameter):
            raise InvalidRequestError("dpop_jkt is not a thumbprint")
        proof = self.proof_of(request)
        if proof is None:
            return parameter
        use_up(self.replays, request)
        if parameter not in (None, proof.jkt):
            raise InvalidRequestError("dpop_jkt is not the thumbprint of the proof key")
        return proof.jkt

    def require_proof(self, grant: Any, _client: object) -> None:  # noqa: ANN401 - as above
        """Refuse a token request without a proof, before a code is redeemed (DPoP-D16)."""
        proof = self.proof_of(grant.request)
        if proof is None:
            raise InvalidGrantError("a DPoP proof is required")
        grant.request.dpop_jkt = proof.jkt

    def check_binding(self, grant: Any, _result: object) -> None:  # noqa: ANN401 - as above
        """Compare the proof's key with the one that the code or refresh token names."""
        request = grant.request
        credential = request.authorization_code or request.refresh_token
        if credential is not None:
            refuse_mismatched_key(credential.dpop_jkt, request.dpop_jkt)

    def set_token_type(self, _grant: object, response: TokenResponse) -> None:
        """Name the token type (section 5, DPoP-D13); Authlib hard-wires `Bearer` (AL-2)."""
        response[1]["token_type"] = "DPoP"  # noqa: S105 - the type's name


def _used_before() -> InvalidDPoPProofError:
    return InvalidDPoPProofError("DPoP proof: used before")
