"""The trash, and instances whose number is never used twice."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_DESCRIBED = (
    "sop_class", "transfer_syntax", "number", "date", "time", "image_type", "frames", "rows", "columns",
)  # fmt: skip
_COLUMNS = (
    "id", "series", "sop_instance", *_DESCRIBED, "digest", "meta_digest", "data_offset", "size", "path", "calling",
    "received", "missing", "more",
)  # fmt: skip


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default="", nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _instance() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("sop_instance", sa.Text(), nullable=False),
        *(_text(name) for name in _DESCRIBED),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("meta_digest", sa.LargeBinary(), nullable=False),
        _count("data_offset"), _count("size"), _text("path"), _text("calling"), _count("received"), _count("missing"),
        _text("more"),
    )  # fmt: skip


def _new_instances(autoincrement: bool) -> None:
    """Make the table of instances anew; SQLite cannot change how numbers are given."""
    op.create_table(
        "instances_new",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("series", sa.Integer(), nullable=False),
        *_instance(),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["series"], ["series.id"]),
        sa.UniqueConstraint("sop_instance"),
        sqlite_autoincrement=autoincrement,
    )
    columns = ", ".join(_COLUMNS)
    op.execute(f"INSERT INTO instances_new ({columns}) SELECT {columns} FROM instances ORDER BY id")  # noqa: S608
    op.drop_table("instances")
    op.rename_table("instances_new", "instances")
    op.create_index("instances_series", "instances", ["series"])
    op.create_index("instances_missing", "instances", ["series"], sqlite_where=sa.text("missing != 0"))


def upgrade() -> None:
    _new_instances(autoincrement=True)
    op.create_table(
        "trash",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("at"),
        *(_text(name) for name in ("folder", "state", "level", "key", "study", "why", "rule", "by")),
        *(_text(name) for name in ("patient_name", "patient_id", "date", "accession", "modalities", "description")),
        _count("instances"), _count("bytes"), _text("rows"), _text("problem"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("trash_open", "trash", ["id"], sqlite_where=sa.text("state != ''"))
    op.create_table(
        "trashed",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trash", sa.Integer(), nullable=False),
        _text("series_uid"),
        *_instance(),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["trash"], ["trash.id"]),
    )
    op.create_index("trashed_trash", "trashed", ["trash"])
    op.create_index("trashed_sop_instance", "trashed", ["sop_instance"])


def downgrade() -> None:
    for name in ("trashed", "trash"):
        op.drop_table(name)
    _new_instances(autoincrement=False)
