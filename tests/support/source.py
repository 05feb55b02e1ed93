"""The project's own source, as architecture tests walk it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("pds", "consent", "api", "connector", "witness")


def modules(*packages: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield (path from the root, syntax tree) of every module of these packages, or of all."""
    for package in packages or PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT).as_posix(), _parsed(path)


def dotted(node: ast.AST) -> str:
    """Return `a.b.c` for a chain of attributes on a name, or an empty text."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (before := dotted(node.value)):
        return f"{before}.{node.attr}"
    return ""


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))
