"""A PostgreSQL cluster of one's own: made in a temporary folder, gone afterwards."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from tests.support.memory import scratch

USER = "pds"
_SERVER_USERS = ("postgres", "nobody")
_READY_SECONDS = 60
_STOP_SECONDS = 60


def binaries() -> Path | None:
    """Return the folder of the newest PostgreSQL server programs, or None."""
    installed = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if installed:
        return max(installed, key=lambda folder: int(folder.parent.name))
    found = shutil.which("initdb")
    return Path(found).parent if found else None


class Cluster:
    """A running server on a free loopback port, with its socket in its own folder."""

    def __init__(self, folder: Path, programs: Path, *, durable: bool) -> None:
        self._folder = folder
        self._programs = programs
        self._durable = durable
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._administration: psycopg.Connection[Any] | None = None

    def create(self) -> None:
        """Run initdb."""
        options = ["--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C"]
        command = [self._programs / "initdb", "-D", self._data, *options]
        if not self._durable:
            command.append("--no-sync")
        subprocess.run(  # noqa: S603 - our own arguments
            [*_as_server_user(), *command], check=True, capture_output=True, cwd=self._folder
        )

    def start(self) -> None:
        """Start the server and wait until it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments
                [*_as_server_user(), *self._command()], stdout=log, stderr=log, cwd=self._folder
            )
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            try:
                psycopg.connect(self.dsn("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log_text = (self._folder / "server.log").read_text("utf-8")
                    raise RuntimeError(f"PostgreSQL does not start:\n{log_text}") from None
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """Shut the server down in good order."""
        self._end(signal.SIGINT)

    def crash(self) -> None:
        """End the server without a checkpoint: the next start has to recover."""
        self._end(signal.SIGQUIT)

    def dsn(self, database: str) -> str:
        """Return the URL of a database, as psycopg and the settings take it."""
        return f"postgresql://{USER}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str, *, template: str = "template1") -> None:
        """Make a database as a copy of `template`, to which nobody may be connected."""
        # Copying files and two checkpoints, which is little here, costs a third of copying pages
        # through the log, which is the default.
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        self._execute(statement.format(sql.Identifier(name), sql.Identifier(template)))

    def drop_database(self, name: str) -> None:
        """Delete a database, whoever is still connected to it."""
        self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _command(self) -> list[str | Path]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self._port),
            "unix_socket_directories": str(self._folder),
            "max_connections": "100",
            "fsync": _switch(on=self._durable),
            "synchronous_commit": _switch(on=self._durable),
            "full_page_writes": _switch(on=self._durable),
        }
        if not self._durable:
            settings |= {"wal_level": "minimal", "max_wal_senders": "0", "autovacuum": "off"}
        options = [f"--{name}={value}" for name, value in settings.items()]
        return [self._programs / "postgres", "-D", self._data, *options]

    def _execute(self, statement: sql.Composed) -> None:
        if self._administration is None:
            self._administration = psycopg.connect(self.dsn("postgres"), autocommit=True)
        self._administration.execute(statement)

    def _end(self, how: signal.Signals) -> None:
        if self._administration is not None:
            self._administration.close()
            self._administration = None
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_STOP_SECONDS)
            self._process = None


@contextmanager
def temporary_postgresql(*, durable: bool = False) -> Iterator[Cluster]:
    """Run a cluster in a temporary folder, and leave nothing behind.

    Args:
        durable: sync commits to disk, for drills that crash the server; slower.
    """
    programs = binaries()
    if programs is None:
        raise RuntimeError("no PostgreSQL server programs on this machine")
    # Not below pytest's folder: that is closed to other users, and the server runs as one.
    place = None if durable else scratch()
    folder = Path(tempfile.mkdtemp(prefix="pds-postgresql-", dir=place))
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, _server_user())
        cluster = Cluster(folder, programs, durable=durable)
        cluster.create()
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(folder)


def _as_server_user() -> list[str]:
    # The server refuses to run as root. The death signal keeps a killed test run from leaving a
    # server behind.
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return []
    command = [setpriv, "--pdeathsig", "INT"]
    if os.geteuid() == 0:
        user = _server_user()
        command += ["--reuid", user, "--regid", _group_of(user), "--clear-groups"]
    return command


def _server_user() -> str:
    import pwd  # noqa: PLC0415 - POSIX only, as is running as root

    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(user for user in _SERVER_USERS if user in known)


def _group_of(user: str) -> str:
    import pwd  # noqa: PLC0415 - POSIX only, as is running as root

    return str(pwd.getpwnam(user).pw_gid)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _switch(*, on: bool) -> str:
    return "on" if on else "off"
