"""Statements are compiled once in a run, and not once more for each of its thousands of stores."""

from __future__ import annotations

import pytest
from sqlalchemy import Engine
from sqlalchemy.util import LRUCache

_REMEMBERED = 5_000


def compile_each_statement_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the engines of a dialect share what SQLAlchemy's cache keeps of statements.

    What a statement becomes depends on its dialect and on what the dialect learnt from the server
    when it first connected, which is the same of all servers here; each engine would find out by
    itself. Once a first engine knows it, the later ones take that one's dialect.
    """
    dialects, compiled = {}, LRUCache(_REMEMBERED)
    create = Engine.__init__

    def create_sharing(engine, pool, dialect, *args, **kwargs):
        known = dialects.get(type(dialect))
        if known is None or known.server_version_info is None:
            known = dialects[type(dialect)] = dialect
        create(engine, pool, known, *args, **kwargs)
        engine._compiled_cache = compiled

    monkeypatch.setattr(Engine, "__init__", create_sharing)
