"""A witness's folder: its key, its logs, and the latest tree of each.

witness.key   the cosigning key, an skey (C2SP signed-note); mode 0600
witness.db    SQLite: logs, the latest cosigned checkpoint of each, and what was refused as evidence

Looking at the latest tree, cosigning and keeping the new one are one exclusive transaction that is
on the disk before anyone sees the cosignature. Otherwise two requests at once, or a loss of power,
could leave behind cosignatures of two trees of which neither extends the other.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consent.formats.checkpoint import Checkpoint, OpenedCheckpoint
from consent.formats.cosignature import Cosigner
from consent.formats.errors import FormatError
from consent.formats.note import Verifier, signature_line
from consent.formats.witnessing import AddCheckpoint
from witness.errors import WitnessError
from witness.judging import Answer, Refusal, Tree, judge

KEY_FILE = "witness.key"
DATABASE_FILE = "witness.db"
MOST_REFUSALS = 100  # kept of each log: the first ones show a fork as well as all

_BUSY_SECONDS = 10.0
_TABLES = """
CREATE TABLE logs (vkey TEXT PRIMARY KEY, origin TEXT NOT NULL);
CREATE TABLE latest (origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL,
                     note TEXT NOT NULL, cosigned_at INTEGER NOT NULL);
CREATE TABLE refusals (origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
                       evidence TEXT NOT NULL, note TEXT NOT NULL, refused_at INTEGER NOT NULL,
                       PRIMARY KEY (origin, size, root));
"""


@dataclass(frozen=True, slots=True)
class Refused:
    """A checkpoint that the log signed and the witness did not cosign: see `judging.Refusal`."""

    evidence: str
    size: int
    root: bytes
    note: str
    refused_at: datetime


@dataclass(frozen=True, slots=True)
class Watched:
    """What a witness knows of one log; `note` is the checkpoint with log's and own signatures."""

    origin: str
    keys: tuple[Verifier, ...]
    tree: Tree
    note: str | None
    cosigned_at: datetime | None
    refused: tuple[Refused, ...]


class State:
    """The folder of one witness; may be used by several threads, and processes, at once."""

    def __init__(self, folder: Path, *, now: Callable[[], int]) -> None:
        """Read the key.

        Raises:
            WitnessError: it is no folder of a witness, or its key is open to others.
        """
        path = folder / KEY_FILE
        try:
            if path.stat().st_mode & 0o077:
                raise WitnessError(f"{path} is open to other users; run: chmod 600 {path}")
            self.cosigner = Cosigner.from_text(path.read_text("utf-8").strip(), now=now)
        except (OSError, UnicodeDecodeError, FormatError) as exc:
            raise WitnessError(f"{folder} is no witness: `pds witness init` makes one") from exc
        self._database = folder / DATABASE_FILE
        self._now = now
        self._turn = threading.Lock()

    @classmethod
    def create(cls, folder: Path, name: str, *, now: Callable[[], int]) -> State:
        """Make a folder with a new key; an existing one is never replaced.

        Raises:
            WitnessError: the folder is a witness already, or it cannot be written.
            MalformedError: the name cannot name a key.
        """
        cosigner = Cosigner.generate(name, now=now)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _connection(folder / DATABASE_FILE, "rwc") as connection:
                connection.executescript(_TABLES)
            _write_new(folder / KEY_FILE, cosigner.to_text() + "\n")
        except (FileExistsError, sqlite3.OperationalError) as exc:
            raise WitnessError(
                f"{folder} holds a witness already, or cannot be written. A key that forgot what"
                " it cosigned is worth nothing: choose another folder."
            ) from exc
        except OSError as exc:
            raise WitnessError(f"{folder} cannot be written: {exc.strerror}") from exc
        return cls(folder, now=now)

    def add_log(self, vkey: str) -> Verifier:
        """Watch a log; adding a second key of the same origin trusts both.

        Raises:
            MalformedError: it is no vkey of an Ed25519 note key.
        """
        verifier = Verifier.from_text(vkey)
        with self._transaction() as connection:
            connection.execute(
                "INSERT INTO logs VALUES (?, ?) ON CONFLICT DO NOTHING",
                (verifier.to_text(), verifier.name),
            )
        return verifier

    def keys_of(self, origin: str) -> list[Verifier]:
        """Return the keys trusted for an origin; none if it is not watched."""
        with _connection(self._database) as connection:
            rows = connection.execute("SELECT vkey FROM logs WHERE origin = ?", (origin,))
            return [Verifier.from_text(vkey) for (vkey,) in rows]

    def cosign(self, request: AddCheckpoint, opened: OpenedCheckpoint) -> str | Answer:
        """Cosign a checkpoint that its log has signed, if the tree has only grown.

        Returns:
            The cosignature's line once the tree is kept, or why there is none.

        Raises:
            sqlite3.Error: the state could not be kept; nothing was cosigned.
        """
        new = opened.checkpoint
        with self._transaction() as connection:
            refusal = judge(request, new, _tree(connection, new.origin))
            if refusal is None:
                line = signature_line(opened.note.text, self.cosigner)
                self._keep(connection, opened, line)
                return line
            self._keep_evidence(connection, new, request.checkpoint, refusal)
        return refusal.answer

    def watched(self) -> list[Watched]:
        """Return every log, by origin."""
        with _connection(self._database) as connection:
            query = "SELECT DISTINCT origin FROM logs ORDER BY origin"
            origins = [origin for (origin,) in connection.execute(query)]
            return [_watched(connection, origin) for origin in origins]

    def _keep(self, connection: sqlite3.Connection, opened: OpenedCheckpoint, line: str) -> None:
        new, note = opened.checkpoint, opened.note
        lines = "".join(signature.to_line() for signature in note.signatures)
        connection.execute(
            "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?)",
            (new.origin, new.size, new.root, f"{note.text}\n{lines}{line}", self._now()),
        )
        # What was refused for want of a proof is explained by now, one way or the other.
        same_size = (new.origin, new.size, new.root)
        connection.execute(
            "DELETE FROM refusals WHERE origin = ? AND size = ? AND root = ?", same_size
        )
        connection.execute(
            "UPDATE refusals SET evidence = 'fork' WHERE origin = ? AND size = ? AND root <> ?",
            same_size,
        )

    def _keep_evidence(
        self, connection: sqlite3.Connection, new: Checkpoint, note: str, refusal: Refusal
    ) -> None:
        if refusal.evidence is None:
            return
        kept = "SELECT count(*) FROM refusals WHERE origin = ? AND evidence = ?"
        if connection.execute(kept, (new.origin, refusal.evidence)).fetchone()[0] < MOST_REFUSALS:
            connection.execute(
                "INSERT INTO refusals VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " evidence = excluded.evidence WHERE excluded.evidence = 'fork'",
                (new.origin, new.size, new.root, refusal.evidence, note, self._now()),
            )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        # The lock spares the threads of one process SQLite's sleeping wait for each other.
        with self._turn, _connection(self._database) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


@contextmanager
def _connection(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
    )
    try:
        # EXTRA also syncs the folder once the journal is gone: a loss of power cannot bring the
        # older tree back after the cosignature went out.
        connection.execute("PRAGMA synchronous = EXTRA")
        yield connection
    finally:
        # Whatever was not committed is rolled back.
        connection.close()


def _tree(connection: sqlite3.Connection, origin: str) -> Tree:
    query = "SELECT size, root FROM latest WHERE origin = ?"
    row = connection.execute(query, (origin,)).fetchone()
    return Tree(*row) if row else Tree()


def _watched(connection: sqlite3.Connection, origin: str) -> Watched:
    keys = connection.execute("SELECT vkey FROM logs WHERE origin = ? ORDER BY vkey", (origin,))
    query = "SELECT note, cosigned_at FROM latest WHERE origin = ?"
    latest = connection.execute(query, (origin,)).fetchone()
    refused = connection.execute(
        "SELECT evidence, size, root, note, refused_at FROM refusals WHERE origin = ?"
        " ORDER BY refused_at, size",
        (origin,),
    )
    return Watched(
        origin,
        tuple(Verifier.from_text(vkey) for (vkey,) in keys),
        _tree(connection, origin),
        latest[0] if latest else None,
        _instant(latest[1]) if latest else None,
        tuple(
            Refused(evidence, size, root, note, _instant(refused_at))
            for evidence, size, root, note, refused_at in refused
        ),
    )


def _instant(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
