"""The auditor's machine: it has the verifier's one file, Python and `cryptography` alone."""

from __future__ import annotations

import subprocess
import venv
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from consent.verifier import alone

# What `cryptography` is made of.
_PACKAGES = ("cryptography", "cffi", "_cffi_backend", "pycparser")
_TIMEOUT = 120


@dataclass(frozen=True, slots=True)
class EmptyEnvironment:
    """A Python of its own, and the verifier beside it."""

    python: Path
    verifier: Path

    @classmethod
    def make(cls, folder: Path) -> EmptyEnvironment:
        """Make it in a folder that is not there yet, without a network.

        Raises:
            OSError: it cannot be written.
        """
        venv.create(folder, symlinks=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        for name in _PACKAGES:
            found = find_spec(name)
            if found is not None and found.origin is not None:
                place = Path(found.origin)
                place = place.parent if place.stem == "__init__" else place
                (packages / place.name).symlink_to(place)
        verifier = folder / "pds-verify.pyz"
        alone.build(verifier)
        return cls(folder / "bin" / "python", verifier)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the verifier."""
        # -I: neither this folder nor the environment's variables say where modules come from.
        command = [str(self.python), "-I", str(self.verifier), *arguments]
        return subprocess.run(  # noqa: S603 - our own file
            command, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
