"""Sign-ins know their device, and when they were last used."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Of those of before, only their start is known."""
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.add_column(sa.Column("device_box", sa.LargeBinary(), nullable=True))
        batch_op.add_column(sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(sa.text("UPDATE sign_ins SET seen_at = created_at"))
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.alter_column("seen_at", existing_type=sa.DateTime(timezone=True), nullable=False)


def downgrade() -> None:
    """Forget both."""
    with op.batch_alter_table("sign_ins", schema=None) as batch_op:
        batch_op.drop_column("seen_at")
        batch_op.drop_column("device_box")
