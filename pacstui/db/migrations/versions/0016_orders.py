"""Patients as the RIS knows them, orders, scheduled procedure steps, performed procedure steps."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    op.create_table(
        "persons",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("patient_id"), _text("issuer"), _text("name"), _text("name_key"), _text("birth_date"), _text("sex"),
        _text("body", "{}"), _count("merged_into"), _text("source"), _count("created"), _count("changed"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("patient_id", "issuer"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("persons_name", "persons", ["name_key"])
    op.create_index("persons_merged", "persons", ["merged_into"], sqlite_where=sa.text("merged_into != 0"))
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("person"), _text("placer"), _text("filler"), _text("accession"), _text("accession_key"),
        _text("procedure_id"), _text("study"), _text("state"), _text("priority"), _text("code"), _text("scheme"),
        _text("description"), _text("referring"), _text("requesting"), _text("reason"), _text("body", "{}"),
        _text("source"), _count("created"), _count("changed"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("orders_person", "orders", ["person"])
    op.create_index("orders_accession", "orders", ["accession_key"], sqlite_where=sa.text("accession_key != ''"))
    op.create_index("orders_study", "orders", ["study"])
    op.create_index("orders_placer", "orders", ["placer"], sqlite_where=sa.text("placer != ''"))
    op.create_index("orders_filler", "orders", ["filler"], sqlite_where=sa.text("filler != ''"))
    op.create_table(
        "steps",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("order", sa.Integer(), nullable=False),
        _text("step_id"), _text("modality"), _text("station_ae"), _text("station_name"), _text("room"), _text("date"),
        _text("time"), _text("description"), _text("codes", "[]"), _text("physician"), _text("state"),
        _text("performed"), _text("body", "{}"), _count("created"), _count("changed"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("steps_order", "steps", ["order"])
    op.create_index("steps_date", "steps", ["date", "time"])
    op.create_index("steps_step_id", "steps", ["step_id"])
    op.create_table(
        "performed",
        sa.Column("id", sa.Integer(), nullable=False),
        _text("sop_instance"), _text("state"), _text("calling"), _text("station_ae"), _text("modality"),
        _text("patient_id"), _text("issuer"), _text("patient_name"), _text("study"), _text("accession"),
        _text("step_id"), _count("step"), _text("started"), _text("ended"), _count("images"), _text("reason"),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        _text("body", "{}"), _count("created"), _count("changed"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("performed_sop_instance", "performed", ["sop_instance"], unique=True)
    op.create_index("performed_study", "performed", ["study"])
    op.create_index("performed_step", "performed", ["step"])
    # Which order a study belongs to, and how well they fit.
    op.create_table(
        "matches",
        sa.Column("study", sa.Text(), nullable=False),
        _count("order"), _text("state"), _count("score"), _text("why"), _text("settled"), _text("body", "{}"),
        _count("at"),
        sa.PrimaryKeyConstraint("study"),
    )  # fmt: skip
    op.create_index("matches_order", "matches", ["order"], sqlite_where=sa.text('"order" != 0'))
    op.create_index("matches_open", "matches", ["at"], sqlite_where=sa.text("state != 'matched' AND settled = ''"))
    # Identities that the objects of a study carry and that are another one now: no contradiction.
    op.create_table(
        "former_identities",
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("patient_id", sa.Text(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study", "patient_id", "issuer"),
    )


def downgrade() -> None:
    for name in ("former_identities", "matches", "performed", "steps", "orders", "persons"):
        op.drop_table(name)
