"""Limited sign-ins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "limited_asks",
        sa.Column("tag", sa.LargeBinary(length=32), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("tag", name=op.f("pk_limited_asks")),
    )
    with op.batch_alter_table("limited_asks", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_limited_asks_asked_at"), ["asked_at"], unique=False)

    op.create_table(
        "limited_links",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("selector", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "selector", name=op.f("pk_limited_links")),
    )
    with op.batch_alter_table("limited_links", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_limited_links_bucket_vault_id"), ["bucket", "vault_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_limited_links_expires_at"), ["expires_at"], unique=False
        )

    op.create_table(
        "limited_sign_ins",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("selector", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "selector", name=op.f("pk_limited_sign_ins")),
    )
    with op.batch_alter_table("limited_sign_ins", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_limited_sign_ins_bucket_vault_id"), ["bucket", "vault_id"], unique=False
        )


def downgrade() -> None:
    with op.batch_alter_table("limited_sign_ins", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_limited_sign_ins_bucket_vault_id"))

    op.drop_table("limited_sign_ins")
    with op.batch_alter_table("limited_links", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_limited_links_expires_at"))
        batch_op.drop_index(batch_op.f("ix_limited_links_bucket_vault_id"))

    op.drop_table("limited_links")
    with op.batch_alter_table("limited_asks", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_limited_asks_asked_at"))

    op.drop_table("limited_asks")
