"""The programs of the demonstration: server, witness, a real CRM, the organisation's connector.

Each runs as a process of its own and speaks HTTP to the others, as it would anywhere.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from api.demo.personas import MARKET
from api.demo.seed import Seeded
from api.demo.tryton import TrytonDatabase
from api.wiring import wire
from pds import settings as settings_module
from pds.settings import SETTINGS_FILE
from witness.serving import now
from witness.state import State

POLICY_FILE = "witnesses.policy"
_PARTY_FIELDS = ["name", "active", "code", "contact_mechanisms.value", "addresses.postal_code"]
_READY_SECONDS = 30
_STOP_SECONDS = 15
_CONNECTOR_TOML = """\
[pds]
url = {url}
client_id = {client_id}
private_key = {{ file = {key} }}
log_vkeys = "log.vkey"

[state]
url = "sqlite:///connector.db"
secret = {{ file = "state-secret" }}

[crm.main]
adapter = "tryton"
url = {crm}
token = {{ env = "TRYTON_KEY" }}
login = {login}
password = {{ env = "TRYTON_PASSWORD" }}

[[map]]
category = "profile"
field = "name"
expr = "words(given_name, family_name)"

[[map]]
category = "contact"
field = "contact_mechanisms[email]"
expr = "records[?email].email | [0]"
transform = ["email"]

[[map]]
category = "addresses"
field = "addresses[home]"
expr = "records[?postal_code] | [0].{{city: locality, postal_code: postal_code}}"

[[map]]
category = "contact"
field = "contact_mechanisms[phone]"
expr = "records[?phone].phone | [0]"
transform = ["phone"]
"""


def free_port(first: int) -> int:
    """Return the first of three free ports in a row, from `first` on."""
    for candidate in range(first, first + 3_000, 3):
        if all(_is_free(candidate + offset) for offset in range(3)):
            return candidate
    raise RuntimeError("there is no free port")


@contextmanager
def witness(folder: Path, instance_folder: Path, port: int) -> Iterator[None]:
    """Run a witness until the block ends; instance and verifier are told of it by a policy file.

    Args:
        folder: of the witness, a fresh one; the policy is written beside it.
        instance_folder: of the server, which is not running yet.
        port: where the witness listens.
    """
    state = State.create(folder, "witness.example/w1", now=now)
    services = wire(settings_module.load(instance_folder))
    state.add_log(services.log_signer.verifier.to_text())
    services.uow.close()
    key = state.cosigner.verifier.to_text()
    policy = f"witness w1 {key} http://127.0.0.1:{port}\nquorum w1\n"
    for place in (folder.parent, instance_folder):
        (place / POLICY_FILE).write_text(policy, "utf-8")
    with (instance_folder / SETTINGS_FILE).open("a", encoding="utf-8") as file:
        file.write(f'[log]\nwitnesses = "{POLICY_FILE}"\n')
    command = [sys.executable, "-m", "api", "witness", "serve", str(folder)]
    with (folder / "witness.log").open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 - ours
            [*command, "--bind", f"127.0.0.1:{port}"], stdout=output, stderr=output
        )
        try:
            yield
        finally:
            _stop(process)


@contextmanager
def server(instance: Path, url: str) -> Iterator[None]:
    """Run `pds serve` on an instance until the block ends."""
    log = instance / "server.log"
    command = [sys.executable, "-m", "api", "serve", "--instance", str(instance)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603 - ours
        try:
            _wait_until_ready(f"{url}/readyz", process, log)
            yield
        finally:
            _stop(process)


@dataclass(frozen=True, slots=True)
class Connector:
    """The organisation's side: a folder with its configuration, run as `pds-connector`."""

    folder: Path
    environment: dict[str, str] = field(repr=False)
    template: dict[str, Any]
    listen: str
    redirect_uri: str

    @classmethod
    def prepare(cls, folder: Path, seeded: Seeded, crm: TrytonDatabase, port: int) -> Connector:
        """Write the configuration for the market's connector and let it make its keys."""
        market = seeded.organisation(MARKET)
        folder.mkdir(mode=0o700)
        (folder / "connector.toml").write_text(
            _CONNECTOR_TOML.format(
                url=json.dumps(seeded.issuer),
                client_id=json.dumps(market.client_id),
                key=json.dumps(market.private_jwk_file),
                crm=json.dumps(crm.url),
                login=json.dumps(crm.login),
            ),
            "utf-8",
        )
        # In life an organisation compares this key with one that it has from elsewhere.
        vkeys = httpx.get(f"{seeded.base_url}/log/vkeys", timeout=30).raise_for_status()
        (folder / "log.vkey").write_text(vkeys.text, "utf-8")
        secret = folder / "state-secret"
        secret.touch(mode=0o600)
        secret.write_text(os.urandom(32).hex(), "ascii")
        environment = {
            "PATH": "/usr/bin:/bin",
            "TRYTON_KEY": crm.token,
            "TRYTON_PASSWORD": crm.password,
        }
        listen = f"127.0.0.1:{port}"
        made = cls(folder, environment, market.templates[0], listen, f"http://{listen}/callback")
        made.run("init")
        return made

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run one command to its end."""
        return subprocess.run(  # noqa: S603 - our own arguments
            self._command(arguments),
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=120,
            check=check,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that goes on."""
        return subprocess.Popen(  # noqa: S603 - our own arguments
            self._command(arguments),
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ask(self, invitation: str = "") -> tuple[str, subprocess.Popen[str]]:
        """Ask a person for a connection; returns the URL to open and the waiting process.

        `invitation` is the id of the one that they came by, if there is one.
        """
        waiting = self.start(
            "connect",
            "--template",
            self.template["id"],
            "--template-sha256",
            self.template["sha256"],
            "--attributes",
            ",".join(self.template["attributes"]),
            "--optional",
            ",".join(self.template["optional_attributes"]),
            "--duration",
            self.template["duration"],
            "--listen",
            self.listen,
            "--redirect-uri",
            self.redirect_uri,
            f"--invitation={invitation}",
        )
        line = waiting.stdout.readline().strip() if waiting.stdout else ""
        if not line.startswith("http"):
            rest = waiting.stdout.read() if waiting.stdout else ""
            raise RuntimeError(f"the connector could not ask: {line} {rest}")
        return line, waiting

    def _command(self, arguments: Sequence[str]) -> list[str]:
        toml = str(self.folder / "connector.toml")
        return [sys.executable, "-m", "connector", "--config", toml, *arguments]


@dataclass(frozen=True, slots=True)
class CrmView:
    """What the CRM holds, asked for over its own REST API."""

    database: TrytonDatabase

    def parties(self) -> list[dict[str, Any]]:
        """Return every party, archived ones included, with how it is reached and where it lives."""
        answer = httpx.get(
            f"{self.database.url}/rest/model/party.party",
            params={"f": _PARTY_FIELDS, "s": "200"},
            headers={
                "Authorization": f"bearer {self.database.token}",
                "X-Tryton-Context": "eyJhY3RpdmVfdGVzdCI6IGZhbHNlfQ==",
            },
            timeout=30,
        )
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(_READY_SECONDS * 10):
        if process.poll() is not None:
            break
        try:
            if httpx.get(url, timeout=2).status_code == 200:  # noqa: PLR2004 - HTTP
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise RuntimeError(f"the server did not start:\n{log.read_text('utf-8', 'replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
