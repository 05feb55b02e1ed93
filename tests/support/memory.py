"""Where tests keep what they write: in memory where there is room, since no test pulls a plug."""

from __future__ import annotations

import shutil
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - folders of one's own are made in it
_ENOUGH_BYTES = 2 * 1024**3  # containers often have 64 MiB


def scratch() -> Path | None:
    """Return a file system in memory, or None for the usual place of temporary files.

    A process that is killed loses nothing there that it would keep on a disk. What a power failure
    leaves is another matter, and drills of that ask for a durable cluster.
    """
    try:
        has_room = shutil.disk_usage(_IN_MEMORY).free >= _ENOUGH_BYTES
    except OSError:
        return None
    return _IN_MEMORY if has_room else None
