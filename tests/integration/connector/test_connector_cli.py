"""The command line, against the server in memory (CON-38)."""

from __future__ import annotations

import json
import stat
import tomllib
from threading import Thread
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from click.testing import CliRunner

from connector import wiring
from connector.cli import main
from connector.crm.memory import MemoryCrm
from connector.keys import ConnectorKeys
from connector.pds.client import http_client
from connector.state.store import StateStore
from connector.wiring import Environment
from consent.formats.note import Signer
from tests.integration.connector.conftest import AYSEL
from tests.support.pds_peer import FrozenClock, PDSPeer

CLIENT = "acme-crm"


class Desk:
    """Somebody at a terminal, with a server and a CRM that outlives the commands."""

    def __init__(self, folder, monkeypatch) -> None:
        self.clock = FrozenClock()
        self.peer = PDSPeer(self.clock)
        self.crm = MemoryCrm()
        self.config = folder / "instance" / "connector.toml"
        monkeypatch.setattr(wiring, "MemoryCrm", lambda **_options: self.crm)
        self._clients = []

    def http(self):
        client = http_client()
        client._transport = self.peer.transport()
        self._clients.append(client)
        return client

    def type(self, *arguments, code=0):
        environment = Environment(self.clock, self.http)
        result = CliRunner().invoke(
            main, ["--config", str(self.config), *arguments], obj=environment
        )
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def initialise(self):
        made = self.type(
            "init", "--url", self.peer.issuer, "--client-id", CLIENT, "--adapter", "memory"
        )
        self.peer.register(CLIENT, json.loads(made.stdout))
        return made

    def person(self, data=AYSEL):
        connection = self.peer.grant(data)
        secret = (self.config.parent / "state-secret").read_text("utf-8").strip()
        url = f"sqlite:///{self.config.parent}/connector.db"
        store = StateStore(url, keys=ConnectorKeys(secret.encode()), clock=self.clock)
        with store.write() as state:
            state.connections.put_refresh_token(connection.grant_id, connection.refresh_token)
        store.engine.dispose()
        return connection


@pytest.fixture
def desk(tmp_path, monkeypatch):
    desk = Desk(tmp_path, monkeypatch)
    yield desk
    for client in desk._clients:
        client.close()


@pytest.fixture
def ready(desk):
    desk.initialise()
    return desk


def test_init_makes_a_private_instance_and_names_the_public_key_only(desk):
    made = desk.initialise()

    folder = desk.config.parent
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("client-key.json", "state-secret", "connector.toml"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert "d" not in json.loads(made.stdout)
    assert tomllib.loads(desk.config.read_text("utf-8"))["pds"]["client_id"] == CLIENT


def test_init_twice_changes_nothing(ready):
    before = {path.name: path.read_bytes() for path in ready.config.parent.glob("*[!bml]")}

    ready.type("init")

    assert {name: (ready.config.parent / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("adapter", ["memory", "tryton"])
def test_the_configuration_that_init_writes_is_valid(desk, adapter, monkeypatch):
    monkeypatch.setenv("TRYTON_KEY", "k")
    monkeypatch.setenv("TRYTON_PASSWORD", "p")
    desk.type("init", "--url", desk.peer.issuer, "--client-id", CLIENT, "--adapter", adapter)

    desk.type("status")


def test_a_command_before_init_says_what_to_do(desk):
    result = desk.type("run", code=1)

    assert "pds-connector init" in result.stderr


def test_check_passes_and_lists_what_was_tried(ready):
    report = json.loads(ready.type("check", "--json").stdout)

    assert report["problems"] == []
    assert [fact.split()[0] for fact in report["facts"]] == [
        "state",
        "server",
        "log:",
        "memory:",
        "key",
        "mapping:",
    ]


def test_check_fails_with_a_field_that_the_crm_lacks_con_10(ready):
    text = ready.config.read_text("utf-8").replace('field = "email"', 'field = "e_mail"')
    ready.config.write_text(text, "utf-8")

    result = ready.type("check", code=1)

    assert "e_mail: the CRM has no such field" in result.stdout


def test_check_goes_on_when_the_server_is_down(ready):
    ready.peer.is_down = True

    report = json.loads(ready.type("check", "--json", code=1).stdout)

    assert "server-unavailable" in report["problems"][0]
    assert "mapping: 2 fields" in report["facts"]


def test_plan_shows_fields_and_no_values_and_writes_nothing(ready):
    connection = ready.person()

    table = ready.type("plan").stdout
    explained = json.loads(ready.type("plan", "--explain", connection.id, "--json").stdout)

    assert ready.crm.contacts == {}
    assert "create 1" in table
    assert explained["plans"][0]["action"] == "create"
    assert "Aysel" not in table + json.dumps(explained)


def test_run_applies_and_counts(ready):
    ready.person()

    counts = json.loads(ready.type("run", "--json", "--progress", "json").stdout)["counts"]

    assert counts["created"] == 1
    assert len(ready.crm.contacts) == 1


def test_a_dry_run_writes_nothing(ready):
    ready.person()

    ready.type("run", "--dry-run")

    assert ready.crm.contacts == {}


def test_progress_is_plain_lines_where_there_is_no_terminal(ready):
    ready.person()

    result = ready.type("run")

    assert "contacts: 1 of 1" in result.stderr
    assert "created 1" in result.stdout


def test_a_run_that_cannot_reach_the_server_fails_and_says_so(ready):
    ready.peer.is_down = True

    result = ready.type("run", code=1)

    assert "server-unavailable" in result.stderr


def test_status_is_0_when_all_is_well(ready):
    ready.person()
    ready.type("run")

    status = json.loads(ready.type("status", "--json").stdout)

    assert (status["contacts"], status["rejected"], status["erasures_overdue"]) == (1, 0, 0)
    assert status["last_outcome"] == "done"


def test_status_is_2_while_rejects_wait_and_dead_lists_them(ready):
    connection = ready.person({**AYSEL, "contact": {"email": "nope"}})
    ready.type("run")

    ready.type("status", code=2)
    (entry,) = json.loads(ready.type("dead", "list", "--json").stdout)
    assert (entry["connection"], entry["field"]) == (connection.id, "email")
    assert "1 due" in ready.type("dead", "retry").stdout


def test_status_is_3_when_an_erasure_is_overdue_con_g4(ready):
    connection = ready.person()
    ready.type("run")
    ready.crm.blocked["1"] = "unpaid_invoices"
    ready.peer.withdraw(connection)
    ready.type("run")
    ready.type("status")

    ready.clock.forward(hours=25)
    ready.type("status", code=3)

    (job,) = json.loads(ready.type("erasures", "list", "--json").stdout)
    assert (job["state"], job["reason"]) == ("blocked", "unpaid_invoices")
    ready.crm.blocked.clear()
    assert "1 due" in ready.type("erasures", "retry").stdout
    ready.type("run")
    ready.type("status")
    assert ready.crm.contacts == {}


def pin(desk, lines):
    """Pin keys of the server's log."""
    (desk.config.parent / "log.vkey").write_text(lines, "utf-8")
    text = desk.config.read_text("utf-8").replace("# log_vkeys", "log_vkeys")
    desk.config.write_text(text, "utf-8")


def test_status_is_4_when_the_log_does_not_hold_what_an_answer_named_p_33(ready):
    """The server in memory has no log at all."""
    pin(ready, Signer.generate("vault.test/log").verifier.to_text())
    connection = ready.person()
    ready.type("run")
    ready.type("status")

    ready.type("run")

    status = json.loads(ready.type("status", "--json", code=4).stdout)
    assert status["log_problems"] == {f"g.{connection.grant_id}": "404 unknown"}
    assert "404 unknown" in ready.type("status", code=4).stdout


@pytest.mark.parametrize(
    "lines",
    ["", "not a key", "\n".join(Signer.generate(name).verifier.to_text() for name in "ab")],
    ids=["empty", "noise", "two logs"],
)
def test_pinned_keys_that_are_none_are_refused_p_34(ready, lines):
    pin(ready, lines)

    assert "[pds] log_vkeys: log.vkey" in ready.type("status", code=1).stderr


def test_watch_repeats_until_it_is_stopped(ready, monkeypatch):
    ready.person()
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        ready.clock.forward(seconds=seconds)
        if len(naps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(ready.clock, "sleep", sleep)

    ready.type("run", "--watch", "60s", code=1)

    assert [nap for nap in naps if nap >= 1] == [60, 60]
    assert len(ready.crm.contacts) == 1


def test_connect_asks_one_person_and_keeps_the_token_sealed(ready):
    outcome = {}

    def person_in_a_browser(url):
        answer = ready.peer.answer_of(url)
        outcome["pushed"] = url
        return answer

    result = run_connect(ready, person_in_a_browser)

    assert result.exit_code == 0, result.output
    assert "connected connection-1" in result.stdout
    assert parse_qs(urlsplit(outcome["pushed"]).query)["client_id"] == [CLIENT]
    token = ready.peer.connections["connection-1"].refresh_token
    for path in ready.config.parent.iterdir():
        assert token.encode() not in path.read_bytes()
    ready.type("run")
    assert ready.crm.contacts["1"].fields["name"] == "given_name of the new person"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"state": "another"}, "another request"),
        ({"iss": "https://evil.test"}, "another issuer"),
        ({"code": None, "error": "access_denied"}, "access_denied"),
    ],
    ids=["state", "RFC 9207 iss", "refused"],
)
def test_connect_refuses_an_answer_that_is_not_its_own(ready, change, problem):
    def meddle(url):
        answer = {**ready.peer.answer_of(url), **change}
        return {name: value for name, value in answer.items() if value is not None}

    result = run_connect(ready, meddle)

    assert result.exit_code == 1
    assert problem in result.stderr
    assert ready.peer.connections == {}


def run_connect(desk, person):
    """Type `connect`; the person answers as soon as the URL is printed."""
    import click  # noqa: PLC0415 - patched for this helper only

    port = free_port()
    threads = []
    echo = click.echo

    def watched(message=None, **options):
        echo(message, **options)
        if isinstance(message, str) and "/oauth/authorize?" in message:
            answer = person(message)
            target = f"http://127.0.0.1:{port}/callback"
            threads.append(Thread(target=httpx.get, args=(target,), kwargs={"params": answer}))
            threads[0].start()

    patch = pytest.MonkeyPatch()
    patch.setattr(click, "echo", watched)
    try:
        arguments = ["connect", "--template", "template-1", "--template-sha256", "0" * 64]
        arguments += ["--attributes", "profile.given_name", "--duration", "P30D"]
        arguments += ["--listen", f"127.0.0.1:{port}", "--wait", "10s"]
        environment = Environment(desk.clock, desk.http)
        return CliRunner().invoke(main, ["--config", str(desk.config), *arguments], obj=environment)
    finally:
        patch.undo()
        for thread in threads:
            thread.join()


def free_port():
    import socket  # noqa: PLC0415 - needed here only

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_what_is_owed_besides_deletion_is_listed_and_answered(ready):
    """CM-7, LEAD-4: a deletion is answered by a run, not by a word."""
    connection = ready.person()
    stop, deletion = ready.peer._oblige(connection, "stop"), ready.peer._oblige(connection)

    listed = json.loads(ready.type("obligations", "list", "--json").stdout)
    assert [(row["obligation"], row["kind"]) for row in listed] == [
        (stop, "stop"),
        (deletion, "delete"),
    ]
    for wrong in ((deletion,), ("obligation-9",), (stop, "--ground", "Because!")):
        assert "not-owed" in ready.type("obligations", "answer", *wrong, code=1).stderr
    ready.type("obligations", "answer", stop, "--ground", "legal_hold")

    (_, answer) = ready.peer.confirmations[-1]
    assert (answer["kind"], answer["outcome"], answer["reason"]) == (
        "stop",
        "retained",
        "legal_hold",
    )
    left = json.loads(ready.type("obligations", "list", "--json").stdout)
    assert [row["kind"] for row in left] == ["delete"]
