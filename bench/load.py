"""Load from a process of its own: wrk (a C program) sends requests that were prepared before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

_LUA = Path(__file__).with_name("load.lua")
_STARTS_WITHIN_SECONDS = 120


class BenchmarkError(Exception):
    """What was measured is not what was meant."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round against one server; latencies, and processor time a request, in milliseconds."""

    per_second: float
    p50: float
    p99: float
    cpu: float


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    url: str
    process: subprocess.Popen


def require_wrk():
    """Say what to install when the load generator is not here."""
    if shutil.which("wrk") is None:
        raise SystemExit("The load comes from wrk (Debian: apt install wrk).")


@contextmanager
def serving(variant, instance, *, port, workers, threads):
    """Run one variant of `bench.server` in processes of its own."""
    arguments = [variant, instance, port, workers, threads]
    process = subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-m", "bench.server", *map(str, arguments)]
    )
    server = Server(f"http://127.0.0.1:{port}", process)
    try:
        _wait(server)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def run(server, *, seconds, connections, requests=None):
    """Load a server for `seconds`.

    Args:
        server: what `serving` gave.
        seconds: how long.
        connections: how many are open at once.
        requests: a file of requests as `load.lua` reads them; None: GET / only.

    Raises:
        BenchmarkError: an answer was not 2xx, or the prepared requests did not last.
    """
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(_LUA)]
    # On a busy machine an answer may take longer than wrk's two seconds, and is an answer still.
    command += ["--timeout", "20s", server.url]
    if requests is not None:
        command += ["--", str(requests)]
    before = cpu_seconds(server.process.pid)
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - as above
    cpu = cpu_seconds(server.process.pid) - before
    found = json.loads(done.stdout.splitlines()[-1])
    if found["failed"] or not found["requests"]:
        raise BenchmarkError(f"{found['failed']} of {found['requests']} requests failed")
    rate = found["requests"] / found["microseconds"] * 1e6
    return Round(rate, found["p50"] / 1e3, found["p99"] / 1e3, cpu / found["requests"] * 1e3)


def cpu_seconds(pid):
    """Return the processor time that a process and those it started have had so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    spent = sum(int(ticks) for ticks in fields[11:13]) / os.sysconf("SC_CLK_TCK")
    threads = Path(f"/proc/{pid}/task").iterdir()
    children = " ".join((thread / "children").read_text("ascii") for thread in threads)
    return spent + sum(cpu_seconds(child) for child in children.split())


def _wait(server):
    deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            httpx.get(f"{server.url}/", timeout=5)
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise BenchmarkError("a server did not start")
