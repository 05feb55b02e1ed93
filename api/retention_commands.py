"""The operator's commands that stop the log's erasure, and let it go on (AUD-13)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import cast
from uuid import UUID

import click

from api.command_line import instance_option, print_json, services_of
from consent.log import holds
from consent.log.holds import Scope
from consent.retention import CLASSES
from pds.clock import rfc3339

SCOPES = ("organisation", "grant", "vault")


@click.group("retention")
def retention() -> None:
    """How long the log keeps what its entries say, and what is held beyond that."""


@retention.command("list")
@instance_option
def list_all(folder: Path) -> None:
    """Print the periods and every legal hold, as JSON."""
    services = services_of(folder)
    with services.uow.read() as session:
        placed = [
            {
                "hold": str(each.id),
                "scope": each.scope,
                "target": str(each.target),
                "reason": each.reason,
                "placed_at": rfc3339(each.placed_at),
                "lifted_at": _instant(each.lifted_at),
            }
            for each in holds.all_of_them(session)
        ]
    services.uow.close()
    periods = [
        {
            "class": each.name,
            "events": list(each.events),
            "private_days": each.private.days if each.private else None,
            "public_days": each.public.days if each.public else None,
        }
        for each in CLASSES
    ]
    print_json({"periods": periods, "holds": placed})


@retention.command("hold")
@instance_option
@click.argument("scope", type=click.Choice(SCOPES))
@click.argument("target", type=click.UUID)
@click.option("--reason", required=True, help="Why, without personal data; kept with the hold.")
def hold(folder: Path, scope: str, target: UUID, reason: str) -> None:
    """Let nothing of what TARGET names be erased; prints the hold's id as JSON."""
    services = services_of(folder)
    made = services.uow.write(
        lambda session: holds.place(
            session, services.log, cast(Scope, scope), target, reason, now=services.clock.now()
        )
    )
    services.uow.close()
    print_json({"hold": str(made)})


@retention.command("release")
@instance_option
@click.argument("hold_id", type=click.UUID)
def release(folder: Path, hold_id: UUID) -> None:
    """Lift a legal hold; what was due meanwhile is erased with the next pass."""
    services = services_of(folder)
    services.uow.write(
        lambda session: holds.lift(session, services.log, hold_id, now=services.clock.now())
    )
    services.uow.close()
    click.echo("Lifted.")


def _instant(at: datetime | None) -> str | None:
    return None if at is None else rfc3339(at)
