"""The noun ``merges`` of the node that is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pacstui.contract.corrections import ChangeText, Preview
from pacstui.contract.merges import MergePage, MergeRow
from pacstui.errors import BadRequest, Stale


class FakeMerges:
    """One merge that can be undone, and a change of ID that cannot."""

    def __init__(self, world: Any, call: Callable[..., Any]) -> None:
        self._world, self._call = world, call
        self.stale = False
        merge = MergeRow(
            7, world.at, "merge", "P1", "HOSP", "ROE^[/]\x1b[2JRICHARD", "P2", "HOSP", "DOE^JANE", "RIS HOSPITAL",
            4, 1, 2, None, "", "", "",
        )  # fmt: skip
        self.rows = [merge, replace(merge, id=6, kind="change of ID", message=0, irreversible="a change of ID")]

    async def list_all(self, study: str = "", message: int = 0, before: int = 0, limit: int = 100) -> MergePage:
        self._call("merges.list_all", (study, message))
        return MergePage(tuple(row for row in self.rows if message in (0, row.message)), 0)

    async def show(self, id: int) -> Preview:
        self._call("merges.show", id)
        changes = tuple(
            ChangeText("patient", f"study CT 2026010{n}", "DOE^JANE (P2)", "ROE, RICHARD (P1)") for n in (1, 2)
        )
        return Preview(
            "newer" if self.stale else "token", "Makes ROE, RICHARD (P1) a patient of its own again", changes, ("1.2",),
            1, 4, False, (), ("the RIS is not told",), "P1",
        )  # fmt: skip

    async def undo(self, id: int, why: str, token: str = "") -> MergeRow:
        self._call("merges.undo", (id, why, token))
        if not why.strip():
            raise BadRequest("why?")
        if self.stale and token != "newer":
            raise Stale("something else would go back now")
        self.rows[0] = replace(self.rows[0], undone=self._world.at, undone_by="op1", why=why, irreversible="undone")
        return self.rows[0]
