"""HL7 messages that failed and are not put right: what is wrong with each, and the key that mends it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.widget import Widget

from pacstui.contract.hl7 import Hl7View, MessagePage, MessageRow
from pacstui.text import count, plural, safe
from screens import hl7_cells as cells
from screens import hl7_work as work
from screens import keymap
from screens.hl7 import wrong
from screens.paged import PagedScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section
from screens.widgets.row_table import RowTable


class WrongPanel(Panel):
    """The chosen one in full: what is wrong, what mends it, and with which key."""

    can_focus = False

    def __init__(self, screen: Hl7ErrorsScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row = self._of.table.selected
        if row is None:
            return [Section(Line("Error", "title"), [])]
        lines = wrong(row, width, self)[: max(1, height - 1)]
        keys = Line("e", "key").add(" edit and act on it  ").add("r", "key").add(" act on it again as it is  ")
        keys.add("i", "key").add(" ignore it")
        title = Line(f"{safe(row.kind, 16) or 'message'} ", "focus-title").add(cells.sender_name(row), "title")
        return [Section(title, [Item([*lines, keys.cut(width)])])]


class Hl7ErrorsScreen(PagedScreen[MessageRow]):
    """What failed and is open."""

    TITLE_WORDS = "HL7 errors"
    ABOUT = (
        "Only what failed and nobody has put right, newest first; below, the chosen one with what is wrong in words "
        "and what mends it. e edits the message, says what the edited one would do, and acts on it; r acts on it again "
        "as it was sent, for when the cause was elsewhere (an order that came late, a setting); i takes it off this "
        "list with a reason. m marks a row and a all that the list has; r and i then act on what is marked, and say to "
        "how many. Enter shows the message taken apart with the wrong fields marked. What was put right leaves the "
        "list by itself, also when its sender sends a right one."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        *work.MENDING,
        keymap.Key("m", "mark", "Mark the chosen message, or take the mark away", "mark", weight=2),
        keymap.Key("a", "all", "Mark all that the list has; again: nothing", "mark_all", weight=2),
    )

    def __init__(self) -> None:
        super().__init__("failed")
        self._open = 0

    def body(self) -> Iterable[Widget]:
        table: RowTable[MessageRow] = RowTable(cells.MESSAGES, self._cells, lambda r: r.id, lambda r: "", id="messages")
        table.bounded = False
        table.empty = ["asking the node"]
        yield table
        yield WrongPanel(self)

    def _cells(self, row: MessageRow) -> Sequence[cols.Cell]:
        return cells.message(row, self.console_app.now(), self.console_app.privacy, row.id in self.marked)

    async def ask(self, before: int, limit: int) -> tuple[Sequence[MessageRow], int] | None:
        app = self.console_app
        page: MessagePage | None = await app.fetch(
            app.client.hl7.messages(search=self.search, state="failed", before=before, limit=limit)
        )
        if page is None:
            return None
        app.privacy.learn(text for row in page.rows for text in (row.patient_id, row.accession))
        return page.rows, page.next

    async def beside(self) -> None:
        app = self.console_app
        view: Hl7View | None = await app.fetch(app.client.hl7.show())
        self._open = view.failed_open if view is not None else self._open

    def entitle(self) -> None:
        title = Line("Errors  ", "title").add(count(self._open), "fail" if self._open else "strong").add(" open")
        if self.search:
            title.add(f'  found for "{safe(self.search, 40)}"', "accent")
        if self.marked:
            title.add(f"  * {plural(len(self.marked), 'message')} marked", "key")
        self.table.title = title

    def nothing(self) -> list[str]:
        if self.search:
            return ["Nothing is found.", "esc clears the search."]
        return [
            "No errors are open: every message was acted on, or put right.",
            "What fails shows here with what is wrong.",
        ]

    @on(RowTable.Chosen, "#messages")
    def _show_one(self, event: RowTable.Chosen) -> None:
        if isinstance(event.id, int):
            from screens.hl7_message import Hl7MessageScreen

            self.console_app.go(Hl7MessageScreen(event.id))

    def action_edit(self) -> None:
        """Edit the chosen message."""
        row = self.table.selected
        if row is not None and self.console_app.allowed("hl7.resubmit"):
            from screens.hl7_edit import edit

            edit(self.console_app, row.id, self.done)

    def action_replay(self) -> None:
        """Act on it again."""
        work.replay(self.console_app, self.chosen, self.done)

    def action_ignore(self) -> None:
        """Take it off the list."""
        work.ignore(self.console_app, self.chosen, self.done)
