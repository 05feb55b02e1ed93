"""Rules that every table keeps (D12, P-1, style 2.7)."""

from __future__ import annotations

import pytest
from sqlalchemy import DateTime

from pds.db import UTCDateTime
from tests.support.new_migration import all_tables

TABLES = sorted(all_tables().tables.values(), key=lambda table: table.name)
# The directory from login name to vault is asked before any bucket is known.
DIRECTORY = {"login_names"}


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_what_belongs_to_a_vault_is_keyed_by_its_bucket_first(table):
    belongs = "vault_id" in table.columns or "bucket" in table.primary_key.columns
    keys = [column.name for column in table.primary_key.columns]

    assert not belongs or table.name in DIRECTORY or keys[0] == "bucket"


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_instant_keeps_its_zone(table):
    bare = [column.name for column in table.columns if isinstance(column.type, DateTime)]
    ours = [column for column in table.columns if isinstance(column.type, UTCDateTime)]

    assert bare == []
    assert all(column.type.impl.timezone for column in ours)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_no_number_comes_from_a_sequence(table):
    """D12: a sequence is shared by all shards; ids are made, counters are rows."""
    numbered = [column.name for column in table.columns if column.autoincrement is True]
    alone = [column for column in table.primary_key.columns if column.autoincrement == "auto"]
    alone = [column for column in alone if column.type.python_type is int]

    assert (numbered, alone) == ([], [])


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_uniqueness_within_a_vault_does_not_reach_across_shards(table):
    unique = [
        {column.name for column in constraint.columns}
        for constraint in table.constraints
        if type(constraint).__name__ == "UniqueConstraint"
    ]

    sharded = "bucket" in table.primary_key.columns
    assert not sharded or all("bucket" in columns for columns in unique)
