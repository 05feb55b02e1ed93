"""Imports that wait for their columns, and imports that can be taken back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

_BEFORE = "state IN ('staged', 'running', 'done', 'cancelled')"
_AFTER = "state IN ('mapping', 'staged', 'running', 'done', 'cancelled', 'undoing', 'undone')"
_COLUMNS = "bucket, vault_id, id, format, state, total, done, report_box, created_at"


def upgrade() -> None:
    """What is staged stays candidates; what was imported before cannot be taken back as a whole."""
    _remake(_AFTER)
    op.add_column(
        "staged_batches",
        sa.Column("kind", sa.String(length=16), nullable=False, server_default="candidates"),
    )


def downgrade() -> None:
    """Files that wait for their columns are dropped, and so is what would take an import back."""
    op.execute("DELETE FROM staged_batches WHERE kind <> 'candidates'")
    op.execute("DELETE FROM import_jobs WHERE state = 'mapping'")
    op.execute("UPDATE import_jobs SET state = 'cancelled' WHERE state IN ('undoing', 'undone')")
    op.drop_column("staged_batches", "kind")
    _remake(_BEFORE)


def _remake(states: str) -> None:
    # SQLite cannot change a check in place.
    op.execute(f"CREATE TABLE import_jobs_kept AS SELECT {_COLUMNS} FROM import_jobs")  # noqa: S608 - no input
    op.drop_table("import_jobs")
    op.create_table(
        "import_jobs",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("format", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("done", sa.Integer(), nullable=False),
        sa.Column("report_box", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(states, name=op.f("ck_import_jobs_state_known")),
        sa.PrimaryKeyConstraint("bucket", "vault_id", "id", name=op.f("pk_import_jobs")),
    )
    op.execute(f"INSERT INTO import_jobs ({_COLUMNS}) SELECT {_COLUMNS} FROM import_jobs_kept")  # noqa: S608 - no input
    op.drop_table("import_jobs_kept")
