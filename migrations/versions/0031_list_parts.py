"""Sealed parts of lists, and an index that pages are turned and records counted by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Parts are made as lists are first looked at; nothing is to be carried over."""
    op.create_table(
        "list_parts",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("collection", sa.String(length=64), nullable=False),
        sa.Column("after_seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("through_seq", sa.BigInteger(), nullable=False),
        sa.Column("keys_box", sa.LargeBinary(), nullable=False),
        sa.Column("texts_box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "bucket", "vault_id", "collection", "after_seq", name=op.f("pk_list_parts")
        ),
    )
    _index("bucket", "vault_id", "collection", "seq", "deleted")


def downgrade() -> None:
    """Everything in the parts can be made anew from the records."""
    _index("bucket", "vault_id", "collection", "seq")
    op.drop_table("list_parts")


def _index(*columns: str) -> None:
    op.drop_index("ix_records_feed", table_name="records")
    op.create_index("ix_records_feed", "records", list(columns), unique=False)
