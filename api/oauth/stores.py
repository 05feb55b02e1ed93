"""What the protocol remembers between two requests, in the store every worker shares (P-45)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from authlib.oauth2.rfc6749 import UnauthorizedClientError
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from api.oauth import clients
from api.oauth.ext.par_rfc9126 import REQUEST_URI_PREFIX, TooManyRequestsError
from api.oauth.ext.par_rfc9126 import PushedRequest as Pushed
from api.oauth.ext.replay import OneTimeValue
from api.oauth.models import PushedRequest, Replay
from consent import organisations
from pds.clock import Clock
from pds.crypto.labels import TOKEN_LOOKUP, derive
from pds.errors import ConflictError
from pds.ids import IdFactory
from pds.store import Sender, Store, connection_of

# Requests of one client that nobody has decided on: more than people can open while they live.
MOST_WAITING = 2_000
_INSERT_REPLAY = {
    "sqlite": sqlite_insert(Replay).on_conflict_do_nothing().returning(Replay.bucket),
    "postgresql": postgresql_insert(Replay).on_conflict_do_nothing().returning(Replay.bucket),
}
_BEFORE_ANY_VAULT = 0  # the bucket of what comes before one is known
_SECRET_BYTES = 32
_URI_CHARACTERS = len(REQUEST_URI_PREFIX) + 32 + 2 * _SECRET_BYTES


def insert_replay(  # noqa: PLR0917 - one row
    sender: Sender, bucket: int, kind: str, subject: str, jti_hash: bytes, expires_at: datetime
) -> bool:
    """Record a one-time value; False if it was there already (DPoP-D23)."""
    connection = connection_of(sender)
    row = {
        "bucket": bucket,
        "kind": kind,
        "subject": subject,
        "jti_hash": jti_hash,
        "expires_at": expires_at,
    }
    statement = _INSERT_REPLAY[connection.dialect.name]
    return connection.execute(statement, row).one_or_none() is not None


def use_up(sender: Sender, values: Sequence[OneTimeValue]) -> OneTimeValue | None:
    """Record one-time values in their order; return the first that was there already, or None."""
    for value in values:
        until = datetime.fromtimestamp(value.expires_at, UTC)
        if not insert_replay(
            sender, _BEFORE_ANY_VAULT, value.kind, value.subject, value.jti_hash, until
        ):
            return value
    return None


@dataclass(frozen=True, slots=True)
class ReplayTable:
    """One-time values of client assertions and proofs at the authorization server."""

    store: Store

    def use_up(self, values: Sequence[OneTimeValue]) -> OneTimeValue | None:
        """As the function, in a transaction of its own."""
        return self.store.write_rows(lambda rows: use_up(rows, values)) if values else None


@dataclass(frozen=True, slots=True)
class PushedRequestTable:
    """Pushed authorization requests; the URI is a row id and a secret of 256 bits."""

    store: Store
    ids: IdFactory
    clock: Clock

    def save(
        self, client_id: str, payload: Mapping[str, str], dpop_jkt: str | None, expires_in: int
    ) -> str:
        """Store a request for `expires_in` seconds; return its `request_uri`."""
        request_id, secret = self.ids.new(0), secrets.token_bytes(_SECRET_BYTES)
        expires_at = self.clock.now() + timedelta(seconds=expires_in)
        values = {
            "id": request_id,
            "verifier": derive(secret, TOKEN_LOOKUP, b"request_uri"),
            "client_id": UUID(client_id),
            "payload": dict(payload),
            "dpop_jkt": dpop_jkt,
            "expires_at": expires_at,
        }

        def job(session: Session) -> None:
            # Its organisation's row is held: a freeze ends every request that was pushed before it.
            organisation_id = clients.get(session, UUID(client_id)).organisation_id
            if organisations.hold(session, organisation_id).is_frozen:
                raise UnauthorizedClientError(description=clients.FROZEN)
            waiting = select(func.count()).where(
                PushedRequest.client_id == values["client_id"],
                PushedRequest.expires_at > self.clock.now(),
                PushedRequest.spent_at.is_(None),
            )
            if session.execute(waiting).scalar_one() >= MOST_WAITING:
                raise TooManyRequestsError(retry_after_seconds=expires_in)
            session.execute(insert(PushedRequest).values(**values))

        self.store.write(job)
        return f"{REQUEST_URI_PREFIX}{request_id.hex}{secret.hex()}"

    def load(self, request_uri: str, client_id: str) -> Pushed | None:
        """Return the request if it is this client's, alive and not spent, else None."""
        row = self.row(request_uri, client_id)
        return None if row is None else Pushed(row.payload, row.dpop_jkt)

    def row(self, request_uri: str, client_id: str) -> PushedRequest | None:
        """As `load`, with the row."""
        parsed = _parse(request_uri)
        if parsed is None:
            return None
        request_id, secret = parsed
        with self.store.read() as session:
            row = session.scalars(
                select(PushedRequest).where(PushedRequest.id == request_id)
            ).one_or_none()
        if row is None or row.spent_at is not None or row.expires_at <= self.clock.now():
            return None
        genuine = secrets.compare_digest(row.verifier, derive(secret, TOKEN_LOOKUP, b"request_uri"))
        return row if genuine and str(row.client_id) == client_id else None

    def bind(self, request_id: UUID, sign_in: UUID) -> bool:
        """Bind a request to the sign-in session that first opened it (THR-7).

        Returns False if another session was first.
        """

        def job(session: Session) -> bool:
            bound = session.execute(
                update(PushedRequest)
                .where(
                    PushedRequest.id == request_id,
                    PushedRequest.sign_in.is_(None) | (PushedRequest.sign_in == sign_in),
                )
                .values(sign_in=sign_in)
                .returning(PushedRequest.id)
            )
            return bound.one_or_none() is not None

        return self.store.write(job)

    def spend(self, session: Session, request_id: UUID) -> None:
        """Spend a request with its authorization, once (DEC-5).

        Raises:
            ConflictError: it was spent already, in another tab or at the same moment.
        """
        spent = session.execute(
            update(PushedRequest)
            .where(PushedRequest.id == request_id, PushedRequest.spent_at.is_(None))
            .values(spent_at=self.clock.now())
            .returning(PushedRequest.id)
        ).one_or_none()
        if spent is None:
            raise ConflictError("this request was decided already")


def open_until(session: Session, pushed: Sequence[UUID], *, now: datetime) -> dict[UUID, datetime]:
    """Return until when pushed requests can be opened, by their ids; of those that still can."""
    query = select(PushedRequest.id, PushedRequest.expires_at).where(
        PushedRequest.id.in_(pushed),
        PushedRequest.spent_at.is_(None),
        PushedRequest.expires_at > now,
    )
    return dict(session.execute(query).all())


def _parse(request_uri: str) -> tuple[UUID, bytes] | None:
    if len(request_uri) != _URI_CHARACTERS or not request_uri.startswith(REQUEST_URI_PREFIX):
        return None
    text = request_uri.removeprefix(REQUEST_URI_PREFIX)
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return None
    return UUID(bytes=raw[:16]), raw[16:]
