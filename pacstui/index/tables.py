"""The tables of the index.

Times are microseconds since 1970 (UTC), sizes bytes. Counters are kept by the write, never counted at read. The
columns ending in ``_key`` hold text folded for searching (:func:`pacstui.index.fold.fold`).
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


patients = sa.Table(
    "patients",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _text("patient_id"),
    _text("issuer"),
    # Study Instance UID where the Patient ID is empty: such patients are never one across studies.
    _text("scope"),
    _text("name"),
    _text("name_key"),
    _text("birth_date"),
    _text("sex"),
    _count("marked"),
    # Row of persons whose name, birth date and sex it has; 0 where only objects tell.
    _count("person"),
    # 1 where all that there is of a patient was rejected.
    _count("hidden"),
    sa.UniqueConstraint("patient_id", "issuer", "scope"),
    sqlite_autoincrement=True,  # corrections are undone by numbers
)

studies = sa.Table(
    "studies",
    metadata,
    # Rises with the order of arrival, never used twice: the cursor of the list.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("patient", sa.Integer, sa.ForeignKey("patients.id"), nullable=False),
    sa.Column("study", sa.Text, nullable=False, unique=True),
    # Patient data as this study's objects have them.
    _text("patient_name"),
    _text("name_key"),
    _text("other_name_key"),
    _text("patient_id"),
    _text("patient_id_key"),
    _text("issuer"),
    _text("birth_date"),
    _text("sex"),
    _text("date"),
    _text("time"),
    _text("accession"),
    _text("accession_key"),
    _text("study_id"),
    _text("description"),
    _text("referring"),
    _text("institution"),
    _text("search"),
    # JSON: further attributes by tag (:mod:`pacstui.index.more`).
    _text("more"),
    _text("modalities"),
    _text("calling"),
    # Why this study is doubtful: objects of another patient came under its UID.
    _text("conflict"),
    _count("marked"),
    _count("series"),
    _count("instances"),
    _count("bytes"),
    _count("received"),
    _count("changed"),
    # JSON: attributes that were corrected, by path; empty where the objects say what this row says.
    _text("corrected"),
    # 1 once its patient was changed by anybody after objects came; kept by a trigger.
    _count("identity"),
    # 1 for what was rejected: in no list, no query and no retrieval.
    _count("hidden"),
    sqlite_autoincrement=True,
)
sa.Index("studies_patient", studies.c.patient)
sa.Index("studies_name", studies.c.name_key)
sa.Index("studies_other_name", studies.c.other_name_key, sqlite_where=studies.c.other_name_key != "")
sa.Index("studies_patient_id", studies.c.patient_id_key)
sa.Index("studies_accession", studies.c.accession_key, sqlite_where=studies.c.accession_key != "")
sa.Index("studies_date", studies.c.date)
sa.Index("studies_hidden", studies.c.id, sqlite_where=studies.c.hidden != 0)
sa.Index("patients_hidden", patients.c.id, sqlite_where=patients.c.hidden != 0)
sa.Index("studies_conflict", studies.c.id, sqlite_where=studies.c.conflict != "")

series = sa.Table(
    "series",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("study", sa.Integer, sa.ForeignKey("studies.id"), nullable=False),
    sa.Column("series", sa.Text, nullable=False),
    _text("number"),
    _text("modality"),
    _text("description"),
    _text("station"),
    _text("body_part"),
    _text("protocol"),
    _text("date"),
    _text("time"),
    _text("more"),
    _count("instances"),
    _count("bytes"),
    # JSON, as in studies.
    _text("corrected"),
    sa.UniqueConstraint("study", "series"),
    sqlite_autoincrement=True,  # as patients
)

instances = sa.Table(
    "instances",
    metadata,
    # Never used twice, so that what a backup says of rows holds when some were deleted.
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("series", sa.Integer, sa.ForeignKey("series.id"), nullable=False),
    sa.Column("sop_instance", sa.Text, nullable=False, unique=True),
    _text("sop_class"),
    _text("transfer_syntax"),
    _text("number"),
    _text("date"),
    _text("time"),
    _text("image_type"),
    _text("frames"),
    _text("rows"),
    _text("columns"),
    _text("more"),
    # SHA-256 of the data set's bytes as received, and of the file's part before them.
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("meta_digest", sa.LargeBinary, nullable=False),
    _count("data_offset"),
    # The data set's bytes; the file has data_offset more.
    _count("size"),
    # Relative to the data directory.
    _text("path"),
    _text("calling"),
    _count("received"),
    _count("missing"),
    sqlite_autoincrement=True,
)
sa.Index("instances_series", instances.c.series)
sa.Index("instances_missing", instances.c.series, sqlite_where=instances.c.missing != 0)

daily = sa.Table(
    "daily",
    metadata,
    # The node's local date, YYYY-MM-DD. Sums over all days are the totals of the archive.
    sa.Column("day", sa.Text, primary_key=True),
    _count("patients"),
    _count("studies"),
    _count("series"),
    _count("instances"),
    _count("bytes"),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _count("received"),
    _text("sop_instance"),
    _text("calling"),
    _text("reason"),
    _text("path"),
    _count("bytes"),
    sa.Column("digest", sa.LargeBinary, nullable=False),
)
sa.Index("quarantine_sop_instance", quarantine.c.sop_instance)

commitments = sa.Table(
    "commitments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _text("transaction_uid"),
    _text("calling"),
    _count("received"),
    # JSON: [[SOP Class UID, SOP Instance UID], ...] as asked for.
    _text("asked"),
    # JSON: [[SOP Class UID, SOP Instance UID, failure reason, 0 for none], ...], empty until it was looked at.
    _text("result"),
    # waiting (to be looked at), reporting (to be told), told, given up.
    _text("state"),
    _count("attempts"),
    _count("next_try"),
    _text("problem"),
)
sa.Index("commitments_open", commitments.c.id, sqlite_where=commitments.c.state.in_(("waiting", "reporting")))
sa.Index("commitments_transaction", commitments.c.transaction_uid)

asked_commitments = sa.Table(
    "asked_commitments",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    _text("transaction_uid"),
    # Name of the peer.
    _text("peer"),
    _text("study"),
    # JSON, as in commitments.
    _text("asked"),
    _text("result"),
    # asked, committed, not committed, failed.
    _text("state"),
    _count("sent"),
    _count("answered"),
    _text("problem"),
)
sa.Index("asked_commitments_transaction", asked_commitments.c.transaction_uid, unique=True)
sa.Index("asked_commitments_study", asked_commitments.c.peer, asked_commitments.c.study)

SEEN = sa.text("studies.id NOT IN (SELECT h.id FROM studies h WHERE h.hidden != 0)")
SEEN_PATIENT = sa.text("patients.id NOT IN (SELECT h.id FROM patients h WHERE h.hidden != 0)")
"""Conditions that leave out what was rejected; they cost nothing where nothing was, and keep to the other indexes."""

# How a study fits its order (:mod:`pacstui.qc`). It is not this package's: of other columns the index knows nothing.
matches = sa.table("matches", sa.column("study"), sa.column("state"), sa.column("why"), sa.column("settled"))

state = sa.Table(
    "state",
    metadata,
    # What the archive notes about this index itself: `session`, the token of the data directory's file of that name;
    # `tried`, when a write was last tried after a fault.
    sa.Column("name", sa.Text, nullable=False, primary_key=True),
    _text("value"),
)

version = sa.Table(
    "alembic_version",
    metadata,
    sa.Column("version_num", sa.String(32), nullable=False, primary_key=True),
)
