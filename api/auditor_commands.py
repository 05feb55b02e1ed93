"""`pds auditor`: who may take evidence, and of what (AUD-1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import click
from rich.console import Console
from rich.table import Column, Table
from sqlalchemy.orm import Session

from api.command_line import instance_option, json_option, print_json, services_of
from api.unmasking_commands import unmasking
from consent import auditors
from consent.auditing import engagements
from pds.clock import rfc3339

_DAYS_MOST = 366
_DAY = click.DateTime(["%Y-%m-%d"])


@click.group("auditor")
def auditor() -> None:
    """People who may take evidence, and what they are engaged to look at."""


@auditor.command("create")
@instance_option
@click.option("--name", required=True)
def create(folder: Path, name: str) -> None:
    """Give someone the auditor role for 30 days; prints the access secret once, as JSON.

    It opens nothing until they are engaged.
    """
    services = services_of(folder)
    now = services.clock.now()

    def job(session: Session) -> dict[str, str]:
        auditor_id, secret = auditors.create(session, name, log=services.log, now=now)
        return {"auditor": str(auditor_id), "access": secret.text()}

    print_json(services.uow.write(job))
    services.uow.close()


@auditor.command("engage")
@instance_option
@click.argument("auditor_ids", metavar="AUDITOR...", nargs=-1, required=True, type=click.UUID)
@click.option("--organisation", "organisations", multiple=True, type=click.UUID, metavar="ID")
@click.option("--all-organisations", "everyone", is_flag=True, help="And the operator's acts.")
@click.option("--since", required=True, type=_DAY, help="First day of the period, UTC.")
@click.option("--until", type=_DAY, help="Day after its last, UTC; else when the engagement ends.")
@click.option("--days", default=30, show_default=True, type=click.IntRange(1, _DAYS_MOST))
def engage(
    folder: Path,
    *,
    auditor_ids: tuple[UUID, ...],
    organisations: tuple[UUID, ...],
    everyone: bool,
    since: datetime,
    until: datetime | None,
    days: int,
) -> None:
    """Let auditors look at some organisations and a period, for some days; prints its id as JSON.

    Several auditors of one engagement see the same pseudonyms, and can unmask together.
    """
    if everyone == bool(organisations):
        raise click.UsageError("name organisations with --organisation, or --all-organisations")
    services = services_of(folder)
    now = services.clock.now()
    expires_at = now + timedelta(days=days)

    def job(session: Session) -> UUID:
        return engagements.engage(
            session,
            auditor_ids,
            organisations=None if everyone else organisations,
            since=since.replace(tzinfo=UTC),
            until=until.replace(tzinfo=UTC) if until else expires_at,
            expires_at=expires_at,
            log=services.log,
            now=now,
        )

    engagement_id = services.uow.write(job)
    print_json({"engagement": str(engagement_id), "expires_at": rfc3339(expires_at)})
    services.uow.close()


@auditor.command("end")
@instance_option
@click.argument("engagement_id", metavar="ENGAGEMENT", type=click.UUID)
def end(folder: Path, engagement_id: UUID) -> None:
    """End an engagement at once; repeating it changes nothing."""
    services = services_of(folder)
    now = services.clock.now()
    services.uow.write(
        lambda session: engagements.end(session, engagement_id, log=services.log, now=now)
    )
    services.uow.close()
    click.echo(f"Engagement {engagement_id} has ended.")


@auditor.command("list")
@instance_option
@json_option
def show(folder: Path, as_json: bool) -> None:  # noqa: FBT001 - click's flag
    """List auditors and engagements."""
    services = services_of(folder)
    with services.uow.read() as session:
        people = auditors.all_of_them(session)
        found = engagements.all_of_them(session)
    services.uow.close()
    listed = [
        {
            "engagement": str(each.id),
            "auditors": [str(member) for member in members],
            "organisations": each.organisations,
            "since": rfc3339(each.since),
            "until": rfc3339(each.until),
            "expires_at": rfc3339(each.expires_at),
            "ended_at": rfc3339(each.ended_at) if each.ended_at else None,
        }
        for each, members in found
    ]
    if as_json:
        named = [
            {"auditor": str(each.id), "name": each.name, "expires_at": rfc3339(each.expires_at)}
            for each in people
        ]
        print_json({"auditors": named, "engagements": listed})
        return
    names = {str(each.id): each.name for each in people}
    # An id that is broken over lines cannot be copied.
    table = Table(Column("engagement", no_wrap=True), "auditors", "of", "period", "until")
    for one in listed:
        members = one["auditors"] if isinstance(one["auditors"], list) else []
        organisations = one["organisations"]
        table.add_row(
            str(one["engagement"]),
            ", ".join(names[member] for member in members),
            "all" if organisations is None else str(len(organisations)),
            f"{one['since']} to {one['until']}",
            str(one["ended_at"] or one["expires_at"]),
        )
    console = Console()
    for each in people:
        console.print(f"{each.id}  {each.name}  until {rfc3339(each.expires_at)}")
    console.print(table)


auditor.add_command(unmasking)
