"""What was deleted, while a correction of it is undone: its rows are put up with nothing in them, then laid down."""

from __future__ import annotations

import sqlite3

from pacstui.index import away
from pacstui.qc.ledger import change, day_count, modalities, recount, row_of, rows_of


def put_up(connection: sqlite3.Connection, study: str, at: int) -> None:
    """Give what was deleted of a study its rows again, with nothing in them, so that it is undone there as well."""
    series, whole = away.all_series(connection, study), away.kept(connection, study)
    row = connection.execute("SELECT id FROM studies WHERE study=?", (study,)).fetchone()
    if row is None and whole is not None:
        key, fresh = away.study_again(connection, whole["patient"], whole["study"])
        day_count(connection, at, "patients", int(fresh))
        day_count(connection, at, "studies", 1)
        row = (key,)
    for each in series if row is not None else ():
        away.series_again(connection, int(row[0]), study, each)
        day_count(connection, at, "series", 1)


def lay_down(connection: sqlite3.Connection, study: str, at: int) -> None:
    """Take rows of a study out of the index that nothing is in; they are kept where another correction stands."""
    row = next(iter(rows_of(connection, "SELECT * FROM studies WHERE study=?", (study,))), None)
    if row is None:
        return
    empty = rows_of(
        connection,
        "SELECT * FROM series WHERE study=? AND NOT EXISTS (SELECT 1 FROM instances i WHERE i.series = series.id)",
        (row["id"],),
    )
    held = connection.execute(
        "SELECT 1 FROM series e JOIN instances i ON i.series = e.id WHERE e.study=? LIMIT 1", (row["id"],)
    ).fetchone()
    patient = row_of(connection, "patients", row["patient"])
    away.keep(connection, study, empty, None if held is not None or patient is None else (patient, row))
    connection.executemany("DELETE FROM series WHERE id=?", [(each["id"],) for each in empty])
    day_count(connection, at, "series", -len(empty))
    if held is not None:
        if empty:
            recount(connection, row["id"])
            change(connection, "studies", row["id"], {"modalities": modalities(connection, row["id"])})
        return
    connection.execute("DELETE FROM studies WHERE id=?", (row["id"],))
    day_count(connection, at, "studies", -1)
    left = connection.execute("SELECT 1 FROM studies WHERE patient=? LIMIT 1", (row["patient"],)).fetchone()
    if left is None:
        connection.execute("DELETE FROM patients WHERE id=?", (row["patient"],))
        day_count(connection, at, "patients", -1)
