"""Stores for tests: each test gets its own copy of a migrated template database (P-41)."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, select

from api import checking, schema
from api.uow import UnitOfWork
from consent.models import Request
from pds import instance
from pds.ids import random_uuid
from pds.settings import DatabaseSettings, LogSettings, ServerSettings, Settings
from tests.support.postgresql import Cluster

# Parameters of a fixture that gives a store of each kind.
STORES = ("sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql))
_TEMPLATE = "pds_template"


@dataclass(frozen=True, slots=True)
class Store:
    """A fresh, migrated store of one test, with the settings that lead to it."""

    kind: str
    settings: Settings
    uow: UnitOfWork

    def another_process(self) -> UnitOfWork:
        """Return a unit of work that shares nothing with `uow`, as a second process would."""
        return UnitOfWork(self.settings)


class Stores:
    """Makes stores by copying a template, which is migrated once in a test run."""

    def __init__(self, folder: Path, cluster: Callable[[], Cluster]) -> None:
        self._folder = folder
        self._cluster = cluster
        self._has_template = False
        self.are_held_to_the_rules = False  # `holds_what_is_left` says for which tests

    @contextmanager
    def empty(self, kind: str) -> Iterator[Settings]:
        """Give settings that lead to a store without any table."""
        with self._settings(kind, None) as settings:
            yield settings

    @contextmanager
    def migrated(self, kind: str) -> Iterator[Store]:
        """Give a migrated store that nobody else uses.

        What is left behind in it must break no invariant (CM-13) where the test is held to that.
        """
        template = self._sqlite_template() if kind == "sqlite" else self._postgresql_template()
        with self._settings(kind, template) as settings:
            uow = UnitOfWork(settings)
            try:
                yield Store(kind, settings, uow)
                if self.are_held_to_the_rules and (found := left_behind(uow)):
                    raise AssertionError("\n".join(found))
            finally:
                uow.close()

    @contextmanager
    def kept(self, store: Store, uow: UnitOfWork) -> Iterator[Callable[[], None]]:
        """Give a way back to what a store holds now.

        Args:
            store: nobody may use it while it goes back.
            uow: besides its own, the only one that is connected to it; that is closed, and goes on.
        """
        if store.kind == "sqlite":
            path = make_url(store.settings.database_url).database
            with closing(sqlite3.connect(":memory:")) as kept:
                _copy(path, kept)
                yield lambda: _put_back(kept, path)
            return
        cluster, name = self._cluster(), make_url(store.settings.database_url).database
        uow.close()
        cluster.create_database(f"{name}_kept", template=name)

        def go_back() -> None:
            uow.close()
            cluster.drop_database(name)
            cluster.create_database(name, template=f"{name}_kept")

        try:
            yield go_back
        finally:
            cluster.drop_database(f"{name}_kept")

    def _settings(self, kind: str, template: str | None) -> AbstractContextManager[Settings]:
        return self._sqlite(template) if kind == "sqlite" else self._postgresql(template)

    @contextmanager
    def _sqlite(self, template: str | None) -> Iterator[Settings]:
        with self._new_folder() as folder:
            if template is not None:
                shutil.copyfile(template, folder / "pds.db")
            yield settings_for(folder)

    @contextmanager
    def _postgresql(self, template: str | None) -> Iterator[Settings]:
        cluster, name = self._cluster(), f"pds_{random_uuid().hex}"
        cluster.create_database(name, template=template or "template1")
        try:
            with self._new_folder() as folder:
                yield settings_for(folder, cluster.dsn(name))
        finally:
            cluster.drop_database(name)

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        folder = self._folder / random_uuid().hex
        instance.create(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def _sqlite_template(self) -> str:
        path = self._folder / "template.db"
        if not path.exists():
            _migrate(f"sqlite:///{path}")
        return str(path)

    def _postgresql_template(self) -> str:
        if not self._has_template:
            self._cluster().create_database(_TEMPLATE)
            _migrate(settings_for(self._folder, self._cluster().dsn(_TEMPLATE)).database_url)
            self._has_template = True
        return _TEMPLATE


def holds_what_is_left(item: pytest.Item) -> bool:
    """Tell whether a test must leave its store in order: all but those that change rows by hand.

    Those say so by their mark.
    """
    return not item.get_closest_marker("tampers")


def left_behind(uow: UnitOfWork) -> list[str]:
    """Return what breaks an invariant in a store; one without any request is not looked at.

    Of a store without any, there is little to say, and a check takes as long as its test.
    """
    with uow.read() as session:
        if session.scalars(select(Request.id).limit(1)).one_or_none() is None:
            return []
    return [found.text() for found in checking.violations(uow)]


def settings_for(folder: Path, url: str = "") -> Settings:
    """Return the settings of an instance folder; without URL, its own SQLite file."""
    server = ServerSettings(insecure_loopback=True)
    # Tests move their clocks, and most of them run no worker: no log of theirs is late.
    log = LogSettings(refuse_seconds=0)
    return Settings(folder, server=server, database=DatabaseSettings(url=url), log=log)


def _copy(path: str, kept: sqlite3.Connection) -> None:
    with closing(sqlite3.connect(path)) as live:
        live.backup(kept)


def _put_back(kept: sqlite3.Connection, path: str) -> None:
    # Not as a file: connections that are open see it as they see any transaction.
    with closing(sqlite3.connect(path)) as live:
        kept.backup(live)


def _migrate(url: str) -> None:
    engine = create_engine(url)
    schema.upgrade(engine)
    engine.dispose()
