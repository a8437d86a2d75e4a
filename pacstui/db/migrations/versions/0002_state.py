"""What an index notes about itself; what is wrong in it is found without looking at all of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "state",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_index("studies_conflict", "studies", ["id"], sqlite_where=sa.text("conflict != ''"))
    op.create_index("instances_missing", "instances", ["series"], sqlite_where=sa.text("missing != 0"))


def downgrade() -> None:
    op.drop_index("instances_missing", table_name="instances")
    op.drop_index("studies_conflict", table_name="studies")
    op.drop_table("state")
