"""HL7 messages that came in: what was sent, what became of it, what was answered."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "hl7_messages",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("at"), _text("origin"), _text("sender"), _text("facility"), _text("kind"), _text("control"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        _text("state"), _text("answer"), _text("text"), _text("hint"), _text("patient_id"), _text("accession"),
        _count("size"), _count("batch"), _count("original"), _text("made_by"), _text("resolved_by"), _text("charset"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index(
        "hl7_messages_control", "hl7_messages", ["control", "sender", "facility"], sqlite_where=sa.text("original = 0")
    )
    op.create_index("hl7_messages_at", "hl7_messages", ["at"])
    op.create_index("hl7_messages_open", "hl7_messages", ["id"], sqlite_where=sa.text("state = 'failed'"))
    op.create_index("hl7_messages_original", "hl7_messages", ["original"], sqlite_where=sa.text("original != 0"))
    op.create_table(
        "hl7_bodies",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("reply", sa.LargeBinary(), nullable=False),
        _text("words"), _text("faults"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.create_table(
        "hl7_keys",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("message", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("key", "message"),
        sqlite_with_rowid=False,
    )
    op.create_index("hl7_keys_message", "hl7_keys", ["message"])


def downgrade() -> None:
    for name in ("hl7_keys", "hl7_bodies", "hl7_messages"):
        op.drop_table(name)
