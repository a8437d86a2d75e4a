"""Rows that a correction changes, written down so that it can be undone. Everything here runs on the writer lane.

A row's counters are those of what is in it, so they are counted anew; of everything else the value before is kept, and
put back unless something else has changed it since.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pacstui.index import away
from pacstui.index.fold import fold, name_keys
from pacstui.index.identities import former_ids, search_text
from pacstui.index.redirects import new_uid

_COUNTERS: Final = frozenset(("series", "instances", "bytes", "changed"))
_IDENTITY: Final = frozenset((
    "patient", "patient_name", "name_key", "other_name_key", "patient_id", "patient_id_key", "issuer", "birth_date",
    "sex", "search", "identity",
))  # fmt: skip
Row = dict[str, Any]


def row_of(connection: sqlite3.Connection, table: str, ident: int) -> Row | None:
    """Return a row by its number."""
    cursor = connection.execute(f"SELECT * FROM {table} WHERE id=?", (ident,))  # noqa: S608 - a table of ours
    row = cursor.fetchone()
    return None if row is None else dict(zip((each[0] for each in cursor.description), row, strict=True))


def rows_of(connection: sqlite3.Connection, query: str, values: Iterable[Any] = ()) -> list[Row]:
    """Return what a query finds, each row by column."""
    cursor = connection.execute(query, tuple(values))
    names = [each[0] for each in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def put(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int:
    """Insert a row; return its number."""
    names = ", ".join(f'"{name}"' for name in row)
    marks = ",".join("?" * len(row))
    ident = connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of ours
        tuple(row.values()),
    ).lastrowid
    assert ident is not None
    return ident


def change(connection: sqlite3.Connection, table: str, ident: int, columns: Mapping[str, Any]) -> None:
    """Set columns of a row."""
    if columns:
        settled = ", ".join(f'"{name}"=?' for name in columns)
        connection.execute(f"UPDATE {table} SET {settled} WHERE id=?", (*columns.values(), ident))  # noqa: S608


def keys_of(row: Mapping[str, Any]) -> Row:
    """Return the columns of a study that searches look at, for what it says."""
    name, other = name_keys(row["patient_name"])
    text = search_text(
        row["patient_name"], row["patient_id"], row["accession"], row["description"], former_ids(row["search"])
    )
    return {
        "name_key": name, "other_name_key": other, "patient_id_key": fold(row["patient_id"]),
        "accession_key": fold(row["accession"]), "search": text,
    }  # fmt: skip


class Ledger:
    """What one correction does to rows."""

    def __init__(self, connection: sqlite3.Connection, correction: int, at: int) -> None:
        self.connection = connection
        self.correction = correction
        self.at = at
        self.studies: set[str] = set()
        self.aside = ""
        """Study Instance UID of what is hidden by it, empty if nothing is."""
        self._rows: dict[str, dict[str, list[Any]]] = {}
        self._made: list[list[Any]] = []
        self._gone: list[list[Any]] = []
        self._bodies: dict[str, str | None] = {}
        self._former: list[list[str]] = []
        self._pins: list[str] = []
        self._days: dict[str, int] = {}

    def body(self) -> str:
        """Return all that it takes to undo it, as JSON."""
        told = {
            "rows": self._rows, "made": self._made, "gone": self._gone, "bodies": self._bodies,
            "former": self._former, "pins": self._pins, "days": self._days,
        }  # fmt: skip
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"))

    # rows

    def row(self, table: str, ident: int) -> Row:
        """Return a row that is there."""
        found = row_of(self.connection, table, ident)
        assert found is not None
        return found

    def set(self, table: str, ident: int, **columns: Any) -> None:
        """Set columns of a row, and note what stood there."""
        here = self.row(table, ident)
        differ = {name: value for name, value in columns.items() if here[name] != value}
        known = here["sop_instance"] if table == "instances" else ident  # objects that come again get other numbers
        noted = self._rows.setdefault(f"{table} {known}", {})
        change(self.connection, table, ident, differ)
        for name, value in differ.items():
            noted.setdefault(name, [here[name], None])[1] = value

    def make(self, table: str, row: Row) -> int:
        """Insert a row."""
        ident = put(self.connection, table, {name: value for name, value in row.items() if name != "id"})
        self._made.append([table, ident])
        self._count(table, 1)
        return ident

    def drop(self, table: str, ident: int) -> None:
        """Delete a row that nothing is in any more."""
        self._gone.append([table, self.row(table, ident)])
        self.connection.execute(f"DELETE FROM {table} WHERE id=?", (ident,))  # noqa: S608 - a table of ours
        self._count(table, -1)

    def _count(self, table: str, amount: int) -> None:
        """Let the totals of the archive follow: sums over all days are the numbers of rows."""
        if table in ("patients", "studies", "series"):
            day_count(self.connection, self.at, table, amount)
            self._days[table] = self._days.get(table, 0) + amount

    # what they mean

    def patient(self, patient_id: str, issuer: str, name: str, birth_date: str, sex: str, scope: str) -> int:
        """Return the row of a patient, made if there is none."""
        key = (patient_id, issuer, "" if patient_id else scope)
        row = self.connection.execute(
            "SELECT id FROM patients WHERE patient_id=? AND issuer=? AND scope=?", key
        ).fetchone()
        if row is not None:
            return int(row[0])
        return self.make("patients", {
            "patient_id": key[0], "issuer": key[1], "scope": key[2], "name": name, "name_key": name_keys(name)[0],
            "birth_date": birth_date, "sex": sex,
        })  # fmt: skip

    def settle_patient(self, ident: int) -> None:
        """Drop a patient without studies; hide one of whom all was rejected, show one of whom not."""
        total, seen = self.connection.execute(
            "SELECT count(*), coalesce(sum(hidden = 0), 0) FROM studies WHERE patient=?", (ident,)
        ).fetchone()
        if not total:
            self.drop("patients", ident)
        else:
            self.set("patients", ident, hidden=int(not seen))

    def former(self, study: str, patient_id: str, issuer: str) -> None:
        """Note that objects of a study may name another patient without being in contradiction to it."""
        cursor = self.connection.execute(
            "INSERT OR IGNORE INTO former_identities (study, patient_id, issuer) VALUES (?,?,?)",
            (study, patient_id, issuer),
        )
        if cursor.rowcount:
            self._former.append([study, patient_id, issuer])

    def pin_as(self, study: str, of: str) -> None:
        """Pin a study where the one that its series come from is pinned."""
        row = self.connection.execute("SELECT at, by, why FROM pins WHERE study=?", (of,)).fetchone()
        if (
            row is not None
            and self.connection.execute(
                "INSERT OR IGNORE INTO pins (study, at, by, why) VALUES (?,?,?,?)", (study, *row)
            ).rowcount
        ):
            self._pins.append(study)

    def image(self, sop_instance: str, values: Mapping[str, str]) -> None:
        """Let a single object say something."""
        row = self.connection.execute(
            "SELECT body FROM corrected_instances WHERE sop_instance=?", (sop_instance,)
        ).fetchone()
        self._bodies.setdefault(sop_instance, row[0] if row is not None else None)
        body = json.dumps((json.loads(row[0]) if row is not None else {}) | dict(values), ensure_ascii=False)
        self.connection.execute("INSERT OR REPLACE INTO corrected_instances VALUES (?,?)", (sop_instance, body))

    def redirect(self, study: str, series: str, to_study: str, to_series: str, renames: bool) -> None:
        """Let objects that say they are of a study or series belong to another."""
        self.connection.execute(
            "INSERT INTO redirects (correction, study, series, to_study, to_series, renames) VALUES (?,?,?,?,?,?)",
            (self.correction, study, series, to_study, to_series, int(renames)),
        )

    def redirect_away(self, study: str, to: Row, renames: bool, told: Mapping[str, str]) -> None:
        """Let series of a study that were deleted, and may come again, go where all of it goes; saying ``told``."""
        for row in away.all_series(self.connection, study):
            uid = str(row["series"])
            taken = self.connection.execute(
                "SELECT 1 FROM series WHERE study=? AND series=?", (to["id"], uid)
            ).fetchone() or away.kept_series(self.connection, to["study"], uid)  # fmt: skip
            new = new_uid() if renames or taken else uid
            self.redirect(study, uid, to["study"], new, renames)
            overlay = dict(told) | (json.loads(row["corrected"]) if row["corrected"] else {})
            says = row["corrected"] if to["hidden"] else json.dumps(overlay, ensure_ascii=False)
            self._rows.setdefault(f"series {row['id']}", {})["corrected"] = [row["corrected"], says]
            row["corrected"] = says
            away.renamed_series(self.connection, study, row, to["study"], new)

    def rename(self, series: int) -> None:
        """Give the objects of a series new SOP Instance UIDs."""
        rows = self.connection.execute("SELECT id, sop_instance FROM instances WHERE series=?", (series,)).fetchall()
        for ident, old in rows:
            new = new_uid()
            self.connection.execute("INSERT INTO renamed_instances VALUES (?,?,?)", (old, new, self.correction))
            take_name(self.connection, ident, old, new)
        rename_waiting(self.connection, self.correction, "old", "new")

    def move(self, series: Row, study: Row, to: Row, renames: bool, hide: bool = False) -> None:
        """Put a series into another study."""
        uid = str(series["series"])
        taken = self.connection.execute(
            "SELECT 1 FROM series WHERE study=? AND series=?", (to["id"], uid)
        ).fetchone()  # fmt: skip
        new = new_uid() if renames or taken else uid
        self.set("series", series["id"], study=to["id"], series=new)
        if not hide:
            self.set("series", series["id"], corrected=series["corrected"] or "{}")
        self.redirect(study["study"], uid, to["study"], new, renames)
        if renames:
            self.rename(series["id"])

    def reject_images(self, images: Iterable[Row], study: Row, series: Row, to: Row) -> None:
        """Put single objects of a series into a hidden study, for good: they are known by their UIDs."""
        aside = self.make("series", series | {"study": to["id"], "instances": 0, "bytes": 0})
        for each in images:
            self.connection.execute("UPDATE instances SET series=? WHERE id=?", (aside, each["id"]))
            self.await_image(each["sop_instance"], study["study"], series["series"], to["study"])

    def await_image(self, sop_instance: str, study: str, series: str, hidden: str, note_study: str = "") -> None:
        """Note that an object is rejected; one that is not here, if ``note_study`` says where the note lies."""
        self.connection.execute(
            "INSERT OR IGNORE INTO rejected_instances"
            " (sop_instance, correction, study, series, to_study, note_study, awaited) VALUES (?,?,?,?,?,?,?)",
            (sop_instance, self.correction, study, series, hidden, note_study, int(bool(note_study))),
        )

    def recount(self, study: int) -> None:
        """Bring a study up to what is in it; drop it where that is nothing."""
        recount_series(self.connection, study)
        if not recount(self.connection, study):
            row = self.row("studies", study)
            self.drop("studies", study)
            self.settle_patient(row["patient"])
            return
        self.set("studies", study, modalities=modalities(self.connection, study))


def day_count(connection: sqlite3.Connection, at: int, what: str, amount: int) -> None:
    """Count rows that were made or dropped, on the day of a moment."""
    day = datetime.fromtimestamp(at / 1e6, UTC).astimezone().strftime("%Y-%m-%d")
    connection.execute("INSERT OR IGNORE INTO daily (day) VALUES (?)", (day,))
    connection.execute(f"UPDATE daily SET {what} = {what} + ? WHERE day=?", (amount, day))  # noqa: S608 - ours


def recount(connection: sqlite3.Connection, study: int) -> bool:
    """Count what is in a study; return whether there is anything."""
    number, instances, size = connection.execute(
        "SELECT count(*), coalesce(sum(instances), 0), coalesce(sum(bytes), 0) FROM series WHERE study=?", (study,)
    ).fetchone()
    change(connection, "studies", study, {"series": number, "instances": instances, "bytes": size})
    return bool(number)


def recount_series(connection: sqlite3.Connection, study: int) -> None:
    """Count what is in the series of a study."""
    connection.execute(
        "UPDATE series SET instances = n.number, bytes = n.size FROM (SELECT e.id, count(i.id) AS number,"
        " coalesce(sum(i.size), 0) AS size FROM series e LEFT JOIN instances i ON i.series = e.id WHERE e.study=?"
        " GROUP BY e.id) AS n WHERE series.id = n.id", (study,),
    )  # fmt: skip


def modalities(connection: sqlite3.Connection, study: int) -> str:
    """Return the modalities of a study's series."""
    rows = connection.execute("SELECT DISTINCT modality FROM series WHERE study=?", (study,))
    return "\\".join(sorted({str(row[0]).replace("\\", "/") for row in rows} - {""}))


def take_name(connection: sqlite3.Connection, ident: int, old: str, new: str) -> None:
    """Let an object be known by another SOP Instance UID."""
    connection.execute("UPDATE instances SET sop_instance=? WHERE id=?", (new, ident))
    connection.execute("UPDATE corrected_instances SET sop_instance=? WHERE sop_instance=?", (new, old))


def rename_waiting(connection: sqlite3.Connection, correction: int, from_: str, to: str) -> None:
    """Let what waits to be sent go out by its other name: from ``old`` to ``new``, or the other way about."""
    connection.execute(
        f"UPDATE OR IGNORE outbox SET sop_instance = r.{to} FROM renamed_instances r"  # noqa: S608 - ours
        f" WHERE outbox.sop_instance = r.{from_} AND r.correction = ? AND outbox.state = 'waiting'"
        " AND outbox.sending IN (SELECT id FROM sendings WHERE waiting > 0)", (correction,),
    )  # fmt: skip


IDENTITY: Final = _IDENTITY
COUNTERS: Final = _COUNTERS
