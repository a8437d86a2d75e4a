"""Maintenance of the node that is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pacstui.contract.maintenance import ChangeRow, MaintenanceView, WindowRow


class FakeMaintenance:
    def __init__(self, world: Any, call: Callable[..., Any]) -> None:
        self._world = world
        self._call = call
        at = world.at
        self.view = MaintenanceView("", "", "", None, None, 7, 3, (
            WindowRow(1, at - timedelta(hours=1), at + timedelta(hours=1), "new tube [/] \x1b[2J", "CT service",
                      "drain", ("CT1",), "running", "admin", at),
            WindowRow(2, at + timedelta(days=3), at + timedelta(days=3, hours=2), "upgrade", "", "announce", (),
                      "planned", "admin", at),
            WindowRow(3, at - timedelta(days=2), at - timedelta(days=2, hours=-1), "old", "", "echo", (), "over",
                      "admin", at),
        ))  # fmt: skip
        self.all_changes = tuple(
            ChangeRow(n, at - timedelta(minutes=450 - n), "file of [/]", "reloaded", f"[dicom] key{n}", "1", "2 \x07")
            for n in range(450, 0, -1)
        )

    async def show(self, past_days: int = 7) -> MaintenanceView:
        self._call("maintenance.show")
        return self.view

    async def drain(self, why: str, effect: str = "drain", minutes: int = 0) -> MaintenanceView:
        self._call("maintenance.drain", (why, effect, minutes))
        self.view = replace(self.view, effect=effect, why=why, by="admin", since=self._world.at)
        return self.view

    async def resume(self) -> MaintenanceView:
        self._call("maintenance.resume")
        self.view = replace(self.view, effect="", why="", by="", since=None)
        return self.view

    async def plan(self, **given: Any) -> WindowRow:
        self._call("maintenance.plan", given)
        return self.view.windows[1]

    async def change(self, id: int, **given: Any) -> WindowRow:
        self._call("maintenance.change", (id, given))
        return self.view.windows[1]

    async def cancel(self, id: int) -> WindowRow:
        self._call("maintenance.cancel", id)
        return self.view.windows[1]

    async def changes(self, search: str = "", before: int = 0, limit: int = 100) -> tuple[ChangeRow, ...]:
        self._call("maintenance.changes", (search, before))
        found = [row for row in self.all_changes if search in row.key and (not before or row.id < before)]
        return tuple(found[:limit])
