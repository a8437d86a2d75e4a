"""Why something was not sent: each reason with how many objects have it, and trying all of those again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.queue import ErrorRow
from pacstui.contract.sheets import status_word
from pacstui.text import ago, count, plural, safe
from screens import keymap
from screens import queue_work as work
from screens.asking import AskingScreen
from screens.queue_cells import error_of
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("failed", 7, align=">"),
    C("retrying", 8, align=">"),
    C("studies", 7, align=">", rank=2),
    C("latest", 11, rank=1),
    C("status", 6),
    C("destination", 10, grow=1, most=32, role="strong"),
    C("error", 20, grow=6, most=160),
)


class ReasonPanel(Panel):
    """The chosen reason in full, and what mends it."""

    can_focus = False

    def __init__(self, screen: ErrorsScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row = self._of.table.selected
        if row is None:
            return [Section(Line("Error", "title"), [])]
        lines = words(error_of(row.error, row.status), width, "fail-text", 2, Line("x ", "fail"))
        if row.hint:
            lines += words(safe(row.hint, 300), width, "strong", 2, Line("> ", "accent"))
        number = row.failed + row.waiting
        told = f"r tries all {plural(number, 'object')} of this error again, c cancels them"
        lines += words(told, width, "dim", 2, Line("  "))
        return [Section(Line(safe(row.destination, 64), "focus-title"), [Item(lines[:height])])]


class ErrorsScreen(AskingScreen):
    """The reasons at one destination, or at all."""

    TITLE_WORDS = "Errors"
    ABOUT = (
        "Each reason why objects failed, or wait for another try, with how many objects of how many studies have it, "
        "the most frequent first. r tries all of the chosen reason again, c cancels all of it; both say to how many "
        "and ask. Enter shows the studies of that destination that are in trouble. Mend the cause first: below the "
        "list stands what mends it."
    )
    EVERY_S = 2.0
    KEYS = (
        keymap.acts("queue.retry", "retry", weight=0),
        keymap.acts("queue.cancel", "cancel"),
    )

    def __init__(self, destination: str = "") -> None:
        super().__init__()
        self.destination = destination

    def body(self) -> Iterable[Widget]:
        table: RowTable[ErrorRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: (r.destination, r.error),
            lambda r: f"{r.destination} {r.error} {status_word(r.status)}",
            id="errors",
        )
        table.title = self._title(0)
        table.empty = ["asking the node"]
        yield table
        yield ReasonPanel(self)

    def _title(self, number: int) -> Line:
        title = Line("Errors  ", "title").add(count(number), "strong")
        return title.add(f"  at {safe(self.destination, 64)}" if self.destination else "  at all destinations", "dim")

    @property
    def table(self) -> RowTable[ErrorRow]:
        """The list."""
        return self.query_one("#errors", RowTable)

    def _cells(self, row: ErrorRow) -> Sequence[cols.Cell]:
        return (
            (count(row.failed), "fail-text" if row.failed else "dim"),
            (count(row.waiting), "warn-text" if row.waiting else "dim"),
            count(row.sendings),
            ago(row.latest, self.console_app.now()),
            status_word(row.status) or ("-", "dim"),
            safe(row.destination, 64),
            safe(row.error, 300),
        )

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.queue.errors(destination=self.destination))

    async def took(self, found: Any) -> None:
        rows: Sequence[ErrorRow] | None = found
        table = self.table
        if rows is None:
            table.empty = ["The node did not give them; it is asked again."]
            table.redraw()
            return
        table.title = self._title(len(rows))
        table.empty = ["Nothing failed, and nothing is tried again."]
        table.show(rows)
        self.redraw_all()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.query_one(ReasonPanel).redraw()

    def _do(self, do: Callable[..., None]) -> None:
        row = self.table.selected
        if row is not None:
            do(self.console_app, work.of_error(row), self.renew)

    def action_retry(self) -> None:
        """Try all of this error again."""
        self._do(work.retry)

    def action_cancel(self) -> None:
        """Cancel all of this error."""
        self._do(work.cancel)

    @on(RowTable.Chosen)
    def _open(self) -> None:
        row = self.table.selected
        if row is not None:
            from screens.destination import DestinationScreen

            self.console_app.go(DestinationScreen(row.destination, "trouble"))
