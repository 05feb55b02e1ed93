"""Connections as last heard of, and the credentials that open them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Row, delete, select, update

from connector.keys import ConnectorKeys
from connector.pds import models
from connector.state.rows import put
from connector.state.schema import connection, credential
from consent.formats.reconciliation import Terms


@dataclass(frozen=True, slots=True)
class KnownConnection:
    """A row of `connection`; see the schema for what the columns mean."""

    id: str
    grant_id: str
    agreement: models.Agreement
    state: str
    attributes: frozenset[str] | None
    terms: Terms | None
    expires_at: datetime
    epoch: int
    life: int
    checked_at: datetime | None
    is_stale: bool
    consent_feed: int

    @property
    def is_active(self) -> bool:
        """Tell whether the last word of the server was that this consent lives."""
        return self.state == models.ConnectionState.ACTIVE


@dataclass(frozen=True, slots=True)
class Connections:
    """The connections within one transaction."""

    sql: Connection
    keys: ConnectorKeys

    def find(self, connection_id: str) -> KnownConnection | None:
        """Return a connection, or None."""
        row = self.sql.execute(
            select(connection).where(connection.c.id == connection_id)
        ).one_or_none()
        return None if row is None else _known(row)

    def all(self) -> list[KnownConnection]:
        """Return every connection, by id."""
        return [_known(row) for row in self.sql.execute(select(connection).order_by("id"))]

    def expired(self, now: datetime) -> list[KnownConnection]:
        """Return those that nobody ended yet, but whose time is over (the end is exclusive)."""
        alive = connection.c.state.not_in(sorted(models.ENDED_STATES))
        query = select(connection).where(alive, connection.c.expires_at <= now)
        return [_known(row) for row in self.sql.execute(query.order_by("id"))]

    def stale(self) -> list[KnownConnection]:
        """Return active ones whose terms must be asked for before anything is done."""
        query = select(connection).where(
            connection.c.state == models.ConnectionState.ACTIVE, connection.c.is_stale
        )
        return [_known(row) for row in self.sql.execute(query.order_by("id"))]

    def put_listed(self, listed: models.Connection) -> None:
        """Take over what the list says; what it changes must be asked for in full."""
        known = self.find(listed.id)
        values: dict[str, object] = {
            "id": listed.id,
            "grant_id": listed.grant_id,
            "state": listed.state,
            "expires_at": listed.expires_at,
            "agreement_id": listed.agreement.id,
            "agreement_version": listed.agreement.version,
            "agreement_sha256": listed.agreement.sha256,
            "consent_feed": listed.feed,
        }
        if known is None:
            values |= {"epoch": 1, "life": 1, "is_stale": True}
        elif (known.agreement, known.grant_id) != (listed.agreement, listed.grant_id):
            values |= {"epoch": known.epoch + 1, "is_stale": True}
        elif not known.is_active:
            values["is_stale"] = True
        put(self.sql, connection, values)

    def put_grant(self, known: KnownConnection, grant: models.Grant) -> None:
        """Take over what `/v1/grant` said; a change of terms raises the epoch."""
        is_change = (known.agreement, known.attributes) != (grant.agreement, grant.attributes)
        self._update(
            known.id,
            state=grant.state,
            attributes=sorted(grant.attributes),
            terms=grant.terms.to_document(),
            expires_at=grant.expires_at,
            is_stale=False,
            epoch=known.epoch + 1 if is_change else known.epoch,
            agreement_id=grant.agreement.id,
            agreement_version=grant.agreement.version,
            agreement_sha256=grant.agreement.sha256,
        )

    def put_state(self, connection_id: str, state: str) -> None:
        """Note a state that neither allows nor ends anything, such as a pause."""
        known = self.find(connection_id)
        if known is not None and known.state != state:
            self._update(known.id, state=state, epoch=known.epoch + 1, is_stale=True)

    def put_checked(self, connection_id: str, *, checked_at: datetime) -> None:
        """Note that the server just confirmed the terms as we know them."""
        self._update(connection_id, checked_at=checked_at)

    def mark_stale(self, connection_id: str) -> None:
        """Let the terms be asked for before anything is done."""
        self._update(connection_id, is_stale=True)

    def put_consent_feed(self, connection_id: str, feed: int) -> None:
        """Note that what the feed says of this consent was acted upon up to a number."""
        self._update(connection_id, consent_feed=feed)

    def end(self, known: KnownConnection, state: str) -> None:
        """Close this life of a connection: planned writes and its key are void from now on."""
        self._update(known.id, state=state, epoch=known.epoch + 1, life=known.life + 1)
        self.sql.execute(
            update(connection)
            .where(connection.c.id == known.id)
            .values(attributes=None, terms=None)
        )
        self.sql.execute(delete(credential).where(credential.c.name == _place(known.grant_id)))

    def begin_life(self, known: KnownConnection) -> None:
        """Close a life whose end went unnoticed, while the connection lives on."""
        self._update(known.id, epoch=known.epoch + 1, life=known.life + 1, is_stale=True)

    def put_refresh_token(self, grant_id: str, refresh_token: str) -> None:
        """Keep a grant's refresh token, sealed."""
        self.put_secret(_place(grant_id), refresh_token.encode())

    def refresh_token(self, grant_id: str) -> str | None:
        """Return a grant's refresh token, or None if this connector never got one.

        Raises:
            StateError: it was sealed with another secret.
        """
        secret = self.secret(_place(grant_id))
        return None if secret is None else secret.decode()

    def has_refresh_token(self, grant_id: str) -> bool:
        """Tell whether there is a refresh token, without opening it."""
        query = select(credential.c.name).where(credential.c.name == _place(grant_id))
        return self.sql.execute(query).one_or_none() is not None

    def put_secret(self, name: str, secret: bytes) -> None:
        """Keep a secret under a name, sealed for that name."""
        put(self.sql, credential, {"name": name, "sealed": self.keys.seal(secret, place=name)})

    def secret(self, name: str) -> bytes | None:
        """Return a secret, or None."""
        query = select(credential.c.sealed).where(credential.c.name == name)
        sealed = self.sql.execute(query).scalar_one_or_none()
        return None if sealed is None else self.keys.open_sealed(sealed, place=name)

    def _update(self, connection_id: str, **values: object) -> None:
        self.sql.execute(
            update(connection).where(connection.c.id == connection_id).values(**values)
        )


def _place(grant_id: str) -> str:
    return f"grant:{grant_id}"


def _known(row: Row[tuple[object, ...]]) -> KnownConnection:
    return KnownConnection(
        id=row.id,
        grant_id=row.grant_id,
        agreement=models.Agreement(row.agreement_id, row.agreement_version, row.agreement_sha256),
        state=row.state,
        attributes=None if row.attributes is None else frozenset(row.attributes),
        terms=None if row.terms is None else Terms.from_document(row.terms),
        expires_at=row.expires_at,
        epoch=row.epoch,
        life=row.life,
        checked_at=row.checked_at,
        is_stale=row.is_stale,
        consent_feed=row.consent_feed,
    )
