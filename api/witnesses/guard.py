"""Whether this instance may go on: is its log the newest that anybody knows (LOG-22)?

A database that was restored from a backup has forgotten what its log said since. If it went on,
the log would sign a second history. Who remembers: the witnesses, and a file beside the keys with
the newest checkpoint, which does not travel with the database's backup. Both are asked before
anything is served; every process watches for a halt that another has found reason for.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from api.wiring import Wiring
from api.witnesses.asking import Witness, WitnessUnavailableError
from consent.log import publication
from consent.models import LogState
from pds.errors import ConfigurationError

FILE = "log.high-water"
WATCH_SECONDS = 2.0

_REMEDY = (
    "Nothing is written, so that the log does not sign a second history. If the newer database can"
    " be had, restore that. If it is lost, begin a restore epoch: docs/operations.md, After a"
    " restore (`pds log restore-epoch`)"
)

_logger = logging.getLogger(__name__)


class HighWater:
    """The newest checkpoint of our log, in a file of the instance folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._written = ""

    def read(self) -> str | None:
        """Return the checkpoint; None if none was written yet."""
        try:
            return self._path.read_text("utf-8")
        except FileNotFoundError:
            return None

    def raise_to(self, note: str) -> None:
        """Replace the checkpoint, atomically and for good."""
        if note == self._written:
            return
        fresh = self._path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(note)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        self._written = note


def require_newest(services: Wiring) -> None:
    """Refuse to serve an instance whose log is not the newest that is known.

    Raises:
        ConfigurationError: it is halted, of another origin, older than what the file or a witness
            holds, or has forked from it; the message says what to do.
    """
    with services.uow.read() as session:
        reason = publication.halted(session)
        origin = session.scalar(select(LogState.origin).limit(1))
    if reason is None and origin not in {None, services.settings.log_origin}:
        raise ConfigurationError(
            f"the database holds the log {origin}, and the settings name"
            f" {services.settings.log_origin}. A new epoch begins with `pds log restore-epoch`;"
            " otherwise set log.origin and log.epoch back"
        )
    if reason is None:
        reason = next(_contradictions(services), None)
        if reason is not None and origin is not None:
            found, log = reason, origin
            services.uow.write(lambda session: publication.halt(session, log, found))
    if reason is not None:
        raise ConfigurationError(f"{reason}. {_REMEDY}")


def watch(services: Wiring, *, stopping: threading.Event) -> threading.Thread:
    """Look every two seconds, in a thread, whether the log is halted, and stop writing if so."""

    def run() -> None:
        while not stopping.wait(WATCH_SECONDS):
            try:
                with services.uow.read() as session:
                    services.uow.halt(publication.halted(session))
            except SQLAlchemyError as exc:
                _logger.error("watching for a halt: %s", type(exc).__name__)  # noqa: TRY400 - no trace

    thread = threading.Thread(target=run, name="pds-halt", daemon=True)
    thread.start()
    return thread


def held_elsewhere(services: Wiring, witnesses: Sequence[Witness]) -> list[tuple[str, str]]:
    """Return checkpoints of our log that the file and the witnesses hold, with their holders."""
    held = [(FILE, HighWater(services.settings.instance).read())]
    with ThreadPoolExecutor(max(1, len(witnesses))) as pool:
        names = [each.name for each in witnesses]
        held += zip(names, pool.map(_latest, witnesses), strict=True)
    return [(name, note) for name, note in held if note is not None]


def _contradictions(services: Wiring) -> Iterator[str]:
    key = services.log_signer.verifier
    held = held_elsewhere(services, services.witnesses)
    # After them: a checkpoint that another process signs meanwhile is in the store by now.
    with services.uow.read() as session:
        for name, note in held:
            reason = publication.contradiction(session, note, log_key=key)
            if reason is not None:
                yield f"{name} knows that {reason}"


def _latest(witness: Witness) -> str | None:
    try:
        return witness.latest()
    except WitnessUnavailableError as exc:
        _logger.warning("witness %s: %s", witness.name, exc)
        return None
