"""The real server, in processes of its own, to be killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 60


def free_port():
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


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
