"""The equipment register, how peers answered and what they negotiated, and who else called."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "peers",
        sa.Column("name", sa.Text(), nullable=False),
        _count("configured"),
        _text("body"),
        _text("by"),
        _count("changed"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "peer_echoes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        _count("at"),
        _count("ok"),
        _count("us"),
        _text("detail"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("peer_echoes_peer", "peer_echoes", ["peer", "at"])
    op.create_table(
        "peer_days",
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        *(_count(name) for name in ("asked", "answered", "up_ms", "down_ms", "min_us", "median_us", "max_us")),
        _count("calls_in"),
        _count("calls_out"),
        sa.PrimaryKeyConstraint("peer", "day"),
    )
    op.create_table(
        "peer_ends",
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("way", sa.Text(), nullable=False),
        _count("last"),
        _count("associations"),
        _text("body"),
        sa.PrimaryKeyConstraint("peer", "way"),
    )
    op.create_table(
        "peer_callers",
        sa.Column("id", sa.Integer(), nullable=False),
        *(_text(name) for name in ("calling", "called", "address", "kind", "text", "hint", "body")),
        *(_count(name) for name in ("count", "titles", "first", "last", "ignored")),
        sa.PrimaryKeyConstraint("id"),
    )


def downgrade() -> None:
    for name in ("peer_callers", "peer_ends", "peer_days", "peer_echoes", "peers"):
        op.drop_table(name)
