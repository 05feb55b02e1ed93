"""What people were told of ends ahead, and who has not read for long."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("agreements", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("expiry_told", sa.SmallInteger(), nullable=False, server_default="0")
        )
    with op.batch_alter_table("agreements", schema=None) as batch_op:
        batch_op.alter_column("expiry_told", server_default=None)

    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.add_column(sa.Column("dormant_since", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index("ix_grants_dormant", ["dormant_since"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("grants", schema=None) as batch_op:
        batch_op.drop_index("ix_grants_dormant")
        batch_op.drop_column("dormant_since")

    with op.batch_alter_table("agreements", schema=None) as batch_op:
        batch_op.drop_column("expiry_told")
