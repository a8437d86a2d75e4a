"""A list that comes in pages, newest first; rows can be marked and keep their marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual import on

from pacstui.contract.overview import View
from pacstui.text import count, plural, safe
from screens.searching import SearchingScreen
from screens.widgets.line import Line
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable

Row = TypeVar("Row")
MOST = 500
"""Rows that the node gives at once at the most."""

EVERY_S = 2.0
KEPT = 1_000
"""Rows that are kept of a long list when one is back at its beginning."""


class PagedScreen(SearchingScreen, Generic[Row]):
    """Asks by :meth:`ask` for a page, again and again while it is in sight.

    Subclasses have a table of the id ``LIST`` whose rows have an ``id``, newest highest, and say by ``STATES`` what it
    can be limited to, by ``WHAT`` what a row is.
    """

    LIST: ClassVar[str] = "messages"
    WHAT: ClassVar[str] = "message"
    PAGE: ClassVar[int] = 100
    MOST_MARKED: ClassVar[int] = 5_000
    STATES: tuple[tuple[str, str], ...] = (("", "all"),)

    def __init__(self, state: str = "") -> None:
        super().__init__()
        self.state = state
        self.marked: dict[int, Row] = {}
        self.turn = 0
        self._busy = False
        self.begun = False
        self._loaded = float("-inf")

    async def ask(self, before: int, limit: int) -> tuple[Sequence[Row], int] | None:
        """Return rows before an id, newest first, and the cursor of those before them (0 for none); None for none."""
        raise NotImplementedError

    def entitle(self) -> None:
        """Write the table's title."""
        raise NotImplementedError

    def nothing(self) -> list[str]:
        """Return what stands in an empty list."""
        raise NotImplementedError

    async def beside(self) -> None:
        """Fetch what is shown beside the list."""

    @property
    def table(self) -> RowTable[Any]:
        """The list."""
        return self.query_one(f"#{self.LIST}", RowTable)

    def filtered(self) -> RowTable[Any]:
        return self.table

    def show(self, view: View) -> None:
        if not self.begun:
            self.begun = True
            self.anew()
        elif self.console_app.door.clock() - self._loaded >= EVERY_S:
            self.renew()
        self.redraw_all()

    def redraw_all(self) -> None:
        """Draw everything anew."""
        self.entitle()
        for widget in (*self.query(Panel), *self.query(RowTable)):
            widget.redraw()

    def anew(self) -> None:
        """Begin at the newest."""
        self.turn += 1
        self.table.cursor, self.table.top = None, 0
        self.console_app.keep(self._load(0, self.turn))

    def renew(self) -> None:
        """Fetch again what is in sight."""
        if self._busy or self.console_app.away_since is not None:
            return
        table = self.table
        top = min(table.top, max(0, len(table.held) - 1))
        before = table.held[top - 1].id if top else 0
        self.console_app.keep(self._load(before, self.turn, again=True))

    async def _load(self, before: int, turn: int, again: bool = False) -> None:
        self._busy = True
        try:
            found = await self.ask(before, self.PAGE)
            if not before or again:
                await self.beside()
        finally:
            self._busy = False
            self._loaded = self.console_app.door.clock()
        if turn != self.turn or not self.is_attached:
            return
        table = self.table
        if found is None:
            table.not_given()
            if not again:
                table.empty = ["The node did not give it; it is asked again."]
            table.redraw()
            return
        rows, following = found
        table.empty = self.nothing()
        if again:
            self._replace(rows, following, before)
        elif before:
            table.extend(rows, more=bool(following), total=len(table.held) + len(rows))
        else:
            table.show(rows, more=bool(following))
        fresh = {row.id: row for row in table.held}
        self.marked = {ident: fresh.get(ident, row) for ident, row in self.marked.items()}
        self.redraw_all()

    def _replace(self, rows: Sequence[Any], following: int, before: int) -> None:
        table = self.table
        above = [row for row in table.held if before and row.id >= before]
        last = rows[-1].id if rows and following else 0
        below = [row for row in table.held if row.id < last] if following else []
        found = [*above, *rows, *below]
        more = table.more if below else bool(following)
        if not table.top and len(found) > KEPT:
            found, more = found[:KEPT], True
        table.show(found, more=more)

    @on(RowTable.Wanted)
    def _more(self, event: RowTable.Wanted) -> None:
        if event.table is self.table and self.table.held and not event.before:
            self.console_app.keep(self._load(self.table.held[-1].id, self.turn))

    @on(RowTable.EdgeWanted)
    def _edge(self, event: RowTable.EdgeWanted) -> None:
        if event.table is self.table and event.last:
            self.to_the_end()

    def to_the_end(self) -> None:
        """Go to the last row of all."""
        self.table.go_on_to_the_end()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        for panel in self.query(Panel):
            panel.redraw()

    def search_changed(self) -> None:
        self.unmark()

    def action_state(self, by: int) -> None:
        """Show those of another state."""
        names = [name for name, _ in self.STATES]
        self.show_state(names[(names.index(self.state) + by) % len(names)])

    def show_state(self, state: str) -> None:
        """Show those of a state."""
        self.state = state
        self.unmark()
        self.anew()
        self.redraw_all()

    @property
    def searched(self) -> str:
        """What is searched for, as it stands in a title."""
        return f'"{safe(self.search, 40)}"'

    def limits(self, title: Line) -> Line:
        """Add to a title what the list is limited to, and how many rows are marked."""
        word = dict(self.STATES)[self.state]
        title.add(word, "strong")
        if self.search:
            title.add(f"  found for {self.searched}", "accent")
        if self.marks:
            title.add(f"  * {self.marks} marked", "key")
        if len(self.STATES) > 1:
            at = [name for name, _ in self.STATES].index(self.state)
            self.table.note = Line("f: ", "key").add(self.STATES[(at + 1) % len(self.STATES)][1], "dim")
        return title

    # marks

    @property
    def marks(self) -> str:
        """How many rows are marked, empty for none."""
        return count(len(self.marked)) if self.marked else ""

    def unmark(self) -> None:
        """Take all marks away."""
        self.marked = {}

    @property
    def chosen(self) -> list[Any]:
        """What an action is about: what is marked, else the row under the cursor."""
        if self.marked:
            marked: Sequence[Any] = list(self.marked.values())
            return sorted(marked, key=lambda row: -row.id)
        row = self.table.selected
        return [row] if row is not None else []

    def done(self) -> None:
        """Take the marks away, and fetch anew."""
        self.unmark()
        self.renew()

    def action_mark(self) -> None:
        """Mark the chosen row, or take the mark away; the cursor goes on to the next."""
        row = self.table.selected
        if row is None:
            return
        if self.marked.pop(row.id, None) is None:
            self.marked[row.id] = row
        self.table.action_move(1)
        self.redraw_all()

    def action_mark_all(self) -> None:
        """Mark all that the list has, or nothing."""
        if self.marks:
            self.unmark()
            self.redraw_all()
        else:
            self.console_app.keep(self._mark_found(self.turn))

    async def _mark_found(self, turn: int) -> None:
        """Mark each row that the list would show, to its end."""
        found: dict[int, Row] = {}
        before, more = 0, True
        while more and len(found) < self.MOST_MARKED:
            page = await self.ask(before, MOST)
            if page is None or turn != self.turn or not self.is_attached:
                return
            rows, before = page
            found |= {row.id: row for row in rows}  # type: ignore[attr-defined]
            more = bool(before) and bool(rows)
            if more:
                self.console_app.say(f"marking: {count(len(found))} so far")
        self.marked = dict(list(found.items())[: self.MOST_MARKED])
        told = f"{plural(len(self.marked), self.WHAT)} marked"
        self.console_app.say(f"{told}; there are more: at most so many at once" if more else told)
        self.redraw_all()
