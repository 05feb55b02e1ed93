"""Files in sealed chunks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """No record has a file yet."""
    op.create_table(
        "sealed_files",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("key_box", sa.LargeBinary(), nullable=True),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("bucket", "vault_id", "id", name=op.f("pk_sealed_files")),
    )
    op.create_index(op.f("ix_sealed_files_expires_at"), "sealed_files", ["expires_at"])
    op.create_table(
        "sealed_chunks",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("file_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("box", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint(
            "bucket", "vault_id", "file_id", "number", name=op.f("pk_sealed_chunks")
        ),
    )


def downgrade() -> None:
    """Files are lost with their chunks; their records stay."""
    op.drop_table("sealed_chunks")
    op.drop_index(op.f("ix_sealed_files_expires_at"), table_name="sealed_files")
    op.drop_table("sealed_files")
