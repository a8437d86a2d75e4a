"""Backups of a node that is not there: a good target, a late one that is being written to, one that is away."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from pacstui.contract import Danger, all_actions
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
from pacstui.contract.jobs import RunLine, RunRow
from pacstui.errors import BadRequest, NotFound, PacsError, Unconfirmed

if TYPE_CHECKING:
    from tests.screens.fake_client import FakeClient

START = datetime(2026, 11, 25, 14, 3, 22, tzinfo=UTC)
AWAY = "it cannot be reached: connection to 192.0.2.9:443 timed out [/bold]\x1b[2J, since 24 Nov 22:10"
NASTY = "[/]^A\x1b[2J"
STALE = "not heard of for 9 hours, and no process 4711 on archive-2"


def target_row(name: str, **more: object) -> TargetRow:
    """Return a target that is well."""
    row = TargetRow(
        name, f"/mnt/{name}/pacs", "folder", "good", "", "", START - timedelta(hours=3), 24.0, 1204, 612_000_000,
        18_000_000_000.0, 34, "14 daily, 8 weekly, 12 monthly", 2_130_000_000_000, 3_900_000_000_000, True,
        "full, 0 different", START - timedelta(hours=2), True, "200 instances, 0 different", START - timedelta(days=2),
        True, START + timedelta(hours=12), 0,
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def run_row(id: int, kind: str, **more: object) -> RunRow:
    """Return a run that goes on."""
    row = RunRow(
        id, f"{kind}-job", kind, "running", "schedule", None, START - timedelta(minutes=23), None, 0.0, 1, 8112, 19_840,
        "new objects", 4_100_000_000, 9_900_000_000, 61.0, 31_000_000.0, 187.0, 0, f"CT 2026-11-24 {NASTY}", "", "",
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


def snapshot_row(target: str, number: int, **more: object) -> SnapshotRow:
    """Return a snapshot; 0 is the newest."""
    checks = (("full, 0 different", True), ("sample 2 %, 0 different", True), ("", None), ("3 differ [/]", False))
    told, ok = checks[min(number, 3) if number < 4 else number % 3]
    at = START - timedelta(hours=3 + 24 * number)
    row = SnapshotRow(
        f"{target}-{number}", target, at, 21_004 - number, 38_120 - 118 * number, 9_812_440 - 41_344 * number,
        2_110_000_000_000 - 18_000_000_000 * number, 12 if number == 2 else 0, 41_344, (18 + number % 5) * 10**9, 612.0,
        ("schedule", "schedule", "op1", NASTY)[number % 4], "0.1.0", True, told, at if ok is not None else None, ok,
        ("last", "daily") if number < 3 else ("weekly",) if number % 7 == 0 else (),
    )  # fmt: skip
    return replace(row, **more)  # type: ignore[arg-type]


NAMES = (NASTY, "DOE^JANE", "=\u5c71\u7530^\u592a\u90ce", "", "\ud64d^\uae38\ub3d9", "[/bold]X", "TEST^ANNA")


def saved_study(number: int) -> SavedStudy:
    """Return a study of a snapshot."""
    images = 40 + number % 7
    return SavedStudy(
        f"1.2.826.0.1.{number}", NAMES[number % 7], f"P{number:05d}", "20261124", ("CT", "SR"),
        ("CT CHEST", "[/]MR\x07", "")[number % 3], f"A{number:05d}", 3, images, images * 524_288,
        (images, 12, 0)[number % 3],
    )  # fmt: skip


class _Noun:
    def __init__(self, world: FakeClient) -> None:
        self._world = world

    def _call(self, name: str, argument: object = None) -> FakeClient:
        world = self._world
        world.check()
        action = all_actions()[name]
        world.require(action.permission)
        if action.danger is Danger.TYPE_NAME and world.unconfirmed:
            raise Unconfirmed(f"{action.noun} {action.verb} takes your password once more")
        world.calls.append((name, argument))
        return world


class FakeBackups(_Noun):
    """The noun ``backups``. ``targets``, ``held``, ``locks``, ``running`` are its state; tests change it."""

    def __init__(self, world: FakeClient) -> None:
        super().__init__(world)
        self.targets: list[TargetRow] = [
            target_row("nas"),
            target_row(
                "bucket", url="s3://hospital-backup/pacs", kind="bucket", state="late", run=31, unsaved=41_933,
                problem="the last good snapshot is 26 h old, and one is to be made every 24 h",
                hint="a backup runs now; it will be good when that has ended", last_good=START - timedelta(hours=26),
                free_bytes=None, drill="", drill_at=None, drill_ok=None, unsaved_bytes=21_900_000_000,
            ),
            target_row(
                "\u9060\u9694 [/]", url="s3://far/away", kind="bucket", state="away", problem=AWAY,
                hint="look whether the network and the bucket's host are up, then press b", last_good=None,
                unsaved=9_812_440, checked="", checked_at=None, checked_ok=None, drill="1 of 200 differs",
                drill_ok=False, next_run=None, snapshots=0, kept="", bytes=0, growth_bytes_per_day=0.0,
            ),
        ]  # fmt: skip
        self.held = {
            "nas": [snapshot_row("nas", n) for n in range(34)],
            "bucket": [snapshot_row("bucket", n + 1) for n in range(3)],
        }
        self.running: list[RunRow] = [run_row(31, "backup")]
        self.past: dict[int, RunRow] = {}
        self.locks: dict[str, LockRow] = {}
        self.saved = 450
        self.problems: tuple[str, ...] = ()
        self.seconds: float | None = 22_200.0
        self.moves = False
        self._next = 32

    def none_at_all(self) -> None:
        """Take all targets away."""
        self.targets, self.running, self.held = [], [], {}

    def _row(self, name: str) -> TargetRow:
        for row in self.targets:
            if row.name == name:
                return row
        raise NotFound(f"there is no target {name}", "pacstui backup targets lists them")

    def _begin(self, kind: str, target: str, who: str = "op1") -> RunRow:
        run = run_row(self._next, kind, started_by=who, started=self._world.at, done=0, done_bytes=0)
        self._next += 1
        self.running.append(run)
        self.targets = [replace(row, run=run.id) if row.name == target else row for row in self.targets]
        return run

    def end(self, id: int, state: str = "done", text: str = "19,840 objects, 9.9 GB; 0 errors", hint: str = "") -> None:
        """Let a run end."""
        run = next(run for run in self.running if run.id == id)
        self.running.remove(run)
        self.past[id] = replace(run, state=state, text=text, hint=hint, ended=self._world.at, left_s=None)
        self.targets = [replace(row, run=0) if row.run == id else row for row in self.targets]

    def loss(self) -> Loss:
        """Return what would be lost."""
        good = [row for row in self.targets if row.last_good is not None]
        if not good:
            return Loss(9_812_440, 38_120, 2_130_000_000_000, None, "", None, 0.0, None)
        best = max(good, key=lambda row: row.last_good or START)
        measured = START - timedelta(days=2) if self.seconds is not None else None
        rate = 98_000_000.0 if measured else 0.0
        return Loss(best.unsaved, 3, best.unsaved_bytes, best.last_good, best.name, self.seconds, rate, measured)

    async def show(self) -> BackupsView:
        world = self._call("backups.show")
        if self.moves:
            for run in list(self.running):
                done = min(run.total, run.done + 700)
                size = run.total_bytes * done // run.total
                self.running[self.running.index(run)] = replace(
                    run, done=done, done_bytes=size, left_s=(run.total - done) / 700
                )
                if done == run.total:
                    self.end(run.id)
        return world.fit(BackupsView(tuple(self.targets), self.loss(), tuple(self.running)))

    async def snapshots(self, target: str, limit: int = 500) -> tuple[SnapshotRow, ...]:
        self._call("backups.snapshots", target)
        if self._row(target).state == "away":
            raise PacsError("the list of snapshots cannot be read: the bucket does not answer [/]", "try later")
        return tuple(self.held.get(target, ()))[:limit]

    async def studies(
        self, target: str, snapshot: str = "latest", search: str = "", limit: int = 100, after: int = 0
    ) -> SavedPage:
        world = self._call("backups.studies", (target, snapshot, search, limit, after))
        if search:
            world.require("patients.view")
        rows = [saved_study(n) for n in range(self.saved)]
        rows = [r for r in rows if search.casefold() in f"{r.patient_name} {r.patient_id} {r.description}".casefold()]
        end = after + limit
        return world.fit(SavedPage(snapshot, tuple(rows[after:end]), len(rows), end if end < len(rows) else None))

    async def compare(self, target: str, before: str, after: str = "latest") -> Changes:
        world = self._call("backups.compare", (target, before, after))
        rows = (
            Change("added", "1.2.1", "DOE^JANE", "20261124", "CT CHEST", 0, 40),
            Change("removed", "1.2.2", NASTY, "20261001", "[/]MR", 12, 0),
            Change("changed", "1.2.3", NAMES[2], "20261120", "US", 3, 5),
        )
        return world.fit(Changes(before, after, 42, 12, 3, rows, True))

    async def run(self, target: str) -> RunRow:
        self._call("backups.run", target)
        row = self._row(target)
        if row.state == "away":
            raise PacsError(f"{target} cannot be reached", "look whether its host is up")
        return self._begin("backup", target)

    async def verify(self, target: str, depth: str = "full", percent: float = 5.0) -> RunRow:
        self._call("backups.verify", (target, depth, percent))
        return self._begin("verify", target)

    async def drill(self, target: str, snapshot: str = "latest", instances: int = 200) -> RunRow:
        self._call("backups.drill", (target, snapshot, instances))
        return self._begin("drill", target)

    async def plan(
        self, target: str, snapshot: str = "latest", what: str = "all", key: str = "", to: str = ""
    ) -> RestorePlan:
        world = self._call("backups.plan", (target, snapshot, what, key, to))
        if key:
            world.require("patients.view")
        if key == "nobody":
            raise NotFound("the snapshot has no such patient", "browse it: Enter on a snapshot")
        held = self.held.get(target) or [snapshot_row(target, 0)]
        at = next((row.at for row in held if row.id == snapshot), held[0].at)
        few = what in ("patient", "study", "instance")
        return RestorePlan(
            target, snapshot, at, what, to, 1 if few else 38_120, 40 if few else 9_812_440,
            20_000_000 if few else 2_110_000_000_000, 0 if to else 12, self.seconds, 3_000_000_000_000, self.problems,
        )  # fmt: skip

    async def restore(
        self, target: str, snapshot: str = "latest", what: str = "all", key: str = "", to: str = ""
    ) -> RunRow:
        self._call("backups.restore", (target, snapshot, what, key, to))
        return self._begin("restore", target)

    async def prune_plan(self, target: str) -> PrunePlan:
        self._call("backups.prune_plan", target)
        rows = self.held.get(target, [])
        keep, remove = tuple(r for r in rows if r.keeps), tuple(r for r in rows if not r.keeps)
        return PrunePlan(target, keep, remove, 41_200_000_000 if remove else 0, "last 3, 14 daily, 8 weekly [/]")

    async def prune(self, target: str) -> RunRow:
        self._call("backups.prune", target)
        return self._begin("prune", target)

    async def lock(self, target: str) -> LockRow | None:
        self._call("backups.lock", target)
        return self.locks.get(target)

    async def unlock(self, target: str) -> None:
        self._call("backups.unlock", target)
        if not self.locks.get(target):
            raise BadRequest(f"{target} has no lock")
        del self.locks[target]

    def hold(self, target: str, stale: str = STALE) -> None:
        """Let somebody hold a target."""
        since = START - timedelta(hours=9)
        self.locks[target] = LockRow(target, "archive-2, process 4711 [/]\x1b[2J", "backup", since, since, stale)


class FakeRuns(_Noun):
    """What of the noun ``jobs`` the pages about backups need."""

    async def run(self, id: int) -> RunRow:
        backups = self._call("jobs.run", id).backups
        if id in backups.past:
            return backups.past[id]
        for run in backups.running:
            if run.id == id:
                return run
        raise NotFound(f"there is no run {id}")

    async def log(self, id: int, after: int = 0, limit: int = 500) -> tuple[RunLine, ...]:
        world = self._call("jobs.log", (id, after))
        number = 60 if id in world.backups.past else 40
        levels = ("info", "info", "info", "warn", "info", "fail")
        lines = (
            RunLine(n, START + timedelta(seconds=n), levels[n % 6], f"line {n}: {NASTY} written, 12 objects")
            for n in range(after + 1, number + 1)
        )
        return tuple(lines)[:limit]

    async def cancel(self, id: int) -> None:
        self._call("jobs.cancel", id)  # it ends at its next safe point: tests say when that is
