"""What was changed in the configuration: by whom, when, what it was and what it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.maintenance import ChangeRow
from pacstui.contract.overview import View
from pacstui.text import count, safe
from screens.base import ConsoleScreen
from screens.modals.page import Page
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
PAGE = 200
COLUMNS = (
    C("time", 15, role="dim"),
    C("who", 10, grow=1, most=24, role="strong"),
    C("what", 18, grow=3, most=60),
    C("was", 10, grow=3, most=80, role="dim"),
    C("is", 10, grow=3, most=80),
    C("how", 9, rank=1, role="dim"),
)


class ChangesScreen(ConsoleScreen):
    """The list of changes, newest first, in pages that are asked for as one scrolls."""

    TITLE_WORDS = "Changes"
    ABOUT = (
        "Newest first: what was changed in the configuration, in its file or here. For the file stands who owns it and "
        "whether the node saw the change at its start or when it read the file again. Secrets are not compared. Enter "
        "shows a change in full; / finds words."
    )

    def __init__(self) -> None:
        super().__init__()
        self._search = ""
        self._rows: list[ChangeRow] = []
        self._more = True
        self._busy = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[ChangeRow] = RowTable(
            COLUMNS, self._cells, lambda r: r.id, lambda r: f"{r.key} {r.who} {r.old} {r.new}", id="changes"
        )
        table.title = Line("Changes", "title")
        table.empty = ["asking the node"]
        yield table

    @property
    def table(self) -> RowTable[ChangeRow]:
        """The list."""
        return self.query_one("#changes", RowTable)

    def _cells(self, row: ChangeRow) -> Sequence[cols.Cell]:
        return (
            f"{row.at.astimezone():%d %b %H:%M:%S}",
            safe(row.who, 64),
            safe(row.key, 200),
            safe(row.old, 200) or ("-", "dim"),
            safe(row.new, 200) or ("-", "dim"),
            safe(row.how, 32),
        )

    def show(self, view: View) -> None:
        if not self._rows and self._more:
            self._fetch()

    def filter_changed(self, text: str) -> None:
        self._search, self._rows, self._more = text, [], True
        self._fetch()

    def _fetch(self) -> None:
        if not self._busy and self._more and self.console_app.away_since is None:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app, search = self.console_app, self._search
        before = self._rows[-1].id if self._rows else 0
        try:
            rows = await app.fetch(app.client.maintenance.changes(search=search, before=before, limit=PAGE))
        finally:
            self._busy = False
        if not self.is_attached or rows is None:
            return
        if search != self._search:
            self._fetch()
            return
        self._rows += rows
        self._more = len(rows) == PAGE
        self.table.title = Line("Changes  ", "title").add(
            count(len(self._rows)) + ("+" if self._more else ""), "strong"
        )
        self.table.empty = [
            "Nothing has this in it." if search else "Nothing was changed since the node began to look."
        ]
        self.table.show(self._rows)

    @on(RowTable.Moved)
    def _moved(self) -> None:
        selected = self.table.selected
        if self._rows and selected is not None and selected.id <= self._rows[max(0, len(self._rows) - 20)].id:
            self._fetch()

    @on(RowTable.Chosen)
    def _open(self) -> None:
        row = self.table.selected
        if row is not None:
            self.console_app.push_screen(ChangePage(row))


class ChangePage(Page):
    """One change in full."""

    def __init__(self, row: ChangeRow) -> None:
        super().__init__()
        self._row = row

    def sections(self, width: int) -> Sequence[Section]:
        row = self._row
        lines = [Line(f"{row.at.astimezone():%a %d %b %Y %H:%M:%S}  {safe(row.who, 64)}, {safe(row.how, 64)}", "dim")]
        lines += [Line(), Line("was", "dim"), *words(safe(row.old) or "(nothing)", width)]
        lines += [Line(), Line("is", "dim"), *words(safe(row.new) or "(nothing)", width, "strong")]
        return [Section(Line(safe(row.key, 200), "focus-title"), [Item(lines)])]
