"""Tryton 8.2 over HTTP: its REST API with an API key, and JSON-RPC for what REST lacks.

REST: `/<database>/rest/model/<name>`; errors are 400 with `{"message"}`, 401, 404; an unknown field
is a 500 (CON-10). JSON-RPC: `/<database>/rpc/`; errors arrive as HTTP 200 with `{"error"}`. Only
HTTP is spoken, nothing of Tryton is imported (CON-13).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx
import stamina

from connector.errors import CrmRefusedError, CrmUnauthorizedError, CrmUnavailableError
from connector.pds.client import retry_after

ATTEMPTS = 3
BUSY = frozenset({429, 502, 503, 504})
# Archived records are invisible, and answer 404, unless asked for (CON-9).
EVERYTHING = base64.urlsafe_b64encode(b'{"active_test": false}').decode()

Row = Mapping[str, Any]


class TrytonRefusedError(Exception):
    """Tryton refused one record. Its text quotes personal values: classify it, never show it."""

    def __init__(self, text: str) -> None:
        super().__init__("refused by Tryton")
        self.text = text


class TrytonAbsentError(Exception):
    """There is no such record."""


class TrytonHTTP:
    """Both of Tryton's interfaces for one database."""

    def __init__(
        self,
        url: str,
        *,
        token: str,
        login: str | None,
        password: str | None,
        http: httpx.Client,
    ) -> None:
        """Hold what requests need; nothing is sent.

        Args:
            url: the database, such as `https://crm.example.org/crm`.
            token: key of a `rest` user application.
            login: user of the erase wizard, which the REST API does not offer.
            password: that user's password.
            http: the client to send with.
        """
        self._url = url
        self._login = login
        self._password = password
        self._http = http
        self._session: str | None = None
        self._headers = {
            "Authorization": f"bearer {token}",
            "Accept-Language": "en",  # error texts are classified by their English words
            "X-Tryton-Context": EVERYTHING,
        }

    def search(self, model: str, domain: Sequence[object], fields: Sequence[str]) -> Sequence[Row]:
        """Return the records that match a domain, archived ones too."""
        encoded = base64.urlsafe_b64encode(json.dumps(domain).encode()).decode()
        parameters = [("d", encoded), *(("f", field) for field in fields)]
        rows = self._rest("GET", f"/rest/model/{model}", parameters=parameters)
        return rows if isinstance(rows, list) else []

    def create(self, model: str, values: Row, fields: Sequence[str]) -> Row:
        """Create a record and return it as stored.

        Raises:
            TrytonRefusedError: it breaks a rule.
        """
        return self._record("POST", f"/rest/model/{model}", values, fields)

    def update(self, model: str, record: str, values: Row, fields: Sequence[str] = ()) -> Row:
        """Change a record and return it as stored.

        Raises:
            TrytonRefusedError: it breaks a rule.
            TrytonAbsentError: there is none.
        """
        return self._record("PUT", f"/rest/model/{model}/{record}", values, fields)

    def action(self, model: str, name: str, arguments: Row) -> Row:
        """Call a method that the model offers to clients."""
        answer = self._rest("POST", f"/rest/model/{model}/{name}", body=arguments)
        return answer if isinstance(answer, dict) else {}

    def call(self, method: str, *arguments: object, context: Row | None = None) -> Any:  # noqa: ANN401 - whatever the method returns
        """Call a method by JSON-RPC, as the user with the password.

        Raises:
            TrytonRefusedError: the method raised an error for the user.
        """
        body = {"id": 1, "method": method, "params": [*arguments, dict(context or {})]}
        answer = self._rpc(body)
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            self._session = None  # it timed out, or the server was restarted
            answer = self._rpc(body)
        document = _checked_json(answer)
        if "error" in document:
            raise TrytonRefusedError(json.dumps(document["error"]))
        return document.get("result")

    def version(self) -> str:
        """Return the series of the server, such as `8.2`."""
        root = self._url.rpartition("/")[0]
        body = {"id": 0, "method": "common.server.version", "params": []}
        answer = self._sent(lambda: self._http.post(f"{root}/rpc/", json=body))
        return str(_checked_json(answer).get("result"))

    def _record(self, method: str, path: str, values: Row, fields: Sequence[str]) -> Row:
        parameters = [("f", field) for field in fields]
        answer = self._rest(method, path, parameters=parameters, body=values)
        return answer if isinstance(answer, dict) else {}

    def _rest(
        self,
        method: str,
        path: str,
        *,
        parameters: Sequence[tuple[str, str]] = (),
        body: Row | None = None,
    ) -> object:
        answer = self._sent(
            lambda: self._http.request(
                method,
                f"{self._url}{path}",
                params=list(parameters),
                json=body,
                headers=self._headers,
            )
        )
        if answer.status_code == httpx.codes.BAD_REQUEST:
            raise TrytonRefusedError(answer.text)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise TrytonAbsentError
        return _checked_json(answer) if answer.content or not answer.is_success else {}

    def _rpc(self, body: Row) -> httpx.Response:
        if self._session is None:
            self._session = self._signed_in()
        headers = {"Authorization": f"Session {self._session}"}
        return self._sent(lambda: self._http.post(f"{self._url}/rpc/", json=body, headers=headers))

    def _signed_in(self) -> str:
        if self._login is None or self._password is None:
            raise CrmUnauthorizedError("Tryton's erase wizard needs login and password")
        parameters = [self._login, {"password": self._password}, "en"]
        body = {"id": 0, "method": "common.db.login", "params": parameters}
        answer = self._sent(lambda: self._http.post(f"{self._url}/rpc/", json=body))
        result = _checked_json(answer).get("result")
        if not isinstance(result, list):
            raise CrmUnauthorizedError("Tryton does not take login and password")
        user, token, *_ = result
        return base64.b64encode(f"{self._login}:{user}:{token}".encode()).decode()

    def _sent(self, send: Callable[[], httpx.Response]) -> httpx.Response:
        """Send, again where Tryton is out of reach or busy.

        Repeating a create is safe: the key is unique, and a second one is refused as a duplicate.
        """
        for attempt in stamina.retry_context(on=_pause, attempts=ATTEMPTS):
            with attempt:
                try:
                    answer = send()
                except httpx.TransportError as error:
                    raise CrmUnavailableError(type(error).__name__) from error
                if answer.status_code in BUSY:
                    raise _BusyError(retry_after(answer.headers.get("Retry-After")))
                return answer
        raise CrmUnavailableError  # pragma: no cover - the context raises or returns


class _BusyError(CrmUnavailableError):
    def __init__(self, after_seconds: float | None) -> None:
        super().__init__("Tryton is busy")
        self.after_seconds = after_seconds


def _pause(error: Exception) -> bool | float:
    if isinstance(error, _BusyError) and error.after_seconds is not None:
        return error.after_seconds
    return isinstance(error, CrmUnavailableError)


def _checked_json(answer: httpx.Response) -> Any:  # noqa: ANN401 - a JSON document of any shape
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        raise CrmUnauthorizedError("Tryton does not take our credentials")
    if not answer.is_success:
        # The page that comes with a 500 may quote values: it is not repeated here.
        raise CrmRefusedError(f"Tryton answered {answer.status_code}")
    try:
        return answer.json()
    except ValueError as error:
        raise CrmRefusedError("Tryton answered no JSON") from error
