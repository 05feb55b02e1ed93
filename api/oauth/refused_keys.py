"""Keys that are refused for ever: those that an organisation had as it was frozen (ADR 0028).

By their RFC 7638 thumbprints, whoever brings them, and however: to sign an assertion or as the key
of a proof, registered, rotated in, or published behind a `jwks_uri`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session

from api.oauth.ext.clients import suits
from api.oauth.ext.compact_jws import ALGORITHMS, import_public_key, jwk_thumbprint
from api.oauth.models import RefusedKey
from pds.store import Sender

_INSERT = {
    "sqlite": sqlite_insert(RefusedKey).on_conflict_do_nothing(),
    "postgresql": postgresql_insert(RefusedKey).on_conflict_do_nothing(),
}
_IS_REFUSED = select(RefusedKey.thumbprint).where(
    RefusedKey.thumbprint == bindparam("b_thumbprint")
)


def thumbprint(jwk: Mapping[str, Any]) -> str:
    """Return the thumbprint of a public key that `jwks_fault` let through."""
    algorithm = next(each for each in ALGORITHMS if suits(jwk, each))
    return jwk_thumbprint(import_public_key(jwk, algorithm))


def refuse(session: Session, thumbprints: Iterable[str], *, now: datetime) -> None:
    """Refuse keys from now on; those that are refused already stay so."""
    rows = [{"thumbprint": each, "refused_at": now} for each in sorted(set(thumbprints))]
    if rows:
        session.execute(_INSERT[session.get_bind().dialect.name], rows)


def is_refused(sender: Sender, jkt: str) -> bool:
    """Tell whether a key is refused, by its thumbprint; for the hot path."""
    found = sender.execute(_IS_REFUSED, {"b_thumbprint": jkt}).one_or_none()
    return found is not None


def refused(session: Session, thumbprints: Iterable[str]) -> set[str]:
    """Return which of these are refused."""
    query = select(RefusedKey.thumbprint).where(RefusedKey.thumbprint.in_(set(thumbprints)))
    return set(session.scalars(query))


def accepted(session: Session, keys: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return those of public keys that are not refused."""
    by_thumbprint = [(thumbprint(key), key) for key in keys]
    bad = refused(session, [each for each, _ in by_thumbprint])
    return [key for each, key in by_thumbprint if each not in bad]
