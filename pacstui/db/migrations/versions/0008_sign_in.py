"""Second factors, and accounts that come from a directory."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TEXTS = ("recovery", "origin", "directory_id", "directory_dn", "directory_state")


def upgrade() -> None:
    op.add_column("accounts", sa.Column("totp_step", sa.Integer(), server_default="0", nullable=False))
    for name in TEXTS:
        op.add_column("accounts", sa.Column(name, sa.Text(), server_default="", nullable=False))


def downgrade() -> None:
    for name in ("totp_step", *TEXTS):
        op.drop_column("accounts", name)
