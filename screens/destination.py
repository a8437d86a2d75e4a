"""What goes to one destination and went there, newest first; what somebody does about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.timer import Timer
from textual.widget import Widget

from pacstui.contract import privacy
from pacstui.contract.overview import View
from pacstui.contract.queue import DestinationRow, SendingRow, SendingsPage
from pacstui.text import count, plural, safe
from screens import keymap, queue_cells
from screens import queue_work as work
from screens.base import ConsoleScreen
from screens.panels.destination import ChosenPanel, FactsPanel
from screens.queue_export import export
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable

PAGE = 200
MOST = 500
LEAP = 4
"""End goes on by so many pages of so many rows at once."""

EVERY_S = 2.0
MOST_MARKED = 20_000
KEPT = 1_000
"""Rows that are kept of a long list when one is back at its beginning."""


class DestinationScreen(ConsoleScreen):
    """One destination."""

    TITLE_WORDS = "Destination"
    ABOUT = (
        "Above, the destination: what is happening, since when, and what mends it. Then what goes there, a row for "
        "each study (or series), newest first: objects done of all, age, and what is happening. f shows another "
        "state: not sent yet, in trouble, failed, held, and so on; F goes the other way. / looks in patient, "
        "accession number, description, error and route. m marks a row, a all that the list has; r h l c p t then act "
        "on what is marked, else on the chosen row, and say to how many. r tries again now, h holds, l lets go, c "
        "cancels, p changes what goes first, t sends to another destination. z pauses and resumes the destination. e "
        "lists errors with their counts. x writes the list to a file. Enter opens a sending with its objects."
    )
    KEYS: ClassVar[tuple[keymap.Key, ...]] = (
        *work.KEYS,
        keymap.acts("queue.errors", "errors", weight=2),
        keymap.Key("m", "mark", "Mark the chosen row, or take the mark away", "mark", weight=2),
        keymap.Key("a", "all", "Mark all that the list has; again: nothing", "mark_all"),
        keymap.Key("f", "state", "Show those of the next state: in trouble, failed, held, ...", "state(1)"),
        keymap.Key("F", "state before", "Show those of the state before", "state(-1)", weight=4),
        *work.PAUSE,
        keymap.Key("x", "export", "Write the list to a file, as CSV or JSON", "export", weight=3),
    )

    def __init__(self, destination: str, state: str = "") -> None:
        super().__init__()
        self.destination = destination
        self.state = state or "unsent"
        self.marked: dict[int, SendingRow] = {}
        self.everything = False
        self._chosen_by_hand = bool(state)
        self._search = ""
        self._turn = 0
        self._busy = False
        self._asked = False
        self._loaded = -100.0
        self._soon: Timer | None = None

    def body(self) -> Iterable[Widget]:
        yield FactsPanel(self)
        table: RowTable[SendingRow] = RowTable(
            queue_cells.SENDING, self._cells, lambda r: r.id, lambda r: "", id="sendings"
        )
        table.bounded = False
        table.title = Line("Sendings", "title")
        table.empty = ["asking the node"]
        yield table
        yield ChosenPanel(self)

    @property
    def table(self) -> RowTable[SendingRow]:
        """The list."""
        return self.query_one("#sendings", RowTable)

    @property
    def row(self) -> DestinationRow | None:
        """The destination as it is now; none where nothing waits and nothing went there."""
        view = self.console_app.view
        rows = view.queue.outgoing if view is not None else ()
        return next((row for row in rows if row.destination == self.destination), None)

    def _cells(self, row: SendingRow) -> Sequence[cols.Cell]:
        marked = self.everything or row.id in self.marked
        return queue_cells.sending(row, self.console_app.now(), self.console_app.privacy, marked)

    # what is shown

    def show(self, view: View) -> None:
        if not self._asked and not self._chosen_by_hand:
            row = self.row
            if row is not None and not row.waiting and not row.failed:
                self.state = "all"
        if not self._asked:
            self._asked = True
            self._anew()
        elif self.console_app.door.clock() - self._loaded >= EVERY_S:
            self.renew()
        self._redraw()

    def _redraw(self) -> None:
        self._entitle()
        for widget in (*self.query(Panel), *self.query(RowTable)):
            widget.redraw()

    def _entitle(self) -> None:
        table = self.table
        word = dict(queue_cells.FILTERS)[self.state]
        title = Line("Sendings  ", "title").add(word, "strong")
        if self._search:
            title.add(f"  found for {safe(self._search, 40)}", "accent")
        if self.everything:
            title.add("  * all marked", "key")
        elif self.marked:
            title.add(f"  * {count(len(self.marked))} marked", "key")
        table.title = title
        at = [name for name, _ in queue_cells.FILTERS].index(self.state)
        coming = queue_cells.FILTERS[(at + 1) % len(queue_cells.FILTERS)][1]
        table.note = Line("f: ", "key").add(coming, "dim")

    def _empty(self) -> list[str]:
        if self._search:
            return [f'Nothing is found for "{safe(self._search, 60)}".', "esc clears the search, f shows other states."]
        if self.state == "all":
            return ["Nothing was sent there.", "s on the studies screen sends a study; o on the queue shows routes."]
        return [f"There is none: {dict(queue_cells.FILTERS)[self.state]}.", "f shows the next state."]

    def _anew(self) -> None:
        """Begin at the newest."""
        self._turn += 1
        self.table.cursor, self.table.top = None, 0
        self.console_app.keep(self._load(0, self._turn))

    def renew(self) -> None:
        """Fetch again what is in sight."""
        table = self.table
        if self._busy or self.console_app.away_since is not None:
            return
        top = min(table.top, max(0, len(table.held) - 1))
        before = table.held[top - 1].id if top else 0
        self.console_app.keep(self._load(before, self._turn, again=True))

    async def _ask(self, before: int, limit: int = PAGE) -> SendingsPage | None:
        app = self.console_app
        page: SendingsPage | None = await app.fetch(
            app.client.queue.sendings(
                destination=self.destination, state=self.state, search=self._search, before=before, limit=limit
            )
        )
        if page is not None:
            app.privacy.learn(text for row in page.rows for text in (row.patient_name, row.patient_id))
        return page

    async def _load(self, before: int, turn: int, again: bool = False) -> None:
        self._busy = True
        try:
            page = await self._ask(before)
        finally:
            self._busy = False
            self._loaded = self.console_app.door.clock()
        if turn != self._turn or not self.is_attached:
            return
        table = self.table
        if page is None:
            table.not_given()
            if not again:
                table.empty = ["The node did not give it; it is asked again."]
            table.redraw()
            return
        table.empty = self._empty()
        if again:
            self._replace(page, before)
        elif before:
            table.extend(page.rows, more=page.more, total=len(table.held) + len(page.rows))
        else:
            table.show(page.rows, more=page.more)
        for row in page.rows:
            if row.id in self.marked:
                self.marked[row.id] = row
        self._redraw()

    def _replace(self, page: SendingsPage, before: int) -> None:
        """Put rows that were fetched again in the place of those that they were; all others stay as they are."""
        table = self.table
        above = [row for row in table.held if before and row.id >= before]
        last = page.rows[-1].id if page.rows and page.more else 0
        below = [row for row in table.held if row.id < last] if page.more else []
        rows = [*above, *page.rows, *below]
        more = table.more if below else page.more
        if not table.top and len(rows) > KEPT:
            rows, more = rows[:KEPT], True
        table.show(rows, more=more)

    @on(RowTable.Wanted, "#sendings")
    def _more(self, event: RowTable.Wanted) -> None:
        if self.table.held and not event.before:
            self.console_app.keep(self._load(self.table.held[-1].id, self._turn))

    @on(RowTable.EdgeWanted, "#sendings")
    def _edge(self, event: RowTable.EdgeWanted) -> None:
        if event.last:
            self.console_app.keep(self._leap(self._turn))

    async def _leap(self, turn: int) -> None:
        """Go to the last row; in a long list some pages on, and from there with the next press."""
        table = self.table
        for _ in range(LEAP):
            page = await self._ask(table.held[-1].id, MOST)
            if page is None or turn != self._turn or not self.is_attached:
                table.not_given()
                return
            table.extend(page.rows, more=page.more, total=len(table.held) + len(page.rows))
            if not table.more:
                break
        table.cursor = table.held[-1].id
        if table.more:
            self.console_app.say("there are older ones: End goes on, / and f look for them")
        self._redraw()

    @on(RowTable.Moved, "#sendings")
    def _moved(self) -> None:
        self.query_one(ChosenPanel).redraw()

    @on(RowTable.Chosen, "#sendings")
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.sending import SendingScreen

        if isinstance(event.id, int):
            self.console_app.go(SendingScreen(event.id))

    def filtered(self) -> RowTable[SendingRow]:
        return self.table

    def filter_changed(self, text: str) -> None:
        """Ask the node, once the typing pauses."""
        wanted = text.strip()
        if wanted.startswith("!"):
            self.console_app.say("a search of the whole list cannot be inverted: leave out the !", "warn")
            return
        if wanted and self.console_app.lacks(privacy.PERMISSION, "a search"):
            return
        self._search = wanted
        self._unmark()
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(0.15, self._anew)

    def action_state(self, by: int) -> None:
        """Show those of another state."""
        names = [name for name, _ in queue_cells.FILTERS]
        self.show_state(names[(names.index(self.state) + by) % len(names)])

    def show_state(self, state: str) -> None:
        """Show those of a state."""
        self.state, self._chosen_by_hand = state, True
        self._unmark()
        self._anew()
        self._redraw()

    # marks

    def _unmark(self) -> None:
        self.marked = {}
        self.everything = False

    def action_mark(self) -> None:
        """Mark the chosen row, or take the mark away; the cursor goes on to the next."""
        row = self.table.selected
        if row is None:
            return
        if self.everything:
            self._unmark()
        elif self.marked.pop(row.id, None) is None:
            self.marked[row.id] = row
        self.table.action_move(1)
        self._redraw()

    def action_mark_all(self) -> None:
        """Mark all that the list has, or nothing."""
        if self.everything or self.marked:
            self._unmark()
        elif not self._search and self.state in ("unsent", "all") and self.row is not None:
            self.everything = True
        else:
            self.console_app.keep(self._mark_found(self._turn))
        self._redraw()

    async def _mark_found(self, turn: int) -> None:
        """Mark each row that the list would show, to its end."""
        found: dict[int, SendingRow] = {}
        before, more = 0, True
        while more and len(found) < MOST_MARKED:
            page = await self._ask(before, MOST)
            if page is None or turn != self._turn or not self.is_attached:
                return
            found |= {row.id: row for row in page.rows}
            more = page.more and bool(page.rows)
            before = page.rows[-1].id if page.rows else 0
            if more:
                self.console_app.say(f"marking: {count(len(found))} so far")
        self.marked = found
        told = f"{plural(len(found), 'sending')} marked"
        self.console_app.say(f"{told}; there are more: at most so many at once" if more else told)
        self._redraw()

    @property
    def chosen(self) -> work.Chosen | None:
        """What an action is about: all of it, else what is marked, else the row under the cursor."""
        if self.everything and self.row is not None:
            return work.of_destination(self.row)
        if self.marked:
            return work.of_rows(self.marked.values(), self.destination)
        row = self.table.selected
        return work.of_rows([row], self.destination) if row is not None else None

    def _do(self, do: Callable[..., None]) -> None:
        chosen = self.chosen
        if chosen is not None:
            do(self.console_app, chosen, self._done)

    def _done(self) -> None:
        self._unmark()
        self.renew()

    def action_retry(self) -> None:
        """Try again now."""
        self._do(work.retry)

    def action_hold(self) -> None:
        """Hold it."""
        self._do(work.hold)

    def action_release(self) -> None:
        """Let it go."""
        self._do(work.release)

    def action_cancel(self) -> None:
        """Do not send it."""
        self._do(work.cancel)

    def action_priority(self) -> None:
        """Change what goes first."""
        self._do(work.priority)

    def action_redirect(self) -> None:
        """Send it elsewhere."""
        self._do(work.redirect)

    def action_pause(self) -> None:
        """Pause the destination, or resume it."""
        work.pause(self.console_app, self.row, self.destination, self._redraw)

    def action_errors(self) -> None:
        """Show the reasons why something was not sent."""
        if self.console_app.allowed("queue.errors"):
            from screens.queue_errors import ErrorsScreen

            self.console_app.go(ErrorsScreen(self.destination))

    def action_export(self) -> None:
        """Write the list to a file."""
        export(self.console_app, self.destination, self.state, self._search)
