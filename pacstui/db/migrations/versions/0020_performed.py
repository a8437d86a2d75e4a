"""What modalities said of performed procedure steps, word for word, and to whom that is passed on."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "performed_messages",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("performed"), _text("kind"), _text("calling"), _text("transfer_syntax"),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _count("at"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("performed_messages_performed", "performed_messages", ["performed"])
    # A performed procedure step may be of several scheduled ones, and one of those may be performed in several parts.
    op.create_table(
        "performed_steps",
        sa.Column("performed", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("performed", "step"),
    )
    op.create_index("performed_steps_step", "performed_steps", ["step"])
    op.create_index("performed_started", "performed", ["started"])
    op.create_index("performed_unordered", "performed", ["accession"], sqlite_where=sa.text("step = 0"))
    op.create_index("orders_procedure_id", "orders", ["procedure_id"], sqlite_where=sa.text("procedure_id != ''"))
    # Messages that a peer is to be told, in the order of their ids.
    op.create_table(
        "mpps_outbox",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("message"), _count("performed"), _text("peer"), _text("state"), _count("attempts"), _count("next_try"),
        _text("problem"), _text("hint"), _count("created"), _count("changed"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("mpps_outbox_waiting", "mpps_outbox", ["peer", "id"], sqlite_where=sa.text("state = 'waiting'"))
    op.create_index("mpps_outbox_failed", "mpps_outbox", ["peer"], sqlite_where=sa.text("state = 'failed'"))
    op.create_index("mpps_outbox_performed", "mpps_outbox", ["performed"])


def downgrade() -> None:
    op.drop_index("orders_procedure_id", "orders")
    op.drop_index("performed_unordered", "performed")
    op.drop_index("performed_started", "performed")
    for name in ("mpps_outbox", "performed_steps", "performed_messages"):
        op.drop_table(name)
