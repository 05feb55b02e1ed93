"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:  # noqa: PLR0915 - one statement for each table
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:  # noqa: PLR0915 - one statement for each table
    ${downgrades if downgrades else "pass"}
