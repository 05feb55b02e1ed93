"""Ask one person for a connection: PAR, the browser, the code, the refresh token.

RFC 9126 (pushed request), RFC 7636 (PKCE, S256), RFC 9396 (what is asked for), RFC 9207 (`iss`
in the answer), RFC 8252 section 7.3 (loopback redirect).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from connector.errors import AnswerRejectedError, AuthorizationFailedError, ConfigurationError
from connector.pds import models
from connector.pds.client import PDSClient
from connector.pds.proofs import base64url

PAGE = b"<!doctype html><meta charset=utf-8><title>Done</title><p>You can close this page.</p>"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; `template_sha256` is hex, `duration` is ISO 8601.

    `invitation` is the id of the invitation that the person came by; empty: by none.
    """

    template: str
    template_sha256: str
    attributes: Sequence[str]
    optional_attributes: Sequence[str]
    duration: str
    invitation: str = ""


@dataclass(frozen=True, slots=True)
class PendingAuthorization:
    """A pushed request: where to send the person, and what their answer must match."""

    url: str
    redirect_uri: str
    state: str = field(repr=False)
    verifier: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class NewConnection:
    """What came of it: the grant as the server describes it, and its refresh token."""

    grant: models.Grant
    refresh_token: str = field(repr=False)


def push(client: PDSClient, wanted: Wanted, *, redirect_uri: str) -> PendingAuthorization:
    """Push the authorization request (RFC 9126 section 2.1) and return what comes next."""
    state, verifier = secrets.token_urlsafe(24), secrets.token_urlsafe(48)
    details = {
        "type": "data-sharing-agreement",
        "template": wanted.template,
        "template_sha256": wanted.template_sha256,
        "actions": ["read"],
        "attributes": list(wanted.attributes),
        "optional_attributes": list(wanted.optional_attributes),
        "duration": wanted.duration,
        "locations": [f"{client.issuer}/v1"],
    }
    if wanted.invitation:
        details["invitation"] = wanted.invitation
    metadata = client.metadata()
    answer = client.form(
        metadata.par_endpoint,
        {
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "state": state,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
            "authorization_details": models.compact([details]),
        },
    )
    request_uri = models.optional_text(answer, "request_uri") or ""
    query = urlencode({"client_id": client.client_id, "request_uri": request_uri})
    url = f"{metadata.authorization_endpoint}?{query}"
    return PendingAuthorization(url, redirect_uri, state, verifier)


def redeem(
    client: PDSClient, pending: PendingAuthorization, answer: Mapping[str, str]
) -> NewConnection:
    """Turn the parameters of the redirect into a connection.

    Raises:
        AuthorizationFailedError: refused, or not an answer to this request.
    """
    if not hmac.compare_digest(answer.get("state", "").encode(), pending.state.encode()):
        raise AuthorizationFailedError("the answer belongs to another request")
    if answer.get("iss") != client.issuer:
        # RFC 9207: without it, a second server could pass us its code as the first one's.
        raise AuthorizationFailedError("the answer comes from another issuer")
    if "code" not in answer:
        raise AuthorizationFailedError(f"no consent: {answer.get('error', 'no code')}")
    token = client.token(
        {
            "grant_type": "authorization_code",
            "code": answer["code"],
            "redirect_uri": pending.redirect_uri,
            "code_verifier": pending.verifier,
        }
    )
    if token.refresh_token is None or token.grant_id is None:
        raise AnswerRejectedError("the token response lacks refresh_token or grant_id")
    grant = client.grant(token.grant_id, refresh_token=token.refresh_token)
    return NewConnection(grant, token.refresh_token)


class RedirectListener:
    """Waits on loopback for the browser to come back (RFC 8252 section 7.3)."""

    def __init__(self, host: str, port: int, *, path: str = "/callback") -> None:
        """Listen; port 0 takes a free one.

        Raises:
            ConfigurationError: the address is not loopback, or taken.
        """
        if host not in {"127.0.0.1", "::1", "localhost"}:
            raise ConfigurationError("--listen must be a loopback address")
        self._answers: list[Mapping[str, str]] = []
        self._path = path
        try:
            self._server = _Server((host, port), self._handler())
        except OSError as error:
            raise ConfigurationError(f"--listen: {error.strerror}") from error
        self.redirect_uri = f"http://{host}:{self._server.server_port}{path}"

    def wait(self, *, seconds: float) -> Mapping[str, str]:
        """Return the parameters of the redirect.

        Raises:
            AuthorizationFailedError: nobody came in that time.
        """
        self._server.timeout = seconds
        try:
            while not self._answers:
                self._server.handle_request()
                if self._server.has_timed_out:
                    raise AuthorizationFailedError("nobody answered in time")
            return self._answers[0]
        finally:
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answers, path = self._answers, self._path

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                is_answer = parts.path == path
                if is_answer:
                    query = parse_qs(parts.query)
                    answers.append({name: values[0] for name, values in query.items()})
                self.send_response(200 if is_answer else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Referrer-Policy", "no-referrer")
                self.end_headers()
                self.wfile.write(PAGE if is_answer else b"")

            def log_message(self, *_arguments: object) -> None:
                """Log nothing: the request line holds the code."""

        return Handler


class _Server(HTTPServer):
    has_timed_out = False

    def handle_timeout(self) -> None:
        self.has_timed_out = True


def _challenge(verifier: str) -> str:
    return base64url(hashlib.sha256(verifier.encode("ascii")).digest())
