"""Running the server: granian in front of Flask, and the background worker beside it.

Each process makes its own application and its own worker; a lease in the store lets one worker
act. With `--no-worker` the worker is a process of its own (`pds worker`).
"""

from __future__ import annotations

import gc
import logging
import resource
import signal
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from api import refusals, schema
from api.app import create_app
from api.wiring import wire
from api.witnesses import guard
from api.worker import Worker
from pds import settings as settings_module


def serve(instance: Path, *, port: int | None, workers: int | None, with_worker: bool) -> None:
    """Serve an instance until the process is told to stop.

    Raises:
        ConfigurationError: the instance cannot run; the message says what to do.
    """
    settings = settings_module.load(instance)
    services = wire(settings)
    schema.require_head(services.uow.engine)
    guard.require_newest(services)
    services.uow.close()
    server = settings.server
    load = partial(load_app, instance, with_worker=with_worker)
    Granian(
        "pds",
        address=server.host,
        port=port or server.port,
        interface=Interfaces.WSGI,
        workers=workers or server.workers,
        blocking_threads=server.threads,
        # No access log: request lines hold codes and selectors (TAK-40, TAK-51).
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
        workers_kill_timeout=10,
    ).serve(target_loader=partial(_load, load), wrap_loader=False)


def load_app(instance: Path, *, with_worker: bool) -> Flask:
    """Make the application of one server process."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    _forbid_core_dumps()
    services = wire(settings_module.load(instance))
    stopping = threading.Event()
    guard.watch(services, stopping=stopping)
    if with_worker:
        Worker(services).start()
    refusals.start(services.refusals, stopping=stopping)
    app = create_app(services)
    spare_the_collector()
    return app


def spare_the_collector() -> None:
    """Take what is there by now out of the search for cycles: it stays as long as the process.

    Each look through all of it took a third of a second, in the middle of somebody's request.
    """
    gc.collect()
    gc.freeze()


def work(instance: Path) -> None:
    """Do the background work of an instance until the process is told to stop."""
    _forbid_core_dumps()
    services = wire(settings_module.load(instance))
    schema.require_head(services.uow.engine)
    guard.require_newest(services)
    stopping = threading.Event()
    guard.watch(services, stopping=stopping)
    worker = Worker(services)
    worker.start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    stopping.wait()
    worker.stop()
    services.uow.close()


def _forbid_core_dumps() -> None:
    # A core dump would hold keys (P-20).
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _load(load: Callable[[], Flask], *_: Any) -> Flask:  # noqa: ANN401 - granian names its target
    return load()
