"""The noun ``worklist`` of the node that is not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pacstui.contract.worklist import (
    PerformedRow,
    Standing,
    StepPage,
    StepRow,
    StepView,
    UnorderedRow,
    WorklistView,
)
from pacstui.errors import BadRequest, NotFound

if TYPE_CHECKING:
    from tests.screens.fake_client import FakeClient

DAY = "20261125"


def step_row(ident: int, state: str = "scheduled", **more: Any) -> StepRow:
    """Return a step of a CT in room 1."""
    row = StepRow(
        id=ident, order=ident, date=DAY, time=f"{8 + ident % 10:02}3000", modality="CT", station_ae="CT1",
        room="Room 1", state=state, patient_name="DOE^JANE", patient_id=f"P{ident}", issuer="PRACTICE",
        birth_date="19700102", sex="F", accession=f"A{ident}", description="CT CHEST W CONTRAST",
        procedure_id=f"RP{ident}", step_id=f"SPS{ident}", study=f"1.2.3.{ident}", priority="ROUTINE",
        physician="REFERRER^ONE", expected=-1, received=0, late_min=0, source="HL7 of RIS",
    )  # fmt: skip
    return replace(row, **more)


def performed_row(ident: int, step: int = 0, **more: Any) -> PerformedRow:
    """Return a performed step."""
    row = PerformedRow(
        id=ident, sop_instance=f"1.2.9.{ident}", state="COMPLETED", station_ae="CT1", modality="CT",
        patient_name="DOE^JANE", patient_id=f"P{ident}", study=f"1.2.3.{step or ident}", accession=f"A{ident}",
        step=step, started=f"{DAY}093100", ended=f"{DAY}094400", expected=12, received=11, reason="", forwarded="",
    )  # fmt: skip
    return replace(row, **more)


class FakeWorklist:
    """Answers as the room does; ``rows``, ``done`` and ``without`` are what tests put there."""

    def __init__(self, world: FakeClient, call: Callable[..., Any]) -> None:
        self._world = world
        self._call = call
        at = world.at
        self.rows: list[StepRow] = [
            step_row(1, "completed", expected=12, received=11),
            step_row(2, "no images yet", expected=4, modality="MR", room="Room 2", station_ae="MR2",
                     patient_name="[/]^A", description="MR [/bold] \x1b[2J"),
            step_row(3, "in progress", expected=-1, received=30, time="133000"),
            step_row(4, "arrived", late_min=23, time="134000", priority="STAT", patient_name="TEST\x1b]0;owned\x07"),
            step_row(5, "scheduled", time="150000", patient_name="=\u5c71\u7530^\u592a\u90ce"),
            step_row(6, "cancelled", time="160000", room="[link", modality="U\x07"),
            step_row(7, "scheduled", date="20261126"),
        ]  # fmt: skip
        self.done: list[PerformedRow] = [
            performed_row(2, 0, patient_name="[/bold]X", accession="", state="IN PROGRESS", ended="", expected=-1),
            performed_row(1, 1, forwarded="RIS-MPPS at 09:45"),
        ]
        self.counts: dict[str, int] = {}
        self.without: list[UnorderedRow] = [
            UnorderedRow("1.2.5.1", "JANE^DOE", "P1", "", "CT", "CT HEAD [x", "CT1", 40, at - timedelta(hours=1)),
            UnorderedRow("1.2.5.2", "x [b\x1b[2J", "", "", "CR", "", "CR3", 1, at - timedelta(minutes=4)),
        ]

    def _on(self, day: str) -> list[StepRow]:
        return sorted((row for row in self.rows if row.date == (day or DAY)), key=lambda row: (row.time, row.id))

    def _all(self, search: str) -> list[StepRow]:
        return sorted(self.rows, key=lambda row: (row.date, row.time, row.id)) if search else []

    async def day(self, day: str = "") -> WorklistView:
        self._call("worklist.day", day)
        standing: dict[tuple[str, str], dict[str, int]] = {}
        for row in self._on(day):
            counts = standing.setdefault((row.modality, row.room), {})
            counts[row.state] = counts.get(row.state, 0) + 1
        return WorklistView(
            day or DAY,
            tuple(Standing(*key, counts) for key, counts in sorted(standing.items())),
            len(self.without) if (day or DAY) == DAY else 0,
        )

    async def steps(
        self, day: str = "", modality: str = "", state: str = "", search: str = "", after: str = "", limit: int = 100
    ) -> StepPage:
        self._call("worklist.steps", (day, modality, state, search, after))
        found = [
            row for row in (self._on(day) if day or not search else self._all(search))
            if (not modality or row.modality == modality) and (not state or row.state == state)
            and search.casefold() in f"{row.patient_name} {row.patient_id} {row.accession} {row.description}".casefold()
        ]  # fmt: skip
        start = int(after or 0)
        page = tuple(found[start : start + limit])
        return StepPage(page, str(start + limit) if start + limit < len(found) else "")

    def _row(self, ident: int) -> StepRow:
        for row in self.rows:
            if row.id == ident:
                return row
        raise NotFound(f"there is no step {ident}", "the worklist shows those that there are")

    async def step(self, id: int) -> StepView:
        self._call("worklist.step", id)
        performed = tuple(each for each in self.done if each.step == id)
        history = ("25 Nov 08:01 ordered by RIS [/]", "25 Nov 09:31 CT1 began")
        return StepView(
            self._row(id), performed, ("CTCHEST^CT chest^99RIS",), "cough \x1b[2J", "", "REFERRER^ONE", "PL1", "FI1",
            history,
        )  # fmt: skip

    async def unordered(self, day: str = "", limit: int = 200) -> tuple[UnorderedRow, ...]:
        self._call("worklist.unordered", day)
        return tuple(self.without)

    async def performed(
        self, day: str = "", state: str = "", before: int = 0, limit: int = 100
    ) -> tuple[PerformedRow, ...]:
        self._call("worklist.performed", (day, state, before))
        return tuple(r for r in self.done if (not state or r.state == state) and (not before or r.id < before))[:limit]

    async def add(self, **given: Any) -> StepRow:
        self._call("worklist.add", given)
        if given["patient_id"] == "TAKEN":
            raise BadRequest("TAKEN is another patient", "look at name and birth date")
        known = {name: value for name, value in given.items() if name not in ("referring", "done")}
        row = step_row(len(self.rows) + 1, **{**known, "accession": known["accession"] or "NEW1"})
        self.rows.append(row)
        return row

    def _change(self, ident: int, **more: Any) -> StepRow:
        row = replace(self._row(ident), **more)
        self.rows = [row if each.id == ident else each for each in self.rows]
        return row

    async def change(self, id: int, **given: Any) -> StepRow:
        self._call("worklist.change", (id, given))
        return self._change(id, **given)

    async def set_state(self, id: int, state: str, why: str = "") -> StepRow:
        self._call("worklist.set_state", (id, state, why))
        return self._change(id, state=state)

    async def again(self, performed: int) -> int:
        self._call("worklist.again", performed)
        return 2

    async def cancel(self, id: int, why: str) -> StepRow:
        self._call("worklist.cancel", (id, why))
        return self._change(id, state="cancelled")
