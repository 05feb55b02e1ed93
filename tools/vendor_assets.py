"""Fetch the assets that the pages are served with, and write down what they are (UI-8).

Run it by hand after changing a version here, look at the difference, and commit the files: the
installed program never fetches anything. `npm pack` brings the packages; a test recomputes the
hashes of `vendor.lock.json`.
"""  # noqa: INP001 - a script beside the packages, not one of them

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ROOT / "api" / "web" / "static" / "vendor"
TESTS = ROOT / "tests" / "browser" / "vendor"
LOCK = "vendor.lock.json"
SPRITE = "icons.svg"

# What the templates name, in alphabetical order.
ICONS = (
    "archive",
    "building-2",
    "circle-check",
    "circle-pause",
    "circle-x",
    "clock",
    "download",
    "external-link",
    "eye-off",
    "file-text",
    "history",
    "house",
    "info",
    "key-round",
    "languages",
    "lock",
    "lock-open",
    "log-out",
    "moon",
    "plus",
    "printer",
    "scale",
    "search",
    "settings",
    "shield-check",
    "sun",
    "trash-2",
    "triangle-alert",
    "upload",
    "users",
)


@dataclass(frozen=True)
class Package:
    """An npm package, the folder its files go to, and which files: name there to name here."""

    name: str
    version: str
    folder: Path
    files: Mapping[str, str] = field(default_factory=dict)


PACKAGES = (
    Package("@picocss/pico", "2.1.1", PAGES, {"css/pico.min.css": "pico.min.css"}),
    Package("htmx.org", "4.0.1", PAGES, {"dist/htmx.min.js": "htmx.min.js"}),
    Package("lucide-static", "1.62.0", PAGES),
    Package("axe-core", "4.14.1", TESTS, {"axe.min.js": "axe.min.js"}),
)


def main() -> int:
    """Fetch every package and rewrite both folders."""
    npm = shutil.which("npm")
    if npm is None:
        sys.stderr.write("npm is needed: it comes with Node.js\n")
        return 1
    locks: dict[Path, list[dict[str, object]]] = {PAGES: [], TESTS: []}
    for package in PACKAGES:
        with tempfile.TemporaryDirectory() as scratch:
            source = _unpacked(npm, package, Path(scratch))
            written = _copied(package, source)
            licence = json.loads((source / "package.json").read_text("utf-8"))["license"]
        locks[package.folder].append(
            {
                "name": package.name,
                "version": package.version,
                "licence": licence,
                "files": {path.name: _sha256(path) for path in written},
            }
        )
    for folder, entries in locks.items():
        (folder / LOCK).write_text(json.dumps(entries, indent=2) + "\n", "utf-8")
    return 0


def _unpacked(npm: str, package: Package, scratch: Path) -> Path:
    subprocess.run(  # noqa: S603 - fixed arguments
        [npm, "pack", "--silent", f"{package.name}@{package.version}"],
        cwd=scratch,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    with tarfile.open(next(scratch.glob("*.tgz"))) as archive:
        archive.extractall(scratch, filter="data")
    return scratch / "package"


def _copied(package: Package, source: Path) -> list[Path]:
    package.folder.mkdir(parents=True, exist_ok=True)
    written = []
    for there, here in package.files.items():
        path = package.folder / here
        shutil.copyfile(source / there, path)
        written.append(path)
    if package.name == "lucide-static":
        path = package.folder / SPRITE
        path.write_text(_sprite(source, package.version), "utf-8")
        written.append(path)
    return written


def _sprite(source: Path, version: str) -> str:
    """Return one SVG file with a symbol for each icon."""
    symbols = []
    for name in ICONS:
        drawing = (source / "icons" / f"{name}.svg").read_text("utf-8")
        body = re.search(r"<svg[^>]*>(.*)</svg>", drawing, re.DOTALL)
        if body is None:
            raise ValueError(f"{name}.svg is not the drawing that was expected")
        shapes = " ".join(line.strip() for line in body[1].split("\n") if line.strip())
        symbols.append(
            f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor"'
            f' stroke-width="2" stroke-linecap="round" stroke-linejoin="round">{shapes}</symbol>'
        )
    notice = f"<!-- Icons of lucide-static {version}, ISC licence, https://lucide.dev/license -->"
    body_text = "\n".join(symbols)
    return f'{notice}\n<svg xmlns="http://www.w3.org/2000/svg">\n{body_text}\n</svg>\n'


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    raise SystemExit(main())
