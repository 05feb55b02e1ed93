"""The HTTP client of the personal data store: every request proven, every answer checked.

Two kinds of access token are held, in memory only: the organisation's, which opens no data, and
one for each grant, made from that grant's refresh token, which does not rotate.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import quote, urlsplit

import httpx
import stamina

from connector.clock import Clock
from connector.errors import (
    AnswerRejectedError,
    ConfigurationError,
    ConsentEndedError,
    ConsentSuspendedError,
    CursorExpiredError,
    OrganisationExcludedError,
    ServerRefusedError,
    ServerUnavailableError,
    TokenInvalidError,
)
from connector.pds import models
from connector.pds.proofs import ASSERTION_TYPE, SigningKey, client_assertion, dpop_proof
from consent.formats.errors import FormatError
from consent.formats.reconciliation import Terms, mismatches
from consent.formats.stream_page import StreamPage

T = TypeVar("T")
METADATA_PATH = "/.well-known/oauth-authorization-server"
PAGE_SIZE = 200
OBLIGATIONS = "obligations"  # the scope that an organisation keeps when it is excluded
TOKEN_MARGIN = timedelta(seconds=30)
ATTEMPTS = 4
RETRY_AFTER_LONGEST_SECONDS = 120.0
RETRYABLE = frozenset({429, 502, 503, 504})
SUSPENDED_PROBLEMS = frozenset(
    {
        "consent-paused",
        "consent-pending",
        "consent-fulfilled",
        "consent-changed",
        "limit-reached",
        "organisation-suspended",
    }
)


@dataclass(frozen=True, slots=True)
class _HeldToken:
    text: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """The endpoints of the authorization server (RFC 8414)."""

    token_endpoint: str
    par_endpoint: str
    authorization_endpoint: str


class PDSClient:
    """One organisation's client of one personal data store."""

    def __init__(
        self,
        issuer: str,
        *,
        client_id: str,
        key: SigningKey,
        dpop_key: SigningKey,
        http: httpx.Client,
        clock: Clock,
    ) -> None:
        """Hold what the requests need; nothing is sent.

        Args:
            issuer: the server's issuer identifier, exactly as it writes it.
            client_id: this organisation's client.
            key: signs the client assertions.
            dpop_key: the tokens are bound to it; losing it means to connect everyone again.
            http: redirects must be off: they would carry proofs to where they do not belong.
            clock: tells the time for proofs and token lifetimes.
        """
        self.issuer = issuer
        self.client_id = client_id
        self.dpop_key = dpop_key
        self.clock = clock
        self._key = key
        self._http = http
        self._metadata: ServerMetadata | None = None
        self._organisation: dict[str, _HeldToken] = {}  # by scope
        self._grants: dict[str, _HeldToken] = {}

    def metadata(self) -> ServerMetadata:
        """Read the server's metadata, once; it must be of the issuer asked for (RFC 8414)."""
        if self._metadata is None:
            body = _json(self._sent(lambda: self._http.get(f"{self.issuer}{METADATA_PATH}")))
            if body.get("issuer") != self.issuer:
                # Section 3.3: else another server could collect our assertions.
                raise AnswerRejectedError("the metadata are those of another issuer")
            self._metadata = ServerMetadata(
                token_endpoint=self._endpoint(body, "token_endpoint"),
                par_endpoint=self._endpoint(body, "pushed_authorization_request_endpoint"),
                authorization_endpoint=self._endpoint(body, "authorization_endpoint"),
            )
        return self._metadata

    def connections(self) -> Iterator[list[models.Connection]]:
        """Yield every page of this organisation's connections."""
        cursor: str | None = None
        while True:
            parameters: dict[str, str | int] = {"limit": PAGE_SIZE}
            if cursor is not None:
                parameters["cursor"] = cursor
            body = _json(self._as_organisation("GET", "/v1/connections", parameters=parameters))
            yield models.each(body, "connections", models.connection_from)
            following = models.optional_text(body, "next_cursor")
            if not models.flag(body, "has_more"):
                return
            cursor = _moved_on(cursor, following)

    def changes(self, *, after: int) -> models.ChangePage:
        """Read one page of the feed.

        Raises:
            CursorExpiredError: the feed does not reach back so far: list everything again.
        """
        parameters: dict[str, str | int] = {"after": after, "limit": PAGE_SIZE}
        answer = self._as_organisation("GET", "/v1/changes", parameters=parameters)
        return models.change_page_from(_json(answer), after=after)

    def obligations(self) -> list[models.Obligation]:
        """Read what this organisation owes."""
        answer = self._as_organisation(
            "GET", "/v1/obligations", scope=OBLIGATIONS, parameters={"state": "due"}
        )
        return models.each(_json(answer), "obligations", models.obligation_from)

    def confirm(self, obligation: str, receipt: Mapping[str, object]) -> None:
        """Hand in the signed deletion receipt for an obligation; repeating it changes nothing."""
        path = f"/v1/obligations/{quote(obligation, safe='')}/confirmation"
        self._as_organisation("POST", path, scope=OBLIGATIONS, body=receipt)

    def grant(
        self, grant_id: str, *, refresh_token: str, connection: str | None = None
    ) -> models.Grant:
        """Ask what a grant allows now; this reads no data and spends no fetch.

        Args:
            grant_id: the grant.
            refresh_token: its refresh token.
            connection: the connection it must belong to, where that is known already.

        Raises:
            ConsentEndedError: the consent is over.
        """
        answer = self._as_grant("/v1/grant", grant_id=grant_id, refresh_token=refresh_token)
        grant = models.grant_from(_json(answer))
        if grant.grant_id != grant_id or connection not in {None, grant.connection}:
            raise AnswerRejectedError("the answer is about another grant")
        return grant

    def snapshot(
        self,
        grant_id: str,
        *,
        refresh_token: str,
        agreement: models.Agreement | None = None,
        terms: Terms | None = None,
    ) -> models.Snapshot:
        """Read everything that the grant opens at present, from the beginning.

        Answers under `agreement` are held against its `terms`; one under another version is for
        the caller to see, who does not know its terms yet.

        Raises:
            ConsentEndedError: the consent is over.
            ConsentSuspendedError: the consent allows no read now.
            TokenInvalidError: the tokens are gone.
            AnswerRejectedError: the answer is not proven, not about this grant, or not what was
                agreed.
        """
        records: dict[tuple[str, str], models.Record] = {}
        entries: list[models.LogEntry] = []
        cursor: str | None = None
        while True:
            answer = self._as_grant(
                "/v1/records",
                grant_id=grant_id,
                refresh_token=refresh_token,
                parameters={} if cursor is None else {"cursor": cursor},
            )
            body = _json(answer)
            header = answer.headers.get("PDS-Log-Entry")
            count = len(models.objects(body, "records"))
            entries.append(models.log_entry_from(header, count=count))
            if body.get("grant_id") != grant_id:
                raise AnswerRejectedError("the answer is about another grant")
            if terms is not None and agreement is not None:
                _reconcile(body, agreement, terms)
            _gather(records, body)
            if not models.flag(body, "has_more"):
                return _snapshot(body, grant_id=grant_id, records=records, entries=entries)
            cursor = _moved_on(cursor, models.optional_text(body, "next_cursor"))

    def log_entries(self, stream: str, *, after: int, size: int) -> StreamPage:
        """Read what the log holds of a grant's stream; nothing of the page is verified yet.

        Args:
            stream: as an answer named it.
            after: the number after which to read.
            size: the tree that was verified last, which the page is to lead on from; 0 for none.

        Raises:
            AnswerRejectedError: the page does not have its form.
        """
        parameters: dict[str, str | int] = {"stream": stream, "after": after, "size": size}
        answer = self._as_organisation("GET", "/v1/log-entries", parameters=parameters)
        try:
            return StreamPage.from_dict(_json(answer))
        except FormatError as error:
            raise AnswerRejectedError(f"/v1/log-entries: {error}") from error

    def checkpoint(self) -> str:
        """Read the log's newest checkpoint, a signed note."""
        return self._sent(lambda: self._http.get(f"{self.issuer}/log/checkpoint")).text

    def clock_skew(self) -> timedelta | None:
        """Return how far this machine's clock is ahead, or None where the server names no time."""
        answer = self._sent(lambda: self._http.get(f"{self.issuer}{METADATA_PATH}"))
        header = answer.headers.get("Date")
        return None if header is None else self.clock.now() - parsedate_to_datetime(header)

    def form(self, endpoint: str, parameters: Mapping[str, str]) -> models.JSON:
        """Post an authenticated form to an OAuth endpoint and return its JSON answer."""

        def send() -> httpx.Response:
            # Assertion and proof are made anew for every attempt: the server takes each once.
            now = self.clock.now()
            fields = {
                **parameters,
                "client_id": self.client_id,
                "client_assertion_type": ASSERTION_TYPE,
                "client_assertion": client_assertion(
                    self._key, client_id=self.client_id, issuer=self.issuer, now=now
                ),
            }
            proof = dpop_proof(self.dpop_key, method="POST", url=endpoint, now=now)
            return self._http.post(endpoint, data=fields, headers={"DPoP": proof})

        return _json(self._sent(send))

    def token(self, parameters: Mapping[str, str]) -> models.TokenAnswer:
        """Ask the token endpoint."""
        return models.token_from(self.form(self.metadata().token_endpoint, parameters))

    def _as_organisation(
        self,
        method: str,
        path: str,
        *,
        scope: str = "organisation",
        parameters: Mapping[str, str | int] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> httpx.Response:
        return self._with_token(
            lambda: self._organisation_token(scope),
            lambda: self._organisation.pop(scope, None),
            lambda token: self._proven(method, path, token, parameters=parameters, body=body),
        )

    def _as_grant(
        self,
        path: str,
        *,
        grant_id: str,
        refresh_token: str,
        parameters: Mapping[str, str | int] | None = None,
    ) -> httpx.Response:
        return self._with_token(
            lambda: self._grant_token(grant_id, refresh_token),
            lambda: self._grants.pop(grant_id, None),
            lambda token: self._proven("GET", path, token, parameters=parameters, body=None),
        )

    def _with_token(
        self,
        obtain: Callable[[], str],
        forget: Callable[[], object],
        send: Callable[[str], httpx.Response],
    ) -> httpx.Response:
        """Send with a held token and, where it is no longer taken, once more with a new one."""
        token = obtain()
        try:
            return send(token)
        except TokenInvalidError:
            forget()
            return send(obtain())

    def _proven(
        self,
        method: str,
        path: str,
        token: str,
        *,
        parameters: Mapping[str, str | int] | None,
        body: Mapping[str, object] | None,
    ) -> httpx.Response:
        url = f"{self.issuer}{path}"

        def send() -> httpx.Response:
            proof = dpop_proof(
                self.dpop_key, method=method, url=url, now=self.clock.now(), access_token=token
            )
            headers = {"Authorization": f"DPoP {token}", "DPoP": proof}
            return self._http.request(method, url, params=parameters, json=body, headers=headers)

        return self._sent(send)

    def _sent(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send, again where that may help, and return a 2xx answer or raise."""
        for attempt in stamina.retry_context(on=_pause, attempts=ATTEMPTS):
            with attempt:
                try:
                    answer = send()
                except httpx.TransportError as error:
                    raise ServerUnavailableError(type(error).__name__) from error
                _raise_for(answer)
                return answer
        raise ServerUnavailableError  # pragma: no cover - the context raises or returns

    def _organisation_token(self, scope: str) -> str:
        held = self._organisation.get(scope)
        if held is None or held.expires_at <= self.clock.now():
            request = {"grant_type": "client_credentials", "scope": scope}
            try:
                held = self._organisation[scope] = self._held(self.token(request))
            except ServerRefusedError as error:
                if error.problem == "invalid_scope":
                    raise OrganisationExcludedError(error.status, error.problem) from error
                raise
        return held.text

    def _grant_token(self, grant_id: str, refresh_token: str) -> str:
        held = self._grants.get(grant_id)
        if held is None or held.expires_at <= self.clock.now():
            request = {"grant_type": "refresh_token", "refresh_token": refresh_token}
            held = self._grants[grant_id] = self._held(self.token(request))
        return held.text

    def _held(self, answer: models.TokenAnswer) -> _HeldToken:
        lifetime = timedelta(seconds=answer.expires_in) - TOKEN_MARGIN
        return _HeldToken(answer.access_token, self.clock.now() + lifetime)

    def _endpoint(self, body: models.JSON, name: str) -> str:
        url = models.optional_text(body, name) or ""
        # An endpoint elsewhere would receive codes and refresh tokens.
        if urlsplit(url)[:2] != urlsplit(self.issuer)[:2]:
            raise AnswerRejectedError(f"{name} is not on the issuer's host")
        return url


def http_client(*, timeout_seconds: float = 30.0) -> httpx.Client:
    """Return a client that follows no redirect and says who it is."""
    headers = {"User-Agent": "pds-connector"}
    return httpx.Client(timeout=timeout_seconds, follow_redirects=False, headers=headers)


def checked_issuer(url: str) -> str:
    """Return the issuer without a trailing slash, or refuse plain HTTP beyond loopback.

    Raises:
        ConfigurationError: tokens would travel in the clear.
    """
    parts = urlsplit(url)
    is_loopback = parts.hostname in {"127.0.0.1", "::1", "localhost"}
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback):
        raise ConfigurationError("[pds] url must be https (http is for loopback only)")
    return url.rstrip("/")


def _raise_for(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    problem = _problem(answer)
    if answer.status_code in RETRYABLE and problem not in SUSPENDED_PROBLEMS:
        raise ServerUnavailableError(
            f"{answer.status_code} {problem}",
            retry_after_seconds=retry_after(answer.headers.get("Retry-After")),
        )
    if problem in models.ENDED_PROBLEMS:
        raise ConsentEndedError(answer.status_code, problem)
    if problem in SUSPENDED_PROBLEMS:
        raise ConsentSuspendedError(answer.status_code, problem)
    if problem in {"invalid-token", "invalid_grant"}:
        raise TokenInvalidError(answer.status_code, problem)
    if problem == "cursor-expired":
        raise CursorExpiredError(answer.status_code, problem)
    if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise ServerUnavailableError(f"{answer.status_code} {problem}")
    raise ServerRefusedError(answer.status_code, problem)


def _problem(answer: httpx.Response) -> str:
    """Return the code of a problem document (P-38) or of an OAuth error (RFC 6749)."""
    try:
        body = answer.json()
    except ValueError:
        return "unknown"
    if not isinstance(body, dict):
        return "unknown"
    oauth = body.get("error")
    if isinstance(oauth, str):
        return oauth
    return str(body.get("type", "unknown")).rpartition("/")[2]


def retry_after(header: str | None) -> float | None:
    """Return the seconds of a `Retry-After` header, at most two minutes (RFC 9110 10.2.3)."""
    if header is None or not (header.isascii() and header.isdigit()):
        return None
    return min(float(header), RETRY_AFTER_LONGEST_SECONDS)


def _pause(error: Exception) -> bool | float:
    """Decide on another attempt: the server's own wish wins, a little jitter goes on top."""
    if not isinstance(error, ServerUnavailableError):
        return False
    if error.retry_after_seconds is None:
        return True
    return error.retry_after_seconds + random.uniform(0.0, 0.2)  # noqa: S311 - jitter, no secret


def _json(answer: httpx.Response) -> models.JSON:
    try:
        body = answer.json()
    except ValueError as error:
        raise AnswerRejectedError("the answer is no JSON") from error
    if not isinstance(body, dict):
        raise AnswerRejectedError("the answer is no JSON object")
    return body


def _moved_on(cursor: str | None, following: str | None) -> str:
    if following is None or following == cursor:
        raise AnswerRejectedError("the list does not move on")
    return following


def _reconcile(body: models.JSON, agreement: models.Agreement, terms: Terms) -> None:
    """Refuse an answer that does not match the agreement that it names (P-25, LEAD-8)."""
    named = body.get("agreement")
    if not isinstance(named, dict):
        raise AnswerRejectedError("the answer lacks its agreement")
    found = models.agreement_from(named)
    if (found.id, found.version) != (agreement.id, agreement.version):
        return
    try:
        wrong = mismatches(body, terms)
    except FormatError as error:
        raise AnswerRejectedError(f"the answer cannot be reconciled: {error}") from error
    if wrong:
        codes = sorted({each.code for each in wrong})
        raise AnswerRejectedError(f"the answer does not match its agreement: {', '.join(codes)}")


def _gather(records: dict[tuple[str, str], models.Record], body: models.JSON) -> None:
    """Let later lines of the feed replace earlier ones, and deletions remove them."""
    for item in models.objects(body, "records"):
        place = (str(item.get("collection")), str(item.get("id")))
        record = models.record_from(item)
        if record is None:
            records.pop(place, None)
        else:
            records[place] = record


def _snapshot(
    body: models.JSON,
    *,
    grant_id: str,
    records: dict[tuple[str, str], models.Record],
    entries: list[models.LogEntry],
) -> models.Snapshot:
    agreement, manifest = body.get("agreement"), body.get("manifest")
    if not isinstance(agreement, dict) or not isinstance(manifest, dict):
        raise AnswerRejectedError("the answer lacks agreement or manifest")
    return models.Snapshot(
        grant_id=grant_id,
        agreement=models.agreement_from(agreement),
        agreed=frozenset(models.texts(manifest, "agreed")),
        records=tuple(records.values()),
        log_entries=tuple(entries),
    )
