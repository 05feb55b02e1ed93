"""Who may import what, beyond the contracts in pyproject.toml (style 2.2, P-7)."""

from __future__ import annotations

import ast

from tests.support.source import ROOT, modules

# The one statement of the hot path joins the tables of all three.
MAY_IMPORT_VAULT_TABLES = {"api/oauth/live.py"}


def imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_the_vaults_tables_are_the_vaults_own():
    found = {path for path, tree in modules("consent", "api") if "pds.models" in set(imports(tree))}

    assert found <= MAY_IMPORT_VAULT_TABLES


def test_migrations_import_no_models():
    ours = ("pds", "consent", "api", "connector", "witness")
    found = {
        f"{path}: {name}"
        for path, tree in modules("migrations")
        for name in imports(tree)
        if name.split(".")[0] in ours
    }

    assert found == set()


def test_nothing_is_called_utils():
    found = {path for path, _ in modules() if path.rpartition("/")[2] in {"utils.py", "helpers.py"}}

    assert found == set()


def test_every_package_says_what_it_is():
    packages = [(path, tree) for path, tree in modules() if path.endswith("__init__.py")]

    assert [path for path, tree in packages if not ast.get_docstring(tree)] == []
    assert len(packages) > 10
    folders = {path.parent for path in ROOT.glob("pds/**/*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)


def test_every_lint_exception_has_a_reason():
    """`noqa` and `type: ignore` name the rule and, after it, why (style 2.4)."""
    found = []
    for path, _ in modules():
        lines = (ROOT / path).read_text("utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            for mark in ("# noqa", "# type: ignore"):
                _, marked, rest = line.partition(mark)
                codes, _, reason = rest.partition("  #" if "type" in mark else " - ")
                if marked and not (codes.strip(":[] ") and reason.strip()):
                    found.append(f"{path}:{number}")
    assert found == []
