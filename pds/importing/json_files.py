"""JSON files: within bounds, and whatever stands in them treated as text at most."""

from __future__ import annotations

from typing import Any

import orjson

from pds.importing.charsets import without_bom
from pds.importing.results import unusable_file


def read_json(data: bytes) -> Any:  # noqa: ANN401 - JSON
    """Return the content of a JSON file.

    Raises:
        ValidationFailedError: it is damaged or cut short; orjson refuses deep nesting as well.
    """
    try:
        return orjson.loads(without_bom(data))
    except orjson.JSONDecodeError as error:
        raise unusable_file("damaged") from error


def text_of(value: object) -> str:
    """Return a value that should be text; anything else is an empty one."""
    return value if isinstance(value, str) else ""
