"""Corrections of the node that is not there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pacstui.contract.corrections import ChangeText, CorrectionPage, CorrectionRow, Downstream, Preview
from pacstui.errors import BadRequest, Stale

NASTY = "X[/]^\x1b[2JBAD"


class Corrections:
    """Remembers what was asked; the preview is as full as one can be."""

    def __init__(self, client: Any, many: int = 0) -> None:
        self.client = client
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.fault = ""
        self.stale = False
        changes = [
            ChangeText("patient", "PatientName", "TEST^ANNA", NASTY), ChangeText("patient", "PatientSex", "", "F"),
            ChangeText("study", "AccessionNumber", "A1", ""),
        ]  # fmt: skip
        changes += [ChangeText("series", f"Attribute{n}", "old", f"new {n}") for n in range(many)]
        self.preview = Preview(
            "token", "Changes the study of TEST, ANNA (P1) with 2 series, 4 images", tuple(changes), ("1.2.3",), 2, 4,
            True, (Downstream("WS1", 4, client.at, ""), Downstream("WS2", 3, client.at, "")),
            ("the sex differs: M in the images, F in the new patient",), "P1",
            (ChangeText("patient", "PatientID", "P1", "P1"),),
        )  # fmt: skip
        self.rows: list[CorrectionRow] = [
            self.row(2, kind="merge", irreversible=""),
            self.row(1, kind="edit", irreversible="what came after it has to be undone first: 1 correction (2)"),
        ]

    def row(self, ident: int, **more: Any) -> CorrectionRow:
        row = CorrectionRow(
            ident, self.client.at, "op1", "edit", "1.2.3", "TEST^ANNA", "P1",
            "Changes the study of TEST, ANNA (P1)", f"typo {NASTY}", "on", 4, "", None, "",
            (Downstream("WS1", 4, self.client.at, ""),),
        )  # fmt: skip
        return replace(row, **more)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)

        async def preview(**given: Any) -> Preview:
            self.asked.append((name, given))
            return self.preview

        return preview

    async def list_all(self, study: str = "", before: int = 0, limit: int = 100) -> CorrectionPage:
        return CorrectionPage(tuple(self.rows), 0)

    async def apply(self, token: str, why: str) -> CorrectionRow:
        self.asked.append(("apply", {"token": token, "why": why}))
        if self.fault:
            raise BadRequest(self.fault, "look at it again, then do it")
        if self.stale:
            raise Stale("something has changed since the preview", "a new one shows what")
        return self.row(3)

    async def renew(self, token: str) -> Preview:
        self.asked.append(("renew", {"token": token}))
        self.stale = False
        self.preview = replace(
            self.preview, token="newer",
            since=("op2 did correction 9 at 14:03: Changes the sex", f"name is {NASTY} now"),
        )  # fmt: skip
        return self.preview

    async def undo(self, id: int, why: str) -> CorrectionRow:
        self.asked.append(("undo", {"id": id, "why": why}))
        self.rows = [replace(row, state="undone", undone=self.client.at, undone_by="op1") for row in self.rows]
        return self.rows[0]

    async def tell(self, id: int, destinations: tuple[str, ...] = ()) -> CorrectionRow:
        self.asked.append(("tell", {"id": id, "destinations": destinations}))
        return self.rows[0]
