"""Maintenance windows, and what was changed in the configuration."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("start"), _count("end"), _text("reason"), _text("owner"), _text("effect"), _text("peers", "[]"),
        _count("cancelled"), _text("made_by"), _count("made"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.create_index("maintenance_end", "maintenance", ["end"])
    op.create_table(
        "changes",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("at"), _text("who"), _text("how"), _text("key"), _text("old"), _text("new"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip


def downgrade() -> None:
    for name in ("changes", "maintenance"):
        op.drop_table(name)
