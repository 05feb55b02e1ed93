"""A small OAuth client for seeding: what an organisation's own application would do."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass(slots=True)
class OrganisationClient:
    """One client of one organisation, with its key and a proof key of this run."""

    http: httpx.Client
    issuer: str
    client_id: str
    private_jwk: Mapping[str, str] = field(repr=False)
    redirect_uri: str
    now: Callable[[], int]
    proof_key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"), repr=False)

    def push(self, details: Mapping[str, Any]) -> tuple[str, str]:
        """Push an authorization request; returns its URI and the PKCE verifier."""
        verifier = secrets.token_urlsafe(48)
        challenge = _b64u(hashlib.sha256(verifier.encode()).digest())
        form = {
            "response_type": "code",
            "redirect_uri": self.redirect_uri,
            "state": secrets.token_urlsafe(16),
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "authorization_details": json.dumps([dict(details)]),
        }
        answer = self._post("/oauth/par", form)
        return str(answer["request_uri"]), verifier

    def redeem(self, code: str, verifier: str) -> dict[str, Any]:
        """Exchange a code for tokens."""
        return self._post(
            "/oauth/token",
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": self.redirect_uri,
                "code_verifier": verifier,
            },
        )

    def read(self, access_token: str) -> httpx.Response:
        """Read the consented snapshot."""
        url = f"{self.issuer}/v1/records"
        digest = _b64u(hashlib.sha256(access_token.encode()).digest())
        return self.http.get(
            url,
            headers={
                "Authorization": f"DPoP {access_token}",
                "DPoP": self._proof("GET", url, {"ath": digest}),
            },
        )

    def _post(self, path: str, form: Mapping[str, str]) -> dict[str, Any]:
        url = f"{self.issuer}{path}"
        answer = self.http.post(
            url,
            data={
                "client_id": self.client_id,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": self._assertion(),
                **form,
            },
            headers={"DPoP": self._proof("POST", url, {})},
        )
        answer.raise_for_status()
        body: dict[str, Any] = answer.json()
        return body

    def _assertion(self) -> str:
        key = OKPKey.import_key(dict(self.private_jwk))
        header = {"alg": "Ed25519", "kid": self.private_jwk["kid"]}
        claims = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer,
            "jti": secrets.token_urlsafe(16),
            "iat": self.now(),
            "exp": self.now() + 60,
        }
        return jwt.encode(header, claims, key, algorithms=["Ed25519"])

    def _proof(self, method: str, url: str, more: Mapping[str, str]) -> str:
        jwk = self.proof_key.as_dict(private=False)
        header = {"alg": "ES256", "typ": "dpop+jwt", "jwk": jwk}
        claims = {
            "jti": secrets.token_urlsafe(16),
            "htm": method,
            "htu": url,
            "iat": self.now(),
            **more,
        }
        return jwt.encode(header, claims, self.proof_key, algorithms=["ES256"])


def _b64u(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")
