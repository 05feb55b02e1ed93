"""The words of imports in both languages, by table and code; `messages.yaml` holds them."""

from __future__ import annotations

from collections.abc import Mapping

from pds.catalogue.files import read_yaml
from pds.catalogue.wording import Wording, read_wordings


def _tables(source: object) -> Mapping[str, Mapping[str, Wording]]:
    if not isinstance(source, dict):
        raise TypeError("messages.yaml: a mapping of tables is expected")
    return {str(name): read_wordings(table) for name, table in source.items()}


WORDS = _tables(read_yaml("messages.yaml", package="pds.importing"))
"""Tables: `formats`, `units`, `files` (a file refused as a whole), `notes`."""
