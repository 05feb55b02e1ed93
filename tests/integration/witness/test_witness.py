"""The witness: what it cosigns, what it refuses, and never two histories (LOG-5)."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime

import httpx
import pytest

from consent.formats.checkpoint import open_checkpoint
from consent.formats.cosignature import CosignatureVerifier, cosigned_at
from consent.formats.encoding import b64_decode
from consent.formats.note import Signer, Verifier
from consent.formats.witnessing import SIZE_TYPE, monitoring_path
from tests.support.source import ROOT
from tests.support.vectors import load
from tests.support.witnesses import ORIGIN, Tree, witnessing
from witness.errors import WitnessError
from witness.judging import Answer, judge
from witness.state import KEY_FILE, MOST_REFUSALS, State
from witness.web import add_checkpoint, application

VECTORS = load("witness")
NOW = VECTORS["time"]


@pytest.fixture
def state(tmp_path):
    return State.create(tmp_path / "w", "witness.example/w1", now=lambda: NOW)


@pytest.fixture
def vector_state(tmp_path):
    """A witness with the vectors' key that watches the vectors' log."""
    state = State.create(tmp_path / "v", "witness.example/w1", now=lambda: NOW)
    (tmp_path / "v" / KEY_FILE).write_text(VECTORS["witness_skey"])
    state = State(tmp_path / "v", now=lambda: NOW)
    state.add_log(VECTORS["log_vkey"])
    return state


def advance(state, size):
    """Bring the witness to one of the vectors' trees."""
    if size:
        with state._transaction() as connection:
            connection.execute(
                "INSERT INTO latest VALUES (?, ?, ?, '', ?)",
                (ORIGIN, size, b64_decode(VECTORS["trees"][str(size)]), NOW),
            )


@pytest.mark.parametrize("case", VECTORS["cases"], ids=lambda case: case["name"])
def test_each_request_is_answered_as_tlog_witness_says(vector_state, case):
    advance(vector_state, case["last"])

    answer = add_checkpoint(vector_state, case["request"].encode())

    [log] = vector_state.watched()
    assert answer.status == case["expect"]
    assert answer.body == case.get("body", answer.body)
    assert [each.evidence for each in log.refused] == [
        case[name] for name in ["evidence"] if name in case
    ]
    if answer.status == 200:
        note = case["request"].partition("\n\n")[2] + answer.body
        witness = CosignatureVerifier.from_text(VECTORS["witness_vkey"])
        opened = open_checkpoint(
            note, log_keys=[Verifier.from_text(VECTORS["log_vkey"])], witnesses=[witness]
        )
        [cosignature] = [s for s in opened.note.signatures if s.key_id == witness.key_id]
        assert cosigned_at(cosignature) == NOW
        assert log.tree.size == case["size"]
    else:
        assert log.tree.size == case["last"]  # what is refused moves nothing


def test_a_conflict_names_the_size_in_its_own_type(vector_state):
    advance(vector_state, 13)
    case = next(each for each in VECTORS["cases"] if each["name"] == "behind")

    answer = add_checkpoint(vector_state, case["request"].encode())

    assert (answer.status, answer.content_type) == (409, SIZE_TYPE)


def test_over_http_a_log_grows_and_its_fork_is_refused_and_shown(tmp_path):
    """The whole exchange on a socket, keep-alive included; what is refused is no cosignature."""
    honest, forked = Tree(), Tree(fork_at=3)
    forked.signer = honest.signer
    with (
        witnessing(tmp_path / "w", "witness.example/w1", honest.signer.verifier.to_text()) as one,
        httpx.Client(base_url=one.url) as client,
    ):
        assert client.get(monitoring_path(ORIGIN)).status_code == 404
        grown = [
            client.post("/add-checkpoint", content=honest.body(old, new))
            for old, new in [(0, 0), (0, 4), (4, 4), (4, 9)]
        ]
        conflict = client.post("/add-checkpoint", content=honest.body(4, 9))
        fork = client.post("/add-checkpoint", content=forked.body(9, 9))
        latest = client.get(monitoring_path(ORIGIN))
        wrong = [
            client.get("/add-checkpoint"),
            client.post(monitoring_path(ORIGIN), content=b""),
            client.get("/"),
            client.post("/add-checkpoint", content=b"x" * 600_000),
            client.post("/add-checkpoint", content=iter([b"x"])),
        ]
        [log] = one.state.watched()

    assert [each.status_code for each in grown] == [200] * 4
    assert (conflict.status_code, conflict.text) == (409, "9\n")
    assert conflict.headers["content-type"] == SIZE_TYPE
    assert fork.status_code == 422
    keys = [honest.signer.verifier]
    witness = CosignatureVerifier.from_text(one.vkey)
    opened = open_checkpoint(latest.text, log_keys=keys, witnesses=[witness])
    assert opened.checkpoint.root == honest.root(9)
    assert len(opened.note.signatures) == 2
    assert [each.status_code for each in wrong] == [405, 405, 404, 413, 411]
    assert [(each.evidence, each.size, each.root) for each in log.refused] == [
        ("fork", 9, forked.root(9))
    ]


def test_a_tree_that_was_refused_unproved_is_a_fork_once_its_size_is_taken(state):
    honest, forked = Tree(), Tree(fork_at=3)
    forked.signer = honest.signer
    state.add_log(honest.signer.verifier.to_text())
    for old, new in [(0, 5)]:
        add_checkpoint(state, honest.body(old, new))

    unproved = add_checkpoint(state, forked.body(5, 8))
    late = add_checkpoint(state, honest.body(5, 8).replace(b"=\n", b"A=\n", 1))
    [before] = state.watched()
    add_checkpoint(state, honest.body(5, 8))
    [after] = state.watched()

    assert (unproved.status, late.status) == (422, 400)
    assert [each.evidence for each in before.refused] == ["unproved"]
    assert [(each.evidence, each.root) for each in after.refused] == [("fork", forked.root(8))]


def test_strangers_cannot_fill_the_disk_with_refusals(state):
    """Whoever has public checkpoints may send them with wrong proofs: so many are kept, no more."""
    tree = Tree()
    state.add_log(tree.signer.verifier.to_text())
    add_checkpoint(state, tree.body(0, 1))

    for size in range(2, MOST_REFUSALS + 10):
        body = f"old 1\n\n{tree.checkpoint(size)}".encode()
        assert add_checkpoint(state, body).status == 422

    [log] = state.watched()
    assert len(log.refused) == MOST_REFUSALS


def test_each_log_has_its_own_tree_and_a_second_key_of_an_origin_counts(state):
    first, second = Tree(), Tree(Signer.generate("other.example/log"))
    rotated = Tree(Signer.generate(ORIGIN))
    for tree in (first, second):
        state.add_log(tree.signer.verifier.to_text())

    assert add_checkpoint(state, first.body(0, 5)).status == 200
    assert add_checkpoint(state, second.body(0, 3)).status == 200
    assert add_checkpoint(state, rotated.body(5, 6)).status == 403
    state.add_log(rotated.signer.verifier.to_text())
    assert add_checkpoint(state, rotated.body(5, 6)).status == 200
    assert [(log.origin, log.tree.size) for log in state.watched()] == [
        ("other.example/log", 3),
        (ORIGIN, 6),
    ]


def test_of_two_forks_at_once_one_waits_and_is_refused(state, tmp_path, monkeypatch):
    """While the first is being judged, another process is asked for the fork of the same size."""
    honest, forked = Tree(), Tree(fork_at=2)
    forked.signer = honest.signer
    state.add_log(honest.signer.verifier.to_text())
    add_checkpoint(state, honest.body(0, 2))
    other = State(tmp_path / "w", now=lambda: NOW)
    second = []

    def judge_slowly(*asked):
        verdict = judge(*asked)
        if not second:
            second.append(pool.submit(add_checkpoint, other, forked.body(2, 5)))
            wait(second, timeout=0.2)
        return verdict

    monkeypatch.setattr("witness.state.judge", judge_slowly)
    with ThreadPoolExecutor(1) as pool:
        first = add_checkpoint(state, honest.body(2, 5))

    assert (first.status, second[0].result().status) == (200, 409)
    assert state.watched()[0].tree.root == honest.root(5)


def test_threads_with_forks_at_the_same_size_get_cosignatures_of_one_history(state):
    honest, forked = Tree(), Tree(fork_at=2)
    forked.signer = honest.signer
    state.add_log(honest.signer.verifier.to_text())
    add_checkpoint(state, honest.body(0, 2))
    bodies = {
        (tree.fork_at, size): [tree.body(old, size) for old in range(2, size)]
        for tree in (honest, forked)
        for size in range(3, 9)
    }
    won, start = [], threading.Barrier(6)

    def submit(number):
        fork_at = (honest, forked)[number % 2].fork_at
        start.wait()
        for size in range(3, 9):
            answers = [add_checkpoint(state, body) for body in bodies[fork_at, size]]
            won.extend((fork_at, size) for each in answers if each.status == 200)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(submit, range(6)))

    assert len({fork_at for fork_at, _ in won}) == 1
    assert sorted(size for _, size in won) == sorted({size for _, size in won})
    assert max(size for _, size in won) == 8


def test_nothing_is_cosigned_when_the_state_cannot_be_kept(state, monkeypatch):
    """The disk is full at the commit: the line was computed, and nobody gets it."""
    tree = Tree()
    state.add_log(tree.signer.verifier.to_text())
    body, answers = tree.body(0, 4), []

    class FullDisk(sqlite3.Connection):
        def execute(self, statement, *values):
            if statement == "COMMIT":
                raise sqlite3.OperationalError("disk full")
            return super().execute(statement, *values)

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **named: connect(*args, factory=FullDisk, **named)
    )
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/add-checkpoint",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": type("Body", (), {"read": lambda _self, _count: body})(),
    }
    said = application(state)(environ, lambda status, _headers: answers.append(status))

    assert answers == ["503 Service Unavailable"]
    assert "—" not in b"".join(said).decode()
    monkeypatch.undo()
    assert state.watched()[0].tree.size == 0


WRITER = """
import sys
from pathlib import Path
from tests.support.witnesses import Tree
from consent.formats.note import Signer
from witness.state import State
from witness.serving import now
from witness.web import add_checkpoint
folder, skey, fork_at = sys.argv[1:]
state = State(Path(folder), now=now)
tree = Tree(Signer.from_text(skey), int(fork_at))
old = state.watched()[0].tree.size
for new in range(old + 1, 400):
    if add_checkpoint(state, tree.body(old, new)).status == 200:
        print(new, tree.fork_at, flush=True)
        old = new
"""


@pytest.mark.drill
def test_a_witness_that_is_killed_never_forgets_what_it_has_answered(state, tmp_path):
    """Killed at any moment, and the fork comes next: no answer for it, ever (kill -9)."""
    honest, forked = Tree(), Tree(fork_at=2)
    forked.signer = honest.signer
    state.add_log(honest.signer.verifier.to_text())
    add_checkpoint(state, honest.body(0, 3))
    answered = 3

    for _ in range(3):
        command = [sys.executable, "-c", WRITER, str(tmp_path / "w")]
        command += [honest.signer.to_text(), str(honest.fork_at)]
        writer = subprocess.Popen(  # noqa: S603 - our own program
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        with writer:
            for _line in range(random.randrange(1, 12)):  # noqa: S311 - when to kill
                answered = int(writer.stdout.readline().split()[0])
            os.kill(writer.pid, signal.SIGKILL)
            rest = writer.stdout.read().splitlines()
            answered = max([answered, *(int(line.split()[0]) for line in rest if " " in line)])
        [log] = State(tmp_path / "w", now=lambda: NOW).watched()
        assert log.tree.size >= answered
        assert log.tree.root == honest.root(log.tree.size)
        for new in (log.tree.size, log.tree.size + 5):
            assert add_checkpoint(state, forked.body(log.tree.size, new)).status == 422


@pytest.mark.usefixtures("state")
def test_a_witness_is_never_made_twice_and_its_key_is_its_own(tmp_path):
    with pytest.raises(WitnessError):
        State.create(tmp_path / "w", "witness.example/w2", now=lambda: NOW)
    with pytest.raises(WitnessError):
        State(tmp_path / "nothing", now=lambda: NOW)
    key = tmp_path / "w" / KEY_FILE
    assert key.stat().st_mode & 0o777 == 0o600
    key.chmod(0o644)
    with pytest.raises(WitnessError, match="chmod 600"):
        State(tmp_path / "w", now=lambda: NOW)


def test_the_monitoring_copy_says_when(state):
    tree = Tree()
    state.add_log(tree.signer.verifier.to_text())
    add_checkpoint(state, tree.body(0, 4))

    [log] = state.watched()

    assert log.cosigned_at == datetime.fromtimestamp(NOW, UTC)
    assert isinstance(add_checkpoint(state, b"\xff"), Answer)
