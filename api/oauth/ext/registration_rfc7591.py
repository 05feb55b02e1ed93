"""Dynamic client registration, RFC 7591, of confidential clients that have keys and no secret.

    POST /register   Authorization: Bearer <initial access token>      application/json
                     {"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [...]},
                      "client_name": "...", "client_name#az": "...", "redirect_uris": [...], ...}
    201 Created      {"client_id": "...", "client_id_issued_at": ..., all that was registered}
    400              {"error": "invalid_client_metadata" or "invalid_redirect_uri", ...}
    401              the initial access token is missing, unknown, spent or past (section 3)

What is unknown is dropped (section 2). What a client may not choose is refused if it asks for
something else, and is in the answer whether or not it asked (section 3.2.1). Of grant types and
scopes it gets those that it names and no more; one that names none gets all that there are.
Authlib's endpoint mints a `client_secret` for everybody (AL-14); here there is none to leak.
Clients do not change their registration: RFC 7592 is not implemented.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import InvalidRequestError

from api.oauth.ext.clients import AUTH_METHOD, jwks_fault
from api.oauth.ext.redirects import LOGIN_PARAMETERS, redirect_uri_fault

JSON_TYPE: Final = "application/json"
NAME_CHARS_MAX: Final = 120
REDIRECT_URIS_MAX: Final = 10
DEPTH_MAX: Final = 8
_BEARER = re.compile(r"Bearer +([A-Za-z0-9._~+/-]{1,512}=*)", re.ASCII | re.IGNORECASE)
# Controls, bidi overrides and other invisible characters, line breaks: a name is one line of text
# that reads as it is written (THR-14).
_REFUSED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})

Members = Mapping[str, Any]


class InvalidClientMetadataError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """A member of the metadata is missing, malformed or not acceptable (section 3.2.2)."""

    error = "invalid_client_metadata"


class InvalidRedirectURIError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """A redirect URI is not acceptable (section 3.2.2)."""

    error = "invalid_redirect_uri"


class InvalidInitialAccessTokenError(OAuth2Error):  # type: ignore[misc]  # Authlib ships no types
    """There is no token, or it is unknown, spent or past; which is not told (RFC 6750)."""

    error = "invalid_token"
    status_code = 401
    description = "an initial access token is needed"


@dataclass(frozen=True, slots=True)
class RegistrationPolicy:
    """What a server offers to whoever registers.

    Attributes:
        grant_types: of which a client has those that it names, or all.
        scopes: API scopes, likewise.
        details_types: RFC 9396 types of every client.
        locales: languages in which a client may have a name (RFC 7591 section 2.2).
        loopback: whether `http://127.0.0.1` is a redirect URI, for demonstrations.
    """

    grant_types: Sequence[str]
    scopes: Sequence[str]
    details_types: Sequence[str]
    locales: Sequence[str] = ()
    loopback: bool = False


@dataclass(frozen=True, slots=True)
class ClientMetadata:
    """A registration that may be stored.

    Attributes:
        name: what people see where there is no name in their language.
        names: by language.
        redirect_uris: in the order given.
        jwks: public keys, as checked by `jwks_fault`; None if `jwks_uri` has them.
        jwks_uri: an https URL; whether it leads anywhere is the application's to find out.
        initiate_login_uri: where this server may start a login.
        about: `client_uri`, `policy_uri`, `software_id`, `software_version`; those given.
        grant_types: those that it asked for, or all.
        scopes: likewise.
        fixed: what is the same for every client.
    """

    name: str
    names: Mapping[str, str]
    redirect_uris: Sequence[str]
    jwks: Members | None = None
    jwks_uri: str | None = None
    initiate_login_uri: str | None = None
    about: Mapping[str, str] = field(default_factory=dict)
    grant_types: Sequence[str] = ()
    scopes: Sequence[str] = ()
    fixed: Members = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the members as registered (section 3.2.1)."""
        members = {
            "client_name": self.name,
            **{f"client_name#{locale}": text for locale, text in self.names.items()},
            "redirect_uris": list(self.redirect_uris),
            "jwks": self.jwks,
            "jwks_uri": self.jwks_uri,
            "initiate_login_uri": self.initiate_login_uri,
            **self.about,
            "grant_types": list(self.grant_types),
            "scope": " ".join(self.scopes),
            **self.fixed,
        }
        return {name: value for name, value in members.items() if value is not None}


class RegistrationStore(Protocol):
    """What an application supplies."""

    def find_token(self, token: str) -> Any:  # noqa: ANN401 - the application's own object
        """Return what stands for a usable initial access token, or None; it is not spent yet."""
        ...

    def register(self, token: Any, metadata: ClientMetadata) -> tuple[str, int]:  # noqa: ANN401 - as above
        """Spend the token and store the client, in one transaction.

        Returns its id, which the server chooses (BCP-B12), and the instant in Unix seconds. Raises
        `InvalidInitialAccessTokenError` if another registration spent the token first, and
        `InvalidClientMetadataError` for what only the application can judge, such as a name that
        looks like somebody else's.
        """
        ...


Answer = tuple[int, dict[str, Any], list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class ClientRegistration:
    """The endpoint; it knows no web framework."""

    policy: RegistrationPolicy
    store: RegistrationStore

    def answer(
        self, *, authorization: Sequence[str], query: bytes, media_type: str, body: bytes
    ) -> Answer:
        """Answer a POST: status, JSON body, header fields.

        Args:
            authorization: every value of the `Authorization` field.
            query: the query string, which must be empty.
            media_type: of the body, without parameters.
            body: bounded by the caller.
        """
        headers = [("Cache-Control", "no-store"), ("Pragma", "no-cache")]
        try:
            # The token first: strangers do not learn what would be accepted.
            token = self._token(authorization)
            if query or media_type != JSON_TYPE:
                raise InvalidRequestError(f"the body must be {JSON_TYPE}, without a query")
            metadata = read_metadata(_document(body), self.policy)
            client_id, issued_at = self.store.register(token, metadata)
        except OAuth2Error as error:
            if error.status_code == InvalidInitialAccessTokenError.status_code:
                headers.append(("WWW-Authenticate", f'Bearer error="{error.error}"'))
            return int(error.status_code), dict(error.get_body()), headers
        registered = {"client_id": client_id, "client_id_issued_at": issued_at}
        return 201, registered | metadata.to_dict(), headers

    def _token(self, authorization: Sequence[str]) -> Any:  # noqa: ANN401 - the application's own
        match = _BEARER.fullmatch(authorization[0]) if len(authorization) == 1 else None
        token = self.store.find_token(match[1]) if match else None
        if token is None:
            raise InvalidInitialAccessTokenError
        return token


def read_metadata(document: Members, policy: RegistrationPolicy) -> ClientMetadata:
    """Return what of a request can be registered.

    Raises:
        InvalidClientMetadataError: something is not acceptable; the text says which member.
        InvalidRedirectURIError: a redirect URI is not.
    """
    _check_fixed(document, policy)
    names = {
        locale: _text(document, f"client_name#{locale}")
        for locale in policy.locales
        if f"client_name#{locale}" in document
    }
    about = {name: _https(document, name) for name in ("client_uri", "policy_uri")} | {
        name: _text(document, name)
        for name in ("software_id", "software_version")
        if name in document
    }
    return ClientMetadata(
        name=_text(document, "client_name"),
        names=names,
        redirect_uris=_redirect_uris(document, policy),
        jwks=_jwks(document),
        jwks_uri=_https(document, "jwks_uri", loopback=policy.loopback),
        initiate_login_uri=_https(
            document, "initiate_login_uri", reserved=LOGIN_PARAMETERS, loopback=policy.loopback
        ),
        about={name: text for name, text in about.items() if text is not None},
        grant_types=_chosen(document.get("grant_types"), policy.grant_types),
        scopes=_chosen(document["scope"].split() if document.get("scope") else None, policy.scopes),
        fixed={
            "token_endpoint_auth_method": AUTH_METHOD,
            "response_types": ["code"],
            "authorization_details_types": list(policy.details_types),
            "dpop_bound_access_tokens": True,
            "require_pushed_authorization_requests": True,
        },
    )


def _check_fixed(document: Members, policy: RegistrationPolicy) -> None:
    """Refuse a client that wants to be served otherwise than every client is."""
    # Left out it would mean `client_secret_basic` (section 2).
    if document.get("token_endpoint_auth_method") != AUTH_METHOD:
        raise InvalidClientMetadataError(f"token_endpoint_auth_method must be {AUTH_METHOD}")
    for name in ("dpop_bound_access_tokens", "require_pushed_authorization_requests"):
        if document.get(name, True) is not True:
            raise InvalidClientMetadataError(f"{name} must be true")
    scope = document.get("scope", "")
    if not isinstance(scope, str):
        raise InvalidClientMetadataError("scope is no text")
    offered = {
        "grant_types": (document.get("grant_types", []), policy.grant_types),
        "response_types": (document.get("response_types", []), ("code",)),
        "authorization_details_types": (
            document.get("authorization_details_types", []),
            policy.details_types,
        ),
        "scope": (scope.split(), policy.scopes),
    }
    for name, (asked, known) in offered.items():
        if not isinstance(asked, list) or not all(each in known for each in asked):
            raise InvalidClientMetadataError(f"{name} has something that is not offered")


def _chosen(asked: Sequence[str] | None, offered: Sequence[str]) -> list[str]:
    """Return what was asked for, once and in the server's order; all where nothing was (3.2.1)."""
    return [each for each in offered if asked is None or each in asked]


def _redirect_uris(document: Members, policy: RegistrationPolicy) -> list[str]:
    uris = document.get("redirect_uris")
    if not isinstance(uris, list) or not 1 <= len(uris) <= REDIRECT_URIS_MAX:
        raise InvalidRedirectURIError(f"redirect_uris must be 1 to {REDIRECT_URIS_MAX} URIs")
    for uri in uris:
        if not isinstance(uri, str):
            raise InvalidRedirectURIError("a redirect URI is no text")
        fault = redirect_uri_fault(uri, loopback=policy.loopback)
        if fault:
            raise InvalidRedirectURIError(f"a redirect URI is refused: {fault}")
    if len(set(uris)) != len(uris):
        raise InvalidRedirectURIError("a redirect URI is there twice")
    return uris


def _jwks(document: Members) -> Members | None:
    # Section 2: never both.
    if ("jwks" in document) == ("jwks_uri" in document):
        raise InvalidClientMetadataError("either jwks or jwks_uri is needed")
    if "jwks_uri" in document:
        return None
    jwks = document.get("jwks")
    fault = jwks_fault(jwks)
    if fault or not isinstance(jwks, dict):
        raise InvalidClientMetadataError(f"jwks: {fault}")
    return {"keys": jwks["keys"]}


def _text(document: Members, name: str) -> str:
    value = document.get(name)
    plain = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else ""
    if not 1 <= len(plain) <= NAME_CHARS_MAX or any(
        unicodedata.category(character) in _REFUSED_CATEGORIES for character in plain
    ):
        raise InvalidClientMetadataError(
            f"{name} must be 1 to {NAME_CHARS_MAX} characters on one line"
        )
    return plain


def _https(
    document: Members, name: str, *, reserved: frozenset[str] = frozenset(), loopback: bool = False
) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    fault = (
        redirect_uri_fault(value, loopback=loopback, reserved=reserved)
        if isinstance(value, str)
        else "not a URI"
    )
    if fault:
        raise InvalidClientMetadataError(f"{name} is refused: {fault}")
    return str(value)


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body, object_pairs_hook=_unique, parse_constant=_refuse_constant)
        _check_depth(document, DEPTH_MAX)
    except (ValueError, RecursionError) as error:
        raise InvalidClientMetadataError("the body is not plain JSON") from error
    if not isinstance(document, dict):
        raise InvalidClientMetadataError("the body is not a JSON object")
    return document


def _check_depth(value: object, depth: int) -> None:
    if depth == 0:
        raise ValueError("too deep")
    inner: Sequence[object] = ()
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    for each in inner:
        _check_depth(each, depth - 1)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated member")
    return members


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
