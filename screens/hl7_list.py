"""A list of HL7 messages that comes in pages, newest first; rows can be marked and keep their marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from textual import on
from textual.timer import Timer

from pacstui.contract import privacy
from pacstui.contract.overview import View
from pacstui.text import count, plural, safe
from screens.base import ConsoleScreen
from screens.widgets.line import Line
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable

Row = TypeVar("Row")
PAGE = 100
MOST = 500
MOST_MARKED = 5_000
EVERY_S = 2.0
KEPT = 1_000
"""Rows that are kept of a long list when one is back at its beginning."""


class PagedScreen(ConsoleScreen, Generic[Row]):
    """Asks by :meth:`ask` for a page, again and again while it is in sight.

    Subclasses have a table ``#messages`` whose rows have an ``id``, and say by ``STATES`` what it can be limited to.
    """

    STATES: tuple[tuple[str, str], ...] = (("", "all"),)

    def __init__(self, state: str = "") -> None:
        super().__init__()
        self.state = state
        self.search = ""
        self.marked: dict[int, Row] = {}
        self._turn = 0
        self._busy = False
        self._begun = False
        self._loaded = float("-inf")
        self._soon: Timer | None = None

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
        return self.query_one("#messages", RowTable)

    def filtered(self) -> RowTable[Any]:
        return self.table

    def show(self, view: View) -> None:
        if not self._begun:
            self._begun = True
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
        self._turn += 1
        self.table.cursor, self.table.top = None, 0
        self.console_app.keep(self._load(0, self._turn))

    def renew(self) -> None:
        """Fetch again what is in sight."""
        if self._busy or self.console_app.away_since is not None:
            return
        table = self.table
        top = min(table.top, max(0, len(table.held) - 1))
        before = table.held[top - 1].id if top else 0
        self.console_app.keep(self._load(before, self._turn, again=True))

    async def _load(self, before: int, turn: int, again: bool = False) -> None:
        self._busy = True
        try:
            found = await self.ask(before, PAGE)
            if not before or again:
                await self.beside()
        finally:
            self._busy = False
            self._loaded = self.console_app.door.clock()
        if turn != self._turn or not self.is_attached:
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

    @on(RowTable.Wanted, "#messages")
    def _more(self, event: RowTable.Wanted) -> None:
        if self.table.held and not event.before:
            self.console_app.keep(self._load(self.table.held[-1].id, self._turn))

    @on(RowTable.EdgeWanted, "#messages")
    def _edge(self, event: RowTable.EdgeWanted) -> None:
        if event.last:
            self.table.go_on_to_the_end()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        for panel in self.query(Panel):
            panel.redraw()

    def filter_changed(self, text: str) -> None:
        """Ask the node, once the typing pauses."""
        wanted = text.strip()
        if wanted.startswith("!"):
            self.console_app.say("a search of the whole list cannot be inverted: leave out the !", "warn")
            return
        if wanted and self.console_app.lacks(privacy.PERMISSION, "a search"):
            return
        self.search = wanted
        self.marked = {}
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.15, self.anew)

    def action_state(self, by: int) -> None:
        """Show those of another state."""
        names = [name for name, _ in self.STATES]
        self.state = names[(names.index(self.state) + by) % len(names)]
        self.marked = {}
        self.anew()
        self.redraw_all()

    def limits(self, title: Line) -> Line:
        """Add to a title what the list is limited to, and how many rows are marked."""
        word = dict(self.STATES)[self.state]
        title.add(word, "strong")
        if self.search:
            title.add(f'  found for "{safe(self.search, 40)}"', "accent")
        if self.marked:
            title.add(f"  * {count(len(self.marked))} marked", "key")
        if len(self.STATES) > 1:
            at = [name for name, _ in self.STATES].index(self.state)
            self.table.note = Line("f: ", "key").add(self.STATES[(at + 1) % len(self.STATES)][1], "dim")
        return title

    # marks

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
        self.marked = {}
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
        if self.marked:
            self.marked = {}
            self.redraw_all()
        else:
            self.console_app.keep(self._mark_found(self._turn))

    async def _mark_found(self, turn: int) -> None:
        """Mark each row that the list would show, to its end."""
        found: dict[int, Row] = {}
        before, more = 0, True
        while more and len(found) < MOST_MARKED:
            page = await self.ask(before, MOST)
            if page is None or turn != self._turn or not self.is_attached:
                return
            rows, before = page
            found |= {row.id: row for row in rows}  # type: ignore[attr-defined]
            more = bool(before) and bool(rows)
        self.marked = dict(list(found.items())[:MOST_MARKED])
        told = f"{plural(len(self.marked), 'message')} marked"
        self.console_app.say(f"{told}; there are more: at most so many at once" if more else told)
        self.redraw_all()
