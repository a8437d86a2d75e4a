"""Studies of a day that belong to no order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract import all_actions
from pacstui.contract.worklist import UnorderedRow
from pacstui.errors import NotFound, PacsError
from pacstui.text import count, safe
from screens import keymap
from screens import worklist_cells as cells
from screens.asking import AskingScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("since", 5, role="dim"),
    C("patient", 14, grow=3, most=40, role="strong"),
    C("ID", 10, grow=1, most=24),
    C("mod", 3),
    C("procedure", 14, grow=4, most=64),
    C("accession", 10, grow=1, rank=2, most=20),
    C("from", 8, grow=1, most=16),
    C("images", 6, align=">", rank=1),
)


class UnorderedScreen(AskingScreen):
    """Studies without an order."""

    TITLE_WORDS = "Studies without order"
    EVERY_S = 4.0
    ABOUT = (
        "Studies of the day whose Study Instance UID and accession number are those of no order: an emergency that was "
        "done before anybody could order it, or a name and number typed by hand at the modality instead of taken from "
        "its worklist. Enter shows beside it the orders that it may belong to; there it is assigned to one, or "
        "taken as it is. v shows the study and its images."
    )
    KEYS = (
        keymap.Key("v", "study", "Show the study and its series", "study"),
        keymap.Key("r", "refresh", "Ask anew", "refresh", weight=2),
    )

    def __init__(self, day: str) -> None:
        super().__init__()
        self.day = day

    def body(self) -> Iterable[Widget]:
        table: RowTable[UnorderedRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.study,
            lambda r: f"{r.patient_name} {r.patient_id} {r.accession} {r.modality} {r.description} {r.calling}",
            id="unordered",
        )
        table.title = Line("Studies without order", "title")
        table.empty = ["asking the node"]
        yield table

    @property
    def table(self) -> RowTable[UnorderedRow]:
        """The list."""
        return self.query_one("#unordered", RowTable)

    def _cells(self, row: UnorderedRow) -> Sequence[cols.Cell]:
        privacy = self.console_app.privacy
        return (
            f"{row.first.astimezone():%H:%M}",
            privacy.name(row.patient_name),
            privacy.ident(row.patient_id, "(none)"),
            safe(row.modality, 8),
            safe(row.description, 128) or ("(no description)", "dim"),
            privacy.ident(row.accession) or ("(none)", "dim"),
            safe(row.calling, 32),
            count(row.instances),
        )

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.worklist.unordered(day=self.day))

    async def took(self, found: Any) -> None:
        table = self.table
        if found is None:
            table.empty = ["The node did not answer; it is asked again."]
            table.redraw()
            return
        words = cells.day(self.day, self.console_app.now().date())
        self.console_app.privacy.learn(t for r in found for t in (r.patient_name, r.patient_id, r.accession))
        table.title = Line("Studies without order  ", "title").add(count(len(found)), "strong").add(f"  {words}")
        table.empty = [
            f"Each study of {words} belongs to an order.",
            "What would stand here: an emergency without an order, or a name and number",
            "that somebody typed at a modality instead of taking them from its worklist.",
        ]
        table.show(found)

    def action_refresh(self) -> None:
        """Ask anew."""
        self.renew()

    @on(RowTable.Chosen, "#unordered")
    def _open(self, event: RowTable.Chosen) -> None:
        if self.console_app.door.lacks(all_actions()["exceptions.show"].permission):
            self.action_study()
        elif self.console_app.allowed("exceptions.show"):
            self.console_app.keep(self._beside(str(event.id)))

    async def _beside(self, study: str) -> None:
        """Show a study beside the orders that it may belong to, as soon as they were looked for."""
        app = self.console_app
        try:
            await app.client.exceptions.show(study=study)
        except NotFound:
            app.say("it still comes in: it is compared with the orders once nothing more came of it for a while")
            self.action_study()
            return
        except (PacsError, OSError, TimeoutError) as error:
            app.say(error if isinstance(error, PacsError) else f"the node did not answer: {error}", "fail")
            return
        from screens.exceptions_beside import BesideScreen

        app.go(BesideScreen(study))

    def action_study(self) -> None:
        """Show the chosen study."""
        row = self.table.selected
        if row is not None and self.console_app.allowed("studies.show"):
            from screens.study import StudyScreen

            self.console_app.go(StudyScreen(row.study))
