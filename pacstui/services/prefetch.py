"""The job ``prefetch``: earlier studies of patients come from other archives before somebody asks for them.

Patients are those of whom a study arrived lately, or a list. They are found by Patient ID; a study at the other archive
whose ID or birth date differs is another patient's and stays there. Logs name studies by UID, never patients.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

from pacstui.clock import Clock, microseconds
from pacstui.contract.remote import PullRow, RemotePage, RemoteStudy
from pacstui.db import Database
from pacstui.errors import NotFound, PacsError, Unavailable
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run
from pacstui.jobs.values import listed, some, whole
from pacstui.text import plural, safe

_ARRIVED: Final = (
    "SELECT patient_id, birth_date, study, calling FROM studies WHERE received >= ? AND patient_id != '' ORDER BY id"
)
_DELETED: Final = "SELECT DISTINCT study FROM trash WHERE rule = ''"
_ASKED: Final = 200
_WILD: Final = frozenset("*?\\")


class Archives(Protocol):
    """What is asked of :class:`pacstui.services.remote.RemoteRoom`."""

    async def find(self, peer: str, *, id: str, limit: int) -> RemotePage:
        """Return a patient's studies at a peer."""
        ...

    async def pull(self, peer: str, study: str) -> PullRow:
        """Begin to fetch a study."""
        ...

    async def ended(self, id: int) -> PullRow:
        """Return how that went, once it is known."""
        ...

    async def cancel(self, id: int) -> None:
        """End it; what came is kept."""
        ...

    def title_of(self, peer: str) -> str:
        """Return a peer's AE title. Raises NotFound when there is no such peer."""
        ...


@dataclass(slots=True)
class _Patient:
    id: str
    births: set[str] = field(default_factory=set)
    arrived: set[str] = field(default_factory=set)


def prefetch_kind(archives: Archives, database: Database, clock: Clock) -> Kind:
    """Return the kind of job that fetches earlier studies."""

    async def work(run: Run) -> Outcome:
        return await _Prefetch(archives, database, clock, run).work()

    return Kind(
        "prefetch", "fetch priors",
        "Fetches earlier studies from other archives (C-FIND, then C-GET or C-MOVE), of patients of whom a study "
        "arrived lately, or of a list.", work,
        (
            Parameter("peers", "Names of the archives to ask, in this order, with commas between", check=some,
                      required=True),
            Parameter("patients", "Patient IDs with commas between; empty: those of whom a study arrived lately"),
            Parameter("hours", "How long ago that may have been", "24", check=whole(1, 8_760)),
            Parameter("modalities", "Only studies with one of these, with commas between; empty: all"),
            Parameter("years", "Only studies of so many years back; 0: all", "5", check=whole(0, 150)),
            Parameter("each", "At most so many studies of a patient, the newest", "3", check=whole(1, 100)),
            Parameter("most", "At most so many studies in a run; the next one goes on", "100", check=whole(1, 10_000)),
        ),
        resumes=True, lane="prefetch", permission="remote.pull",
    )  # fmt: skip


class _Prefetch:
    def __init__(self, archives: Archives, database: Database, clock: Clock, run: Run) -> None:
        given = run.parameters
        self._archives = archives
        self._db = database
        self._run = run
        self._peers = listed(given["peers"])
        self._list = listed(given["patients"])
        self._since = clock.now() - timedelta(hours=int(given["hours"]))
        self._modalities = {each.upper() for each in listed(given["modalities"])}
        years = int(given["years"])
        oldest = clock.now().astimezone().date() - timedelta(days=round(365.25 * years))
        self._oldest = f"{oldest:%Y%m%d}" if years else ""
        self._each = int(given["each"])
        self._most = int(given["most"])
        self._fetched = self._instances = self._here = self._left = 0
        self._failed: dict[str, str] = {}
        self._silent: dict[str, PacsError] = {}

    async def work(self) -> Outcome:
        """Do it."""
        titles = {self._archives.title_of(peer) for peer in self._peers}
        run = self._run
        patients = self._of_list() if self._list else await self._of_arrived(titles)
        self._deleted = await self._db.read(lambda c: {row[0] for row in c.execute(_DELETED)})
        run.tell(done=0, total=len(patients), unit="patients", errors=0)
        for number, patient in enumerate(patients, 1):
            run.check()
            for peer in self._peers:
                if peer not in self._silent:
                    await self._of_patient(peer, patient)
            run.tell(done=number, errors=len(self._failed) + len(self._silent))
            if len(self._silent) == len(self._peers):
                fault = next(iter(self._silent.values()))
                raise Unavailable(f"none of the archives can be asked: {fault.message}", fault.hint)
            if self._fetched >= self._most:
                self._left = len(patients) - number
                break
        return self._outcome(len(patients))

    def _of_list(self) -> list[_Patient]:
        return [_Patient(each) for each in self._list]

    async def _of_arrived(self, titles: set[str]) -> list[_Patient]:
        """Return patients of whom a study came, other than one that was fetched from those very archives."""
        since = microseconds(self._since)
        found: dict[str, _Patient] = {}
        for id, birth, study, calling in await self._db.read(partial(_arrived, since)):
            if titles.issuperset(calling.split("\\")):
                continue
            patient = found.setdefault(id.strip(), _Patient(id.strip()))
            patient.births.add(birth.strip())
            patient.arrived.add(study)
        return list(found.values())

    async def _of_patient(self, peer: str, patient: _Patient) -> None:
        run = self._run
        if not _WILD.isdisjoint(patient.id):
            run.note("a patient whose ID has * or ? in it cannot be asked for exactly, and is left out", "warn")
            return
        try:
            page = await self._archives.find(peer, id=patient.id, limit=_ASKED)
        except PacsError as fault:
            self._silent[peer] = fault
            run.note(f"{safe(peer, 64)} cannot be asked: {fault}", "fail")
            return
        for row in self._priors(page.rows, patient)[: self._each]:
            if row.here and row.here >= row.instances:
                self._here += 1
            elif self._fetched < self._most:
                await self._fetch(peer, row)

    def _priors(self, rows: Sequence[RemoteStudy], patient: _Patient) -> list[RemoteStudy]:
        """Return the patient's earlier studies that are wanted, the newest first."""
        births = patient.births - {""}
        found = []
        for row in rows:
            if row.patient_id.strip() != patient.id or row.study in patient.arrived or row.study in self._deleted:
                continue
            if births and row.birth_date.strip() and row.birth_date.strip() not in births:
                self._run.note(f"{row.study}: the birth date there is another one; left where it is", "warn")
                continue
            if self._modalities and self._modalities.isdisjoint(each.upper() for each in row.modalities):
                continue
            if self._oldest and row.date < self._oldest:
                continue
            found.append(row)
        return sorted(found, key=lambda row: (row.date, row.time), reverse=True)

    async def _fetch(self, peer: str, row: RemoteStudy) -> None:
        run = self._run
        run.check()
        run.tell(now=f"{row.study} from {safe(peer, 64)}")
        pull = await self._archives.pull(peer, row.study)
        ended = await self._ended(pull)
        self._instances += ended.received
        if ended.state == "done":
            self._fetched += 1
            run.note(f"{row.study} from {safe(peer, 64)} by {ended.verb}: {plural(ended.received, 'instance')}")
        else:
            self._failed[row.study] = ended.why or ended.state
            hint = f" ({ended.hint})" if ended.hint else ""
            run.note(f"{row.study} from {safe(peer, 64)}: {safe(ended.why or ended.state, 200)}{hint}", "fail")

    async def _ended(self, pull: PullRow) -> PullRow:
        """Return how a study got here; cancel it when the run is to end."""
        ending = asyncio.ensure_future(self._archives.ended(pull.id))
        stop = asyncio.ensure_future(self._run.stopped())
        try:
            await asyncio.wait((ending, stop), return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                with suppress(NotFound):
                    await self._archives.cancel(pull.id)
            return await ending
        finally:
            stop.cancel()
            ending.cancel()

    def _outcome(self, patients: int) -> Outcome:
        told = f"{plural(patients, 'patient')} looked at: {plural(self._fetched, 'study', 'studies')} fetched"
        told += f" ({plural(self._instances, 'instance')})" if self._instances else ""
        told += f", {self._here:,} here already" if self._here else ""
        told += f", {plural(self._left, 'patient')} left for the next run" if self._left else ""
        hint = ""
        for what, why in self._failed.items():
            told += f"; {len(self._failed):,} could not be fetched: {what}: {safe(why, 160)}"
            hint = "the run's log names them; what is not here is tried again by the next run"
            break
        for peer, fault in self._silent.items():
            told += f"; {safe(peer, 64)} cannot be asked: {safe(fault.message, 160)}"
            hint = hint or fault.hint
        return Outcome(told, bool(self._failed or self._silent), hint)


def _arrived(since: int, connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    return connection.execute(_ARRIVED, (since,)).fetchall()
