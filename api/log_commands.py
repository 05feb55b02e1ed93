"""The operator's command on the log: a new epoch, after an older database was restored."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import click
from sqlalchemy.orm import Session

from api import schema
from api.command_line import instance_option
from api.wiring import Wiring, wire
from api.witnesses.guard import HighWater, held_elsewhere
from consent.formats.checkpoint import Checkpoint, open_checkpoint
from consent.formats.epochs import split_origin
from consent.formats.errors import FormatError
from consent.formats.note import Verifier
from consent.log import epochs, reader
from consent.vocabulary import EventName
from pds import settings as settings_module
from pds.errors import ConfigurationError, NotFoundError


@click.group("log")
def log() -> None:
    """The transparency log."""


@log.command("restore-epoch")
@instance_option
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The last checkpoint that anybody holds; the newest is taken of this and what is known.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
def restore_epoch(folder: Path, checkpoint: Path | None, yes: bool) -> None:  # noqa: FBT001 - click's flag
    """Go on under a new name after a restore, from the last checkpoint that anybody holds."""
    services = wire(settings_module.load(folder))
    with closing(services.uow):
        schema.require_head(services.uow.engine)
        _begin(services, checkpoint, asks=not yes)


def _begin(services: Wiring, checkpoint: Path | None, *, asks: bool) -> None:
    before = _key_before(services)
    name, note, last = _newest(services, before, checkpoint)
    new = services.log_signer.verifier
    click.echo(f"{new.name} will continue {last.origin} from size {last.size}, which {name} holds.")
    if asks:
        click.confirm("Does no server of it run, and is the newer database lost?", abort=True)
    now = services.clock.now()

    def job(session: Session) -> int:
        count = epochs.begin(
            session,
            note,
            before=before,
            signer=services.log_signer,
            publish=services.witness_policy is None,
            now=now,
        )
        services.log.append_deployment(session, EventName.LOG_EPOCH_BEGUN, at=now, count=last.size)
        return count

    count = services.uow.write(job)
    with services.uow.read() as session:
        HighWater(services.settings.instance).raise_to(reader.newest_tree(session).note)
    click.echo(f"Begun. {count} entries get their new places once a server or worker runs.")
    click.echo(f"Give witnesses and verifiers its key: {new.to_text()}")


def _key_before(services: Wiring) -> Verifier:
    first, epoch = split_origin(services.settings.log_origin)
    if services.settings.log.epoch == 1 or epoch == 1:
        raise ConfigurationError(
            "set log.epoch in pds.toml, on every machine, to one more than it was; then run this"
            " again"
        )
    origin = first if epoch == 2 else f"{first}/{epoch - 1}"  # noqa: PLR2004 - the second
    return replace(services.log_signer.verifier, name=origin)


def _newest(services: Wiring, before: Verifier, given: Path | None) -> tuple[str, str, Checkpoint]:
    """Return who holds the newest checkpoint of the epoch before, the note, and what it says."""
    witnesses = [replace(each, log_key=before) for each in services.witnesses]
    held = held_elsewhere(services, witnesses)
    if given is not None:
        held.append((str(given), given.read_text("utf-8")))
    with services.uow.read() as session, suppress(NotFoundError):
        held.append(("the database", reader.newest_tree(session).note))
    found: list[tuple[str, str, Checkpoint]] = []
    for name, note in held:
        try:
            found.append((name, note, open_checkpoint(note, log_keys=[before]).checkpoint))
        except FormatError as exc:
            if name == str(given):
                raise ConfigurationError(f"{given}: not of {before.name}: {exc}") from exc
    if not found:
        raise ConfigurationError(f"nobody holds a checkpoint of {before.name}")
    newest = max(found, key=lambda each: each[2].size)
    rivals = [name for name, _, one in found if one.size == newest[2].size and one != newest[2]]
    if rivals:
        raise ConfigurationError(
            f"{newest[0]} and {rivals[0]} hold different trees of size {newest[2].size}: someone"
            " signed with this key. Find out who before going on"
        )
    return newest
