"""Make the verifier one file: `python -m consent.verifier.alone pds-verify.pyz`.

The file runs wherever Python 3.11 and `cryptography` are, and holds nothing of the server.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import zipapp
from pathlib import Path

PACKAGES = ("consent/formats", "consent/verifier")

_ROOT = Path(__file__).parents[2]


def build(target: Path) -> None:
    """Write the zipapp to `target`.

    Raises:
        OSError: it cannot be written.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for package in PACKAGES:
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(_ROOT / package, root / package, ignore=ignored)
        shutil.copy(_ROOT / "consent/__init__.py", root / "consent/__init__.py")
        shutil.copy(_ROOT / "consent/verifier/__main__.py", root / "__main__.py")
        interpreter = "/usr/bin/env python3"
        zipapp.create_archive(root, target, interpreter=interpreter, compressed=True)


if __name__ == "__main__":
    build(Path(sys.argv[1]))
