"""What happened on each day, for reports; studies that are kept whatever rules say; what a run was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_runs", sa.Column("parameters", sa.Text(), server_default="", nullable=False))
    op.create_table(
        "usage",
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("amount", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("day", "what", "who"),
    )
    op.create_table(
        "pins",
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("at", sa.Integer(), server_default="0", nullable=False),
        sa.Column("by", sa.Text(), server_default="", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("study"),
    )


def downgrade() -> None:
    op.drop_table("pins")
    op.drop_table("usage")
    op.drop_column("job_runs", "parameters")
