"""What a peer was asked about a study is found at once."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("asked_commitments_study", "asked_commitments", ["peer", "study"])


def downgrade() -> None:
    op.drop_index("asked_commitments_study")
