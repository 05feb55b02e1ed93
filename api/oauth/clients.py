"""OAuth clients of organisations: who they are, and by which keys they are known."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.orm import Session

from api.oauth import refused_keys
from api.oauth.ext.clients import ConfidentialClient, jwks_fault
from api.oauth.ext.grant_management import QUERY_SCOPE, REVOKE_SCOPE
from api.oauth.ext.redirects import LOGIN_PARAMETERS, redirect_uri_fault
from api.oauth.models import Client
from consent import organisations
from consent.models import Organisation
from consent.requests import TYPE as DETAILS_TYPE
from consent.vocabulary import Standing
from pds.errors import Issue, NotFoundError, ValidationFailedError
from pds.ids import random_uuid
from pds.store import Sender

# What an organisation may do with a token of its own: everything, or answer for what it owes.
RESOURCE_SCOPES = ("organisation", "obligations")
SCOPES = (*RESOURCE_SCOPES, QUERY_SCOPE, REVOKE_SCOPE)
GRANT_TYPES = frozenset({"authorization_code", "refresh_token", "client_credentials"})
JWKS_KEPT_FOR = timedelta(minutes=10)  # what was fetched from a `jwks_uri` (THR-8)
FROZEN = (
    "organisation-frozen: its keys were reported stolen; it is served again when the operator has"
    " confirmed new ones"
)
_WITH_STANDING = (
    select(
        Client.id,
        Client.organisation_id,
        Client.name,
        Client.name_az,
        Client.name_en,
        Client.redirect_uris,
        Client.grant_types,
        Client.scopes,
        Client.jwks,
        Client.jwks_uri,
        Client.jwks_fetched_at,
        Organisation.standing,
        Organisation.is_frozen,
    )
    .join(Organisation, Organisation.id == Client.organisation_id)
    .where(Client.id == bindparam("b_id"))
)
_KEYS_KEPT = 2  # a rotation keeps the last set's newest key beside the new ones


@dataclass(frozen=True, slots=True)
class ClientRecord:
    """What the application keeps with a client that it hands to the protocol."""

    id: UUID
    organisation_id: UUID
    name: str
    names: Mapping[str, str] = field(default_factory=dict)  # by language, where it has some
    jwks_uri: str | None = None


def usable_jwks(
    client: Client | Row[*tuple[Any, ...]], *, now: datetime
) -> dict[str, list[dict[str, str]]]:
    """Return a client's keys; none if they were fetched too long ago."""
    jwks: dict[str, list[dict[str, str]]] = client.jwks
    if client.jwks_uri is None:
        return jwks
    fetched_at = client.jwks_fetched_at
    is_old = fetched_at is None or fetched_at + JWKS_KEPT_FOR <= now
    return {"keys": []} if is_old else jwks


def find(sender: Sender, client_id: str, *, now: datetime) -> ConfidentialClient | None:
    """Return a client, or None.

    One whose organisation is suspended or removed may still do what it owes (CM-7), and no more:
    it starts no request and refreshes no token. One whose organisation is frozen may do nothing:
    whoever signs may be the thief.
    """
    try:
        key = UUID(client_id)
    except ValueError:
        return None
    if str(key) != client_id:
        return None
    client = sender.execute(_WITH_STANDING, {"b_id": key}).one_or_none()
    if client is None:
        return None
    named = {"az": client.name_az, "en": client.name_en}
    names = {locale: name for locale, name in named.items() if name is not None}
    handle = ClientRecord(client.id, client.organisation_id, client.name, names, client.jwks_uri)
    jwks = usable_jwks(client, now=now)
    if client.is_frozen:
        return ConfidentialClient(
            client_id=client_id, jwks=jwks, grant_types=frozenset(), barred=FROZEN, handle=handle
        )
    if client.standing != Standing.GOOD:
        return ConfidentialClient(
            client_id=client_id,
            jwks=jwks,
            scopes=frozenset({"obligations"}),
            grant_types=frozenset({"client_credentials"}),
            handle=handle,
        )
    granted, scopes = client.grant_types, client.scopes
    return ConfidentialClient(
        client_id=client_id,
        jwks=jwks,
        redirect_uris=tuple(client.redirect_uris),
        scopes=frozenset(SCOPES if scopes is None else scopes),
        grant_types=GRANT_TYPES if granted is None else frozenset(granted),
        authorization_details_types=frozenset({DETAILS_TYPE}),
        handle=handle,
    )


def get(session: Session, client_id: UUID) -> Client:
    """Return a client.

    Raises:
        NotFoundError: there is none.
    """
    found = session.get(Client, client_id)
    if found is None:
        raise NotFoundError
    return found


def organisations_of(session: Session, ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Return whose clients these are, by the client's id; unknown ones are left out."""
    query = select(Client.id, Client.organisation_id).where(Client.id.in_(ids))
    return dict(session.execute(query).all())


def of_organisation(session: Session, organisation_id: UUID) -> list[Client]:
    """Return an organisation's clients, oldest first."""
    query = (
        select(Client)
        .where(Client.organisation_id == organisation_id)
        .order_by(Client.created_at, Client.id)
    )
    return list(session.scalars(query))


def create(
    session: Session,
    *,
    organisation_id: UUID,
    name: str,
    redirect_uris: Sequence[str],
    jwks: Mapping[str, Any],
    loopback: bool,
    now: datetime,
    initiate_login_uri: str | None = None,
    names: Mapping[str, str] | None = None,
    about: Mapping[str, str] | None = None,
    jwks_uri: str | None = None,
    grant_types: Sequence[str] | None = None,
    scopes: Sequence[str] | None = None,
) -> UUID:
    """Register a client; returns its id, which the server chooses (BCP-B12).

    Args:
        session: of the write job.
        organisation_id: whose client.
        name: as people see it.
        redirect_uris: compared character by character later.
        jwks: public keys; private members are refused.
        loopback: whether `http://127.0.0.1` is accepted as well (P-37).
        now: the instant.
        initiate_login_uri: where people whom it invited are sent; None: it does not invite.
        names: by language, where it has some.
        about: what else it registered of itself.
        jwks_uri: where the keys were fetched just now; None: they were registered.
        grant_types: of those that there are; None: all.
        scopes: likewise.

    Raises:
        ValidationFailedError: a URI or key cannot be registered.
    """
    issues = [
        Issue(f"redirect_uris.{position}", "redirect_uri", fault)
        for position, uri in enumerate(redirect_uris)
        if (fault := redirect_uri_fault(uri, loopback=loopback))
    ]
    if initiate_login_uri is not None and (
        fault := redirect_uri_fault(
            initiate_login_uri, loopback=loopback, reserved=LOGIN_PARAMETERS
        )
    ):
        issues.append(Issue("initiate_login_uri", "redirect_uri", fault))
    issues += _key_issues(session, jwks)
    if issues:
        raise ValidationFailedError(issues)
    client_id = random_uuid()
    session.execute(
        insert(Client).values(
            id=client_id,
            organisation_id=organisation_id,
            name=name,
            redirect_uris=list(redirect_uris),
            name_az=(names or {}).get("az"),
            name_en=(names or {}).get("en"),
            about=dict(about) if about is not None else None,
            initiate_login_uri=initiate_login_uri,
            jwks=dict(jwks),
            jwks_uri=jwks_uri,
            jwks_fetched_at=now if jwks_uri is not None else None,
            grant_types=list(grant_types) if grant_types is not None else None,
            scopes=list(scopes) if scopes is not None else None,
            created_at=now,
        )
    )
    return client_id


def rotate_keys(session: Session, client_id: UUID, jwks: Mapping[str, Any]) -> None:
    """Register new keys; the newest of the old ones stays for the overlap.

    Of an organisation that is frozen none stays, and what was behind a `jwks_uri` counts no more:
    that place may have been the thief's.

    Raises:
        NotFoundError: there is no such client.
        ValidationFailedError: a key cannot be registered, or the client publishes its own.
    """
    issues = _key_issues(session, jwks)
    if issues:
        raise ValidationFailedError(issues)
    client = get(session, client_id)
    if organisations.get(session, client.organisation_id).is_frozen:
        session.execute(
            update(Client)
            .where(Client.id == client_id)
            .values(jwks=dict(jwks), jwks_uri=None, jwks_fetched_at=None, jwks_tried_at=None)
        )
        return
    if client.jwks_uri is not None:
        detail = "the client publishes its keys at its jwks_uri"
        raise ValidationFailedError([Issue("jwks", "jwks_uri", detail)])
    fresh = list(jwks["keys"])
    known = {key.get("kid") for key in fresh}
    kept = [key for key in client.jwks["keys"] if key.get("kid") not in known]
    keys = fresh + kept[: max(0, _KEYS_KEPT - len(fresh))]
    session.execute(update(Client).where(Client.id == client_id).values(jwks={"keys": keys}))


def signing_keys(session: Session, organisation_id: UUID, *, now: datetime) -> dict[str, bytes]:
    """Return the Ed25519 keys with which an organisation signs documents, by `kid`."""
    return {
        key["kid"]: base64.urlsafe_b64decode(key["x"] + "=")
        for client in of_organisation(session, organisation_id)
        for key in usable_jwks(client, now=now)["keys"]
        if key.get("kty") == "OKP" and key.get("crv") == "Ed25519" and "kid" in key
    }


def _key_issues(session: Session, jwks: Mapping[str, Any]) -> list[Issue]:
    fault = jwks_fault(dict(jwks))
    if fault is None and len(refused_keys.accepted(session, jwks["keys"])) < len(jwks["keys"]):
        fault = "a key is refused: it was in use when an organisation was frozen"
    return [Issue("jwks", "jwks", fault)] if fault else []
