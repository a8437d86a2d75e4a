"""What is sent on: the outbox, and routes and destinations that people made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str, default: str = "0") -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default=default, nullable=False)


def upgrade() -> None:
    op.create_table(
        "sendings",
        sa.Column("id", sa.Integer(), nullable=False),
        *(_text(name) for name in ("destination", "route", "study", "series", "level", "transform", "asked_by")),
        _count("priority", "1"), _count("held"), _count("queued"), _count("changed"), _count("due"),
        *(_count(name) for name in ("waiting", "sent", "warning", "failed", "cancelled", "filtered")),
        *(_count(name) for name in ("bytes_waiting", "bytes_sent", "attempts")),
        _count("status", "-1"), _text("error"), _text("hint"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index(
        "sendings_waiting", "sendings", ["destination", "priority", "id"], sqlite_where=sa.text("waiting > 0")
    )
    op.create_index("sendings_failed", "sendings", ["destination", "id"], sqlite_where=sa.text("failed > 0"))
    op.create_index("sendings_study", "sendings", ["study", "destination"])
    op.create_index("sendings_changed", "sendings", ["changed"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sending", sa.Integer(), nullable=False),
        sa.Column("sop_instance", sa.Text(), nullable=False),
        _count("size"), _text("state"), _count("attempts"), _count("next_try"), _count("status", "-1"),
        _text("error"), _text("hint"), _count("changed"),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["sending"], ["sendings.id"]),
        sa.UniqueConstraint("sending", "sop_instance"),
    )  # fmt: skip
    op.create_index("outbox_waiting", "outbox", ["sending", "id"], sqlite_where=sa.text("state = 'waiting'"))
    op.create_index("outbox_failed", "outbox", ["sending", "error"], sqlite_where=sa.text("state = 'failed'"))
    op.create_table(
        "routes",
        sa.Column("name", sa.Text(), nullable=False),
        _count("place"), _text("body"), _text("by"), _count("changed"),
        sa.PrimaryKeyConstraint("name"),
    )  # fmt: skip
    op.create_table(
        "destinations",
        sa.Column("name", sa.Text(), nullable=False),
        _text("body"), _text("paused"), _text("paused_by"), _count("paused_at"), _text("by"), _count("changed"),
        sa.PrimaryKeyConstraint("name"),
    )  # fmt: skip


def downgrade() -> None:
    for name in ("outbox", "sendings", "routes", "destinations"):
        op.drop_table(name)
