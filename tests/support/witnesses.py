"""Witnesses over real HTTP, and logs that grow, or fork, to show them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from werkzeug.serving import WSGIRequestHandler, make_server

from consent.formats import merkle
from consent.formats.checkpoint import Checkpoint, sign_checkpoint
from consent.formats.note import Signer
from consent.formats.witnessing import AddCheckpoint
from witness.serving import now
from witness.state import State
from witness.web import application

ORIGIN = "vault.example/log"


@dataclass
class Tree:
    """A log of numbered leaves; with `fork_at`, another one from that index on."""

    signer: Signer = field(default_factory=lambda: Signer.generate(ORIGIN))
    fork_at: int = 1_000

    def read(self, size: int) -> merkle.ReadHash:
        names = [b"%d" % i if i < self.fork_at else b"other %d" % i for i in range(size)]
        return merkle.leaves_reader([merkle.leaf_hash(name) for name in names])

    def root(self, size: int) -> bytes:
        return merkle.root_at(self.read(size), size)

    def checkpoint(self, size: int) -> str:
        return sign_checkpoint(Checkpoint(self.signer.name, size, self.root(size)), [self.signer])

    def request(self, old: int, new: int) -> AddCheckpoint:
        proof = merkle.consistency_proof(self.read(new), old, new) if old <= new else []
        return AddCheckpoint(old, tuple(proof), self.checkpoint(new))

    def body(self, old: int, new: int) -> bytes:
        return self.request(old, new).to_text().encode()


class _Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Say nothing."""


@dataclass
class Running:
    """A witness that answers at `url`; `down` makes it answer 503."""

    url: str
    state: State
    down: bool = False
    asked: int = 0

    @property
    def vkey(self) -> str:
        return self.state.cosigner.verifier.to_text()


@contextmanager
def witnessing(folder: Path, name: str, *log_vkeys: str) -> Iterator[Running]:
    """Run a fresh witness on a loopback port, its folder being `folder`."""
    state = State.create(folder, name, now=now)
    for vkey in log_vkeys:
        state.add_log(vkey)
    answer = application(state)

    def app(environ, start_response):
        running.asked += 1
        if running.down:
            start_response("503 Service Unavailable", [("Content-Length", "0")])
            return [b""]
        return answer(environ, start_response)

    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    running = Running(f"http://127.0.0.1:{server.server_port}", state)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
