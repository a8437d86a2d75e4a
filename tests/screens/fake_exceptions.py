"""Exceptions of the node that is not there, and what corrections of them would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pacstui.contract.corrections import ChangeText, CorrectionPage, CorrectionRow, Preview
from pacstui.contract.exceptions import (
    Candidate,
    Difference,
    Disagreement,
    ExceptionPage,
    ExceptionRow,
    ExceptionView,
)
from pacstui.errors import BadRequest, NotFound


def candidate(order: int, name: str, score: int, **more: Any) -> Candidate:
    same = "same" if score > 50 else "different"
    differences = (
        Difference("name", "TESTTA^ANNA", name, "near" if score > 50 else "different", "1 letter differs"),
        Difference("patient ID", "4711", "4711" if score > 50 else "5000", same, ""),
        Difference("born", "19800403", "19800403", "same", ""),
        Difference("accession number", "", f"A{order}", "missing", ""),
        Difference("procedure", "CT [/] \x1b[2J", "CT THORAX", "near", "some words shared"),
        Difference("study UID", "1.2.3", "1.2.4", "different", "the modality made one of its own"),
    )
    return Candidate(
        order, order + 100, name, "4711", f"A{order}", "CT", "CT THORAX", "2026-11-28 14:30", score, differences,
        ("+30 patient ID agrees", "-8 time: 30 h later"), "LAB", "scheduled", **more,
    )  # fmt: skip


class FakeExceptions:
    def __init__(self, world: Any, call: Callable[..., Any]) -> None:
        self._world, self._call = world, call
        at = world.at
        self.rows = [
            ExceptionRow("1.2.3", "probable", "TESTTA^ANNA", "4711", "", "CT", "CT [/] \x1b[2J", "CT1", 212,
                         at - timedelta(minutes=12), 31, 82, "name: 1 letter differs"),
            ExceptionRow("1.2.5", "conflicting", "BEISPIEL^PETER", "5000", "A31", "MR", "HEAD", "MR2", 118,
                         at - timedelta(hours=2), 31, 40,
                         "its accession number is that of an order for somebody else, TESTA, ANNA (4711): name: another"
                         " name; patient ID: another one; born: another day"),
            ExceptionRow("1.2.6", "unmatched", "UNKNOWN^TRAUMA", "", "", "CR", "", "XR1", 2, at - timedelta(days=2), 0,
                         0, "it has no patient ID, it has no accession number"),
        ]  # fmt: skip
        self.candidates = {
            "1.2.3": (candidate(31, "TESTA^ANNA", 82), candidate(32, "TESTA^ANNE", 61)),
            "1.2.5": (candidate(31, "TESTA^ANNA", 40),),
        }
        self.found = (candidate(0, "MUSTER^EVA", 0),)
        self.counts: dict[str, int] = {}
        self.disagreements: tuple[Disagreement, ...] = ()

    async def list_all(
        self, state: str = "", search: str = "", settled: bool = False, before: int = 0, limit: int = 100
    ) -> ExceptionPage:
        self._call("exceptions.list_all", (state, search, settled))
        rows = [row for row in self.rows if row.state in (state or row.state) and row.state != "matched"]
        rows = [
            row for row in rows if bool(row.settled) == settled and search.casefold() in row.patient_name.casefold()
        ]
        counts = {s: sum(r.state == s and not r.settled for r in self.rows) for s in
                  ("conflicting", "unmatched", "probable")}  # fmt: skip
        return ExceptionPage(tuple(rows), 0, counts | {"settled": sum(bool(r.settled) for r in self.rows)})

    def _row(self, study: str) -> ExceptionRow:
        for row in self.rows:
            if row.study == study:
                return row
        raise NotFound("no such study", "it may be gone")

    def put(self, which: str, **changes: Any) -> ExceptionRow:
        self.rows = [replace(row, **changes) if row.study == which else row for row in self.rows]
        return self._row(changes.get("study", which))

    async def show(self, study: str, search: str = "") -> ExceptionView:
        self._call("exceptions.show", (study, search))
        found = self.found if search else self.candidates.get(study, ())
        return ExceptionView(self._row(study), found, self.disagreements, 120 if self.disagreements else 0)

    async def settle(self, study: str, why: str) -> ExceptionRow:
        self._call("exceptions.settle", (study, why))
        if not why.strip():
            raise BadRequest("why is it taken as it is?", "say it in a few words")
        return self.put(study, settled=f"admin: {why}")

    async def reopen(self, study: str) -> ExceptionRow:
        self._call("exceptions.reopen", study)
        return self.put(study, settled="")

    async def match(self, study: str) -> ExceptionRow:
        self._call("exceptions.match", study)
        return self._row(study)


class FakeCorrections:
    def __init__(self, world: Any, call: Callable[..., Any]) -> None:
        self._world, self._call = world, call
        self.rows: list[CorrectionRow] = []
        self.nothing = False

    def _preview(self, study: str, kind: str, **given: Any) -> Preview:
        self._call(f"corrections.{kind}", {"study": study, **given})
        if self.nothing:
            raise BadRequest("the study says all of that already: it is of order A31", "nothing is to be done")
        change = ChangeText("patient", "PatientName", "TESTTA^ANNA", "TESTA^ANNA")
        return Preview(f"{kind} {study}", "Gives the study with 1 series, 212 images to order A31 of TESTA, ANNA",
                       (change,), (study,), 1, 212, False, (), ("the birth date differs",))  # fmt: skip

    async def assign(self, study: str, order: int = 0, patient_id: str = "", issuer: str = "") -> Preview:
        return self._preview(study, "assign", order=order, patient_id=patient_id, issuer=issuer)

    async def edit(self, study: str, changes: dict[str, str], **parts: Any) -> Preview:
        return self._preview(study, "edit", changes=changes)

    async def reject(self, study: str, reason: str, **parts: Any) -> Preview:
        return self._preview(study, "reject", reason=reason)

    async def apply(self, token: str, why: str) -> CorrectionRow:
        self._call("corrections.apply", (token, why))
        kind, _, study = token.partition(" ")
        self._world.exceptions.put(study, state="matched", why="")
        row = CorrectionRow(len(self.rows) + 1, self._world.at, "admin", kind, study, "TESTA^ANNA", "4711",
                            "Gives the study to order A31", why, "on", 212, "", None, "")  # fmt: skip
        self.rows.insert(0, row)
        return row

    async def undo(self, id: int, why: str) -> CorrectionRow:
        self._call("corrections.undo", (id, why))
        row = next(each for each in self.rows if each.id == id)
        self._world.exceptions.put(row.study, state="probable", why="name: 1 letter differs")
        undone = replace(row, state="undone")
        self.rows = [undone if each.id == id else each for each in self.rows]
        return undone

    async def list_all(self, study: str = "", before: int = 0, limit: int = 100) -> CorrectionPage:
        self._call("corrections.list_all", study)
        return CorrectionPage(tuple(row for row in self.rows if study in ("", row.study)), 0)
