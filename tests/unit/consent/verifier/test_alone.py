"""The verifier as one file, where nothing of the server is installed (LOG-25)."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from consent.verifier.alone import build
from tests.support.evidence import story

LOG = story()
NEEDED = ("cryptography", "cffi", "_cffi_backend", "pycparser")
RUN = """
import runpy, sys
from importlib.util import find_spec

sys.path.append(sys.argv[1])
sys.argv = sys.argv[2:]
assert not [name for name in ("pds", "api", "sqlalchemy", "flask") if find_spec(name)]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Return a function that runs the file with the standard library and `cryptography` alone."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "packages").mkdir()
    for name in NEEDED:
        found = find_spec(name)
        if found is not None:
            place = Path(found.origin)
            place = place.parent if place.name == "__init__.py" else place
            (folder / "packages" / place.name).symlink_to(place)
    build(folder / "pds-verify.pyz")

    def run(*arguments):
        # -I and -S: neither the environment, nor this folder, nor any installed package.
        command = [sys.executable, "-I", "-S", "-c", RUN, folder / "packages"]
        command += [folder / "pds-verify.pyz", *arguments]
        return subprocess.run(  # noqa: S603 - our own file
            list(map(str, command)), check=False, capture_output=True, text=True
        )

    return run


def test_it_verifies_and_its_exit_status_is_the_verdict(alone, tmp_path):
    bundle = tmp_path / "bundle.json"
    bundle.write_bytes(LOG.bundle().to_bytes())
    changed = tmp_path / "changed.json"
    changed.write_bytes(bundle.read_bytes().replace(b'"count":1', b'"count":2', 1))

    honest, forged = alone(bundle), alone(changed)

    assert (honest.returncode, honest.stdout.splitlines()[-1]) == (3, "SELF_CONSISTENT_ONLY")
    assert forged.returncode == 1, forged.stderr
    assert "inclusion" in forged.stdout
