"""Rows on their way into the trash and back. Everything here runs on the writer lane, inside its transaction.

The rows of patient, study and series are kept with the entry as they were; those of instances in a table of their own,
so that a large study needs no more memory than a small one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

from pacstui.errors import BadRequest
from pacstui.index import away

INSTANCE: Final = (
    "sop_instance", "sop_class", "transfer_syntax", "number", "date", "time", "image_type", "frames", "rows", "columns",
    "digest", "meta_digest", "data_offset", "size", "path", "calling", "received", "missing", "more",
)  # fmt: skip
"""What a row of an instance has, besides its number and its series; a test compares it with the table."""
_COLUMNS: Final = ", ".join(INSTANCE)
_FROM: Final = "FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study"
_LEVELS: Final = {"study": "s.study = ?", "series": "s.study = ? AND e.series = ?",
                  "instance": "s.study = ? AND e.series = ? AND i.sop_instance = ?"}  # fmt: skip
_DAYS: Final = ("patients", "studies", "series", "instances", "bytes")

MOVING, RETURNING, EMPTYING = "moving", "returning", "emptying"
"""States of an entry whose files are under way; empty when they are where they belong."""


@dataclass(frozen=True, slots=True)
class Which:
    """What is deleted: a study, one of its series, or one instance of that."""

    study: str
    series: str = ""
    instance: str = ""

    @property
    def level(self) -> str:
        """study, series or instance."""
        return "instance" if self.instance else "series" if self.series else "study"

    @property
    def key(self) -> str:
        """The UID of that level."""
        return self.instance or self.series or self.study

    @property
    def where(self) -> tuple[str, tuple[str, ...]]:
        """The condition on its rows, and the values in it."""
        if self.instance and not self.series:
            raise BadRequest("an instance is named with its series")
        return _LEVELS[self.level], tuple(each for each in (self.study, self.series, self.instance) if each)


@dataclass(frozen=True, slots=True)
class Entry:
    """One deletion as the trash has it. ``at`` is in microseconds since 1970. ``rule`` names the rule that purged it,
    ``by`` who did, ``why`` their words. ``problem`` says why its files are not all where they belong."""

    id: int
    at: int
    folder: str
    state: str
    level: str
    key: str
    study: str
    why: str
    rule: str
    by: str
    patient_name: str
    patient_id: str
    date: str
    accession: str
    modalities: str
    description: str
    instances: int
    bytes: int
    problem: str


_ENTRY: Final = ", ".join(f'"{each.name}"' for each in fields(Entry))


@dataclass(frozen=True, slots=True)
class File:
    """A file that goes along: where it is and what it holds."""

    sop_instance: str
    path: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Trashed:
    """An instance in the trash."""

    id: int
    sop_instance: str
    path: str
    digest: bytes
    meta_digest: bytes
    data_offset: int
    size: int
    missing: int


def files(connection: sqlite3.Connection, which: Which) -> list[File]:
    """Return the files of what is to be deleted."""
    where, values = which.where
    rows = connection.execute(f"SELECT i.sop_instance, i.path, i.digest {_FROM} WHERE {where}", values)
    return [File(*row) for row in rows]


def entries(connection: sqlite3.Connection, condition: str = "", values: Iterable[Any] = ()) -> list[Entry]:
    """Return entries, newest first, that fulfil a condition of this package."""
    where = f"WHERE {condition}" if condition else ""
    rows = connection.execute(f"SELECT {_ENTRY} FROM trash {where} ORDER BY id DESC", tuple(values))  # noqa: S608
    return [Entry(*row) for row in rows]


def objects(connection: sqlite3.Connection, entry: int) -> list[Trashed]:
    """Return the instances of an entry."""
    rows = connection.execute(
        "SELECT id, sop_instance, path, digest, meta_digest, data_offset, size, missing FROM trashed WHERE trash = ?"
        " ORDER BY id", (entry,),
    )  # fmt: skip
    return [Trashed(*row) for row in rows]


def known_files(connection: sqlite3.Connection, names: Iterable[str]) -> dict[str, Trashed]:
    """Return, for names of files in the trash, the instances of the index that have their SOP Instance UIDs."""
    found: dict[str, Trashed] = {}
    for name in names:
        whole = name.removesuffix(".dcm")
        row = connection.execute(
            "SELECT id, sop_instance, path, digest, meta_digest, data_offset, size, missing FROM instances"
            " WHERE sop_instance IN (?, ?) ORDER BY sop_instance = ? DESC", (whole, whole.rpartition(".")[0], whole),
        ).fetchone()  # fmt: skip
        if row is not None:
            found[name] = Trashed(*row)
    return found


def day_of(received: int) -> str:
    """Return the node's local date of a moment of the index."""
    return datetime.fromtimestamp(received / 1e6, UTC).astimezone().strftime("%Y-%m-%d")


def _row(connection: sqlite3.Connection, table: str, key: int) -> dict[str, Any]:
    cursor = connection.execute(f"SELECT * FROM {table} WHERE id = ?", (key,))  # noqa: S608
    return dict(zip((each[0] for each in cursor.description), cursor.fetchone(), strict=True))


class Days:
    """What is added to, or taken from, the counters of days; sums over all days stay the totals of the archive."""

    def __init__(self) -> None:
        self._days: dict[str, list[int]] = {}

    def add(self, received: int, what: str, amount: int = 1) -> None:
        """Note an amount for the day of a moment."""
        self._days.setdefault(day_of(received), [0] * len(_DAYS))[_DAYS.index(what)] += amount

    def put(self, connection: sqlite3.Connection) -> None:
        """Add to the days."""
        for day, amounts in self._days.items():
            connection.execute("INSERT OR IGNORE INTO daily (day) VALUES (?)", (day,))
            for what, amount in zip(_DAYS, amounts, strict=True):
                connection.execute(f"UPDATE daily SET {what} = {what} + ? WHERE day = ?", (amount, day))  # noqa: S608

    def take(self, connection: sqlite3.Connection) -> None:
        """Take from the days; what a day never had, because it was counted on another, is taken from that."""
        for day, amounts in self._days.items():
            for what, amount in zip(_DAYS, amounts, strict=True):
                self._take(connection, day, what, amount)
            empty = " AND ".join(f"{what} = 0" for what in _DAYS)
            connection.execute(f"DELETE FROM daily WHERE day = ? AND {empty}", (day,))  # noqa: S608

    @staticmethod
    def _take(connection: sqlite3.Connection, day: str, what: str, amount: int) -> None:
        while amount > 0:
            row = connection.execute(
                f"SELECT day, {what} FROM daily WHERE {what} > 0 ORDER BY day = ? DESC, {what} DESC LIMIT 1",  # noqa: S608
                (day,),
            ).fetchone()
            if row is None:
                return
            now = min(amount, int(row[1]))
            connection.execute(f"UPDATE daily SET {what} = {what} - ? WHERE day = ?", (now, row[0]))  # noqa: S608
            amount -= now


def take_out(
    connection: sqlite3.Connection, which: Which, at: int, folder: str, absent: Iterable[str], *, why: str, by: str,
    rule: str,
) -> int:  # fmt: skip
    """Move rows from the index into the trash; return the entry's number.

    ``absent`` are paths of files that are not there.
    """
    where, values = which.where
    study = connection.execute("SELECT id, patient FROM studies WHERE study = ?", (which.study,)).fetchone()
    touched = connection.execute(
        f"SELECT e.id, count(*), sum(i.size), min(i.received) {_FROM} WHERE {where} GROUP BY e.id", values
    ).fetchall()
    kept: dict[str, Any] = {
        "patient": _row(connection, "patients", study[1]), "study": _row(connection, "studies", study[0]),
        "series": [_row(connection, "series", each[0]) for each in touched],
    }  # fmt: skip
    about = kept["study"]
    entry = away.insert(
        connection, "trash",
        {
            "at": at, "folder": folder, "state": MOVING, "level": which.level, "key": which.key, "study": which.study,
            "why": why, "rule": rule, "by": by, "instances": sum(each[1] for each in touched),
            "bytes": sum(each[2] for each in touched), "rows": json.dumps(kept),
            **{name: about[name] for name in ("patient_name", "patient_id", "date", "accession", "modalities",
                                              "description")},
        },
    )  # fmt: skip
    columns = ", ".join(f"i.{name}" for name in INSTANCE)
    connection.execute(
        f"INSERT INTO trashed (trash, series_uid, {_COLUMNS}) SELECT ?, e.series, {columns} {_FROM} WHERE {where}"
        " ORDER BY i.id", (entry, *values),
    )  # fmt: skip
    connection.executemany(
        "UPDATE trashed SET missing = 1 WHERE trash = ? AND path = ?", ((entry, path) for path in absent)
    )
    days = Days()
    for received, size in connection.execute("SELECT received, size FROM trashed WHERE trash = ?", (entry,)):
        days.add(received, "instances")
        days.add(received, "bytes", size)
    connection.execute(f"DELETE FROM instances WHERE id IN (SELECT i.id {_FROM} WHERE {where})", values)  # noqa: S608
    gone = []
    for (key, _, _, received), row in zip(touched, kept["series"], strict=True):
        if not recount_series(connection, key):
            connection.execute("DELETE FROM series WHERE id = ?", (key,))
            days.add(received, "series")
            gone.append(row)
    recount_study(connection, study[0], at)
    whole = None
    if not _any(connection, "SELECT 1 FROM series WHERE study = ? AND instances > 0", study[0]):
        whole = kept["patient"], about
        gone += _drop_study(connection, study[0], study[1], about["received"], days)
    away.keep(connection, which.study, gone, whole)
    days.take(connection)
    return entry


def _drop_study(
    connection: sqlite3.Connection, study: int, patient: int, received: int, days: Days
) -> list[dict[str, Any]]:
    """Remove a study without instances, and its patient if there is no other study; return the rows of its series."""
    empty = [_row(connection, "series", each[0]) for each in connection.execute(
        "SELECT id FROM series WHERE study = ?", (study,)
    ).fetchall()]  # fmt: skip
    connection.execute("DELETE FROM series WHERE study = ?", (study,))
    days.add(received, "series", len(empty))
    connection.execute("DELETE FROM studies WHERE id = ?", (study,))
    days.add(received, "studies")
    if not _any(connection, "SELECT 1 FROM studies WHERE patient = ?", patient):
        connection.execute("DELETE FROM patients WHERE id = ?", (patient,))
        days.add(received, "patients")
    return empty


def _any(connection: sqlite3.Connection, query: str, key: int) -> bool:
    return connection.execute(f"{query} LIMIT 1", (key,)).fetchone() is not None


def recount_series(connection: sqlite3.Connection, key: int) -> int:
    """Count a series' content again; return how many instances there are."""
    connection.execute(
        "UPDATE series SET (instances, bytes) ="
        " (SELECT count(*), coalesce(sum(size), 0) FROM instances WHERE series = ?) WHERE id = ?", (key, key),
    )  # fmt: skip
    return int(connection.execute("SELECT instances FROM series WHERE id = ?", (key,)).fetchone()[0])


def recount_study(connection: sqlite3.Connection, key: int, at: int | None) -> None:
    """Count a study's content again; ``at`` is when it changed, none where it did not."""
    found = connection.execute("SELECT modality, instances, bytes FROM series WHERE study = ?", (key,)).fetchall()
    modalities = "\\".join(sorted({each[0].replace("\\", "/") for each in found} - {""}))
    connection.execute(
        "UPDATE studies SET series = ?, instances = ?, bytes = ?, modalities = ?, changed = coalesce(?, changed)"
        " WHERE id = ?",
        (len(found), sum(each[1] for each in found), sum(each[2] for each in found), modalities, at, key),
    )


def settle(connection: sqlite3.Connection, entry: int, gone: Iterable[int], problem: str = "") -> int:
    """Take instances out of an entry that are no longer in the trash; return how many are left, and remove the entry
    when there is none."""
    connection.executemany("DELETE FROM trashed WHERE id = ?", ((each,) for each in gone))
    left, size = connection.execute(
        "SELECT count(*), coalesce(sum(size), 0) FROM trashed WHERE trash = ?", (entry,)
    ).fetchone()
    if left:
        connection.execute(
            "UPDATE trash SET state = '', problem = ?, instances = ?, bytes = ? WHERE id = ?",
            (problem, left, size, entry),
        )
    else:
        connection.execute("DELETE FROM trash WHERE id = ?", (entry,))
    return int(left)


def mark(connection: sqlite3.Connection, entry: int, state: str, problem: str = "") -> None:
    """Note how far an entry is."""
    connection.execute("UPDATE trash SET state = ?, problem = ? WHERE id = ?", (state, problem, entry))


def totals(connection: sqlite3.Connection) -> tuple[int, int, int, int]:
    """Return entries, instances and bytes in the trash, and when the oldest came (0 without one)."""
    row = connection.execute(
        "SELECT count(*), coalesce(sum(instances), 0), coalesce(sum(bytes), 0), coalesce(min(at), 0) FROM trash"
    ).fetchone()
    return int(row[0]), int(row[1]), int(row[2]), int(row[3])


def leaving(connection: sqlite3.Connection, path: str) -> bool:
    """Return whether a file is one that is in the trash and whose old name is not removed yet."""
    return connection.execute(
        "SELECT 1 FROM trash JOIN trashed ON trashed.trash = trash.id WHERE trash.state IN (?, ?) AND trashed.path = ?"
        " LIMIT 1", (MOVING, RETURNING, path),
    ).fetchone() is not None  # fmt: skip
