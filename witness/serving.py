"""Running a witness: granian in front of its WSGI application, in one process."""

from __future__ import annotations

import logging
import time
from functools import partial
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from witness.state import State
from witness.web import Application, application


def now() -> int:
    """Return the present time in POSIX seconds."""
    return int(time.time())  # noqa: TID251 - the witness's one place that reads the clock


def serve(folder: Path, *, host: str, port: int) -> None:
    """Serve until the process is told to stop.

    Raises:
        WitnessError: the folder is no witness's.
    """
    State(folder, now=now)
    Granian(
        "witness",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        blocking_threads=4,
        log_access=False,
        log_level=LogLevels.warning,
        websockets=False,
        workers_kill_timeout=5,
    ).serve(target_loader=partial(_load, folder), wrap_loader=False)


def _load(folder: Path, *_: Any) -> Application:  # noqa: ANN401 - granian names its target
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    return application(State(folder, now=now))
