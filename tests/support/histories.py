"""Databases as browsers keep them, made from `(url, title, seconds since 1970)` visits."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

_SINCE_1601 = 11_644_473_600
_SINCE_2001 = 978_307_200

Visit = tuple[str, str | None, int | None]


def database(script: str, *inserts: tuple[str, Sequence[tuple[object, ...]]]) -> bytes:
    """Return an SQLite file."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(script)
    for statement, rows in inserts:
        connection.executemany(statement, rows)
    connection.commit()
    return connection.serialize()


def chrome(visits: Sequence[Visit]) -> bytes:
    """Return a `History` of Chrome."""
    return database(
        "CREATE TABLE urls(id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR);"
        "CREATE TABLE visits(id INTEGER PRIMARY KEY, url INTEGER, visit_time INTEGER)",
        ("INSERT INTO urls VALUES (?, ?, ?)", [(n, v[0], v[1]) for n, v in enumerate(visits)]),
        (
            "INSERT INTO visits (url, visit_time) VALUES (?, ?)",
            [(n, _scaled(v[2], _SINCE_1601, 1_000_000)) for n, v in enumerate(visits)],
        ),
    )


def firefox(visits: Sequence[Visit]) -> bytes:
    """Return a `places.sqlite` of Firefox."""
    return database(
        "CREATE TABLE moz_places(id INTEGER PRIMARY KEY, url LONGVARCHAR, title LONGVARCHAR);"
        "CREATE TABLE moz_historyvisits(place_id INTEGER, visit_date INTEGER)",
        (
            "INSERT INTO moz_places VALUES (?, ?, ?)",
            [(n, v[0], v[1]) for n, v in enumerate(visits)],
        ),
        (
            "INSERT INTO moz_historyvisits VALUES (?, ?)",
            [(n, _scaled(v[2], 0, 1_000_000)) for n, v in enumerate(visits)],
        ),
    )


def safari(visits: Sequence[Visit]) -> bytes:
    """Return a `History.db` of Safari."""
    return database(
        "CREATE TABLE history_items(id INTEGER PRIMARY KEY, url TEXT);"
        "CREATE TABLE history_visits(history_item INTEGER, visit_time REAL, title TEXT)",
        ("INSERT INTO history_items VALUES (?, ?)", [(n, v[0]) for n, v in enumerate(visits)]),
        (
            "INSERT INTO history_visits VALUES (?, ?, ?)",
            [(n, _scaled(v[2], -_SINCE_2001, 1), v[1]) for n, v in enumerate(visits)],
        ),
    )


def _scaled(seconds: int | None, offset: int, scale: int) -> int | None:
    return None if seconds is None else (seconds + offset) * scale
