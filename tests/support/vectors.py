"""The frozen vectors in tests/vectors; its README says what their fields mean."""

from __future__ import annotations

import json
from pathlib import Path

_FOLDER = Path(__file__).parents[1] / "vectors"


def load(name):
    """Return the parsed JSON of tests/vectors/<name>.json."""
    return json.loads((_FOLDER / f"{name}.json").read_bytes())
