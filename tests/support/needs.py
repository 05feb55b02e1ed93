"""Programs that some tests need and a machine may lack (P-41).

Tests marked with a program that is missing are not collected, and the run says so. With
PDS_REQUIRE_ALL=1, as in CI, the run fails instead.
"""

from __future__ import annotations

import os
import shutil

from tests.support import postgresql
from tests.support.source import ROOT

REQUIRE_ALL = "PDS_REQUIRE_ALL"
# What npm writes last.
_PEERS = ROOT / "tests/interop/node_modules/.package-lock.json"


def missing() -> dict[str, str]:
    """Return the markers whose program is not here, with what is missing."""
    found = {
        "postgresql": ("a PostgreSQL server", postgresql.binaries()),
        "browser": ("Chromium", shutil.which("chromium") or shutil.which("chromium-browser")),
        "go": ("the Go toolchain", shutil.which("go")),
        "interop": (
            "openid-client and oidc-provider from npm",
            _PEERS if _PEERS.exists() else None,
        ),
    }
    return {marker: what for marker, (what, where) in found.items() if where is None}


def all_required() -> bool:
    """Tell whether a missing program fails the run."""
    return os.environ.get(REQUIRE_ALL) == "1"
