"""`python -m connector` is the `pds-connector` command."""

from __future__ import annotations

from connector.cli import main

main(prog_name="pds-connector")
