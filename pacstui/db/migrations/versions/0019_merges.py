"""Which patients were merged into which, and what went along; which patients of the index follow a person."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "merges",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", sa.Integer(), server_default="0", nullable=False),
        sa.Column("kind", sa.Text(), server_default="", nullable=False),
        sa.Column("prior", sa.Integer(), server_default="0", nullable=False),
        sa.Column("survivor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("control", sa.Text(), server_default="", nullable=False),
        sa.Column("body", sa.Text(), server_default="{}", nullable=False),
        sa.Column("undone", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    op.create_index("merges_prior", "merges", ["prior"])
    op.create_index("merges_survivor", "merges", ["survivor"])
    op.add_column("patients", sa.Column("person", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("patients", "person")
    op.drop_table("merges")
