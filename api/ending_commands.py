"""The operator's commands that end agreements; each says how many, and asks first."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click
from sqlalchemy.orm import Session

from api.command_line import instance_option, services_of
from api.wiring import Wiring
from consent import organisations
from consent.vocabulary import Actor, EventName, InvalidationReason, Standing

BATCH = 100
yes_option = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command("suspend")
@instance_option
@click.argument("organisation_id", type=click.UUID)
@yes_option
def suspend(folder: Path, organisation_id: UUID, yes: bool) -> None:  # noqa: FBT001 - click's flag
    """Stop serving an organisation from its next request on, and end its agreements."""
    _exclude(folder, organisation_id, Standing.SUSPENDED, is_sure=yes)


@click.command("remove")
@instance_option
@click.argument("organisation_id", type=click.UUID)
@yes_option
def remove(folder: Path, organisation_id: UUID, yes: bool) -> None:  # noqa: FBT001 - click's flag
    """Remove an organisation for good, and end its agreements."""
    _exclude(folder, organisation_id, Standing.REMOVED, is_sure=yes)


@click.command("reinstate")
@instance_option
@click.argument("organisation_id", type=click.UUID)
def reinstate(folder: Path, organisation_id: UUID) -> None:
    """Let a suspended organisation ask again; what ended stays ended."""
    services = services_of(folder)
    _end_all(services, organisation_id)
    _set_standing(services, organisation_id, Standing.GOOD)
    services.uow.close()
    click.echo("It may ask again. Its former agreements stay ended.")


@click.group("agreement")
def agreement() -> None:
    """Agreements between people and organisations."""


@agreement.command("invalidate")
@instance_option
@click.argument("agreement_id", type=click.UUID)
@click.option(
    "--reason",
    type=click.Choice([one.value for one in InvalidationReason]),
    required=True,
    help="Why it is void.",
)
@click.option(
    "--by",
    type=click.Choice([Actor.AUTHORITY.value, Actor.OPERATOR.value]),
    default=Actor.AUTHORITY.value,
    show_default=True,
    help="Who decided that.",
)
@yes_option
def invalidate(folder: Path, agreement_id: UUID, reason: str, by: str, yes: bool) -> None:  # noqa: FBT001 - click's flag
    """Declare an agreement void, as an authority or a court has decided."""
    services = services_of(folder)
    if not yes:
        click.confirm("The agreement ends for good, and both sides are told. Go on?", abort=True)
    state = services.endings.invalidate(
        agreement_id, actor=Actor(by), reason=InvalidationReason(reason)
    )
    services.uow.close()
    click.echo(f"The agreement is now: {state}.")


def _exclude(folder: Path, organisation_id: UUID, standing: Standing, *, is_sure: bool) -> None:
    services = services_of(folder)
    with services.uow.read() as session:
        name = organisations.get(session, organisation_id).name_en
        count = organisations.live_agreements(session, organisation_id)
    if not is_sure:
        click.confirm(
            f"{name}: agreements that end, for good: {count}. Reinstating brings none back. Go on?",
            abort=True,
        )
    _set_standing(services, organisation_id, standing)
    click.echo(f"The organisation is now: {standing}. It is served no more.")
    _end_all(services, organisation_id)
    services.uow.close()


def _set_standing(services: Wiring, organisation_id: UUID, standing: Standing) -> None:
    now = services.clock.now()

    def job(session: Session) -> None:
        if organisations.set_standing(session, organisation_id, standing):
            services.log.append_deployment(session, _EVENTS[standing], at=now)

    services.uow.write(job)


def _end_all(services: Wiring, organisation_id: UUID) -> None:
    """End what is left, batch by batch; stopped halfway, the worker goes on with it."""
    with services.uow.read() as session:
        organisations.get(session, organisation_id)
        count = organisations.live_agreements(session, organisation_id)

    def job(session: Session) -> int:
        return services.endings.end_excluded(
            session, organisation_id, now=services.clock.now(), limit=BATCH
        )

    with click.progressbar(length=count, label="Ending agreements") as bar:
        while ended := services.uow.write(job):
            bar.update(ended)


_EVENTS = {
    Standing.GOOD: EventName.ORGANISATION_REINSTATED,
    Standing.SUSPENDED: EventName.ORGANISATION_SUSPENDED,
    Standing.REMOVED: EventName.ORGANISATION_REMOVED,
}
