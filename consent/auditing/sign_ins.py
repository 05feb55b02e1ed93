"""An auditor's browser: signed in by the access secret, for a short time, by a cookie of its own.

The secret is typed into a form once and is in no address and no cookie. Whatever ends the access
ends the sign-in with it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

from consent import auditors
from consent.auditing.models import AuditorSignIn
from consent.models import Auditor
from pds.crypto.secrets import TokenSecret, mint, parse
from pds.ids import random_uuid
from pds.sweeping import sweep_table

SIGNED_IN_FOR = timedelta(hours=2)


def start(session: Session, access: str, *, now: datetime) -> TokenSecret | None:
    """Sign in with an access secret; returns the cookie's, or None if the access is not valid."""
    auditor = auditors.find(session, access, now=now)
    if auditor is None:
        return None
    secret = mint("as", random_uuid())
    session.execute(
        insert(AuditorSignIn).values(
            id=secret.selector,
            auditor_id=auditor.id,
            verifier=secret.verifier(),
            created_at=now,
            expires_at=min(now + SIGNED_IN_FOR, auditor.expires_at),
        )
    )
    return secret


def resolve(session: Session, text: str, *, now: datetime) -> Auditor | None:
    """Return whose cookie this is, or None."""
    secret = parse(text, "as")
    row = None if secret is None else session.get(AuditorSignIn, secret.selector)
    if secret is None or row is None or row.expires_at <= now or not secret.matches(row.verifier):
        return None
    auditor = session.get(Auditor, row.auditor_id)
    return auditor if auditor is not None and auditor.expires_at > now else None


def end(session: Session, text: str) -> None:
    """Sign out."""
    secret = parse(text, "as")
    if secret is not None:
        session.execute(delete(AuditorSignIn).where(AuditorSignIn.id == secret.selector))


def sweep(session: Session, *, now: datetime) -> int:
    """Delete sign-ins that ran out; returns how many."""
    return sweep_table(session, AuditorSignIn, AuditorSignIn.expires_at <= now)
