"""The query plans of a read's two statements, on both stores: python -m bench.plans.

PostgreSQL plans by what it knows of the tables, so they are filled with rows of strangers first.
Every access must be through a key: a plan with a full scan fails.
"""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import Column, Connection, Select, Uuid, event, text

from api.oauth import live
from api.oauth.models import Token
from bench.rig import ALGORITHMS, STORES, Rig, rig
from consent.models import Agreement, AgreementVersion, Grant, Organisation
from pds import feed
from pds.crypto.secrets import parse
from pds.db import table_of
from pds.ids import BUCKETS
from pds.models import KeyWrap, Record, Vault

_EXPLAIN = {"sqlite": "EXPLAIN QUERY PLAN", "postgresql": "EXPLAIN (COSTS OFF)"}
_STRANGERS = 2_000  # for each row that is there
_TABLES = (Token, Grant, Agreement, AgreementVersion, Organisation, Vault, KeyWrap, Record)
# The statements themselves, which nobody else has business with.
_LIVE, _PAGE, _ONE = live._LIVE, feed._ROWS, feed._ONE  # noqa: SLF001 - as said
# SQLite says SCAN, PostgreSQL Seq Scan.
_FULL_SCAN = re.compile(r"^(SCAN|.*Seq Scan)", re.ASCII)


def explain(connection: Connection, query: Select[Any], values: dict[str, object]) -> list[str]:
    """Run a query, then return the plan of what the driver was given, a line a step."""
    sent = []

    def keep(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        sent.append((statement, values))

    event.listen(connection, "before_cursor_execute", keep)
    connection.execute(query, values).all()
    event.remove(connection, "before_cursor_execute", keep)
    ((statement, values),) = sent
    explained = f"{_EXPLAIN[connection.dialect.name]} {statement}"
    return [str(row[-1]) for row in connection.exec_driver_sql(explained, values)]


def fill(connection: Connection) -> None:
    """Add rows of other vaults to the tables that a read meets, and have them counted."""
    for table in map(table_of, _TABLES):
        columns = {column.name: _strange(column) for column in table.columns}
        connection.execute(
            text(
                f"INSERT INTO {table.name} ({', '.join(columns)})"  # noqa: S608 - names of our own
                f" SELECT {', '.join(columns.values())} FROM {table.name},"
                f" generate_series(1, {_STRANGERS}) ON CONFLICT DO NOTHING"
            )
        )
    connection.execute(text("ANALYZE"))


def _strange(column: Column[Any]) -> str:
    if column.name == "bucket":
        return f"floor(random() * {BUCKETS})::smallint"
    return (
        "gen_random_uuid()"
        if isinstance(column.type, Uuid)
        else f"{column.table.name}.{column.name}"
    )


def plans(made: Rig) -> dict[str, list[str]]:
    """Return the plans of the statements of one read."""
    (consent, *_) = made.consents[ALGORITHMS[0]]
    secret = parse(consent.access_token(), "at")
    assert secret is not None  # noqa: S101 - the server made it
    services = made.world.services
    bucket = services.ids.bucket_of(secret.selector)
    grants = table_of(Grant).c
    with services.uow.rows() as connection:
        if connection.dialect.name == "postgresql":
            fill(connection)
        row = connection.execute(
            table_of(Grant).select().where(grants.bucket == bucket).limit(1)
        ).one()
        of_vault = {"bucket": bucket, "vault_id": row.vault_id}
        return {
            "1 the live grant": explain(
                connection,
                _LIVE,
                {"bucket": bucket, "selector": secret.selector},
            ),
            "2 the next page": explain(
                connection,
                _PAGE,
                {**of_vault, "collections": ["profile"], "position": 0, "row_limit": 101},
            ),
            "2 one record": explain(
                connection,
                _ONE,
                {**of_vault, "record_id": row.id},
            ),
        }


def main() -> None:
    """Print the plans of both stores."""
    scans = []
    for kind in STORES:
        with rig(kind, people=3, algorithms=ALGORITHMS[:1]) as made:
            found = plans(made)
        for statement, steps in found.items():
            print(f"\n{kind}: {statement}")
            print("\n".join(f"  {step}" for step in steps))
            scans += [f"{kind}, {statement}: {step}" for step in steps if _FULL_SCAN.match(step)]
    if scans:
        raise SystemExit("\n".join(["full scans:", *scans]))


if __name__ == "__main__":
    main()
