"""Clients that organisations register themselves: tokens for it, names by language, the rest."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Clients of before were registered by the operator, under one name."""
    op.create_table(
        "registration_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("uses_left", sa.SmallInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registration_tokens")),
    )
    op.create_index(
        op.f("ix_registration_tokens_expires_at"), "registration_tokens", ["expires_at"]
    )
    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.add_column(sa.Column("name_az", sa.String(length=120), nullable=True))
        batch_op.add_column(sa.Column("name_en", sa.String(length=120), nullable=True))
        batch_op.add_column(sa.Column("about", sa.JSON(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.drop_column("about")
        batch_op.drop_column("name_en")
        batch_op.drop_column("name_az")
    op.drop_index(op.f("ix_registration_tokens_expires_at"), table_name="registration_tokens")
    op.drop_table("registration_tokens")
