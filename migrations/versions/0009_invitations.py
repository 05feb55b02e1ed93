"""Invitations, and where a client's start page is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("client_id", sa.Uuid(), nullable=False),
        sa.Column("template_id", sa.Uuid(), nullable=False),
        sa.Column("verifier", sa.LargeBinary(length=32), nullable=False),
        sa.Column("reference_box", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('open', 'opened', 'used', 'declined', 'withdrawn', 'expired')",
            name=op.f("ck_invitations_state_known"),
        ),
        sa.CheckConstraint(
            "(state = 'open') = (reference_box IS NOT NULL)",
            name=op.f("ck_invitations_sealed_while_open"),
        ),
        sa.CheckConstraint(
            "(state IN ('open', 'opened')) = (closed_at IS NULL)",
            name=op.f("ck_invitations_closed_once"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_invitations")),
    )
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_invitations_organisation_id_id"), ["organisation_id", "id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_invitations_state_expires_at"), ["state", "expires_at"], unique=False
        )
        batch_op.create_index(batch_op.f("ix_invitations_closed_at"), ["closed_at"], unique=False)

    op.create_table(
        "opened_invitations",
        sa.Column("bucket", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("invitation_id", sa.Uuid(), nullable=False),
        sa.Column("vault_id", sa.Uuid(), nullable=False),
        sa.Column("reference_box", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("bucket", "invitation_id", name=op.f("pk_opened_invitations")),
    )
    with op.batch_alter_table("opened_invitations", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_opened_invitations_invitation_id"), ["invitation_id"], unique=False
        )
        batch_op.create_index(
            batch_op.f("ix_opened_invitations_expires_at"), ["expires_at"], unique=False
        )

    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.add_column(sa.Column("initiate_login_uri", sa.String(length=2000), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("clients", schema=None) as batch_op:
        batch_op.drop_column("initiate_login_uri")

    with op.batch_alter_table("opened_invitations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_opened_invitations_expires_at"))
        batch_op.drop_index(batch_op.f("ix_opened_invitations_invitation_id"))

    op.drop_table("opened_invitations")
    with op.batch_alter_table("invitations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_invitations_closed_at"))
        batch_op.drop_index(batch_op.f("ix_invitations_state_expires_at"))
        batch_op.drop_index(batch_op.f("ix_invitations_organisation_id_id"))

    op.drop_table("invitations")
