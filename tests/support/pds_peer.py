"""A personal data store in memory that speaks the real HTTP interface to an organisation.

It checks what the real one checks (client assertions, DPoP proofs, replays, token binding) and lets
a test play the people: grant, change, withdraw, narrow, pause. It is a WSGI application: in a test
it answers through `httpx.WSGITransport`, or on a loopback port for another process.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import secrets
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Thread
from urllib.parse import parse_qs, urlencode

import httpx
from flask import Flask, Response, jsonify, redirect, request
from joserfc import jwt
from joserfc.jwk import import_key
from werkzeug.serving import make_server

from consent.formats import deletion_receipt
from consent.formats import obligation_answer as answers

START = datetime(2030, 1, 1, 12, 0, tzinfo=UTC)


class FrozenClock:
    """A clock that moves when told, and while somebody sleeps."""

    def __init__(self, now: datetime = START) -> None:
        self.instant = now
        self.slept = 0.0

    def now(self) -> datetime:
        return self.instant

    def sleep(self, seconds: float) -> None:
        self.slept += max(0.0, seconds)
        self.forward(seconds=max(0.0, seconds))

    def forward(self, **duration: float) -> None:
        self.instant += timedelta(**duration)


@dataclass
class PeerConnection:
    """One person's consent, as the server holds it."""

    id: str
    grant_id: str
    agreement_id: str
    attributes: set[str]
    expires_at: datetime
    refresh_token: str
    records: dict[tuple[str, str], dict] = field(default_factory=dict)
    version: int = 1
    state: str = "active"
    feed: int = 0
    tokens_valid: bool = True
    is_fetched: bool = False  # the one access that was agreed has been had
    reads: int = 0
    log_seq: int = 0

    def sha256(self) -> str:
        return hashlib.sha256(f"{self.agreement_id}{self.version}".encode()).hexdigest()

    def agreement(self) -> dict:
        return {"id": self.agreement_id, "version": self.version, "sha256": self.sha256()}


ENDED = {
    "withdrawn": "consent-withdrawn",
    "expired": "consent-expired",
    "terminated": "vault-deleted",
    "suspended": "consent-paused",
    "fulfilled": "consent-fulfilled",
}


def refusal_of(connection) -> str | None:
    """Return the problem's code that a read would be refused with, or None."""
    fetched = "consent-fulfilled" if connection.is_fetched else None
    return ENDED.get(connection.state, fetched)


class PDSPeer:
    """The server; attributes and methods below the routes are the test's side of it."""

    def __init__(self, clock, *, issuer: str = "https://vault.test", page_size: int = 3) -> None:
        self.clock = clock
        self.issuer = issuer
        self.page_size = page_size
        self.clients: dict[str, list[dict]] = {}
        self.connections: dict[str, PeerConnection] = {}
        self.changes: list[dict] = []
        self.oldest_feed = 0
        self.obligations: dict[str, dict] = {}
        self.confirmations: list[tuple[str, dict]] = []
        self.requests: list[tuple[str, str]] = []
        self.failures: list[tuple[str, Response]] = []  # (path prefix, answer), used up in order
        self.is_down = False
        self.is_excluded = False
        self.omit_log_entry = False
        self.extra_collections: dict[str, dict] = {}
        self.manifest_changes: dict[str, list] = {}
        self.before_answer = lambda _path: None
        self._numbers = itertools.count(1)
        self._seen_jti: set[tuple[str, str]] = set()
        self._access: dict[str, dict] = {}
        self._pushed: dict[str, dict] = {}
        self._codes: dict[str, dict] = {}
        self.decision = "allow"
        self.app = self._app()

    # -- the test's side ---------------------------------------------------------------------

    def transport(self) -> httpx.BaseTransport:
        return _Transport(self)

    @contextmanager
    def served(self):
        """Serve on a loopback port; the issuer becomes that URL."""
        server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self.issuer
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def register(self, client_id: str, public_jwk: dict) -> None:
        self.clients[client_id] = [public_jwk]

    def grant(self, data: dict[str, dict], *, attributes=None, days: float = 30) -> PeerConnection:
        """Let a person consent; `data` is collection -> members of its one record."""
        number = next(self._numbers)
        names = {f"{name}.{member}" for name, members in data.items() for member in members}
        connection = PeerConnection(
            id=f"connection-{number}",
            grant_id=f"grant-{number}",
            agreement_id=f"agreement-{number}",
            attributes=set(attributes or names),
            expires_at=self.clock.now() + timedelta(days=days),
            refresh_token=f"pds_rt.{secrets.token_urlsafe(24)}",
        )
        self.connections[connection.id] = connection
        for collection, members in data.items():
            self._put(connection, collection, "1", members)
        self._announce(connection, "consent")
        return connection

    def change(self, connection, collection: str, *, record: str = "1", **members) -> None:
        old = connection.records.get((collection, record), {"data": {}})["data"]
        merged = {**old, **members}
        kept = {name: value for name, value in merged.items() if value is not None}
        self._put(connection, collection, record, kept)
        self._announce(connection, "data")

    def touch(self, connection) -> None:
        self._announce(connection, "data")

    def withdraw(self, connection, *, state: str = "withdrawn", silently: bool = False) -> str:
        """End a consent; returns the obligation to delete. `silently` leaves the feed out."""
        connection.state = state
        if not silently:
            self._announce(connection, "consent")
        return self._oblige(connection)

    def exclude(self) -> list[str]:
        """Suspend the organisation: its tokens go, its consents end; returns what it owes."""
        self.is_excluded = True
        self._access.clear()
        return [
            self.withdraw(connection, state="terminated", silently=True)
            for connection in self.connections.values()
        ]

    def renew(self, connection, *, days: float = 30) -> None:
        """Let the person consent again to the same template: same connection, new grant."""
        number = next(self._numbers)
        connection.state, connection.version = "active", 1
        connection.agreement_id, connection.grant_id = f"agreement-{number}", f"grant-{number}"
        connection.refresh_token = f"pds_rt.{secrets.token_urlsafe(24)}"
        connection.expires_at = self.clock.now() + timedelta(days=days)
        self._announce(connection, "consent")

    def narrow(self, connection, *attributes: str) -> None:
        connection.attributes -= set(attributes)
        connection.version += 1
        self._announce(connection, "consent")

    def pause(self, connection) -> None:
        connection.state = "suspended"
        self._announce(connection, "consent")

    def resume(self, connection) -> None:
        connection.state = "active"
        self._announce(connection, "consent")

    def forget_feed(self) -> None:
        """Drop the feed's history: older cursors are gone (410)."""
        self.oldest_feed = len(self.changes)

    def fail(self, prefix: str, status: int, *, code: str = "x", times: int = 1, **headers) -> None:
        answer = self._problem(status, code)
        for name, value in headers.items():
            answer.headers[name.replace("_", "-")] = value
        self.failures += [(prefix, answer)] * times

    def count(self, path: str) -> int:
        return sum(1 for _, seen in self.requests if seen.startswith(path))

    def _put(self, connection, collection, record, members) -> None:
        old = connection.records.get((collection, record), {"version": 0})
        connection.records[(collection, record)] = {
            "collection": collection,
            "id": record,
            "version": old["version"] + 1,
            "changed_at": "2030-01-01T12:00:00Z",
            "deleted": False,
            "author": {"kind": "owner"},
            "data": members,
        }

    def _announce(self, connection, kind) -> None:
        self.changes.append({"connection": connection.id, "kind": kind, "state": connection.state})
        connection.feed = len(self.changes)
        self.changes[-1]["feed"] = connection.feed

    def _oblige(self, connection, kind: str = "delete") -> str:
        number = f"obligation-{len(self.obligations) + 1}"
        self.obligations[number] = {
            "id": number,
            "connection": connection.id,
            "agreement": {"id": connection.agreement_id},
            "kind": kind,
            "due_at": _text(self.clock.now() + timedelta(hours=72)),
            "state": "due",
        }
        return number

    # -- the wire ----------------------------------------------------------------------------

    def _app(self) -> Flask:
        app = Flask(__name__)
        app.before_request(self._before)
        rules = (
            ("/.well-known/oauth-authorization-server", "GET", self._metadata),
            ("/oauth/par", "POST", self._par),
            ("/oauth/authorize", "GET", self._authorize),
            ("/oauth/token", "POST", self._token),
            ("/v1/connections", "GET", self._connections),
            ("/v1/changes", "GET", self._changes),
            ("/v1/obligations", "GET", self._obligations),
            ("/v1/obligations/<number>/confirmation", "POST", self._confirm),
            ("/v1/grant", "GET", self._grant),
            ("/v1/records", "GET", self._records),
        )
        for rule, method, view in rules:
            app.add_url_rule(rule, endpoint=rule, view_func=view, methods=[method])
        return app

    def _before(self):
        self.requests.append((request.method, request.path))
        self.before_answer(request.path)
        for index, (prefix, answer) in enumerate(self.failures):
            if request.path.startswith(prefix):
                del self.failures[index]
                return answer
        return None

    def _problem(self, status: int, code: str) -> Response:
        body = {"type": f"{self.issuer}/docs/errors/{code}", "title": code, "status": status}
        return Response(json.dumps(body), status, mimetype="application/problem+json")

    def _oauth_error(self, code: str, status: int = 400) -> Response:
        return Response(json.dumps({"error": code}), status, mimetype="application/json")

    def _metadata(self):
        return jsonify(
            issuer=self.issuer,
            token_endpoint=f"{self.issuer}/oauth/token",
            pushed_authorization_request_endpoint=f"{self.issuer}/oauth/par",
            authorization_endpoint=f"{self.issuer}/oauth/authorize",
        )

    def _client(self) -> str | None:
        form = request.form
        client_id = form.get("client_id", "")
        for jwk in self.clients.get(client_id, ()):
            key = import_key(jwk)
            try:
                token = jwt.decode(form["client_assertion"], key, algorithms=["Ed25519", "ES256"])
            except ValueError:
                return None
            claims = token.claims
            now = self.clock.now().timestamp()
            is_right = (
                claims["iss"] == claims["sub"] == client_id
                and claims["aud"] == self.issuer
                and now - 60 <= claims["iat"] <= now + 10 < claims["exp"] + 60
                and self._once("assertion", claims["jti"])
            )
            return client_id if is_right else None
        return None

    def _proof_jkt(self, *, token: str | None = None) -> str | None:
        proof = request.headers.get("DPoP", "")
        try:
            header = json.loads(_unb64(proof.split(".")[0]))
            key = import_key(header["jwk"])
            claims = jwt.decode(proof, key, algorithms=["Ed25519", "ES256"]).claims
        except (ValueError, KeyError, IndexError):
            return None
        ath = token and _b64(hashlib.sha256(token.encode()).digest())
        is_right = (
            header["typ"] == "dpop+jwt"
            and not {"d", "p", "q", "k"} & set(header["jwk"])
            and claims["htm"] == request.method
            and claims["htu"] == f"{self.issuer}{request.path}"
            and -60 <= self.clock.now().timestamp() - claims["iat"] <= 60
            and claims.get("ath") == ath
            and self._once("proof", claims["jti"])
        )
        return key.thumbprint() if is_right else None

    def _once(self, kind: str, jti: str) -> bool:
        is_new = (kind, jti) not in self._seen_jti
        self._seen_jti.add((kind, jti))
        return is_new

    def _par(self):
        client_id, jkt = self._client(), self._proof_jkt()
        if client_id is None or jkt is None:
            return self._oauth_error("invalid_client", 401)
        uri = f"urn:ietf:params:oauth:request_uri:{secrets.token_urlsafe(16)}"
        self._pushed[uri] = {**request.form, "jkt": jkt}
        return Response(
            json.dumps({"request_uri": uri, "expires_in": 90}), 201, mimetype="application/json"
        )

    def _authorize(self):
        pushed = self._pushed.pop(request.args["request_uri"])
        answer = {"state": pushed["state"], "iss": self.issuer}
        if self.decision == "allow":
            code = secrets.token_urlsafe(16)
            self._codes[code] = pushed
            answer["code"] = code
        else:
            answer["error"] = "access_denied"
        return redirect(f"{pushed['redirect_uri']}?{urlencode(answer)}")

    def answer_of(self, url: str) -> dict[str, str]:
        """Play the browser: return the parameters that the redirect carries."""
        with self.app.test_client() as browser:
            location = browser.get(url.removeprefix(self.issuer)).headers["Location"]
        query = location.partition("?")[2]
        return {name: values[0] for name, values in parse_qs(query).items()}

    def _token(self):
        client_id, jkt = self._client(), self._proof_jkt()
        if client_id is None:
            return self._oauth_error("invalid_client", 401)
        if jkt is None:
            return self._oauth_error("invalid_dpop_proof")
        grant_type = request.form["grant_type"]
        if grant_type == "client_credentials":
            return self._client_credentials(jkt)
        if grant_type == "authorization_code":
            return self._redeem(jkt)
        found = [
            connection
            for connection in self.connections.values()
            if connection.refresh_token == request.form["refresh_token"]
            and connection.tokens_valid
            and connection.state not in {"withdrawn", "terminated", "expired"}
        ]
        if not found:
            return self._oauth_error("invalid_grant")
        return self._issue({"jkt": jkt, "connection": found[0].id})

    def _client_credentials(self, jkt: str):
        scopes = request.form["scope"].split()
        if self.is_excluded and "organisation" in scopes:
            return self._oauth_error("invalid_scope")
        return self._issue({"jkt": jkt, "scopes": scopes})

    def _redeem(self, jkt: str):
        pushed = self._codes.pop(request.form["code"], None)
        challenge = _b64(hashlib.sha256(request.form["code_verifier"].encode()).digest())
        if (
            pushed is None
            or pushed["code_challenge"] != challenge
            or pushed["jkt"] != jkt
            or pushed["redirect_uri"] != request.form["redirect_uri"]
        ):
            return self._oauth_error("invalid_grant")
        (details,) = json.loads(pushed["authorization_details"])
        data: dict[str, dict] = {}
        for name in details["attributes"]:
            collection, _, member = name.partition(".")
            data.setdefault(collection, {})[member] = f"{member} of the new person"
        connection = self.grant(data)
        return self._issue(
            {"jkt": jkt, "connection": connection.id},
            refresh_token=connection.refresh_token,
            grant_id=connection.grant_id,
            authorization_details=[details],
        )

    def _issue(self, token: dict, **more):
        text = f"pds_at.{secrets.token_urlsafe(24)}"
        self._access[text] = {**token, "until": self.clock.now() + timedelta(seconds=600)}
        return jsonify(access_token=text, token_type="DPoP", expires_in=600, **more)

    def _holder(self) -> dict | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        token = self._access.get(text)
        if scheme != "DPoP" or token is None or token["until"] <= self.clock.now():
            return None
        return token if self._proof_jkt(token=text) == token["jkt"] else None

    def _refused(self, scope: str):
        """Return the refusal of a token that is not an organisation's with this scope, or None."""
        holder = self._holder()
        if holder is None or "scopes" not in holder:
            return self._unauthorised()
        return None if scope in holder["scopes"] else self._problem(403, "insufficient-scope")

    def _unauthorised(self):
        return self._problem(401, "invalid-token")

    def _connections(self):
        if refusal := self._refused("organisation"):
            return refusal
        start = int(request.args.get("cursor", 0))
        everyone = list(self.connections.values())
        page = everyone[start : start + self.page_size]
        has_more = start + self.page_size < len(everyone)
        return jsonify(
            connections=[
                {
                    "id": connection.id,
                    "sub": f"sub-{connection.id}",
                    "agreement": connection.agreement(),
                    "template": {"id": "template-1", "sha256": "0" * 64},
                    "state": connection.state,
                    "grant_id": connection.grant_id,
                    "expires_at": _text(connection.expires_at),
                    "feed": connection.feed,
                }
                for connection in page
            ],
            next_cursor=str(start + self.page_size) if has_more else None,
            has_more=has_more,
        )

    def _changes(self):
        if refusal := self._refused("organisation"):
            return refusal
        after = int(request.args["after"])
        if after < self.oldest_feed:
            return self._problem(410, "cursor-expired")
        page = self.changes[after : after + self.page_size]
        last = after + len(page)
        return jsonify(changes=page, last=last, has_more=last < len(self.changes))

    def _obligations(self):
        if refusal := self._refused("obligations"):
            return refusal
        due = [item for item in self.obligations.values() if item["state"] == "due"]
        return jsonify(obligations=due)

    def _confirm(self, number):
        if refusal := self._refused("obligations"):
            return refusal
        if number not in self.obligations:
            return self._problem(404, "not-found")
        receipt = request.get_json()
        keys = {jwk["kid"]: _unb64(jwk["x"]) for jwks in self.clients.values() for jwk in jwks}
        form = {"pds-deletion-receipt/1": deletion_receipt, "pds-obligation-answer/1": answers}
        form[receipt["type"]].verify(receipt, keys)
        self.confirmations.append((number, receipt))
        if receipt["outcome"] != "blocked":
            is_done = receipt["outcome"] in {"erased", "done"}
            self.obligations[number]["state"] = "fulfilled" if is_done else "retained_with_basis"
        return jsonify(id=number, state=self.obligations[number]["state"])

    def _of_token(self):
        holder = self._holder()
        connection = self.connections.get((holder or {}).get("connection", ""))
        if connection is None or not connection.tokens_valid:
            return None, self._unauthorised()
        return connection, None

    def _grant(self):
        connection, refusal = self._of_token()
        if connection is None:
            return refusal
        reason = refusal_of(connection)
        return jsonify(
            grant_id=connection.grant_id,
            connection=connection.id,
            agreement=connection.agreement(),
            attributes=sorted(connection.attributes),
            withheld=[],
            state=connection.state,
            usable=reason is None,
            reason=reason,
            expires_at=_text(connection.expires_at),
        )

    def _records(self):
        connection, refusal = self._of_token()
        if connection is None:
            return refusal
        if reason := refusal_of(connection):
            return self._problem(403, reason)
        connection.reads += 1
        connection.log_seq += 1
        start = int(request.args.get("cursor", 0))
        everything = [self._agreed(connection, item) for item in connection.records.values()]
        for collection, members in self.extra_collections.items():
            everything.append({**next(iter(everything)), "collection": collection, "data": members})
        page = everything[start : start + self.page_size]
        has_more = start + self.page_size < len(everything)
        there = {f"{item['collection']}.{name}" for item in page for name in item["data"]}
        manifest = {
            "asked": sorted(connection.attributes),
            "agreed": sorted(connection.attributes),
            "delivered": sorted(there & connection.attributes),
            "withheld": [],
        }
        answer = jsonify(
            grant_id=connection.grant_id,
            agreement={"id": connection.agreement_id, "version": connection.version},
            records=page,
            manifest=manifest | self.manifest_changes,
            next_cursor=str(start + self.page_size),
            has_more=has_more,
        )
        if not self.omit_log_entry:
            answer.headers["PDS-Log-Entry"] = f"g.{connection.grant_id}/{connection.log_seq}"
        answer.headers["ETag"] = f'"{secrets.token_hex(4)}"'
        return answer

    def _agreed(self, connection, item):
        collection = item["collection"]
        always = {"label", "primary", "verified"}
        data = {
            name: value
            for name, value in item["data"].items()
            if f"{collection}.{name}" in connection.attributes or name in always
        }
        return {**item, "data": data}


class _Transport(httpx.WSGITransport):
    def __init__(self, peer: PDSPeer) -> None:
        super().__init__(app=peer.app)
        self._peer = peer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._peer.is_down:
            raise httpx.ConnectError("down", request=request)
        return super().handle_request(request)


def _text(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
