"""The noun ``backups``, and what the rest of the node sees of it."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from pacstui.archive import Archive
from pacstui.backups.calling import Calls
from pacstui.backups.errands import Errands
from pacstui.backups.protection import Protection
from pacstui.backups.request import Request
from pacstui.backups.spec import WORK, sweep
from pacstui.backups.standing import Jobs, Standing, Standings, moment, snapshot_row
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
)
from pacstui.contract.jobs import RunRow
from pacstui.errors import BadRequest, Denied, NotFound, PacsError, Unavailable
from pacstui.jobs.kinds import Kind, Wanted
from pacstui.settings import TargetSettings

_SURVEY_S: Final = 900.0
_LONG_S: Final = 6 * 3600.0
_STUDIES_S: Final = 20.0
_STUDIES: Final = (
    "SELECT count(*) FROM (SELECT DISTINCT e.study FROM instances i JOIN series e ON e.id = i.series WHERE i.id > ?)"
)


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
        self._standings = Standings(archive, jobs, clock, targets)
        self._errands = Errands(archive, self._calls, self._standings, self._request, self._survey)
        self._tasks: set[asyncio.Task[None]] = set()
        self._studies: tuple[float, int, int] = (float("-inf"), -1, 0)
        self._slow = Calls(answer_s=_LONG_S)
        self.protection = Protection(lambda: tuple(self._standings.targets), self._ask_long)

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
        await self._slow.close()

    def replace(self, targets: Sequence[TargetSettings]) -> None:
        """Take other targets; what is known of one that stays is kept."""
        self._standings.replace(targets)

    # what the rest of the node asks

    def kinds(self) -> tuple[Kind, ...]:
        """Return the kinds of jobs that work on targets."""
        return self._errands.kinds()

    def wanted(self) -> tuple[Wanted, ...]:
        """Return the jobs that each target needs."""
        return self._errands.wanted()

    def part(self) -> dict[str, int]:
        """Return the counts for the status; ages in seconds, -1 for never."""
        return self._standings.part()

    def problems(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Yield what is wrong, for the list of problems."""
        return self._standings.problems()

    def safe_upto(self, copies: int = 1) -> int:
        """Return the highest instance row that the newest snapshots of so many targets may have, 0 for none; only
        `protection` tells for sure."""
        return self._standings.safe_upto(copies)

    def recount(self) -> None:
        """Count anew what is not safe: something was deleted."""
        self._standings.recount()

    def _request(self, known: Standing, op: str, by: str = "", **arguments: Any) -> Request:
        configuration = self._configuration()
        return Request(
            op, known.spec, str(self._archive.data_dir.absolute()), self._node(), by,
            str(configuration.absolute()) if configuration is not None else "", "", tuple(self._secrets()), arguments,
        )  # fmt: skip

    # what is known

    async def tick(self) -> None:
        """Ask targets now and then, and count what is not safe yet."""
        now = self._clock.monotonic()
        for known in self._standings.targets.values():
            if now - known.asked >= _SURVEY_S:
                self._survey_soon(known)
            await self._standings.count(known)

    def _survey_soon(self, known: Standing) -> None:
        if known.asking:
            known.asked = float("-inf")
            return
        known.asking = True
        task = asyncio.create_task(self._survey(known), name=f"survey of {known.spec.name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _survey(self, known: Standing) -> None:
        known.asking, known.asked = True, self._clock.monotonic()
        try:
            self._standings.learn(known, await self._calls.ask(self._request(known, "survey")))
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
        await self._standings.count(known)

    # the noun

    async def show(self) -> BackupsView:
        rows = tuple(self._standings.row(name, known) for name, known in self._standings.targets.items())
        running = []
        for row in rows:
            if row.run:
                with suppress(PacsError):
                    running.append(await self._jobs.run(row.run))
        return BackupsView(rows, await self._loss(), tuple(running))

    async def _loss(self) -> Loss:
        best = self._standings.best()
        surveys = (known.survey for known in self._standings.targets.values() if known.survey)
        drills = (survey["drill"] for survey in surveys if survey.get("drill"))
        drill = max(drills, key=lambda each: str(each["at"]), default=None)
        rate = float(drill["rate_bytes_per_s"]) if drill else 0.0
        base = best.base if best is not None and best.base > 0 else 0
        instances, lost = (best.unsaved, best.unsaved_bytes) if best is not None else await self._all()
        newest = self._standings.newest(best) if best is not None else None
        return Loss(
            instances,
            await self._studies_since(base),
            lost,
            moment(newest["at"]) if newest is not None else None,
            best.spec.name if best is not None else "",
            int(newest["bytes"]) / rate if newest is not None and rate else None,
            rate,
            moment(drill["at"]) if drill else None,
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
        known = self._standings.get(target)
        return tuple(snapshot_row(target, each) for each in known.snapshots[: max(1, limit)])

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
        return await self._calls.ask(self._request(self._standings.get(target), op, **arguments))

    async def _ask_long(self, target: str, op: str, **arguments: Any) -> dict[str, Any]:
        """Ask what may take its time: jobs do."""
        return await self._slow.ask(self._request(self._standings.get(target), op, **arguments))

    async def run(self, target: str) -> RunRow:
        self._standings.get(target)
        return await self._jobs.begin(f"backup {target}", {})

    async def verify(self, target: str, depth: str = "full", percent: float = 5.0) -> RunRow:
        self._standings.get(target)
        if depth not in ("quick", "sample", "full") or not 0 < percent <= 100:
            raise BadRequest("a verification is quick, sample or full, of 0 to 100 percent")
        return await self._jobs.begin(f"verify {target}", {"depth": depth, "percent": f"{percent:g}"})

    async def drill(self, target: str, snapshot: str = "latest", instances: int = 200) -> RunRow:
        self._standings.get(target)
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
            **found, "at": moment(found["at"]), "problems": tuple(found["problems"]), "free_bytes": free,
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
        keep, remove = (tuple(snapshot_row(target, each) for each in found[which]) for which in ("keep", "remove"))
        return PrunePlan(target, keep, remove, found["bytes"], found["rules"])

    async def prune(self, target: str) -> RunRow:
        self._standings.get(target)
        return await self._jobs.begin(f"prune {target}", {})

    async def lock(self, target: str) -> LockRow | None:
        found = (await self._ask(target, "lock"))["lock"]
        if found is None:
            return None
        return LockRow(**{**found, "since": moment(found["since"]), "seen": moment(found["seen"])})

    async def unlock(self, target: str) -> None:
        await self._ask(target, "unlock")


def _sweep(folder: Path) -> None:
    """Remove what was cut off; of restores the node itself is the only one to make them here."""
    for each in folder.glob("*"):
        sweep(each)
        for old in each.glob("restore-*"):
            shutil.rmtree(old, ignore_errors=True)


def _studies_since(after: int, db: sqlite3.Connection) -> int:
    return int(db.execute(_STUDIES, (after,)).fetchone()[0])


def _free(place: Path) -> int:
    there = next((each for each in (place, *place.parents) if each.exists()), Path("/"))
    return shutil.disk_usage(there).free
