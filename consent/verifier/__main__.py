"""Lets `python -m consent.verifier` run the command."""

from __future__ import annotations

import sys

from consent.verifier.cli import main

sys.exit(main())
