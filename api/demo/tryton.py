"""A real CRM for the demonstration and the tests: Tryton 8.2 in a virtualenv of its own.

Tryton is GPL-3 and a program of its own: it is installed beside this project, never into its
environment, never imported, and spoken to over HTTP only. The first `prepare` installs it and makes
a template database (about half a minute and 75 MB); every start copies that template, takes a free
loopback port and makes fresh secrets.
"""

from __future__ import annotations

import base64
import secrets
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

REQUIREMENTS = ("trytond~=8.2.0", "trytond_party~=8.2.0")
TEMPLATE = "template-8.2-1"  # another name makes a new template
LOGIN = "connector"
GROUP = "Party Administration"  # creates and erases parties, and is denied the rest (CON-3)
READY_SECONDS = 30.0
STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class TrytonDatabase:
    """One database: its URL, the API key and password of the restricted user."""

    url: str
    token: str = field(repr=False)
    login: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RunningTryton:
    """A server on loopback, with a first database."""

    root: str
    database: TrytonDatabase
    folder: Path
    admin_password: str = field(repr=False)

    def another(self, name: str) -> TrytonDatabase:
        """Copy the first database as it was made, with its secrets, and open the copy."""
        shutil.copyfile(self.folder / "pristine", self.folder / f"{name}.sqlite")
        first, url = self.database, f"{self.root}/{name}"
        _warm_up(url)
        return TrytonDatabase(url, first.token, first.login, first.password)


def default_cache(checkout: Path) -> Path:
    """Return where Tryton is kept for a checkout."""
    return checkout / ".cache" / "tryton"


def is_prepared(cache: Path) -> bool:
    """Tell whether `prepare` has nothing left to do."""
    return (cache / TEMPLATE / "ready").exists()


def prepare(cache: Path) -> None:
    """Install Tryton and make the template database; repeating it changes nothing.

    Raises:
        subprocess.CalledProcessError: pip or Tryton failed, such as without a network.
    """
    if is_prepared(cache):
        return
    cache.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
    environment, database = cache / "venv-8.2", building / "template.sqlite"
    if not (environment / "installed").exists():
        _run([sys.executable, "-m", "venv", "--clear", str(environment)])
        _run([str(environment / "bin" / "pip"), "install", "--quiet", *REQUIREMENTS])
        (environment / "installed").touch()
    database.touch()
    password_file = building / "admin-password"
    password_file.touch(mode=0o600)
    password_file.write_text(secrets.token_urlsafe(24), encoding="ascii")
    configuration = _configuration(building, building, port=0)
    command = [str(environment / "bin" / "trytond-admin"), "-c", str(configuration)]
    modules = ["-d", "template", "-u", "party", "--activate-dependencies", "--all"]
    _run(
        [*command, *modules, "--email", "admin@crm.example"],
        environment={"TRYTONPASSFILE": str(password_file)},
    )
    (building / "ready").touch()
    try:
        building.rename(cache / TEMPLATE)
    except OSError:
        # Somebody else prepared the same at the same time.
        shutil.rmtree(building)


@contextmanager
def running(cache: Path) -> Iterator[RunningTryton]:
    """Start Tryton on copies in a temporary folder; afterwards nothing of it is left.

    Raises:
        RuntimeError: it did not start in time; the message holds its log.
    """
    prepare(cache)
    folder = Path(tempfile.mkdtemp(prefix="pds-tryton-"))
    try:
        shutil.copyfile(cache / TEMPLATE / "template.sqlite", folder / "crm.sqlite")
        admin_password = (cache / TEMPLATE / "admin-password").read_text("ascii")
        port = _free_port()
        configuration = _configuration(folder, folder, port=port)
        command = [str(cache / "venv-8.2" / "bin" / "trytond"), "-c", str(configuration)]
        log = folder / "trytond.log"
        with (
            log.open("wb") as output,
            subprocess.Popen(  # noqa: S603 - our own arguments
                [*command, "-d", "crm"], stdout=output, stderr=output, env={}
            ) as process,
        ):
            try:
                root = f"http://127.0.0.1:{port}"
                _wait_until_ready(f"{root}/crm", process, log)
                database = _restricted_user(f"{root}/crm", admin_password)
                _snapshot(folder / "crm.sqlite", folder / "pristine")
                yield RunningTryton(root, database, folder, admin_password)
            finally:
                _stop(process)
    finally:
        shutil.rmtree(folder)


class AdminSession:
    """JSON-RPC as the administrator, for setting a database up."""

    def __init__(self, url: str, password: str) -> None:
        self._url = f"{url}/rpc/"
        self._http = httpx.Client(timeout=30)
        parameters = ["admin", {"password": password}, "en"]
        user, token, *_ = self._post("common.db.login", parameters, {})
        session = base64.b64encode(f"admin:{user}:{token}".encode()).decode()
        self._headers = {"Authorization": f"Session {session}"}

    def call(self, method: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the method returns
        """Call a method, with an empty context."""
        return self._post(method, [*arguments, {}], self._headers)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _post(self, method: str, parameters: Sequence[object], headers: dict[str, str]) -> Any:  # noqa: ANN401 - as above
        body = {"id": 0, "method": method, "params": list(parameters)}
        document = self._http.post(self._url, json=body, headers=headers).raise_for_status().json()
        if "error" in document:
            raise RuntimeError(f"{method}: {document['error']}")
        return document["result"]


def _restricted_user(url: str, admin_password: str) -> TrytonDatabase:
    """Make a user who may do no more than the connector needs, and an API key for it (CON-2)."""
    admin, password = AdminSession(url, admin_password), secrets.token_urlsafe(24)
    try:
        groups = admin.call("model.res.group.search", [["name", "=", GROUP]], 0, None, None)
        names = {"name": "PDS connector", "login": LOGIN, "password": password}
        (user,) = admin.call("model.res.user.create", [{**names, "groups": [["add", groups]]}])
        values = {"user": user, "application": "rest"}
        created = admin.call("model.res.user.application.create", [values])
        (key,) = admin.call("model.res.user.application.read", created, ["key"])
    finally:
        admin.close()
    return TrytonDatabase(url, key["key"], LOGIN, password)


def _configuration(folder: Path, databases: Path, *, port: int) -> Path:
    path = folder / "trytond.conf"
    path.write_text(
        f"[database]\nuri = sqlite://\npath = {databases}\n[web]\nlisten = 127.0.0.1:{port}\n",
        encoding="utf-8",
    )
    return path


def _snapshot(source: Path, target: Path) -> None:
    """Copy a database in use: what is still in its write-ahead log comes along."""
    with closing(sqlite3.connect(source)) as live, closing(sqlite3.connect(target)) as copy:
        live.backup(copy)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _warm_up(url)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"Tryton does not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _warm_up(url: str) -> None:
    """Load a database by any request; before that even a login fails (CON-1).

    Tryton keeps the list of databases for minutes, for each host name that it is asked by: a name
    of its own lets it see one that was just copied.
    """
    host = f"{url.rpartition('/')[2]}.localhost"
    httpx.get(f"{url}/rest/model/party.party", timeout=READY_SECONDS, headers={"Host": host})


def _run(command: Sequence[str], *, environment: dict[str, str] | None = None) -> None:
    subprocess.run(  # noqa: S603 - our own arguments
        command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
