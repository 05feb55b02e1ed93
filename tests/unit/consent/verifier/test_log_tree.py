"""Verification of a whole published log, from a folder and over HTTP (LOG-25, LOG-29)."""

from __future__ import annotations

import json
from http.server import SimpleHTTPRequestHandler

import pytest

from consent.formats.cosignature import Cosigner
from consent.formats.note import Signer
from consent.verifier import cli, sources
from tests.support.published import PublishedLog, entry, served
from tests.support.vectors import load

VECTORS = load("log")
SIZE = 5_000  # two levels of tiles, a partial one on each, more than one group of bundles


@pytest.fixture
def log(tmp_path):
    made = PublishedLog(tmp_path / "log")
    made.publish(SIZE)
    return made


@pytest.fixture
def verify(log, capsys):
    """Return a function that verifies the log and returns exit status and report."""

    def run(*arguments, target=None, vkey=log.vkey):
        keys = ("--vkey", vkey) if vkey else ()
        code = cli.main([str(target or log.folder), *keys, "--json", *map(str, arguments)])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else {"failures": []}

    return run


def rules(report):
    return [failure["rule"] for failure in report["failures"]]


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 4_096, SIZE, 65_536 + 300])
def test_an_honest_log_of_any_size_is_verified(tmp_path, size, capsys):
    log = PublishedLog(tmp_path)
    log.publish(size)

    assert cli.main([str(tmp_path), "--vkey", log.vkey]) == 0
    assert f"{size}, every tile and the root recomputed" in capsys.readouterr().out


def test_a_log_that_grew_is_verified_though_its_old_partial_tiles_are_gone(log, verify):
    log.publish(SIZE + 300)
    log.drop_partial()
    log.publish(SIZE + 600)

    assert verify()[0] == 0


def test_without_a_key_the_verdict_is_that_it_is_self_consistent(verify):
    """P-34."""
    code, report = verify(vkey=None)

    assert (code, report["verdict"]) == (3, "SELF_CONSISTENT_ONLY")


def test_another_key_is_not_the_logs(verify):
    code, report = verify(vkey=Signer.generate("elsewhere.example/log").verifier.to_text())

    assert (code, rules(report)) == (1, ["checkpoint-signature"])


def test_too_few_witnesses_have_signed(verify):
    witness = Cosigner.generate("witness.example", now=lambda: 1).verifier.to_text()

    code, report = verify("--vkey", witness, "--quorum", "1")

    assert (code, rules(report)) == (1, ["checkpoint-signature"])


@pytest.mark.parametrize(
    ("path", "at", "where"),
    [
        # Length and 33 bytes to an entry; the last byte of entry 1003.
        ("tile/entries/003", 235 * 35 + 34, "tile/0/003 hash 235"),
        ("tile/0/003", 7 * 32, "tile/0/003 hash 7"),
        ("tile/0/019.p/136", 0, "tile/0/019.p/136 hash 0"),
        ("tile/1/000.p/19", 18 * 32, "tile/1/000.p/19 hash 18"),
    ],
)
def test_one_flipped_byte_is_found_and_its_place_named(log, verify, path, at, where):
    """AUD-16, LOG-29."""
    log.flip(path, at)

    code, report = verify()

    assert code == 1
    assert where in [failure["where"] for failure in report["failures"]]


def test_the_entry_that_was_changed_is_named(log, verify):
    log.flip("tile/entries/003", 235 * 35 + 34)

    failures = verify()[1]["failures"]

    assert failures[0]["detail"] == "not the hash of entry 1003 as published"


def test_a_log_rewritten_throughout_does_not_lead_to_the_signed_root(log, verify, tmp_path):
    forged = PublishedLog(tmp_path / "forged", entries=lambda n: entry(n + (n == 42) * 10**9))
    forged.publish(SIZE)
    forged.write("checkpoint", (log.folder / "checkpoint").read_bytes())

    assert rules(verify(target=forged.folder)[1]) == ["root"]


def test_an_entry_of_another_form_is_named(tmp_path, capsys):
    log = PublishedLog(tmp_path, entries=lambda n: b"\x02" + entry(n)[1:] if n == 300 else entry(n))
    log.publish(400)

    assert cli.main([str(tmp_path), "--vkey", log.vkey]) == 1
    assert "tile/entries/001.p/144 entry 300: entry-form" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["checkpoint", "tile/entries/004", "tile/0/002"])
def test_what_is_missing_is_named(log, verify, path):
    (log.folder / path).unlink()

    code, report = verify()

    assert code == 1
    assert f"nothing at {path}" in [failure["detail"] for failure in report["failures"]]


def test_a_bundle_that_is_cut_short_is_a_failure_not_a_crash(log, verify):
    path = log.folder / "tile/entries/004"
    path.write_bytes(path.read_bytes()[:-3])

    assert rules(verify()[1]) == ["entries"]


def test_what_an_earlier_run_verified_is_not_read_again(log, verify, tmp_path):
    state = tmp_path / "state.json"
    assert verify("--state", state)[0] == 0
    log.publish(SIZE + 1_000)
    (log.folder / "tile/entries/000").unlink()

    code, report = verify("--state", state)

    assert code == 0
    details = {check["name"]: check["detail"] for check in report["checks"]}
    assert details["entries"].startswith(f"{SIZE + 1_000}, {SIZE // 256 * 256} of them in an ear")
    assert rules(verify("--state", state, "--full")[1]) == ["entries"]


def test_a_log_that_lost_entries_since_is_refused(log, verify, tmp_path):
    """LOG-22: a restored backup."""
    state = tmp_path / "state.json"
    log.publish(SIZE + 700)
    verify("--state", state)
    older = PublishedLog(tmp_path / "older")
    older.signer = log.signer
    older.publish(SIZE)

    code, report = verify("--state", state, target=older.folder)

    assert (code, rules(report)) == (1, ["rolled-back"])
    assert json.loads(state.read_text())["size"] == (SIZE + 700) // 256 * 256


@pytest.mark.parametrize("forked_at", [10, SIZE - 1])
def test_a_fork_is_refused(log, verify, tmp_path, forked_at):
    """LOG-3: both are signed; who has seen one is not given the other."""
    state = tmp_path / "state.json"
    verify("--state", state)
    fork = PublishedLog(tmp_path / "fork", entries=lambda n: entry(n + (n == forked_at) * 10**9))
    fork.signer = log.signer
    fork.publish(SIZE + 300)

    code, report = verify("--state", state, target=fork.folder)

    assert code == 1
    assert "pinned-checkpoint" in rules(report)


def test_a_checkpoint_may_be_pinned_without_a_state(log, verify, tmp_path):
    earlier = PublishedLog(tmp_path / "earlier")
    earlier.signer = log.signer
    pin = tmp_path / "pin"
    pin.write_text(earlier.publish(700))

    code, report = verify("--checkpoint", pin)

    assert code == 0
    assert {"name": "consistency", "outcome": "passed"}.items() <= report["checks"][1].items()


def test_an_interrupted_run_goes_on_where_it_was(log, verify, tmp_path, monkeypatch, capsys):
    state, read = tmp_path / "state.json", sources.Folder.read

    def stopped(self, path):
        if path == "tile/entries/018":
            raise KeyboardInterrupt
        return read(self, path)

    monkeypatch.setattr(sources.Folder, "read", stopped)
    assert verify("--state", state)[0] == 2
    assert "goes on from here" in capsys.readouterr().err or state.exists()
    monkeypatch.setattr(sources.Folder, "read", read)
    (log.folder / "tile/entries/000").unlink()

    code, report = verify("--state", state)

    assert code == 0
    assert "4096 of them in an earlier run" in report["checks"][-1]["detail"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        '{"format":"pds-verified/1","origin":"a","checkpoint":null,"size":7,"edge":{}}',
        '{"format":"pds-verified/1","origin":"a","checkpoint":null,"size":256,"edge":{}}',
        '{"format":"pds-verified/1","origin":"a","checkpoint":null,"size":256,"edge":{"1":"AA=="}}',
        '{"format":"pds-verified/2","origin":"a","checkpoint":null,"size":0,"edge":{}}',
        '{"format":"pds-verified/1","origin":"a","checkpoint":null,"size":0,"edge":{"1":"AA=="}}',
    ],
)
def test_a_state_that_is_none_is_a_clear_error(log, tmp_path, capsys, text):
    state = tmp_path / "state.json"
    state.write_text(text)

    assert cli.main([str(log.folder), "--vkey", log.vkey, "--state", str(state)]) == 2
    assert capsys.readouterr().err.startswith("verify: ")
    assert state.read_text() == text


def test_the_state_of_another_log_is_refused(verify, tmp_path):
    state = tmp_path / "state.json"
    verify("--state", state)
    text = state.read_text().replace('"origin": "', '"origin": "other.')
    state.write_text(text)

    assert rules(verify("--state", state)[1]) == ["checkpoint-signature"]


def test_a_live_server_is_verified_and_copied_file_by_file(log, verify, tmp_path):
    """LOG-1: the copy is a log like the one that it was made from."""
    copy = tmp_path / "copy"
    with served(log.folder) as address:
        assert verify("--save", copy, target=address)[0] == 0

    assert verify(target=copy)[0] == 0


class Hostile(SimpleHTTPRequestHandler):
    """Answers the checkpoint as told: a status, headers, a body of any length."""

    status, headers_sent, body = 200, (), b""

    def do_GET(self):
        self.send_response(self.status)
        for name, value in self.headers_sent:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_arguments):
        pass


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": 302, "headers_sent": [("Location", "http://127.0.0.1:9/")]}, "answers 302"),
        ({"status": 500}, "answers 500"),
        ({"body": b"x" * (sources.MAX_BYTES + 1)}, "more than 1048576 bytes"),
    ],
)
def test_a_server_that_answers_otherwise_ends_with_2(log, answer, message, capsys, monkeypatch):
    monkeypatch.setattr(sources, "_PAUSES", (0, 0))
    handler = type("Answering", (Hostile,), answer)
    with served(log.folder, handler) as address:
        assert cli.main([address, "--vkey", log.vkey]) == 2

    assert message in capsys.readouterr().err


def test_a_server_that_is_not_there_ends_with_2(log, capsys, monkeypatch):
    monkeypatch.setattr(sources, "_PAUSES", (0, 0))

    assert cli.main(["http://127.0.0.1:1/log", "--vkey", log.vkey]) == 2
    assert "ConnectionRefusedError" in capsys.readouterr().err


@pytest.mark.parametrize(
    "target", ["ftp://vault.example/log", "http://", "https://user:word@vault.example/log"]
)
def test_what_is_no_address_of_a_log_is_a_clear_error(target, capsys):
    assert cli.main([target]) == 2
    assert "not the address of a log" in capsys.readouterr().err


def test_options_of_a_log_are_refused_for_a_file(tmp_path, capsys):
    (tmp_path / "file").write_bytes(b"{}")

    assert cli.main([str(tmp_path / "file"), "--state", str(tmp_path / "s")]) == 2
    assert "--state, --full and --save are for a log" in capsys.readouterr().err


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_the_frozen_vectors(case, tmp_path, capsys):
    """LOG-24, LOG-29; `docs/spec/log.md`."""
    for path, data in (VECTORS["files"] | case["change"]).items():
        if data is not None:
            (tmp_path / "log" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "log" / path).write_bytes(bytes.fromhex(data))
    arguments = ["--vkey", VECTORS["vkey"]] if case.get("key", True) else []
    if "pinned" in case:
        (tmp_path / "pinned").write_bytes(bytes.fromhex(case["pinned"]))
        arguments += ["--checkpoint", str(tmp_path / "pinned")]

    cli.main([str(tmp_path / "log"), *arguments, "--json"])

    report = json.loads(capsys.readouterr().out)
    assert (report["verdict"], sorted(set(rules(report)))) == (case["expect"], case["rules"])
