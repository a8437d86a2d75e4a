"""Patients that messages of the RIS merged: what went along, and undoing it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.merges import MergePage, MergeRow
from pacstui.text import safe
from screens import keymap, merge_work
from screens.asking import AskingScreen
from screens.widgets.line import Line, fit
from screens.widgets.listed import ListedPanel
from screens.widgets.panel import Item, Panel, words

LISTED = 200


class MergesPanel(ListedPanel[MergeRow]):
    """The list."""

    def __init__(self, whose: str) -> None:
        super().__init__(
            f"Merged patients{whose}",
            f"No message of the RIS has merged patients{whose}. One that does (ADT^A40 and the like) is listed here, "
            "with what went along: z undoes it then. Studies that lie under the wrong patient for another reason are "
            "given to the right one by a on a study's page.",
            "pacstui merges list",
        )

    def item(self, row: MergeRow, width: int) -> Item:
        word, role = ("- undone", "dim") if row.undone else ("= on", "ok")
        first = Line(fit(word, 9), role).add(fit(f"{row.at.astimezone():%-d %b %H:%M}", 13), "dim")
        sent = f"message {row.message} of {safe(row.source, 40)}" if row.message else safe(row.source, 40)
        first.add(f"{safe(row.kind, 16)} ", "strong").add(f"{row.id}  {sent}", "dim")
        lines = [first.cut(width)]
        text = merge_work.told(row, self.console_app.privacy).removesuffix("; u undoes it")
        lines += words(text, width, "dim" if row.undone else "text", 9, Line(" " * 9))
        if row.undone is not None:
            lines += words(f"{row.undone.astimezone():%Y-%m-%d %H:%M}: {row.why}", width, "dim", 9, Line(" " * 9))
        elif row.irreversible:
            lines += words(row.irreversible, width, "dim", 9, Line(" " * 9))
        return Item(lines, row.id)


class MergesScreen(AskingScreen):
    """Merges, newest first; of a study's patient or of one message where that is given."""

    TITLE_WORDS = "Merged patients"
    ABOUT = (
        "Patients that messages of the RIS made one, newest first: whom into whom, what went along, and which message "
        "said so. z shows which studies and orders would go back, and makes the prior one a patient of its own again. "
        "HL7 has no message for that, so the RIS is not told; it has to have them apart as well. Enter shows the "
        "message."
    )
    KEYS = (merge_work.UNDO, keymap.Key("r", "refresh", "Ask anew", "refresh"))

    def __init__(self, study: str = "", message: int = 0) -> None:
        super().__init__()
        self._study, self._message = study, message

    def body(self) -> Iterable[Widget]:
        of = f" by message {self._message}" if self._message else " of this study's patient" if self._study else ""
        yield MergesPanel(of)

    @property
    def panel(self) -> MergesPanel:
        """The list."""
        return self.query_one(MergesPanel)

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.merges.list_all(study=self._study, message=self._message, limit=LISTED))

    async def took(self, found: Any) -> None:
        if isinstance(found, MergePage):
            merge_work.remember(self.console_app, found.rows)
            self.panel.page = found
        self.panel.redraw()

    def action_refresh(self) -> None:
        """Ask now."""
        self.renew()

    def action_undo(self) -> None:
        """Undo the chosen one."""
        if self.panel.row is not None:
            merge_work.undo(self.console_app, self.panel.row, self.renew)

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        row = self.panel.row
        if row is None:
            return
        if not row.message:
            self.console_app.say("its message is not kept any more")
        elif self.console_app.allowed("hl7.message"):
            from screens.hl7_message import Hl7MessageScreen

            self.console_app.go(Hl7MessageScreen(row.message))
