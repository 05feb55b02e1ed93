"""`pds verify --vault`: a vault's rows against its log, opened by its owner (P-31, P-32).

Only the owner can tell what a row must be: the hashes stand in the private part of the log. So the
passphrase is asked for at a prompt, never given as an argument, which others on the machine read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
from sqlalchemy.orm import Session

from api.command_line import instance_option, json_option, print_json, services_of
from api.wiring import Wiring
from consent.formats.bundle import Bundle, Hints
from consent.formats.report import Report
from consent.formats.trust import Trust
from consent.formats.vault_rows import OpenedEvent, Row, VersionRow
from consent.formats.verify import verify_vault
from consent.log import reader
from consent.log.evidence import Stream, build_bundle
from consent.log.opening import Opener
from consent.verifier.showing import in_words, progress_bar
from consent.verifier.trusted import read_trust
from pds.accounts import Entrance
from pds.clock import rfc3339
from pds.events import VaultEvent, VaultRef, vault_stream
from pds.keys import OpenVault
from pds.stored_records import count, stored_records, stored_versions


@click.command("verify")
@instance_option
@click.option("--vault", "login", metavar="NAME", required=True, help="Login name of its owner.")
@click.option(
    "--evidence",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A bundle that the owner downloaded earlier, with private parts; else the store's own "
    "log. Rows older than it are found even if the whole store was rolled back.",
)
@click.option(
    "--vkey", "vkeys", multiple=True, metavar="TEXT|FILE", help="Keys of the log and of witnesses."
)
@click.option(
    "--receipt-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Keys of receipts, as JWK set; evidence with receipts needs them to be verified.",
)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A checkpoint seen earlier: the log must have grown from it.",
)
@click.option("--quorum", type=int, default=0, show_default=True, help="Witnesses that must sign.")
@json_option
def verify_rows(
    folder: Path,
    *,
    login: str,
    evidence: Path | None,
    vkeys: tuple[str, ...],
    receipt_key: Path | None,
    checkpoint: Path | None,
    quorum: int,
    as_json: bool,
) -> None:
    """Compare the rows of a vault with its log; the owner types the passphrase.

    Names each record whose row was changed, rolled back, removed or put back, or is not in the log,
    its superseded versions among them, and reads of what nobody had written.
    Exit status as for `pds verify`: 0 verified, 3 self-consistent only, 1 failed, 2 could not run.
    """
    try:
        trust = read_trust(vkeys, receipt_key, checkpoint, quorum)
    except (OSError, ValueError) as exc:
        raise click.UsageError(str(exc)) from exc
    earlier = None if evidence is None else evidence.read_bytes()
    services = services_of(folder)
    entrance = _enter(services, login)
    report = check(services, entrance, trust, earlier)
    services.uow.close()
    if as_json:
        print_json(report.to_dict())
    else:
        click.echo(in_words(report), nl=False)
    raise click.exceptions.Exit(report.exit_code)


def check(
    services: Wiring, entrance: Entrance, trust: Trust, evidence: bytes | None = None
) -> Report:
    """Compare the rows of an opened vault with its log, or with evidence from an earlier day.

    That the vault was opened for this is logged first, as any unlock is (LOG-12).

    Raises:
        NotFoundError: nothing is signed yet, and no evidence is given.
    """
    vault, now = entrance.ref, services.clock.now()
    unlocked = VaultEvent("vault.unlocked", now, private={"for": "verify"})
    services.uow.write(lambda session: services.sink.append(session, vault, unlocked))
    # One transaction: rows and events are of the same instant.
    with services.uow.read() as session:
        opened = OpenVault.load(session, entrance.keys, entrance.vrk, vault.audit_public_key)
        data, waiting = evidence, None
        if data is None:
            own = _from_store(services, session, vault, opened)
            data, waiting = own.bundle.to_bytes(), own.waiting
        total = count(session, vault)
        bar = progress_bar()
        return verify_vault(
            data,
            trust,
            _rows(session, vault, opened),
            _versions(session, vault, opened),
            stream=vault_stream(vault.id),
            waiting=waiting,
            now=rfc3339(now),
            progress=bar,
            row_progress=lambda done: bar(done, max(done, total)),
        )


@dataclass(frozen=True, slots=True)
class _Own:
    """What the store's log tells of a vault: the signed part, and what waits for a signature."""

    bundle: Bundle
    waiting: list[OpenedEvent]


def _from_store(services: Wiring, session: Session, vault: VaultRef, opened: OpenVault) -> _Own:
    stream, opener = Stream(vault.bucket, vault_stream(vault.id)), Opener(opened)
    hints = Hints((services.log_signer.verifier.to_text(),))
    bundle = build_bundle(session, [stream], hints=hints, open_private=opener)
    signed = {entry.event.pub.seq for entry in bundle.entries}
    first = max(signed, default=0) + 1
    waiting = []
    for event in reader.stream_events(session, stream.bucket, stream.name, first=first):
        if event.opening is not None:
            private = opener(event)
            waiting.append(
                OpenedEvent(event.opening.pub, None if private is None else private.priv)
            )
    return _Own(bundle, waiting)


def _rows(session: Session, vault: VaultRef, opened: OpenVault) -> Iterator[Row]:
    for each in stored_records(session, vault, opened):
        yield Row(
            id=each.id,
            collection=each.collection,
            version=each.version,
            is_deleted=each.is_deleted,
            box_sha256=each.box_sha256,
            opens=each.opens,
        )


def _versions(session: Session, vault: VaultRef, opened: OpenVault) -> Iterator[VersionRow]:
    for each in stored_versions(session, vault, opened):
        yield VersionRow(each.id, each.version, each.box_sha256, each.opens)


def _enter(services: Wiring, login: str) -> Entrance:
    # Prompts on the error stream, so that `--json` leaves the output to the report.
    passphrase = click.prompt("Passphrase", hide_input=True, err=True)
    code = click.prompt(
        "Code of the second step, if it is on", default="", show_default=False, err=True
    )
    return services.accounts.enter(login, passphrase, code)
