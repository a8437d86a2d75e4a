"""The noun ``space`` of the node that is not there."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pacstui.contract.jobs import RunRow
from pacstui.contract.space import Emptied, PinRow, PlanRow, PurgePlan, RuleRow, SpaceView, TrashRow, UndoResult
from pacstui.errors import NotFound

if TYPE_CHECKING:
    from tests.screens.fake_client import FakeClient


class FakeSpace:
    """Answers as the room does; ``trash_rows``, ``rules`` and ``plan_rows`` are what tests put there."""

    def __init__(self, world: FakeClient, call: Any) -> None:
        self._world = world
        self._call = call
        at = world.at
        self.trash_rows: list[TrashRow] = [
            TrashRow(
                n, at - timedelta(hours=30 * n), "study" if n % 2 else "series", f"1.2.3.{n}", f"1.2.3.{n}",
                "[/] wrong patient" if n == 1 else "received 1,830 days ago; backed up",
                "" if n == 1 else "old ultrasound [/bold]", "op1" if n == 1 else "purge",
                "[/]^A" if n == 1 else "DOE^JANE", f"P{n}", "20240101", f"A{n}", ("CT",), "CT CHEST \x1b[2J", 412,
                216_000_000, at + timedelta(days=14 - n), "",
            )
            for n in (1, 2)
        ]  # fmt: skip
        self.rules = (RuleRow("old ultrasound", "received more than 1,826 days ago, US, in 2 backups", "always"),)
        self.plan_rows = [
            PlanRow("old ultrasound", f"received 1,90{n} days ago", "" if n < 3 else "not in 2 backups yet",
                    f"1.2.9.{n}", "SAMPLE^PETER", f"P9{n}", "20200101", f"A9{n}", ("US",), "US ABDOMEN", 24, 12_000_000)
            for n in range(4)
        ]  # fmt: skip
        self.broken = 2
        self.pinned: dict[str, str] = {}
        self.deleted: list[tuple[str, str, str]] = []

    async def show(self) -> SpaceView:
        self._call("space.show")
        rows = self.trash_rows
        return SpaceView(
            88.2, 85.0, 90.0, 80.0, 4_000_000_000_000, 472_000_000_000, len(rows), sum(row.instances for row in rows),
            sum(row.bytes for row in rows), 14, rows[-1].until.date() if rows else None,
            "full in 98 days at the present growth", "from 90% the trash is emptied early", self.rules, self.broken,
            self._world.at + timedelta(hours=9), "3 studies purged (36 MB)", "2 objects repaired", 0,
        )  # fmt: skip

    async def trash(self, limit: int = 100) -> tuple[TrashRow, ...]:
        self._call("space.trash", limit)
        found: tuple[TrashRow, ...] = self._world.fit(tuple(self.trash_rows[:limit]))
        return found

    async def delete(self, study: str, series: str = "", instance: str = "", why: str = "") -> TrashRow:
        self._call("space.delete", (study, series, instance))
        self.deleted.append((study, series, why))
        row = replace(self.trash_rows[0], id=10 + len(self.deleted), level="series" if series else "study", why=why)
        self.trash_rows.insert(0, row)
        return row

    async def pin(self, study: str, why: str = "") -> PinRow:
        self._call("space.pin", (study, why))
        self.pinned[study] = f"pinned by op1: {why}"
        return PinRow(study, self._world.at, "op1", why, "", "", "", "", (), "", 1, 1)

    async def unpin(self, study: str) -> None:
        self._call("space.unpin", study)
        del self.pinned[study]

    async def undo(self, entry: int) -> UndoResult:
        self._call("space.undo", entry)
        row = next((row for row in self.trash_rows if row.id == entry), None)
        if row is None:
            raise NotFound(f"there is no {entry} in the trash")
        self.trash_rows.remove(row)
        return UndoResult(entry, row.study, row.instances, 0, ())

    async def empty(self, entry: str) -> Emptied:
        self._call("space.empty", entry)
        gone = [row for row in self.trash_rows if entry in ("all", str(row.id))]
        self.trash_rows = [row for row in self.trash_rows if row not in gone]
        return Emptied(len(gone), sum(row.instances for row in gone), sum(row.bytes for row in gone), ())

    async def plan(self, limit: int = 100) -> PurgePlan:
        self._call("space.plan", limit)
        going = [row for row in self.plan_rows if not row.kept]
        plan = PurgePlan(
            tuple(self.plan_rows[:limit]), len(going), sum(row.instances for row in going),
            sum(row.bytes for row in going), len(self.plan_rows) - len(going), False,
        )  # fmt: skip
        found: PurgePlan = self._world.fit(plan)
        return found

    async def purge(self, rule: str) -> RunRow:
        self._call("space.purge", rule)
        return self._run("purge")

    async def repair(self) -> RunRow:
        self._call("space.repair")
        return self._run("repair")

    def _run(self, job: str) -> RunRow:
        return RunRow(
            7, job, job, "running", "op1", None, self._world.at, None, 0.0, 1, 0, 0, "", 0, 0, 0.0, 0.0, None, 0, "",
            "", "",
        )  # fmt: skip
