"""Jobs, runs and their lines in the database. Times are microseconds since 1970, 0 for none."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, field, fields
from datetime import datetime
from typing import Any

from pacstui.clock import microseconds, moment_or_none
from pacstui.db import Database
from pacstui.text import safe

DONE, WARNING, FAILED, CANCELLED, INTERRUPTED = "done", "warning", "failed", "cancelled", "interrupted"
RUNNING, WAITING = "running", "waiting"
OVERLAPS = ("skip", "queue", "cancel-old")
RUNS_KEPT = 500
LOGS_KEPT = 100
"""Runs, and logs of runs, that are kept of each job."""
DAYS_KEPT = 400
_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Job:
    """A job as it is kept.

    ``upto`` is the time up to which its schedule has been seen to. ``retry_at`` is when a failed run is tried again, as
    number ``attempt``. ``edited`` tells that somebody changed what the node had made. ``kept`` is its work's own note.
    """

    name: str
    kind: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    schedule: str = ""
    hours: str = ""
    zone: str = ""
    follows: str = ""
    overlap: str = "skip"
    enabled: bool = True
    retries: int = 0
    retry_ms: int = 300_000
    timeout_ms: int = 0
    builtin: bool = False
    edited: bool = False
    upto: int = 0
    missed: int = 0
    retry_at: int = 0
    attempt: int = 1
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Turn:
    """A run that is to be begun: who wants it, when the schedule wanted it, and what is known of earlier tries.

    ``parameters`` stand for this run in place of the job's own.
    """

    by: str
    planned: datetime | None = None
    attempt: int = 1
    restarts: int = 0
    by_hand: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class RunRecord:
    """A run as it is kept; ``again`` tells that it is begun again at the next start, ``restarts`` how often it was.

    ``parameters`` is JSON of those that were given for this run in place of the job's own.
    """

    id: int
    job: str
    kind: str
    state: str
    started_by: str
    planned: int = 0
    started: int = 0
    ended: int = 0
    late_ms: int = 0
    attempt: int = 1
    done: int = 0
    total: int = 0
    unit: str = ""
    done_bytes: int = 0
    total_bytes: int = 0
    errors: int = 0
    now: str = ""
    text: str = ""
    hint: str = ""
    again: int = 0
    restarts: int = 0
    parameters: str = ""

    @property
    def said(self) -> dict[str, str]:
        """The parameters that were given for this run."""
        return texts_of(self.parameters)


def texts_of(text: str) -> dict[str, str]:
    """Return names and values of a JSON object, none of what is not one."""
    try:
        return {str(name): str(value) for name, value in json.loads(text or "{}").items()}
    except (ValueError, AttributeError):
        return {}


Line = tuple[int, int, str, str]
"""Run, time, level and text of a line."""

_JOB = tuple(each.name for each in fields(Job))
_RUN = tuple(each.name for each in fields(RunRecord))
_RUN_COLUMNS = ", ".join(_RUN)
_PUT_JOB = f"INSERT OR REPLACE INTO jobs ({', '.join(_JOB)}) VALUES ({', '.join('?' for _ in _JOB)})"  # noqa: S608
_PUT_RUN = f"INSERT INTO job_runs ({', '.join(_RUN[1:])}) VALUES ({', '.join('?' for _ in _RUN[1:])})"  # noqa: S608
_SET_RUN = f"UPDATE job_runs SET {', '.join(f'{name}=?' for name in _RUN[1:])} WHERE id=?"  # noqa: S608
_ENDED = "state NOT IN ('running', 'waiting')"
_LAST = f"SELECT {_RUN_COLUMNS} FROM job_runs WHERE job=? AND {_ENDED} ORDER BY id DESC LIMIT 1"  # noqa: S608


def _job_values(job: Job) -> list[Any]:
    values = [getattr(job, name) for name in _JOB]
    values[2] = json.dumps(dict(job.parameters), ensure_ascii=False)
    return [int(value) if isinstance(value, bool) else value for value in values]


def _job(row: Sequence[Any]) -> Job:
    named = dict(zip(_JOB, row, strict=True))
    named["parameters"] = texts_of(named["parameters"])
    for name in ("enabled", "builtin", "edited"):
        named[name] = bool(named[name])
    return Job(**named)


class Store:
    """What the jobs room keeps. Every change is durable when it returns."""

    def __init__(self, database: Database) -> None:
        self._db = database

    async def load(self) -> tuple[dict[str, Job], dict[str, RunRecord], dict[str, list[Turn]], str]:
        """Return all jobs by name, the last ended run of each, the runs that each owes, and who paused them (empty if
        nobody did)."""

        def body(connection: sqlite3.Connection) -> tuple[list[Any], dict[str, Any], list[Any], str]:
            rows = connection.execute(f"SELECT {', '.join(_JOB)} FROM jobs ORDER BY name").fetchall()  # noqa: S608
            lasts = {row[0]: connection.execute(_LAST, (row[0],)).fetchone() for row in rows}
            paused = connection.execute("SELECT value FROM jobs_state WHERE name='paused'").fetchone()
            owed = connection.execute("SELECT name, value FROM jobs_state WHERE name GLOB 'turns *'").fetchall()
            return rows, lasts, owed, paused[0] if paused else ""

        rows, lasts, owed, paused = await self._db.read(body)
        jobs = {job.name: job for job in map(_job, rows)}
        records = {name: RunRecord(*row) for name, row in lasts.items() if row is not None}
        return jobs, records, {name.partition(" ")[2]: _turns(value) for name, value in owed}, paused

    async def unfinished(self) -> list[RunRecord]:
        """Return runs that were under way, or were to go on, when the node ended."""
        sql = f"SELECT {_RUN_COLUMNS} FROM job_runs WHERE state IN ('running', 'waiting') OR again != 0 ORDER BY id"  # noqa: S608
        rows = await self._db.read(lambda c: c.execute(sql).fetchall())
        return [RunRecord(*row) for row in rows]

    async def put(self, *jobs: Job) -> None:
        """Keep jobs as they are now."""
        await self._db.write(lambda c: c.executemany(_PUT_JOB, [_job_values(job) for job in jobs]))

    async def remove(self, names: Iterable[str]) -> None:
        """Forget jobs; their runs stay."""
        gone = [(name,) for name in names]

        def body(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM jobs WHERE name=?", gone)
            connection.executemany("DELETE FROM jobs_state WHERE name='turns ' || ?", gone)

        await self._db.write(body)

    async def owe(self, owed: Mapping[str, Sequence[Turn]]) -> None:
        """Keep which runs jobs owe: they are begun after a restart too."""
        await self._db.write(lambda c: _owe(c, owed))

    async def begin(self, run: RunRecord, job: Job, owed: Mapping[str, Sequence[Turn]]) -> None:
        """Keep a new run, which gets its number, together with its job and what is owed then."""

        def body(connection: sqlite3.Connection) -> int:
            cursor = connection.execute(_PUT_RUN, _run_values(run))
            connection.execute(_PUT_JOB, _job_values(job))
            _owe(connection, owed)
            return int(cursor.lastrowid or 0)

        run.id = await self._db.write(body)

    async def save(
        self, runs: Sequence[RunRecord], lines: Sequence[Line] = (), job: Job | None = None,
        owed: Mapping[str, Sequence[Turn]] = {},
    ) -> None:  # fmt: skip
        """Keep how far runs are, what they wrote down, and which runs are owed now."""

        def body(connection: sqlite3.Connection) -> None:
            connection.executemany(_SET_RUN, [(*_run_values(run), run.id) for run in runs])
            connection.executemany("INSERT INTO job_lines (run, at, level, text) VALUES (?, ?, ?, ?)", lines)
            if job is not None:
                connection.execute(_PUT_JOB, _job_values(job))
            _owe(connection, owed)

        await self._db.write(body)

    async def keep(self, job: str, text: str) -> None:
        """Keep a note of a job's work."""
        await self._db.write(lambda c: c.execute("UPDATE jobs SET kept=? WHERE name=?", (text, job)))

    async def pause(self, by: str) -> None:
        """Keep who paused all, empty for nobody."""
        await self._db.write(lambda c: c.execute("INSERT OR REPLACE INTO jobs_state VALUES ('paused', ?)", (by,)))

    async def prune(self, job: str, now: datetime) -> None:
        """Forget runs of a job beyond `RUNS_KEPT` and those older than `DAYS_KEPT`, and logs beyond `LOGS_KEPT`."""
        old = microseconds(now) - DAYS_KEPT * 86_400_000_000
        older = "SELECT id FROM job_runs WHERE job=? ORDER BY id DESC LIMIT -1 OFFSET ?"

        def body(connection: sqlite3.Connection) -> None:
            silent = connection.execute(older, (job, LOGS_KEPT)).fetchall()
            connection.executemany("DELETE FROM job_lines WHERE run=?", silent)
            gone = connection.execute(older, (job, RUNS_KEPT)).fetchall()
            gone += connection.execute(
                f"SELECT id FROM job_runs WHERE job=? AND started < ? AND {_ENDED}",  # noqa: S608
                (job, old),
            ).fetchall()
            connection.executemany("DELETE FROM job_lines WHERE run=?", gone)
            connection.executemany("DELETE FROM job_runs WHERE id=?", gone)

        await self._db.write(body)

    async def history(self, job: str, limit: int, before: int | None, state: str) -> list[RunRecord]:
        """Return runs, newest first."""
        conditions, values = ["1"], []
        for text, value in (("job=?", job), ("state=?", state), ("id < ?", before)):
            if value not in ("", None):
                conditions.append(text)
                values.append(value)
        sql = f"SELECT {_RUN_COLUMNS} FROM job_runs WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"  # noqa: S608
        rows = await self._db.read(lambda c: c.execute(sql, (*values, limit)).fetchall())
        return [RunRecord(*row) for row in rows]

    async def run(self, ident: int) -> RunRecord | None:
        """Return a run by its number."""
        sql = f"SELECT {_RUN_COLUMNS} FROM job_runs WHERE id=?"  # noqa: S608
        row = await self._db.read(lambda c: c.execute(sql, (ident,)).fetchone())
        return RunRecord(*row) if row is not None else None

    async def lines(self, run: int, after: int, limit: int) -> list[tuple[int, int, str, str]]:
        """Return number, time, level and text of a run's lines with numbers above ``after``."""
        sql = "SELECT id, at, level, text FROM job_lines WHERE run=? AND id > ? ORDER BY id LIMIT ?"
        return await self._db.read(lambda c: c.execute(sql, (run, after, limit)).fetchall())

    async def known(self, job: str) -> bool:
        """Return whether there are runs of a job, which may be deleted itself."""
        row = await self._db.read(lambda c: c.execute("SELECT 1 FROM job_runs WHERE job=? LIMIT 1", (job,)).fetchone())
        return row is not None


def _owe(connection: sqlite3.Connection, owed: Mapping[str, Sequence[Turn]]) -> None:
    for job, turns in owed.items():
        if turns:
            told = json.dumps([
                [
                    each.by, microseconds(each.planned), each.attempt, each.restarts, int(each.by_hand),
                    dict(each.parameters),
                ]
                for each in turns
            ])  # fmt: skip
            connection.execute("INSERT OR REPLACE INTO jobs_state VALUES (?, ?)", (f"turns {job}", told))
        else:
            connection.execute("DELETE FROM jobs_state WHERE name=?", (f"turns {job}",))


def _turns(text: str) -> list[Turn]:
    try:
        return [
            Turn(
                str(by),
                moment_or_none(int(planned)),
                int(attempt),
                int(restarts),
                bool(by_hand),
                texts_of(json.dumps(given)),
            )
            for by, planned, attempt, restarts, by_hand, given in json.loads(text)
        ]
    except (ValueError, TypeError):
        return []


def _run_values(run: RunRecord) -> list[Any]:
    named = zip(_RUN[1:], astuple(run)[1:], strict=True)
    return [safe(value, _TEXT) if isinstance(value, str) and name != "parameters" else value for name, value in named]
