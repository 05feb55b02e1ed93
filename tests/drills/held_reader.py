"""A server process whose next write is held until it is told to go on.

Reads requests from standard input, a line of JSON for each, with the instance that it is for. One
is passed through the whole WSGI application, made anew, and held at the first write job after
everything was decided: it says `held`, waits for a line, lets the write happen, and prints the
answer as JSON. Production code is not changed: the hold is this process's own `UnitOfWork`.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import httpx

from api.app import create_app
from api.uow import UnitOfWork
from api.wiring import wire
from pds import settings as settings_module


class HeldUnitOfWork:
    """Holds the first write; everything else is the real one's."""

    def __init__(self, real):
        self._real = real
        self._held = False

    def write(self, job):
        self._hold()
        return self._real.write(job)

    def write_rows(self, job):
        self._hold()
        return self._real.write_rows(job)

    def _hold(self):
        if not self._held:
            self._held = True
            tell({"held": True})
            sys.stdin.readline()

    def __getattr__(self, name):
        return getattr(self._real, name)


class FrozenClock:
    """Tells the instant at which the proof was made."""

    def __init__(self, instant):
        self._instant = instant

    def now(self):
        return self._instant


def tell(message):
    """Write one line of JSON."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def serve(request):
    """Serve one request, held."""
    clock = FrozenClock(datetime.fromisoformat(request["now"]))
    services = wire(settings_module.load(Path(request["instance"]), {}), clock=clock)
    services = replace(services, uow=HeldUnitOfWork(services.uow))
    assert isinstance(services.uow._real, UnitOfWork)
    transport = httpx.WSGITransport(app=create_app(services))
    with httpx.Client(transport=transport) as http:
        answer = http.request(
            request["method"], request["url"], headers=request["headers"], json=request.get("body")
        )
    services.uow.close()
    tell({"status": answer.status_code, "body": answer.text})


if __name__ == "__main__":
    for line in iter(sys.stdin.readline, ""):
        serve(json.loads(line))
