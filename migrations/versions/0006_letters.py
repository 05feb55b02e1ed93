"""Letters to people: an address, what they do not want to hear of, the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "letters",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("to_box", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'sent', 'dropped')", name=op.f("ck_letters_state_known")
        ),
        sa.PrimaryKeyConstraint("bucket", "id", name=op.f("pk_letters")),
    )
    with op.batch_alter_table("letters", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_letters_created_at"), ["created_at"], unique=False)
        batch_op.create_index(
            batch_op.f("ix_letters_state_due_at"), ["state", "due_at"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_letters_vault_id_sent_at"), ["vault_id", "sent_at"], unique=False
        )

    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("notice_verified_at", sa.DateTime(timezone=True), nullable=True)
        )
        batch_op.add_column(sa.Column("notice_nonce", sa.LargeBinary(length=16), nullable=True))
        batch_op.add_column(sa.Column("notice_asked_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("muted", sa.JSON(), nullable=False, server_default="[]"))
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.alter_column("muted", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("accounts", schema=None) as batch_op:
        batch_op.drop_column("muted")
        batch_op.drop_column("notice_asked_at")
        batch_op.drop_column("notice_nonce")
        batch_op.drop_column("notice_verified_at")

    with op.batch_alter_table("letters", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_letters_vault_id_sent_at"))
        batch_op.drop_index(batch_op.f("ix_letters_state_due_at"))
        batch_op.drop_index(batch_op.f("ix_letters_created_at"))

    op.drop_table("letters")
