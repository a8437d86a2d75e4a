"""Corrections: what the index says otherwise than the objects do, and where objects of a corrected study belong."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

IDENTITY = (
    "CREATE TRIGGER studies_identity AFTER UPDATE OF patient_id, issuer, patient_name, birth_date, sex ON studies"
    " WHEN OLD.identity = 0 AND (OLD.patient_id != NEW.patient_id OR OLD.issuer != NEW.issuer"
    " OR (OLD.patient_name != '' AND OLD.patient_name != NEW.patient_name)"
    " OR (OLD.birth_date != '' AND OLD.birth_date != NEW.birth_date) OR (OLD.sex != '' AND OLD.sex != NEW.sex))"
    " BEGIN UPDATE studies SET identity = 1 WHERE id = NEW.id; END"
)


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def upgrade() -> None:
    # JSON: attributes that were corrected, by path; empty where the objects say what the index says.
    op.add_column("studies", _text("corrected"))
    op.add_column("series", _text("corrected"))
    # 1 once the patient of a study was changed by anybody after its objects came.
    op.add_column("studies", _count("identity"))
    # 1 for what was rejected: in no list, no query and no retrieval.
    op.add_column("studies", _count("hidden"))
    op.add_column("patients", _count("hidden"))
    op.create_index("studies_hidden", "studies", ["id"], sqlite_where=sa.text("hidden != 0"))
    op.create_index("patients_hidden", "patients", ["id"], sqlite_where=sa.text("hidden != 0"))
    op.execute(IDENTITY)
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer(), nullable=False),
        _count("at"), _text("by"), _text("kind"), _text("study"), _text("patient_name"), _text("patient_id"),
        _text("sentence"), _text("why"), _text("state"), _count("instances"), _text("undone_by"), _count("undone"),
        _text("body", "{}"),
        sa.Column("note", sa.LargeBinary(), nullable=True),
        _text("note_uid"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )  # fmt: skip
    op.create_index("corrections_study", "corrections", ["study"])
    op.create_index("corrections_note", "corrections", ["note_uid"], sqlite_where=sa.text("note_uid != ''"))
    # Every study that a correction is about, before and after it.
    op.create_table(
        "corrected_studies",
        sa.Column("correction", sa.Integer(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("study", "correction"),
    )
    # Where objects go that say they are of a study (and series, empty for all of it); in the order of the corrections.
    op.create_table(
        "redirects",
        sa.Column("correction", sa.Integer(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        _text("to_study"), _text("to_series"), _count("renames"),
        sa.PrimaryKeyConstraint("study", "series", "correction"),
    )  # fmt: skip
    op.create_index("redirects_correction", "redirects", ["correction"])
    op.create_index("redirects_to", "redirects", ["to_study"])
    # SOP Instance UIDs that objects carry, or carried after an earlier correction, and the one that they have now.
    op.create_table(
        "renamed_instances",
        sa.Column("old", sa.Text(), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("correction", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("old"),
    )
    op.create_index("renamed_instances_new", "renamed_instances", ["new"])
    op.create_index("renamed_instances_correction", "renamed_instances", ["correction"])
    # Attributes of single objects that were corrected: JSON by path.
    op.create_table(
        "corrected_instances",
        sa.Column("sop_instance", sa.Text(), nullable=False),
        _text("body", "{}"),
        sa.PrimaryKeyConstraint("sop_instance"),
    )


def downgrade() -> None:
    for name in ("corrected_instances", "renamed_instances", "redirects", "corrected_studies", "corrections"):
        op.drop_table(name)
    op.execute("DROP TRIGGER studies_identity")
    op.drop_index("studies_hidden", "studies")
    op.drop_index("patients_hidden", "patients")
    for table, column in (("patients", "hidden"), ("studies", "hidden"), ("studies", "identity"),
                          ("series", "corrected"), ("studies", "corrected")):  # fmt: skip
        op.drop_column(table, column)
