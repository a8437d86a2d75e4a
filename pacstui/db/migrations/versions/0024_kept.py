"""What was corrected or rejected outlives its deletion: rows of what is away, rejected objects by their UIDs, and
patients and series whose number is never used twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_GONE = "corrected study "
_PATIENT = ("patient_id", "issuer", "scope", "name", "name_key", "birth_date", "sex", "marked", "person", "hidden")
_SERIES = ("study", "series", "number", "modality", "description", "station", "body_part", "protocol", "date", "time",
           "instances", "bytes", "more", "corrected")  # fmt: skip
_COUNTS = ("marked", "person", "hidden", "instances", "bytes")


def _text(name: str, default: str = "") -> sa.Column[str]:
    return sa.Column(name, sa.Text(), server_default=default, nullable=False)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), server_default="0", nullable=False)


def _anew(table: str, names: tuple[str, ...], autoincrement: bool) -> None:
    """Make a table anew; SQLite cannot change how numbers are given."""
    strict: dict[str, sa.Column[Any]] = {
        "study": sa.Column("study", sa.Integer(), nullable=False),
        "series": sa.Column("series", sa.Text(), nullable=False),
    }
    of_series = [sa.ForeignKeyConstraint(["study"], ["studies.id"]), sa.UniqueConstraint("study", "series")]
    op.create_table(
        f"{table}_new",
        sa.Column("id", sa.Integer(), nullable=False),
        *(strict.get(name, _count(name) if name in _COUNTS else _text(name)) for name in names),
        sa.PrimaryKeyConstraint("id"),
        *(of_series if table == "series" else [sa.UniqueConstraint("patient_id", "issuer", "scope")]),
        sqlite_autoincrement=autoincrement,
    )
    columns = ", ".join(("id", *names))
    op.execute(f"INSERT INTO {table}_new ({columns}) SELECT {columns} FROM {table} ORDER BY id")  # noqa: S608
    op.drop_table(table)
    op.rename_table(f"{table}_new", table)


def _tables(autoincrement: bool) -> None:
    _anew("series", _SERIES, autoincrement)
    _anew("patients", _PATIENT, autoincrement)
    op.create_index("patients_hidden", "patients", ["id"], sqlite_where=sa.text("hidden != 0"))


def upgrade() -> None:
    _tables(autoincrement=True)
    # Rows of corrected studies, and of their series, that are not in the index: JSON; the series is empty for a study.
    op.create_table(
        "away",
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("series", sa.Text(), nullable=False),
        _text("body", "{}"),
        sa.PrimaryKeyConstraint("study", "series"),
    )
    # Single objects that were rejected, here or not: where they belong, and in which hidden study they are.
    op.create_table(
        "rejected_instances",
        sa.Column("sop_instance", sa.Text(), nullable=False),
        sa.Column("correction", sa.Integer(), nullable=False),
        _text("study"), _text("series"), _text("to_study"), _text("note_study"), _count("awaited"),
        sa.PrimaryKeyConstraint("sop_instance", "correction"),
    )  # fmt: skip
    op.create_index("rejected_instances_correction", "rejected_instances", ["correction"])
    connection = op.get_bind()
    for study, series, body in _away(connection):
        connection.execute(
            sa.text("INSERT OR REPLACE INTO away (study, series, body) VALUES (:study, :series, :body)"),
            {"study": study, "series": series, "body": json.dumps(body, ensure_ascii=False)},
        )
    connection.execute(sa.text("DELETE FROM state WHERE name LIKE :like"), {"like": f"{_GONE}%"})
    for ident, text in connection.execute(sa.text("SELECT id, body FROM corrections WHERE state='on'")).fetchall():
        body = json.loads(text)
        _by_uid(connection, ident, body)
        connection.execute(
            sa.text("UPDATE corrections SET body=:body WHERE id=:id"),
            {"body": json.dumps(body, ensure_ascii=False, separators=(",", ":")), "id": ident},
        )


def _away(connection: sa.Connection) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield what was kept of corrected studies that were deleted, and what of them is in the trash, oldest first."""
    on = " IN (SELECT t.study FROM corrected_studies t JOIN corrections c ON c.id = t.correction WHERE c.state='on')"
    there = {row[0] for row in connection.execute(sa.text("SELECT study FROM studies"))}
    for name, value in connection.execute(
        sa.text("SELECT name, value FROM state WHERE name LIKE :like"), {"like": f"{_GONE}%"}
    ).fetchall():
        if (study := name.removeprefix(_GONE)) not in there:
            yield study, "", json.loads(value)
    for study, text in connection.execute(
        sa.text(f"SELECT study, rows FROM trash WHERE study{on} ORDER BY id")  # noqa: S608
    ).fetchall():
        rows = json.loads(text) if text else {}
        if study not in there and rows.get("patient") and rows.get("study"):
            yield study, "", {"patient": rows["patient"], "study": rows["study"]}
        for row in rows.get("series", ()):
            live = connection.execute(
                sa.text("SELECT 1 FROM series e JOIN studies s ON s.id = e.study"
                        " WHERE s.study=:study AND e.series=:uid"), {"study": study, "uid": row["series"]},
            ).fetchone()  # fmt: skip
            if live is None:
                yield study, str(row["series"]), {"series": row}


def _by_uid(connection: sa.Connection, ident: int, body: dict[str, Any]) -> None:
    """Let a correction know single objects by their UIDs."""

    def uid_of(number: object) -> str:
        row = connection.execute(sa.text("SELECT sop_instance FROM instances WHERE id=:id"), {"id": number}).fetchone()
        uid = str(row[0]) if row is not None else ""
        while uid:  # as it was before this correction, and later ones, gave it another
            row = connection.execute(
                sa.text("SELECT old FROM renamed_instances WHERE new=:new AND correction >= :id"),
                {"new": uid, "id": ident},
            ).fetchone()
            if row is None:
                break
            uid = str(row[0])
        return uid

    rows = {}
    for key, columns in body.get("rows", {}).items():
        table, _, number = key.partition(" ")
        if table == "instances":
            if uid := uid_of(number):
                rows[f"instances {uid}"] = columns
        else:
            rows[key] = columns
    body["rows"] = rows
    body["of_images"] = [uid for uid in map(uid_of, body.get("of_images", ())) if uid]
    rejected = [uid for uid in (uid_of(image) for image, _ in body.pop("images", ())) if uid]
    _reject(connection, ident, rejected)


def _reject(connection: sa.Connection, ident: int, rejected: list[str]) -> None:
    """Note objects that a correction rejected: those in its hidden study, and what is in the trash of that."""
    own = connection.execute(sa.text("SELECT study FROM corrections WHERE id=:id"), {"id": ident}).scalar_one()
    found = []
    for uid in rejected:
        row = connection.execute(
            sa.text("SELECT i.sop_instance, e.series, s.study FROM instances i JOIN series e ON e.id = i.series"
                    " JOIN studies s ON s.id = e.study WHERE i.sop_instance=:uid"), {"uid": uid},
        ).fetchone()  # fmt: skip
        found += [row] if row is not None else []
    found += connection.execute(
        sa.text(
            "SELECT d.sop_instance, d.series_uid, t.study FROM trash t JOIN trashed d ON d.trash = t.id"
            " WHERE t.study IN (SELECT study FROM corrected_studies WHERE correction=:id)"
            " AND json_extract(t.rows, '$.study.hidden') = 1 AND d.sop_instance NOT IN"
            " (SELECT note_uid FROM corrections) AND NOT EXISTS (SELECT 1 FROM redirects r WHERE r.correction=:id"
            " AND r.to_study = t.study AND r.to_series = d.series_uid)"
        ), {"id": ident},
    ).fetchall()  # fmt: skip
    for uid, series, hidden in found:
        connection.execute(
            sa.text("INSERT OR IGNORE INTO rejected_instances (sop_instance, correction, study, series, to_study)"
                    " VALUES (:uid, :id, :study, :series, :to)"),
            {"uid": uid, "id": ident, "study": own, "series": series, "to": hidden},
        )  # fmt: skip


def downgrade() -> None:
    for name in ("rejected_instances", "away"):
        op.drop_table(name)
    _tables(autoincrement=False)
