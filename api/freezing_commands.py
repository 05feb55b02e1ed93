"""The operator's commands for an organisation whose keys were stolen (ADR 0028)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import click

from api.command_line import instance_option, services_of
from api.ending_commands import yes_option
from consent import organisations
from consent.vocabulary import FreezeReason


@click.command("freeze")
@instance_option
@click.argument("organisation_id", type=click.UUID)
@click.option(
    "--reason",
    type=click.Choice([one.value for one in FreezeReason]),
    default=FreezeReason.KEYS_STOLEN.value,
    show_default=True,
)
@yes_option
def freeze(folder: Path, organisation_id: UUID, reason: str, yes: bool) -> None:  # noqa: FBT001 - click's flag
    """Stop an organisation whose keys were stolen at once; its agreements rest, and do not end."""
    services = services_of(folder)
    with services.uow.read() as session:
        name = organisations.get(session, organisation_id).name_en
        count = organisations.live_agreements(session, organisation_id)
    if not yes:
        click.confirm(
            f"{name}: agreements that rest until each person confirms again: {count}. All its keys"
            " are refused for ever. Go on?",
            abort=True,
        )
    is_new = services.freezing.freeze(organisation_id, reason=FreezeReason(reason))
    services.uow.close()
    click.echo(
        "Frozen: nothing goes out any more."
        if is_new
        else "It was frozen already; the keys that it has been given since are refused as well."
    )
    click.echo("Next: agree on new keys with it, not by e-mail; pds organisation rotate-key; thaw.")


@click.command("thaw")
@instance_option
@click.argument("organisation_id", type=click.UUID)
@yes_option
def thaw(folder: Path, organisation_id: UUID, yes: bool) -> None:  # noqa: FBT001 - click's flag
    """Serve a frozen organisation again, under new keys; each person confirms their own grant."""
    services = services_of(folder)
    keys = services.freezing.keys(organisation_id)
    for client in keys:
        click.echo(f"{client.name} ({client.client_id})")
        for thumbprint in client.thumbprints:
            click.echo(f"  {thumbprint}")
    if not yes:
        click.confirm(
            "Has somebody whom you know there read these thumbprints to you, on a way that the"
            " thief has not? Go on?",
            abort=True,
        )
    is_new = services.freezing.thaw(organisation_id, keys)
    services.uow.close()
    click.echo(
        "It may ask again. Nothing goes out before each person has confirmed their agreement."
        if is_new
        else "It is not frozen."
    )
