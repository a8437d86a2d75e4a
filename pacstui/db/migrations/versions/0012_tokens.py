"""Tokens of service accounts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "tokens",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("account", sa.Integer(), nullable=False),
        _text("label"), _text("digest"), _text("patterns"), _count("created"), _text("creator"), _count("expires"),
        _count("last"), _text("origin"), _count("uses"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip


def downgrade() -> None:
    op.drop_table("tokens")
