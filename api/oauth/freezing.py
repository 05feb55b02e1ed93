"""Freezing an organisation with all that its stolen keys could do here (ADR 0028).

    freeze   its row; its keys and those of its proofs are refused for ever; what was begun with
             them is over: its own tokens, pushed requests, registration tokens; webhooks rest
    thaw     only with new keys: every client has some, and none that is refused
    confirm  a person decided again: their grant goes on, and its tokens of before are gone

The number of statements does not depend on how many grants there are.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import delete, select, union, update
from sqlalchemy.orm import Session

from api.oauth import clients, refused_keys
from api.oauth.models import Client, PushedRequest, RegistrationToken, Token
from api.oauth.remote_keys import RemoteKeys
from consent import freezing, organisations
from consent.log.entries import EventLog
from consent.vocabulary import FreezeReason
from consent.webhooks import endpoints
from pds.clock import Clock
from pds.errors import ConflictError
from pds.store import Store


@dataclass(frozen=True, slots=True)
class ClientKeys:
    """The keys that a client would have after a thaw, by their thumbprints."""

    client_id: UUID
    name: str
    thumbprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FreezingService:
    """Freezes and thaws organisations."""

    store: Store
    clock: Clock
    log: EventLog
    remote: RemoteKeys

    def freeze(self, organisation_id: UUID, *, reason: FreezeReason) -> bool:
        """Freeze an organisation; tells whether it was not frozen yet.

        Effective with this method's return. Of one that is frozen, the keys that it was given
        since are refused as well.

        Raises:
            NotFoundError: there is none.
            ConflictError: it was removed.
        """
        now = self.clock.now()

        def job(session: Session) -> bool:
            is_new = freezing.freeze(session, self.log, organisation_id, reason=reason, now=now)
            found = clients.of_organisation(session, organisation_id)
            ids = [client.id for client in found]
            known = {refused_keys.thumbprint(key) for one in found for key in one.jwks["keys"]}
            proved = select(Token.jkt).where(Token.client_id.in_(ids), Token.jkt.is_not(None))
            pushed = select(PushedRequest.dpop_jkt).where(
                PushedRequest.client_id.in_(ids), PushedRequest.dpop_jkt.is_not(None)
            )
            known.update(each for each in session.scalars(union(proved, pushed)) if each)
            refused_keys.refuse(session, known, now=now)
            session.execute(delete(Token).where(Token.client_id.in_(ids), Token.grant_id.is_(None)))
            session.execute(
                update(PushedRequest)
                .where(PushedRequest.client_id.in_(ids), PushedRequest.spent_at.is_(None))
                .values(spent_at=now)
            )
            session.execute(
                update(RegistrationToken)
                .where(RegistrationToken.organisation_id == organisation_id)
                .values(uses_left=0)
            )
            endpoints.disable_all(session, organisation_id, endpoints.DisabledReason.FROZEN)
            return is_new

        return self.store.write(job)

    def keys(self, organisation_id: UUID) -> list[ClientKeys]:
        """Return what keys an organisation's clients have that are not refused.

        Those behind a `jwks_uri` are fetched now.

        Raises:
            NotFoundError: there is no such organisation.
        """
        with self.store.read() as session:
            organisations.get(session, organisation_id)
            found = clients.of_organisation(session, organisation_id)
        for client in found:
            if client.jwks_uri is not None:
                self.remote.renew(client.id, client.jwks_uri)
        with self.store.read() as session:
            return _keys(session, organisation_id)

    def thaw(self, organisation_id: UUID, confirmed: list[ClientKeys]) -> bool:
        """Serve an organisation again under the keys that were confirmed with it.

        Raises:
            NotFoundError: there is none.
            ConflictError: a client has no new key, still has a refused one, or others than those
                confirmed.
        """
        now = self.clock.now()

        def job(session: Session) -> bool:
            is_new = freezing.thaw(session, self.log, organisation_id, now=now)
            found = _keys(session, organisation_id)
            if found != confirmed:
                raise ConflictError("its keys have changed meanwhile; look at them again")
            for each in found:
                if not each.thumbprints:
                    raise ConflictError(f"client {each.client_id} has no new key; rotate it first")
            for client in clients.of_organisation(session, organisation_id):
                keys = refused_keys.accepted(session, client.jwks["keys"])
                session.execute(
                    update(Client).where(Client.id == client.id).values(jwks={"keys": keys})
                )
            return is_new

        return self.store.write(job)


def _keys(session: Session, organisation_id: UUID) -> list[ClientKeys]:
    return [
        ClientKeys(
            client.id,
            client.name,
            tuple(
                refused_keys.thumbprint(key)
                for key in refused_keys.accepted(session, client.jwks["keys"])
            ),
        )
        for client in clients.of_organisation(session, organisation_id)
    ]
