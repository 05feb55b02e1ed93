"""Only the unit of work commits (P-4); only three places read the clock and the environment."""

from __future__ import annotations

import ast

import pytest

from tests.support.source import dotted, modules

COMMITTERS = {"api/uow.py", "api/schema.py"}  # the second runs migrations, outside of any request
BANNED = {
    "os.environ": "pds/settings.py",
    "os.getenv": "pds/settings.py",
    "datetime.now": "pds/clock.py",
    "datetime.utcnow": "pds/clock.py",
    "datetime.datetime.now": "pds/clock.py",
    "time.time": "pds/clock.py",
    "uuid.uuid4": "pds/ids.py",
    "uuid4": "pds/ids.py",
}


def calls(tree, method):
    return [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == method
    ]


def test_nothing_else_commits():
    found = {
        path: lines
        for path, tree in modules("pds", "consent", "api")
        if (lines := calls(tree, "commit")) and path not in COMMITTERS
    }

    assert found == {}


def test_the_check_sees_a_commit():
    assert calls(ast.parse("session.commit()\nself.db.session.commit()"), "commit") == [1, 2]


@pytest.mark.parametrize("name", BANNED)
def test_clock_and_environment_have_one_door_each(name):
    found = {
        f"{path}:{node.lineno}"
        for path, tree in modules("pds", "consent", "api")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute | ast.Name) and dotted(node) == name
        if path != BANNED[name]
    }

    assert found == set()


def test_the_domain_takes_its_store_from_outside():
    """No engine and no session is made below `api` (style 2.7)."""
    makers = {"create_engine", "sessionmaker", "Session"}
    found = {
        f"{path}:{node.lineno}"
        for path, tree in modules("pds", "consent")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and dotted(node.func).rpartition(".")[2] in makers
    }

    assert found == set()
