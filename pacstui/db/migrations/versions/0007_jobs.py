"""Jobs, their runs and what these wrote down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("name", sa.Text(), nullable=False),
        *(_text(name) for name in ("kind", "parameters", "schedule", "hours", "zone", "follows", "overlap")),
        *(_count(name) for name in ("enabled", "retries", "retry_ms", "timeout_ms", "builtin", "edited", "upto")),
        *(_count(name) for name in ("missed", "retry_at", "attempt")),
        _text("kept"),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "job_runs",
        sa.Column("id", sa.Integer(), nullable=False),
        *(_text(name) for name in ("job", "kind", "state", "started_by")),
        *(_count(name) for name in ("planned", "started", "ended", "late_ms", "attempt", "done", "total")),
        _text("unit"),
        *(_count(name) for name in ("done_bytes", "total_bytes", "errors")),
        *(_text(name) for name in ("now", "text", "hint")),
        _count("again"), _count("restarts"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("job_runs_job", "job_runs", ["job", "id"])
    op.create_index(
        "job_runs_open", "job_runs", ["id"], sqlite_where=sa.text("state IN ('running', 'waiting') OR again != 0")
    )
    op.create_table(
        "job_lines",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("run"), _count("at"), _text("level"), _text("text"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("job_lines_run", "job_lines", ["run", "id"])
    op.create_table(
        "jobs_state",
        sa.Column("name", sa.Text(), nullable=False),
        _text("value"),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    for name in ("jobs_state", "job_lines", "job_runs", "jobs"):
        op.drop_table(name)
