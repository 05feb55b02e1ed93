"""`python -m api` is the `pds` command."""

from __future__ import annotations

from api.cli import main

main(prog_name="pds")
