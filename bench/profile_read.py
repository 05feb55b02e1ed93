"""Where the time of one consented read goes: CPU microseconds a step, in one process.

    python -m bench.profile_read [--store sqlite] [--algorithm ES256] [--reads 400]

CPU time of the thread that works, so that neither a busy machine nor waiting for the disk counts;
of PostgreSQL it shows our side only. A step's figure leaves out the steps inside it. It is the
least of ten samples' means, since anything else that runs only adds.
"""

from __future__ import annotations

import argparse
import functools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import flask
import sqlalchemy
from werkzeug.test import EnvironBuilder

from api import uow
from api.oauth import live
from api.oauth.ext.dpop_rfc9449 import ProofVerifier
from api.resources import authentication, reading
from bench.rig import ALGORITHMS, STORES, Rig, rig
from consent.log.entries import EventLog
from pds import feed

# Outermost first. What a step's functions call of another step's counts there.
STEPS: dict[str, tuple[tuple[Any, str], ...]] = {
    "Flask: routing, headers, answer": ((flask.Flask, "__call__"),),
    "request: token, what is left of the views": (
        (authentication, "grant_token"),
        (reading.Reader, "one"),
    ),
    "proof: checks and signature": ((ProofVerifier, "verify"),),
    "grant: from the row, keys and terms opened": ((live, "find"),),
    "policy": ((reading.Reader, "_decide"), (reading.Reader, "_view")),
    "record: opened and filtered": ((feed, "read_one"),),
    "answer: content, ids, ETag": ((reading.Reader, "_content"),),
    "private part of the entry: sealed": ((reading, "seal_private"),),
    "write job: the proof and the grant's number": ((authentication, "use_proof"),),
    "write job: the entry": ((EventLog, "append"),),
    "write job: hand-over, transaction": (
        (uow.UnitOfWork, "write_rows"),
        (uow, "_attempt_rows"),
        (uow._GroupCommit, "_commit"),  # noqa: SLF001 - the writer's own step
    ),
    "statements": ((sqlalchemy.Connection, "execute"),),
}
SAMPLES = 10


class Timer:
    """Exclusive CPU time of steps, over all threads."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.spent: dict[str, int] = defaultdict(int)
        self._here = threading.local()

    def timed(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, timed as part of a step."""

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            running = self._here.__dict__.setdefault("running", [])
            self._turn(running)
            running.append(step)
            try:
                return function(*args, **kwargs)
            finally:
                self._turn(running)
                running.pop()

        return wrapper

    def _turn(self, running: list[str]) -> None:
        now = time.thread_time_ns()
        if running:
            self.spent[running[-1]] += now - self._here.since
        self._here.since = now


@contextmanager
def timed_steps(timer: Timer) -> Iterator[None]:
    """Time the steps of `STEPS` while the context lasts."""
    with ExitStack() as stack:
        for step, functions in STEPS.items():
            for owner, name in functions:
                original = getattr(owner, name)
                setattr(owner, name, timer.timed(step, original))
                stack.callback(setattr, owner, name, original)
        yield


def environments(made: Rig, algorithm: str, count: int) -> list[dict[str, Any]]:
    """Return the WSGI environments of `count` reads."""
    return [
        EnvironBuilder(
            path,
            base_url=made.world.issuer,
            headers={"Authorization": f"DPoP {token}", "DPoP": proof},
        ).get_environ()
        for path, token, proof in made.requests(algorithm, count)
    ]


def read_all(made: Rig, requests: list[dict[str, Any]]) -> None:
    """Send the requests into the application."""
    statuses: list[str] = []

    def start_response(status: str, *_: object) -> None:
        statuses.append(status)

    for environ in requests:
        for _ in made.world.app(environ, start_response):
            pass
    assert set(statuses) == {"200 OK"}, set(statuses)  # noqa: S101 - what is measured, holds


def profile(made: Rig, algorithm: str, reads: int) -> dict[str, float]:
    """Return microseconds a step, of one read."""
    each = reads // SAMPLES
    samples = []
    made.reset()
    read_all(made, environments(made, algorithm, each))
    for _ in range(SAMPLES):
        timer, requests = Timer(), environments(made, algorithm, each)
        with timed_steps(timer):
            read_all(made, requests)
        samples.append(timer.spent)
    least = min(samples, key=lambda sample: sum(sample.values()))
    return {step: least[step] / each / 1_000 for step in STEPS}


def main() -> None:
    """Print the profile that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--store", choices=STORES, action="append")
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="ES256")
    parser.add_argument("--reads", type=int, default=400)
    arguments = parser.parse_args()
    for kind in arguments.store or STORES:
        with rig(kind, people=2, algorithms=[arguments.algorithm]) as made:
            found = profile(made, arguments.algorithm, arguments.reads)
        total = sum(found.values())
        print(f"\n{kind}, {arguments.algorithm}: {total:.0f} us a read")
        for step, microseconds in found.items():
            print(f"  {step:45} {microseconds:6.0f}  {microseconds / total:4.0%}")


if __name__ == "__main__":
    main()
