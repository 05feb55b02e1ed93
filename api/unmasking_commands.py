"""`pds auditor unmasking`: the operator as the second person who opens a pseudonym (AUD-1)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from api.command_line import instance_option, json_option, print_json, services_of
from consent.auditing import engagements
from consent.auditing.models import Engagement
from pds.clock import rfc3339


@click.group("unmasking")
def unmasking() -> None:
    """Pseudonyms that auditors want opened, with a second person's word."""


@unmasking.command("list")
@instance_option
@json_option
def show(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List what waits for a second person; no name is in it."""
    services = services_of(folder)
    waiting = services.unmasking.all_that_wait()
    with services.uow.read() as session:
        scopes = {
            each.engagement_id: engagements.scope_of(
                session.get_one(Engagement, each.engagement_id), root=services.keys.pseudonym
            )
            for each in waiting
        }
    services.uow.close()
    rows = [
        {
            "unmasking": str(each.id),
            "person": scopes[each.engagement_id].pseudonyms.of(each.bucket, each.vault_id),
            "engagement": str(each.engagement_id),
            "asked_by": each.auditor,
            "reason": each.reason,
            "asked_at": rfc3339(each.asked_at),
        }
        for each in waiting
    ]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{row['unmasking']}  {row['person']}  {row['asked_by']}: {row['reason']}")


@unmasking.command("allow")
@instance_option
@click.argument("unmasking_id", metavar="UNMASKING", type=click.UUID)
def allow(folder: Path, unmasking_id: UUID) -> None:
    """Agree that the auditor who asked sees the name for a week; the person is told."""
    _decide(folder, unmasking_id, allow=True)


@unmasking.command("refuse")
@instance_option
@click.argument("unmasking_id", metavar="UNMASKING", type=click.UUID)
def refuse(folder: Path, unmasking_id: UUID) -> None:
    """Keep the pseudonym closed."""
    _decide(folder, unmasking_id, allow=False)


def _decide(folder: Path, unmasking_id: UUID, *, allow: bool) -> None:
    services = services_of(folder)
    services.unmasking.decide_as_operator(unmasking_id, allow=allow)
    services.uow.close()
    click.echo(f"Unmasking {unmasking_id} is {'open' if allow else 'refused'}.")
