"""Tokens, pushed requests and replay marks that ran out are deleted (P-15, P-45)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Session

from api.oauth.models import PushedRequest, RegistrationToken, Replay, Token
from pds.sweeping import BATCH, sweep_table


def sweep(session: Session, *, now: datetime, limit: int = BATCH) -> int:
    """Delete what of the authorization server ran out, at most `limit` rows of each table.

    A token's wrap bears the token's own expiry and goes with the vault's sweep.

    Returns:
        How many rows went; 0 when nothing is left to sweep.
    """
    return (
        sweep_table(session, Token, Token.expires_at <= now, limit=limit)
        + sweep_table(session, PushedRequest, PushedRequest.expires_at <= now, limit=limit)
        + sweep_table(session, Replay, Replay.expires_at <= now, limit=limit)
        + sweep_table(session, RegistrationToken, RegistrationToken.expires_at <= now, limit=limit)
    )
