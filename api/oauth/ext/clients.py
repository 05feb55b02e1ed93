"""The only kind of client there is: confidential, known by its public keys (FAPI-G3, G6).

There is no client secret to store, leak or compare (AL-15). The methods are those of Authlib's
`ClientMixin`, which the grants call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from api.oauth.ext import compact_jws
from api.oauth.ext.compact_jws import ALGORITHMS, JWSError
from api.oauth.ext.redirects import is_registered

AUTH_METHOD: Final = "private_key_jwt"
KEYS_MAX: Final = 20
JWKSet = Mapping[str, Sequence[Mapping[str, Any]]]
_BY_REFERENCE: Final = frozenset({"jku", "x5u", "x5c"})


@dataclass(frozen=True, slots=True)
class ConfidentialClient:
    """A registered client, as the application's `query_client` returns it.

    Attributes:
        client_id: chosen by the server (BCP-B12).
        jwks: its JWK Set, public keys only, as checked by `jwks_fault`; empty if all that is known
            of its `jwks_uri` is too old.
        redirect_uris: compared character by character; may be empty.
        scopes: API scopes that it may ask for.
        grant_types: of those that the server has registered.
        authorization_details_types: RFC 9396 types that it may ask for.
        barred: why it is served nothing at all for now, in the characters of RFC 6749's
            `error_description`; empty: it is served.
        handle: the application's own object; nothing here looks at it.
        renew_jwks: returns the set behind its `jwks_uri` as it is now, or None if that is not to be
            had, or was asked for a moment ago; None for a client that registered its keys.
    """

    client_id: str
    jwks: JWKSet
    redirect_uris: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset()
    grant_types: frozenset[str] = frozenset({"authorization_code", "refresh_token"})
    authorization_details_types: frozenset[str] = frozenset()
    barred: str = ""
    handle: object = None
    renew_jwks: Callable[[], JWKSet | None] | None = None

    def get_client_id(self) -> str:
        """Return the client id."""
        return self.client_id

    def get_default_redirect_uri(self) -> None:
        """Return None: a request names its redirect URI (FAPI-A6)."""

    def get_allowed_scope(self, scope: str | None) -> str | None:
        """Return the scope as asked, or None if any part of it is not this client's."""
        asked = (scope or "").split()
        return " ".join(asked) if self.scopes.issuperset(asked) else None

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        """Tell whether this exact redirect URI is registered."""
        return is_registered(redirect_uri, self.redirect_uris)

    def check_client_secret(self, _client_secret: str) -> bool:
        """Return False: there are no client secrets."""
        return False

    def check_endpoint_auth_method(self, method: str, _endpoint: str) -> bool:
        """Tell whether it is `private_key_jwt`, the same at every endpoint (PAR-P3)."""
        return method == AUTH_METHOD

    def check_response_type(self, response_type: str) -> bool:
        """Tell whether it is `code` (FAPI-A1)."""
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        """Tell whether the client is registered for this grant type."""
        return grant_type in self.grant_types


def jwks_fault(jwks: Any) -> str | None:  # noqa: ANN401 - a stranger's JSON
    """Return why a client may not register this JWK Set, or None if it may.

    One to 20 public keys of the accepted algorithms, none by reference, no `kid` twice (FAPI-C7),
    RSA of 2048 to 4096 bits (FAPI-C4).
    """
    keys = jwks.get("keys") if isinstance(jwks, dict) else None
    if not isinstance(keys, list) or not 1 <= len(keys) <= KEYS_MAX:
        return f"keys must be a list of 1 to {KEYS_MAX} keys"
    if not all(isinstance(key, dict) for key in keys):
        return "a key is not an object"
    if any(_BY_REFERENCE & key.keys() for key in keys):
        return "keys by reference or certificate are not accepted"
    kids = [key["kid"] for key in keys if "kid" in key]
    if not all(isinstance(kid, str) and kid for kid in kids) or len(set(kids)) != len(kids):
        return "a kid is empty, no text, or there twice"
    if not all(any(suits(key, algorithm) for algorithm in ALGORITHMS) for key in keys):
        return "a key is not a usable public signing key"
    return None


def suits(jwk: Mapping[str, Any], algorithm: str) -> bool:
    """Tell whether a JWK is a public key that may verify signatures of `algorithm`."""
    if jwk.get("use", "sig") != "sig" or jwk.get("alg", algorithm) != algorithm:
        return False
    operations = jwk.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return False
    try:
        compact_jws.import_public_key(jwk, algorithm)
    except JWSError:
        return False
    return True
