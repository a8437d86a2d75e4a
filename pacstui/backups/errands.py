"""The jobs that work on targets: which there are, and what each does."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from pacstui.archive import Archive
from pacstui.archive.importer import import_file
from pacstui.backups.calling import Calls
from pacstui.backups.request import Request
from pacstui.backups.spec import work_folder
from pacstui.backups.standing import Standing, Standings
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run, Wanted
from pacstui.text import count, plural


class Errands:
    """Work on targets as kinds of jobs.

    Parameters
    ----------
    request
        Makes a request of a target, an operation, who wants it, and its arguments.
    survey
        Looks how a target is after work on it.
    """

    def __init__(
        self, archive: Archive, calls: Calls, standings: Standings, request: Callable[..., Request],
        survey: Callable[[Standing], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._archive = archive
        self._calls = calls
        self._standings = standings
        self._request = request
        self._survey = survey

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of jobs that work on targets."""
        target = Parameter("target", "the target's name", check=self._check_target)
        snapshot = Parameter("snapshot", "which snapshot: its id, or latest", "latest")
        lane = "target {target}"
        return (
            Kind("backup", "backup", "Takes a snapshot: index, objects that are new, configuration.", self._backup,
                 (target,), resumes=True, lane=lane, permission="backups.run", told_elsewhere=True),
            Kind("verify", "verify", "Reads a target back and compares.", self._verify,
                 (target, Parameter("depth", "quick, sample or full", "sample", ("quick", "sample", "full")),
                  Parameter("percent", "share of a sample", "3", check=_percent)), lane=lane,
                 permission="backups.run"),
            Kind("prune", "prune", "Removes snapshots that no rule keeps.", self._prune, (target,), lane=lane,
                 permission="backups.prune"),
            Kind("drill", "restore drill", "Rehearses a restore: index, some objects, a node, C-GET.", self._drill,
                 (target, snapshot, Parameter("instances", "at least so many", "200", check=int)), lane=lane,
                 permission="backups.run"),
            Kind("restore", "restore", "Brings a snapshot back, or a part of it.", self._restore,
                 (target, snapshot,
                  Parameter("what", "how much of it", "all", ("all", "index", "patient", "study", "instance")),
                  Parameter("key", "which patient, study or instance"),
                  Parameter("to", "a new folder; empty: the archive")), lane=lane,
                 permission="backups.restore"),
        )  # fmt: skip

    def _check_target(self, name: str) -> None:
        if name not in self._standings.targets:
            raise ValueError(f"there is no target {name} in the settings")

    def wanted(self) -> tuple[Wanted, ...]:
        """Return the jobs that each target needs."""
        jobs: list[Wanted] = []
        for name, known in self._standings.targets.items():
            settings, mine = known.settings, {"target": name}
            percent = settings.verify_percent
            jobs += (
                Wanted(f"backup {name}", "backup", mine, settings.schedule, retries=3),
                Wanted(f"verify {name}", "verify", {**mine, "percent": f"{percent or 3:g}"}, "",
                       after=f"backup {name}" if percent else ""),
                Wanted(f"prune {name}", "prune", mine, "", after=f"{'verify' if percent else 'backup'} {name}"),
                Wanted(f"drill {name}", "drill", mine, settings.drill),
                Wanted(f"restore {name}", "restore", mine, ""),
            )  # fmt: skip
        return tuple(jobs)

    async def _done(self, op: str, run: Run, **arguments: Any) -> Outcome:
        known = self._standings.get(run.parameters["target"])
        try:
            found = await self._calls.work(self._request(known, op, run.started_by, **arguments), run)
        finally:
            await self._survey(known)
        return Outcome(str(found["text"]), bool(found.get("warning")), str(found.get("hint", "")))

    async def _backup(self, run: Run) -> Outcome:
        return await self._done("backup", run)

    async def _verify(self, run: Run) -> Outcome:
        given = run.parameters
        return await self._done("verify", run, depth=given["depth"], percent=float(given["percent"] or 3))

    async def _prune(self, run: Run) -> Outcome:
        known = self._standings.get(run.parameters["target"])
        check = (known.survey or {}).get("check")
        if run.started_by.partition(" ")[0] in ("schedule", "verify", "backup") and check and not check["ok"]:
            return Outcome(
                f"nothing was removed: the last verification found faults ({check['text']})", True,
                "back up and verify again; then prune by hand",
            )  # fmt: skip
        return await self._done("prune", run)

    async def _drill(self, run: Run) -> Outcome:
        given = run.parameters
        return await self._done("drill", run, snapshot=given["snapshot"], instances=int(given["instances"] or 200))

    async def _restore(self, run: Run) -> Outcome:
        given = run.parameters
        if given["to"]:
            return await self._done(
                "restore", run, snapshot=given["snapshot"], to=given["to"], index_only=given["what"] == "index"
            )
        known = self._standings.get(given["target"])
        scratch = work_folder(self._archive.data_dir, known.spec.name) / f"restore-{run.id}"
        try:
            found = await self._calls.work(
                self._request(known, "extract", run.started_by, snapshot=given["snapshot"], what=given["what"],
                              key=given["key"], to=str(scratch)), run,
            )  # fmt: skip
            return await self._take_back(run, found)
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, True)

    async def _take_back(self, run: Run, found: dict[str, Any]) -> Outcome:
        """Give the archive what was fetched, as it takes any object."""
        counts: dict[str, int] = {}
        run.tell(done=0, total=len(found["files"]), done_bytes=0, total_bytes=0, now="into the archive")
        for number, each in enumerate(found["files"], 1):
            run.check()
            other = partial(_other, str(each["sop_instance"]), bytes.fromhex(each["digest"]))
            if await self._archive.db.read(other):  # whatever is done with duplicates: nothing that is there is changed
                counts["other"] = counts.get("other", 0) + 1
                run.note(f"{each['sop_instance']}: the archive has other content under this UID, which stays", "warn")
                run.tell(done=number)
                continue
            result = await import_file(self._archive, Path(each["path"]), str(each["calling"]) or "RESTORE")
            outcome = "stored" if result.healed else result.outcome
            counts[outcome] = counts.get(outcome, 0) + 1
            if result.outcome not in ("stored", "duplicate"):
                run.note(f"{each['sop_instance']}: {result.outcome}: {result.reason}", "fail")
            run.tell(done=number)
        for uid, why in found["failed"].items():
            run.note(f"{uid}: {why}", "fail")
        stored, there = counts.get("stored", 0), counts.get("duplicate", 0)
        wrong = int(found["wanted"]) - stored - there
        text = f"{plural(stored, 'instance')} brought back, {count(there)} were there"
        if wrong:
            return Outcome(f"{count(wrong)} could not be brought back; {text}", True, "which, and why: the run's log")
        return Outcome(text)


def _percent(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise ValueError("more than 0, at most 100")
    return value


def _other(uid: str, digest: bytes, db: sqlite3.Connection) -> bool:
    """Return whether the archive has a whole object of this UID with other content."""
    row = db.execute("SELECT digest FROM instances WHERE sop_instance=? AND missing=0", (uid,)).fetchone()
    return row is not None and bytes(row[0]) != digest
