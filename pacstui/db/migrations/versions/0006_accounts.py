"""Accounts, roles, and the audit trail, in which nothing is changed."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TRIGGERS = (
    "CREATE TRIGGER audit_stays BEFORE UPDATE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'audit entries stay as they are'); END",
    "CREATE TRIGGER audit_kept BEFORE DELETE ON audit WHEN OLD.id > (SELECT coalesce(max(upto), 0) FROM"
    " audit_checkpoints) BEGIN SELECT RAISE(ABORT, 'audit entries are kept'); END",
)


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.Integer(), nullable=False),
        *(_text(name) for name in ("name", "full_name", "email", "kind", "role", "os_user", "password")),
        _count("must_change"), _count("until"), _text("secret"), _text("totp"), _count("expires"), _count("disabled"),
        _count("created"), _count("last_sign_in"), _text("notes"),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.create_index("accounts_name", "accounts", ["name"], unique=True)
    op.create_table(
        "roles",
        sa.Column("name", sa.Text(), nullable=False),
        _text("label"), _text("permissions"),
        sa.PrimaryKeyConstraint("name"),
    )  # fmt: skip
    op.create_table(
        "permission_uses",
        sa.Column("account", sa.Integer(), nullable=False),
        sa.Column("permission", sa.Text(), nullable=False),
        _count("last"), _count("uses"),
        sa.PrimaryKeyConstraint("account", "permission"),
    )  # fmt: skip
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("at"),
        *(_text(n) for n in ("kind", "outcome", "who", "how", "origin", "action", "target", "patient", "detail")),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    op.create_index("audit_at", "audit", ["at"])
    op.create_table(
        "audit_checkpoints",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("at"), _count("upto"), _count("entries"),
        sa.Column("last_code", sa.LargeBinary(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )  # fmt: skip
    for trigger in TRIGGERS:
        op.execute(trigger)


def downgrade() -> None:
    for name in ("audit_checkpoints", "audit", "permission_uses", "roles", "accounts"):
        op.drop_table(name)
