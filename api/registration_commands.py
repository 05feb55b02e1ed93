"""The operator's command that lets an organisation register clients of its own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import click
from sqlalchemy.orm import Session

from api.command_line import instance_option, print_json, services_of
from api.oauth import registration
from pds.clock import rfc3339
from pds.crypto.secrets import TokenSecret


@click.command("registration-token")
@instance_option
@click.argument("organisation_id", type=click.UUID)
@click.option("--uses", type=click.IntRange(1, 100), default=1, show_default=True)
@click.option("--days", type=click.IntRange(1, 30), default=7, show_default=True)
def registration_token(folder: Path, organisation_id: UUID, uses: int, days: int) -> None:
    """Let an organisation register clients; prints the token once, as JSON."""
    services = services_of(folder)
    now = services.clock.now()
    expires_at = now + timedelta(days=days)

    def job(session: Session) -> TokenSecret:
        return registration.allow(
            session, organisation_id, services.log, uses=uses, now=now, expires_at=expires_at
        )

    secret = services.uow.write(job)
    services.uow.close()
    print_json(
        {"registration_token": secret.text(), "uses": uses, "expires_at": rfc3339(expires_at)}
    )
