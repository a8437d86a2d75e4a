"""The noun ``backups``: targets as they are known, what would be lost, and the jobs that work on them."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, Protocol

from pacstui.archive import Archive
from pacstui.archive.importer import import_file
from pacstui.backups.calling import Calls
from pacstui.backups.ops import SURVEY, Request
from pacstui.backups.prune import rules_told
from pacstui.backups.target import WORK, Spec, local_path, sweep, work_folder
from pacstui.clock import Clock
from pacstui.contract.backups import (
    BackupsView,
    Change,
    Changes,
    LockRow,
    Loss,
    PrunePlan,
    RestorePlan,
    SavedPage,
    SavedStudy,
    SnapshotRow,
    TargetRow,
)
from pacstui.contract.jobs import JobRow, RunRow
from pacstui.errors import BadRequest, Denied, NotFound, PacsError, Unavailable
from pacstui.jobs.kinds import Kind, Outcome, Parameter, Run, Wanted
from pacstui.settings import TargetSettings
from pacstui.text import ago, count, plural, safe

_SURVEY_S: Final = 900.0
_AHEAD: Final = timedelta(hours=1)
_GROWTH_DAYS: Final = 14
_STUDIES_S: Final = 20.0
_UNSAVED: Final = (
    "SELECT count(*), coalesce(sum(data_offset + size), 0), coalesce(max(id), 0) FROM instances WHERE id > ?"
)
_STUDIES: Final = (
    "SELECT count(*) FROM (SELECT DISTINCT e.study FROM instances i JOIN series e ON e.id = i.series WHERE i.id > ?)"
)


class Jobs(Protocol):
    """What of the jobs room is used here."""

    def row(self, name: str) -> JobRow | None:
        """Return a job as lists show it, none if there is none of that name."""
        ...

    async def begin(self, job: str, parameters: dict[str, str]) -> RunRow:
        """Start a job now, by the present caller, with these parameters instead of its own."""
        ...

    async def run(self, id: int) -> RunRow:
        """Return a run."""
        ...


@dataclass(slots=True)
class _Known:
    """What is known of a target: the last survey, why there is none, and what came since its newest snapshot."""

    spec: Spec
    settings: TargetSettings
    survey: dict[str, Any] | None = None
    problem: PacsError | None = None
    asked: float = float("-inf")
    asking: bool = False
    told: bool = False
    upto: int = 0
    base: int = -1
    unsaved: int = 0
    unsaved_bytes: int = 0
    snapshots: list[dict[str, Any]] = field(default_factory=list)

    @property
    def newest(self) -> dict[str, Any] | None:
        """The newest snapshot."""
        return self.snapshots[0] if self.snapshots else None


def spec_of(target: TargetSettings) -> Spec:
    """Return a target's settings as the worker takes them."""
    return Spec(
        target.name, target.url, target.encrypt_to, target.identity_file, target.passphrase_file, target.mounted,
        target.endpoint, target.region, target.access_key, target.secret_key_file, target.max_mb_per_s,
        {
            "last": target.keep_last, "daily": target.keep_daily, "weekly": target.keep_weekly,
            "monthly": target.keep_monthly, "yearly": target.keep_yearly,
        },
        target.include,
    )  # fmt: skip


class BackupsRoom:
    """Backups of this node.

    Parameters
    ----------
    jobs
        Where runs are begun.
    node
        What snapshots call this node.
    configuration
        The configuration file, if there is one.
    secrets
        Files that go to encrypted targets which are to have them.
    """

    def __init__(
        self, archive: Archive, jobs: Jobs, targets: Sequence[TargetSettings], node: Callable[[], str],
        configuration: Callable[[], Path | None], secrets: Callable[[], Sequence[str]], clock: Clock,
    ) -> None:  # fmt: skip
        self._secrets = secrets
        self._archive = archive
        self._jobs = jobs
        self._node = node
        self._configuration = configuration
        self._clock = clock
        self.may: Callable[[str], bool] = lambda permission: True
        self._calls = Calls()
        self._targets: dict[str, _Known] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._studies: tuple[float, int, int] = (float("-inf"), -1, 0)
        self.replace(targets)

    def replace(self, targets: Sequence[TargetSettings]) -> None:
        """Take other targets; what is known of one that stays is kept."""
        fresh: dict[str, _Known] = {}
        for target in targets:
            spec = spec_of(target)
            old = self._targets.get(target.name)
            if old is not None and old.spec == spec:
                old.settings = target
                fresh[target.name] = old
            else:
                fresh[target.name] = known = _Known(spec, target)
                self._remember(known)
        self._targets = fresh

    def _remember(self, known: _Known) -> None:
        """Take up what the last survey found, also one of an earlier session: the target may be away now."""
        path = work_folder(self._archive.data_dir, known.spec.name) / SURVEY
        with suppress(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError):
            survey = json.loads(path.read_text("utf-8"))
            _see_survey(survey)
            self._learn(known, survey)

    @staticmethod
    def _learn(known: _Known, survey: dict[str, Any]) -> None:
        known.survey = survey
        known.snapshots = list(survey["snapshots"])

    async def open(self) -> None:
        """Give the archive its identity, by which targets know it; remove what restores left that were cut off."""
        await asyncio.to_thread(_sweep, self._archive.data_dir / WORK)
        await self._archive.db.write(
            lambda db: db.execute(
                "INSERT OR IGNORE INTO state (name, value) VALUES ('archive_id', ?)", (token_hex(16),)
            )
        )

    async def close(self) -> None:
        """End what asks targets."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._calls.close()

    # jobs

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of jobs that work on targets."""
        target = Parameter("target", "the target's name", check=self._check_target)
        snapshot = Parameter("snapshot", "which snapshot: its id, or latest", "latest")
        lane = "target {target}"
        return (
            Kind("backup", "backup", "Takes a snapshot: index, objects that are new, configuration", self._backup,
                 (target,), resumes=True, lane=lane, permission="backups.run"),
            Kind("verify", "verify", "Reads a target back and compares", self._verify,
                 (target, Parameter("depth", "quick, sample or full", "sample", ("quick", "sample", "full")),
                  Parameter("percent", "share of a sample", "3", check=_percent)), lane=lane,
                 permission="backups.run"),
            Kind("prune", "prune", "Removes snapshots that no rule keeps", self._prune, (target,), lane=lane,
                 permission="backups.prune"),
            Kind("drill", "restore drill", "Rehearses a restore: index, some objects, a node, C-GET", self._drill,
                 (target, snapshot, Parameter("instances", "at least so many", "200", check=int)), lane=lane,
                 permission="backups.run"),
            Kind("restore", "restore", "Brings a snapshot back, or a part of it", self._restore,
                 (target, snapshot,
                  Parameter("what", "how much of it", "all", ("all", "index", "patient", "study", "instance")),
                  Parameter("key", "which patient, study or instance"),
                  Parameter("to", "a new folder; empty: the archive")), lane=lane,
                 permission="backups.restore"),
        )  # fmt: skip

    def _check_target(self, name: str) -> None:
        if name not in self._targets:
            raise ValueError(f"there is no target {name} in the settings")

    def wanted(self) -> tuple[Wanted, ...]:
        """Return the jobs that each target needs."""
        jobs: list[Wanted] = []
        for name, known in self._targets.items():
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

    def _request(self, known: _Known, op: str, by: str = "", **arguments: Any) -> Request:
        configuration = self._configuration()
        return Request(
            op, known.spec, str(self._archive.data_dir.absolute()), self._node(), by,
            str(configuration.absolute()) if configuration is not None else "", "", tuple(self._secrets()), arguments,
        )  # fmt: skip

    def _target(self, name: str) -> _Known:
        known = self._targets.get(name)
        if known is None:
            names = ", ".join(self._targets) or "none: write [[backups.targets]] with name and url into the settings"
            raise NotFound(f"there is no target {safe(name, 64)}", f"targets are: {names}")
        return known

    async def _done(self, op: str, run: Run, **arguments: Any) -> Outcome:
        known = self._target(run.parameters["target"])
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
        known = self._target(run.parameters["target"])
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
        known = self._target(given["target"])
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
            counts[result.outcome] = counts.get(result.outcome, 0) + 1
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

    # what is known

    async def tick(self) -> None:
        """Ask targets now and then, and count what is not safe yet."""
        now = self._clock.monotonic()
        for known in self._targets.values():
            if now - known.asked >= _SURVEY_S:
                self._survey_soon(known)
            await self._count(known)

    def _survey_soon(self, known: _Known) -> None:
        if known.asking:
            known.asked = float("-inf")
            return
        known.asking = True
        task = asyncio.create_task(self._survey(known), name=f"survey of {known.spec.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _survey(self, known: _Known) -> None:
        known.asking, known.asked = True, self._clock.monotonic()
        try:
            self._learn(known, await self._calls.ask(self._request(known, "survey")))
            known.problem = None
        except NotFound as error:
            known.problem = None if not known.snapshots else error
            if not known.snapshots:
                known.survey = None
        except PacsError as error:
            known.problem = error
        finally:
            known.asking = False
            known.told = True
        await self._count(known)

    async def _count(self, known: _Known) -> None:
        """Count the instances that the newest snapshot does not have: only those that came since the last look."""
        newest = known.newest
        base = int(newest["last_row"]) if newest is not None else 0
        if known.base != base:
            known.base = known.upto = base
            known.unsaved = known.unsaved_bytes = 0
        with suppress(PacsError):
            more, more_bytes, last = await self._archive.db.read(partial(_unsaved, known.upto))
            if known.base == base:
                known.unsaved += more
                known.unsaved_bytes += more_bytes
                known.upto = max(known.upto, last)

    def _best(self) -> _Known | None:
        """Return the target with the newest snapshot."""
        having = [known for known in self._targets.values() if known.snapshots]
        return max(having, key=lambda known: str(known.snapshots[0]["at"]), default=None)

    def part(self) -> dict[str, int]:
        """Return the counts for the status; ages in seconds, -1 for never."""
        best = self._best()
        states = [self._state(known)[0] for known in self._targets.values()]
        now = self._clock.now()
        return {
            "targets": len(self._targets),
            "late": states.count("late") + states.count("never"),
            "failed": states.count("failed") + states.count("away"),
            "unsaved": best.unsaved if best is not None else self._total[0],
            "age_s": int((now - _moment(best.snapshots[0]["at"])).total_seconds()) if best is not None else -1,
            "running": int(any(self._running(name) for name in self._targets)),
        }

    @property
    def _total(self) -> tuple[int, int]:
        """Instances and bytes of the archive, as far as they were counted for a target without snapshot."""
        for known in self._targets.values():
            if known.base == 0:
                return known.unsaved, known.unsaved_bytes
        return 0, 0

    def _running(self, name: str) -> int:
        for kind in ("backup", "restore", "drill", "verify", "prune"):
            row = self._jobs.row(f"{kind} {name}")
            if row is not None and row.running:
                return row.running
        return 0

    def _state(self, known: _Known) -> tuple[str, str, str]:
        """Return state, problem and hint of a target."""
        if known.problem is not None:
            return "away", known.problem.message, known.problem.hint
        row = self._jobs.row(f"backup {known.spec.name}")
        last = row.last if row is not None else None
        if last is not None and last.state == "failed":
            return "failed", f"the last backup failed: {last.text}", last.hint
        newest = known.newest
        if newest is None and not known.told:
            return "asking", "", ""
        if newest is None:
            return "never", "nothing was backed up to it yet", "b backs up now"
        check = (known.survey or {}).get("check")
        if check and not check["ok"] and str(check["at"]) >= str(newest["at"])[:19]:
            return "failed", f"verification: {check['text']}", "b backs up now, then v verifies again"
        now = self._clock.now()
        newest = next((each for each in known.snapshots if _moment(each["at"]) - now <= _AHEAD), None)
        if newest is None:
            text = "all snapshots are of times to come: the clock is wrong, or was"
            return "late", text, "correct the clock; b backs up now"
        if now - _moment(newest["at"]) > timedelta(hours=known.settings.objective_h):
            hint = "b backs up now; is its job enabled, and are jobs paused? see Jobs"
            return "late", f"the newest snapshot is from {ago(_moment(newest['at']), now)}", hint
        if newest["missing"]:
            return (
                "good", f"{plural(int(newest['missing']), 'instance')} could not be saved",
                "they cannot be read in the archive: pacstui storage missing",
            )  # fmt: skip
        return "good", *self._doubt(known)

    def _doubt(self, known: _Known) -> tuple[str, str]:
        """Return what is unwise about a target that works."""
        path = local_path(known.spec.url)
        with suppress(OSError):
            if path is not None and path.stat().st_dev == self._archive.data_dir.stat().st_dev:
                return "it is on the archive's own volume", "a dead disk takes both: use another disk or machine"
        drill = (known.survey or {}).get("drill")
        if drill and not drill["ok"]:
            return f"the last restore drill failed: {drill['text']}", "t rehearses again; verify the target in full"
        return "", ""

    def problems(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield what is wrong, for the list of problems."""
        if not self._targets:
            yield (
                "backup none", "note", "nothing is backed up: there is no target",
                "write [[backups.targets]] with name and url into the configuration", "backups",
            )  # fmt: skip
        for name, known in self._targets.items():
            state, problem, hint = self._state(known)
            if state in ("away", "failed", "late"):
                level = "fail" if state == "failed" else "warn"
                yield f"backup {name}", level, f"backup {safe(name, 64)}: {safe(problem, 300)}", hint, "backups"
            elif state == "never":
                yield f"backup {name}", "note", f"backup {safe(name, 64)}: {problem}", hint, "backups"
            elif problem:
                yield f"backup {name}", "note", f"backup {safe(name, 64)}: {safe(problem, 300)}", hint, "backups"

    # the noun

    async def show(self) -> BackupsView:
        rows = tuple(self._row(name, known) for name, known in self._targets.items())
        running = []
        for row in rows:
            if row.run:
                with suppress(PacsError):
                    running.append(await self._jobs.run(row.run))
        return BackupsView(rows, await self._loss(), tuple(running))

    def _row(self, name: str, known: _Known) -> TargetRow:
        state, problem, hint = self._state(known)
        survey = known.survey or {}
        check, drill, newest = survey.get("check"), survey.get("drill"), known.newest
        job = self._jobs.row(f"backup {name}")
        return TargetRow(
            name=name,
            url=known.spec.url,
            kind="folder" if local_path(known.spec.url) is not None else "bucket",
            state=state,
            problem=problem,
            hint=hint,
            last_good=_moment(newest["at"]) if newest is not None else None,
            objective_h=known.settings.objective_h,
            unsaved=known.unsaved,
            unsaved_bytes=known.unsaved_bytes,
            growth_bytes_per_day=self._growth(known),
            snapshots=len(known.snapshots),
            kept=rules_told(known.spec.keep),
            bytes=int(survey.get("bytes", 0)),
            free_bytes=survey.get("free"),
            encrypted=bool(survey.get("encrypted", known.spec.encrypt_to or known.spec.passphrase_file)),
            checked=f"{check['depth']}: {check['text']}" if check else "",
            checked_at=_moment(check["at"]) if check else None,
            checked_ok=bool(check["ok"]) if check else None,
            drill=str(drill["text"]) if drill else "",
            drill_at=_moment(drill["at"]) if drill else None,
            drill_ok=bool(drill["ok"]) if drill else None,
            next_run=job.next_run if job is not None else None,
            run=self._running(name),
        )

    def _growth(self, known: _Known) -> float:
        since = self._clock.now() - timedelta(days=_GROWTH_DAYS)
        recent = [each for each in known.snapshots if _moment(each["at"]) >= since]
        if len(recent) < 2:
            return 0.0
        span = (_moment(recent[0]["at"]) - _moment(recent[-1]["at"])).total_seconds() / 86400
        return sum(int(each["new_bytes"]) for each in recent[:-1]) / max(span, 1.0)

    async def _loss(self) -> Loss:
        best = self._best()
        drill = max(
            (known.survey["drill"] for known in self._targets.values() if known.survey and known.survey.get("drill")),
            key=lambda each: str(each["at"]), default=None,
        )  # fmt: skip
        rate = float(drill["rate_bytes_per_s"]) if drill else 0.0
        base = best.base if best is not None and best.base > 0 else 0
        instances, lost = (best.unsaved, best.unsaved_bytes) if best is not None else await self._all()
        newest = best.newest if best is not None else None
        return Loss(
            instances,
            await self._studies_since(base),
            lost,
            _moment(newest["at"]) if newest is not None else None,
            best.spec.name if best is not None else "",
            int(newest["bytes"]) / rate if newest is not None and rate else None,
            rate,
            _moment(drill["at"]) if drill else None,
        )

    async def _all(self) -> tuple[int, int]:
        counts = await self._archive.index.counts()
        return counts.instances, counts.bytes

    async def _studies_since(self, base: int) -> int:
        now = self._clock.monotonic()
        if self._studies[1] != base or now - self._studies[0] >= _STUDIES_S:
            found = await self._archive.db.read(partial(_studies_since, base))
            self._studies = (now, base, found)
        return self._studies[2]

    async def snapshots(self, target: str, limit: int = 500) -> tuple[SnapshotRow, ...]:
        known = self._target(target)
        return tuple(_snapshot(target, each) for each in known.snapshots[: max(1, limit)])

    async def studies(
        self, target: str, snapshot: str = "latest", search: str = "", limit: int = 100, after: int = 0
    ) -> SavedPage:
        found = await self._ask(
            target, "studies", snapshot=snapshot, search=search, limit=max(1, min(limit, 1000)), after=after
        )
        rows = tuple(SavedStudy(**{**row, "modalities": tuple(row["modalities"])}) for row in found["rows"])
        return SavedPage(found["snapshot"], rows, found["total"], found["next"])

    async def compare(self, target: str, before: str, after: str = "latest") -> Changes:
        found = await self._ask(target, "compare", before=before, after=after)
        return Changes(**{**found, "studies": tuple(Change(**each) for each in found["studies"])})

    async def _ask(self, target: str, op: str, **arguments: Any) -> dict[str, Any]:
        return await self._calls.ask(self._request(self._target(target), op, **arguments))

    async def run(self, target: str) -> RunRow:
        self._target(target)
        return await self._jobs.begin(f"backup {target}", {})

    async def verify(self, target: str, depth: str = "full", percent: float = 5.0) -> RunRow:
        self._target(target)
        if depth not in ("quick", "sample", "full") or not 0 < percent <= 100:
            raise BadRequest("a verification is quick, sample or full, of 0 to 100 percent")
        return await self._jobs.begin(f"verify {target}", {"depth": depth, "percent": f"{percent:g}"})

    async def drill(self, target: str, snapshot: str = "latest", instances: int = 200) -> RunRow:
        self._target(target)
        given = {"snapshot": snapshot, "instances": str(max(1, min(instances, 100_000)))}
        return await self._jobs.begin(f"drill {target}", given)

    async def plan(
        self, target: str, snapshot: str = "latest", what: str = "all", key: str = "", to: str = ""
    ) -> RestorePlan:
        if to and not self.may("backups.restore"):
            raise Denied("to plan a restore into a folder takes the permission backups.restore",
                         "an administrator can give it: pacstui accounts edit")  # fmt: skip
        found = await self._ask(target, "plan", snapshot=snapshot, what=what, key=key, to=to)
        place = Path(to) if to else self._archive.data_dir
        free = await asyncio.to_thread(_free, place)
        return RestorePlan(**{
            **found, "at": _moment(found["at"]), "problems": tuple(found["problems"]), "free_bytes": free,
        })  # fmt: skip

    async def restore(
        self, target: str, snapshot: str = "latest", what: str = "all", key: str = "", to: str = ""
    ) -> RunRow:
        plan = await self.plan(target, snapshot, what, key, to)
        if plan.problems:
            raise Unavailable(plan.problems[0])
        if to and what not in ("all", "index"):
            raise BadRequest("a patient, study or instance goes back into the running archive", "leave out the folder")
        given = {"snapshot": plan.snapshot, "what": what, "key": key, "to": to}
        return await self._jobs.begin(f"restore {target}", given)

    async def prune_plan(self, target: str) -> PrunePlan:
        found = await self._ask(target, "prune_plan")
        keep, remove = (tuple(_snapshot(target, each) for each in found[which]) for which in ("keep", "remove"))
        return PrunePlan(target, keep, remove, found["bytes"], found["rules"])

    async def prune(self, target: str) -> RunRow:
        self._target(target)
        return await self._jobs.begin(f"prune {target}", {})

    async def lock(self, target: str) -> LockRow | None:
        found = (await self._ask(target, "lock"))["lock"]
        if found is None:
            return None
        return LockRow(**{**found, "since": _moment(found["since"]), "seen": _moment(found["seen"])})

    async def unlock(self, target: str) -> None:
        await self._ask(target, "unlock")


def _sweep(folder: Path) -> None:
    """Remove what was cut off; of restores the node itself is the only one to make them here."""
    for each in folder.glob("*"):
        sweep(each)
        for old in each.glob("restore-*"):
            shutil.rmtree(old, ignore_errors=True)


def _percent(text: str) -> float:
    value = float(text)
    if not 0 < value <= 100:
        raise ValueError("more than 0, at most 100")
    return value


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _see_survey(survey: dict[str, Any]) -> None:
    """See that a survey of an earlier session is one; what it raises tells that it is none."""
    for each in survey["snapshots"]:
        row = _snapshot("", each)
        if row.at.tzinfo is None or not isinstance(row.id, str):
            raise ValueError("a time without a zone")
        _ = (int(each["last_row"]), int(row.missing), int(row.bytes), int(row.new_bytes))
    for which in ("check", "drill"):
        if found := survey[which]:
            if _moment(found["at"]).tzinfo is None:
                raise ValueError("a time without a zone")
            _ = (bool(found["ok"]), str(found["text"]), str(found["depth"]), float(found["rate_bytes_per_s"]))
    _ = (int(survey["bytes"]), int(survey["free"] or 0), bool(survey["encrypted"]))


def _snapshot(target: str, found: dict[str, Any]) -> SnapshotRow:
    rest = {key: value for key, value in found.items() if key != "last_row"}
    row = SnapshotRow(target=target, **rest)
    return replace(
        row, at=_moment(found["at"]), keeps=tuple(found["keeps"]),
        checked_at=_moment(found["checked_at"]) if found["checked_at"] else None,
    )  # fmt: skip


def _other(uid: str, digest: bytes, db: sqlite3.Connection) -> bool:
    """Return whether the archive has a whole object of this UID with other content."""
    row = db.execute("SELECT digest FROM instances WHERE sop_instance=? AND missing=0", (uid,)).fetchone()
    return row is not None and bytes(row[0]) != digest


def _unsaved(after: int, db: sqlite3.Connection) -> tuple[int, int, int]:
    found = db.execute(_UNSAVED, (after,)).fetchone()
    return int(found[0]), int(found[1]), int(found[2])


def _studies_since(after: int, db: sqlite3.Connection) -> int:
    return int(db.execute(_STUDIES, (after,)).fetchone()[0])


def _free(place: Path) -> int:
    there = next((each for each in (place, *place.parents) if each.exists()), Path("/"))
    return shutil.disk_usage(there).free

