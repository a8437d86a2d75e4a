"""Looking into snapshots: their studies, and what changed from one to the next."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final

from pacstui.archive import paths
from pacstui.backups.layout import Manifest
from pacstui.backups.reading import kept_index
from pacstui.backups.source import connect
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch

_MOST: Final = 1000
_STUDIES: Final = """
SELECT id, study, patient_name, patient_id, date, modalities, description, accession, series, instances, bytes
FROM studies WHERE (? = 0 OR id < ?) AND {search} ORDER BY id DESC LIMIT ?
"""
_HERE: Final = """
SELECT s.study, s.instances - (SELECT count(*) FROM series e JOIN instances i ON i.series = e.id
    WHERE e.study = s.id AND i.missing != 0)
FROM studies s WHERE s.study IN ({marks})
"""
_SEARCH: Final = (
    "(instr(lower(patient_name), ?) OR instr(lower(patient_id), ?) OR instr(lower(description), ?)"
    " OR instr(lower(accession), ?) OR study = ? OR date = ?)"
)
_ROWS: Final = (
    "SELECT s.study study, i.sop_instance uid, i.digest digest FROM {0}.instances i"
    " JOIN {0}.series e ON e.id = i.series JOIN {0}.studies s ON s.id = e.study"
)


def studies(
    target: Target, manifest: Manifest, search: str, limit: int, after: int, data_dir: Path | None, watch: Watch
) -> dict[str, Any]:
    """Return a page of a snapshot's studies, newest received first; how many instances of each are here now,
    with a file that is not known to be damaged."""
    index = kept_index(target, manifest, watch)
    words = search.strip().lower()
    condition = _SEARCH if words else "1"
    given: list[Any] = [words] * 6 if words else []
    with closing(connect(index)) as db:
        rows = db.execute(_STUDIES.format(search=condition), [after, after, *given, limit + 1]).fetchall()
        total = db.execute(f"SELECT count(*) FROM studies WHERE {condition}", given).fetchone()[0]  # noqa: S608
    here = _here(data_dir, [str(row[1]) for row in rows[:limit]])
    return {
        "snapshot": manifest.id,
        "rows": [
            {
                "study": row[1], "patient_name": row[2], "patient_id": row[3], "date": row[4],
                "modalities": [each for each in str(row[5]).split("\\") if each], "description": row[6],
                "accession": row[7], "series": row[8], "instances": row[9], "bytes": row[10],
                "here": here.get(str(row[1]), 0),
            }
            for row in rows[:limit]
        ],
        "total": total,
        "next": rows[limit - 1][0] if len(rows) > limit else None,
    }  # fmt: skip


def _here(data_dir: Path | None, uids: list[str]) -> dict[str, int]:
    if data_dir is None or not (data_dir / paths.DATABASE).is_file() or not uids:
        return {}
    with (
        suppress(sqlite3.Error),
        closing(sqlite3.connect(f"file:{data_dir / paths.DATABASE}?mode=ro", uri=True, timeout=30)) as db,
    ):
        marks = ",".join("?" * len(uids))
        return dict(db.execute(_HERE.format(marks=marks), uids))
    return {}


def compare(target: Target, before: Manifest, after: Manifest, watch: Watch) -> dict[str, Any]:
    """Return what changed from one snapshot to another, by study and in all."""
    first, second = kept_index(target, before, watch), kept_index(target, after, watch)
    watch.tell(now="comparing")
    with closing(sqlite3.connect("file::memory:", uri=True)) as db:
        db.execute("ATTACH DATABASE ? AS a", (f"file:{first}?mode=ro&immutable=1",))
        db.execute("ATTACH DATABASE ? AS b", (f"file:{second}?mode=ro&immutable=1",))
        db.executescript(
            "CREATE TEMP TABLE diff (study TEXT, what TEXT);"  # noqa: S608 - names of ours
            "INSERT INTO diff SELECT x.study, 'removed' FROM (" + _ROWS.format("a") + ") x"
            " LEFT JOIN b.instances y ON y.sop_instance = x.uid WHERE y.id IS NULL;"
            "INSERT INTO diff SELECT x.study, 'added' FROM (" + _ROWS.format("b") + ") x"
            " LEFT JOIN a.instances y ON y.sop_instance = x.uid WHERE y.id IS NULL;"
            "INSERT INTO diff SELECT x.study, 'changed' FROM (" + _ROWS.format("b") + ") x"
            " JOIN a.instances y ON y.sop_instance = x.uid WHERE y.digest != x.digest;"
        )
        totals = dict(db.execute("SELECT what, count(*) FROM diff GROUP BY what"))
        rows = db.execute(
            "SELECT d.study, coalesce(b.patient_name, a.patient_name), coalesce(b.date, a.date),"
            " coalesce(b.description, a.description), coalesce(a.instances, 0), coalesce(b.instances, 0)"
            " FROM (SELECT DISTINCT study FROM diff) d LEFT JOIN a.studies a ON a.study = d.study"
            " LEFT JOIN b.studies b ON b.study = d.study ORDER BY coalesce(b.id, a.id) DESC LIMIT ?", (_MOST + 1,),
        ).fetchall()  # fmt: skip
    return {
        "before": before.id, "after": after.id, "added": totals.get("added", 0), "removed": totals.get("removed", 0),
        "changed": totals.get("changed", 0), "more": len(rows) > _MOST,
        "studies": [
            {
                "what": "added" if not had else "removed" if not has else "changed", "study": study,
                "patient_name": name, "date": date, "description": text, "before": had, "after": has,
            }
            for study, name, date, text, had, has in rows[:_MOST]
        ],
    }  # fmt: skip
