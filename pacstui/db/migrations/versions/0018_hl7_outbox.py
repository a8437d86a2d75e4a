"""HL7 messages that go out, whom they are sent to, and what was told by messages of our own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "hl7_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("at"), _text("receiver"), _text("state", "waiting"), _text("what"), _text("kind"), _text("control"),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        _count("source"), _text("patient_id"), _text("accession"), _count("attempts"), _count("next_try"),
        _text("answer"), _text("error"), _text("hint"),
        sa.Column("reply", sa.LargeBinary(), server_default=sa.text("x''"), nullable=False),
        _text("who"), _count("changed"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index(
        "hl7_outbox_open", "hl7_outbox", ["receiver", "state", "id"],
        sqlite_where=sa.text("state IN ('waiting', 'failed', 'held')"),
    )  # fmt: skip
    op.create_index("hl7_outbox_waiting", "hl7_outbox", ["receiver", "id"], sqlite_where=sa.text("state = 'waiting'"))
    op.create_index("hl7_outbox_receiver", "hl7_outbox", ["receiver", "id"])
    op.create_index(
        "hl7_outbox_done", "hl7_outbox", ["changed"], sqlite_where=sa.text("state IN ('sent', 'cancelled')")
    )
    op.create_index("hl7_outbox_control", "hl7_outbox", ["control"])
    op.create_table(
        "hl7_receivers",
        sa.Column("name", sa.Text(), nullable=False),
        _count("sent"), _count("last_sent"), _text("held_by"),
        sa.PrimaryKeyConstraint("name"),
    )  # fmt: skip
    # What a notification has said about a study (its UID) or an order ("order:" and its id) last.
    op.create_table(
        "hl7_told",
        sa.Column("notification", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        _text("said"), _count("at"),
        sa.PrimaryKeyConstraint("notification", "subject"),
    )  # fmt: skip


def downgrade() -> None:
    for name in ("hl7_told", "hl7_receivers", "hl7_outbox"):
        op.drop_table(name)
