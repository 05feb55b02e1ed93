"""`pds witness`: its commands, and the program itself."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress

import httpx
import pytest
from click.testing import CliRunner

from api.cli import main
from consent.formats.cosignature import CosignatureVerifier
from consent.formats.note import Signer
from tests.support.serving import free_port
from tests.support.source import ROOT
from tests.support.witnesses import Tree
from witness.serving import now
from witness.state import State
from witness.web import add_checkpoint


def run(*words):
    return CliRunner().invoke(main, ["witness", *map(str, words)])


@pytest.fixture
def folder(tmp_path):
    made = run("init", tmp_path / "w", "--name", "witness.example/w1")
    assert made.exit_code == 0, made.output
    return tmp_path / "w"


def test_init_prints_the_key_that_key_prints_again(folder, tmp_path):
    vkey = run("key", folder).output.strip()

    assert CosignatureVerifier.from_text(vkey).name == "witness.example/w1"
    for words, says in [
        (("init", folder, "--name", "w"), "holds a witness already"),
        (("init", tmp_path / "x", "--name", "a name"), "key name"),
        (("key", tmp_path / "nothing"), "is no witness"),
        (("add-log", folder, vkey), "another signature type"),
        (("serve", folder, "--bind", "here"), "host and port"),
    ]:
        refused = run(*words)
        assert refused.exit_code == 2
        assert says in refused.output


def test_status_shows_what_was_cosigned_and_a_fork_makes_it_fail(folder):
    """LOG-5: the fork is shown to whoever runs the witness, with the checkpoint that proves it."""
    honest, forked = Tree(), Tree(fork_at=2)
    forked.signer = honest.signer
    added = run("add-log", folder, honest.signer.verifier.to_text())
    new = run("status", folder)
    state = State(folder, now=now)
    add_checkpoint(state, honest.body(0, 4))
    quiet = run("status", folder)
    add_checkpoint(state, forked.body(4, 4))
    loud, document = run("status", folder), run("status", folder, "--json")

    assert added.output == "Watching vault.example/log.\n"
    assert "nothing cosigned yet" in new.output
    assert (quiet.exit_code, loud.exit_code, document.exit_code) == (0, 1, 1)
    assert "size 4" in quiet.output
    assert "FORK: size 4" in loud.output
    [log] = json.loads(document.output)["logs"]
    assert (log["size"], log["refused"][0]["evidence"]) == (4, "fork")
    assert log["refused"][0]["checkpoint"] == forked.checkpoint(4)


def test_the_program_serves_until_it_is_told_to_stop(folder):
    tree, port = Tree(Signer.generate("vault.example/log")), free_port()
    run("add-log", folder, tree.signer.verifier.to_text())
    command = [sys.executable, "-m", "api", "witness", "serve", str(folder)]
    process = subprocess.Popen(  # noqa: S603 - our own program
        [*command, "--bind", f"127.0.0.1:{port}"], cwd=ROOT
    )
    try:
        answer = None
        deadline = time.monotonic() + 30
        while answer is None and time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                answer = httpx.post(
                    f"http://127.0.0.1:{port}/add-checkpoint", content=tree.body(0, 3)
                )
            time.sleep(0.02)
    finally:
        process.terminate()
        process.wait(20)

    assert answer is not None
    assert (answer.status_code, answer.text.startswith("— witness.example/w1 ")) == (200, True)
    assert State(folder, now=now).watched()[0].tree.size == 3
