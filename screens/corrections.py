"""Corrections: who put what right, when and why; undoing, and telling those who have the wrong copy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.corrections import CorrectionPage, CorrectionRow
from pacstui.text import plural, safe
from screens import correction_work as work
from screens import keymap, merge_work
from screens.asking import AskingScreen
from screens.widgets.line import Line, fit
from screens.widgets.listed import ListedPanel
from screens.widgets.panel import Item, Panel, words

LISTED = 200
_STATES = {"on": ("= on", "ok"), "undone": ("- undone", "dim")}


class CorrectionsPanel(ListedPanel[CorrectionRow]):
    """The page."""

    def __init__(self, study: str) -> None:
        super().__init__(
            "Corrections of this study" if study else "Corrections",
            "Nothing was corrected yet. On a study's page: a gives it to an order or patient, e edits it, x rejects "
            "it; space picks series for t (split) and v (move). Objects never change; what leaves, leaves corrected.",
            "pacstui corrections list",
        )
        self.study = study

    def item(self, row: CorrectionRow, width: int) -> Item:
        privacy = self.console_app.privacy
        word, role = _STATES.get(row.state, (safe(row.state, 10), "warn"))
        first = Line(fit(word, 9), role).add(fit(f"{row.at.astimezone():%-d %b %H:%M}", 13), "dim")
        first.add(fit(safe(row.kind, 8), 7), "strong").add(f"{row.id}", "dim")
        first.add(f"  by {safe(row.by, 24)}: {safe(row.why, 200)}")
        lines = [first.cut(width)]
        told = words(privacy.sentence(row.sentence), width, "text" if row.state == "on" else "dim", 9, Line(" " * 9))
        lines += told
        if row.undone is not None:
            by = f"undone by {safe(row.undone_by, 32)}, {row.undone.astimezone():%Y-%m-%d %H:%M}"
            lines += words(by, width, "dim", 9, Line(" " * 9))
        elif row.irreversible:
            lines += words(safe(row.irreversible, 200), width, "dim", 9, Line(" " * 9))
        for each in row.downstream:
            had = f"{safe(each.destination, 32)} had {plural(each.instances, 'wrong copy', 'wrong copies')}: "
            if each.told:
                lines += words(had + safe(each.told, 100), width, "dim", 11, Line(" " * 9 + "= ", "ok"))
            elif row.undone is not None:
                what = f"{safe(each.destination, 32)} was not told of it, and has it as it is again"
                lines += words(what, width, "dim", 11, Line(" " * 9 + "= ", "ok"))
            else:
                lines += words(had + "not told, n does it", width, "warn", 11, Line(" " * 9 + "! ", "warn"))
        return Item(lines, row.id)


class CorrectionsScreen(AskingScreen):
    """Corrections, newest first; of one study where that is given."""

    TITLE_WORDS = "Corrections"
    ABOUT = (
        "What was put right, newest first: who did it, when and why, whether it was undone, and which destinations had "
        "the wrong copy. z undoes the chosen one, n sends those who have the wrong copy the rejection note and the "
        "right one, Enter shows the study. u lists patients that messages of the RIS merged: these can be undone too."
    )
    KEYS = (*work.LISTED, merge_work.listed(1), keymap.Key("r", "refresh", "Ask anew", "refresh"))

    def __init__(self, study: str = "") -> None:
        super().__init__()
        self._study = study

    def body(self) -> Iterable[Widget]:
        yield CorrectionsPanel(self._study)

    @property
    def panel(self) -> CorrectionsPanel:
        """The list."""
        return self.query_one(CorrectionsPanel)

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.corrections.list_all(study=self._study, limit=LISTED))

    async def took(self, found: Any) -> None:
        if isinstance(found, CorrectionPage):
            self.console_app.privacy.learn(
                text for row in found.rows for text in (row.patient_name, row.patient_id)
            )  # fmt: skip
            self.panel.page = found
        self.panel.redraw()

    def action_refresh(self) -> None:
        """Ask now."""
        self.renew()

    def action_undo(self) -> None:
        """Undo the chosen one."""
        if self.panel.row is not None:
            work.undo(self.console_app, self.panel.row, self.renew)

    def action_merges(self) -> None:
        """List patients that were merged; those of the study's patient where this list is a study's."""
        merge_work.open_list(self.console_app, study=self._study)

    def action_tell(self) -> None:
        """Tell those who have the wrong copy."""
        if self.panel.row is not None:
            work.tell(self.console_app, self.panel.row, self.renew)

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        row = self.panel.row
        if row is not None:
            from screens.study import StudyScreen

            self.console_app.go(StudyScreen(row.study))
