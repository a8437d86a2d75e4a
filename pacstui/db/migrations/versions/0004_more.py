"""Further attributes of studies, series and instances."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("studies", "series", "instances"):
        op.add_column(table, sa.Column("more", sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    for table in ("studies", "series", "instances"):
        op.drop_column(table, "more")
