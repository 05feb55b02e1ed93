"""PKCE, RFC 7636, required of everyone and by S256 only.

    authorization request   code_challenge=BASE64URL(SHA-256(ASCII(verifier)))
                            code_challenge_method=S256
    token request           code_verifier=43 to 128 characters of [A-Za-z0-9-._~]

Authlib's extension allows `plain`, takes it for the default, and binds public clients only (AL-1).
"""

from __future__ import annotations

import hmac
import re

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidRequestError
from authlib.oauth2.rfc7636 import CodeChallenge, create_s256_code_challenge

from api.oauth.ext.grants import AuthorizationCodeGrant, CodeRecord

_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)  # 32 bytes of SHA-256
_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)


class S256CodeChallenge(CodeChallenge):  # type: ignore[misc]  # Authlib ships no types
    """Authlib's PKCE extension without its options."""

    DEFAULT_CODE_CHALLENGE_METHOD = None
    SUPPORTED_CODE_CHALLENGE_METHOD = ("S256",)

    def validate_code_challenge(self, grant: AuthorizationCodeGrant, _result: object) -> None:
        """Require a challenge, and the method by name (FAPI-A5, BCP-B4)."""
        data = grant.request.payload.data
        if data.get("code_challenge_method") != "S256":
            raise InvalidRequestError("code_challenge_method must be S256")
        if not _CHALLENGE.fullmatch(data.get("code_challenge", "")):
            raise InvalidRequestError("code_challenge must be 43 characters of base64url")

    def validate_code_verifier(self, grant: AuthorizationCodeGrant, _result: object) -> None:
        """Require the verifier of the code's challenge (RFC 7636 section 4.6)."""
        code: CodeRecord = grant.request.authorization_code
        verifier = grant.request.form.get("code_verifier")
        if verifier is None:
            raise InvalidRequestError("code_verifier is missing")
        if not _VERIFIER.fullmatch(verifier):
            raise InvalidRequestError("code_verifier must be 43 to 128 unreserved characters")
        if not hmac.compare_digest(create_s256_code_challenge(verifier), code.code_challenge):
            raise InvalidGrantError("code_verifier does not match")
