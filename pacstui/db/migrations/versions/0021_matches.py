"""Matches: what was looked at when, and lists of those that are open or settled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_OPEN = "state IN ('probable', 'unmatched', 'conflicting') AND settled = ''"


def upgrade() -> None:
    # When the study's last object had come, as of the last look.
    op.add_column("matches", sa.Column("seen", sa.Integer(), server_default="0", nullable=False))
    op.drop_index("matches_open", "matches")
    op.create_index("matches_open", "matches", ["at"], sqlite_where=sa.text(_OPEN))
    op.create_index("matches_settled", "matches", ["at"], sqlite_where=sa.text("settled != ''"))
    op.create_index("persons_birth", "persons", ["birth_date"], sqlite_where=sa.text("birth_date != ''"))


def downgrade() -> None:
    op.drop_index("persons_birth", "persons")
    op.drop_index("matches_settled", "matches")
    op.drop_index("matches_open", "matches")
    op.create_index("matches_open", "matches", ["at"], sqlite_where=sa.text("state != 'matched' AND settled = ''"))
    op.drop_column("matches", "seen")
