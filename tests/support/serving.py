"""The real server, in processes of its own, on a store that this process sees as well."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx

from tests.support.stores import Store
from tests.support.worlds import world_on

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def write_settings(settings):
    """Write `pds.toml`, as `pds init` does."""
    text = (
        f"[server]\nissuer = {json.dumps(settings.server.issuer)}\n"
        f"port = {settings.server.port}\ninsecure_loopback = true\n"
        f"[database]\nurl = {json.dumps(settings.database.url)}\n"
        "[vault]\nargon2_memory_kib = 47104\nargon2_passes = 1\nargon2_lanes = 1\n"
    )
    (settings.instance / "pds.toml").write_text(text, "utf-8")


@contextmanager
def served_world(store, *, log):
    """Give a world whose issuer is a real server, which is not running yet, and that server."""
    port = free_port()
    server = replace(store.settings.server, issuer=f"http://127.0.0.1:{port}", port=port)
    settings = replace(store.settings, server=server)
    write_settings(settings)
    with world_on(Store(store.kind, settings, store.uow)) as world:
        server = Server(settings, log=log)
        try:
            yield world, server
        finally:
            server.stop()


class Server:
    """`pds serve` on an instance folder; every process of it is in one group."""

    def __init__(self, settings, *, log):
        self.url = settings.server.issuer
        self._command = [sys.executable, "-m", "api", "serve", "--instance", settings.instance]
        self._log = log
        self._process = None

    def start(self):
        """Start and wait until it serves."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                if httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200:
                    return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"the server does not start:\n{self._log.read_text('utf-8')}")

    def kill(self):
        """End every process of it at once, without a word to any."""
        self._signal(signal.SIGKILL)

    def stop(self):
        """End it in good order; does nothing when it has ended."""
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGTERM)

    def _signal(self, number):
        group = self._process.pid
        os.killpg(group, number)
        self._process.wait(START_SECONDS)
        # The workers are not our children: wait until the last of the group is gone.
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                os.killpg(group, 0)
            except (ProcessLookupError, PermissionError):
                return
            time.sleep(0.01)
        raise RuntimeError("a process of the server lives on")
