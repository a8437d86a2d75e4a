"""What goes to one destination and went there, newest first; what somebody does about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.queue import DestinationRow, SendingRow, SendingsPage
from pacstui.text import safe
from screens import keymap, queue_cells
from screens import queue_work as work
from screens.paged import MOST, PagedScreen
from screens.panels.destination import ChosenPanel, FactsPanel
from screens.queue_export import export
from screens.queue_keys import QueueKeys
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

LEAP = 4
"""End goes on by so many of the largest pages at once."""


class DestinationScreen(PagedScreen[SendingRow], QueueKeys):
    """One destination."""

    TITLE_WORDS = "Destination"
    LIST = "sendings"
    WHAT = "sending"
    PAGE = 200
    MOST_MARKED = 20_000
    STATES = queue_cells.FILTERS
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
        super().__init__(state or "unsent")
        self.destination = destination
        self.everything = False
        self._chosen_by_hand = bool(state)

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
        row = self.row
        if not self.begun and not self._chosen_by_hand and row is not None and not row.waiting and not row.failed:
            self.state = "all"
        super().show(view)

    @property
    def searched(self) -> str:
        return safe(self.search, 40)

    def entitle(self) -> None:
        self.table.title = self.limits(Line("Sendings  ", "title"))

    def nothing(self) -> list[str]:
        if self.search:
            return [f'Nothing is found for "{safe(self.search, 60)}".', "esc clears the search, f shows other states."]
        if self.state == "all":
            return ["Nothing was sent there.", "s on the studies screen sends a study; o on the queue shows routes."]
        return [f"There is none: {dict(self.STATES)[self.state]}.", "f shows the next state."]

    async def ask(self, before: int, limit: int) -> tuple[Sequence[SendingRow], int] | None:
        app = self.console_app
        page: SendingsPage | None = await app.fetch(
            app.client.queue.sendings(
                destination=self.destination, state=self.state, search=self.search, before=before, limit=limit
            )
        )
        if page is None:
            return None
        app.privacy.learn(text for row in page.rows for text in (row.patient_name, row.patient_id))
        return page.rows, page.rows[-1].id if page.more and page.rows else 0

    def to_the_end(self) -> None:
        """Go to the last row; in a long list some pages on, and from there with the next press."""
        self.console_app.keep(self._leap(self.turn))

    async def _leap(self, turn: int) -> None:
        table = self.table
        for _ in range(LEAP):
            page = await self.ask(table.held[-1].id, MOST)
            if page is None or turn != self.turn or not self.is_attached:
                table.not_given()
                return
            rows, following = page
            table.extend(rows, more=bool(following), total=len(table.held) + len(rows))
            if not table.more:
                break
        table.cursor = table.held[-1].id
        if table.more:
            self.console_app.say("there are older ones: End goes on, / and f look for them")
        self.redraw_all()

    @on(RowTable.Chosen, "#sendings")
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.sending import SendingScreen

        if isinstance(event.id, int):
            self.console_app.go(SendingScreen(event.id))

    def show_state(self, state: str) -> None:
        """Show those of a state."""
        self._chosen_by_hand = True
        super().show_state(state)

    # marks

    @property
    def marks(self) -> str:
        return "all" if self.everything else super().marks

    def unmark(self) -> None:
        self.everything = False
        super().unmark()

    def action_mark(self) -> None:
        """Mark the chosen row, or take the mark away; the cursor goes on to the next."""
        if not self.everything:
            super().action_mark()
        elif self.table.selected is not None:
            self.unmark()
            self.table.action_move(1)
            self.redraw_all()

    def action_mark_all(self) -> None:
        """Mark all that the list has, or nothing; what is all of the destination is not fetched for that."""
        if not self.marks and not self.search and self.state in ("unsent", "all") and self.row is not None:
            self.everything = True
            self.redraw_all()
        else:
            super().action_mark_all()

    def sendings(self) -> work.Chosen | None:
        """Return what an action is about: all of it, else what is marked, else the row under the cursor."""
        if self.everything and self.row is not None:
            return work.of_destination(self.row)
        rows = self.chosen
        return work.of_rows(rows, self.destination) if rows else None

    def action_pause(self) -> None:
        """Pause the destination, or resume it."""
        work.pause(self.console_app, self.row, self.destination, self.redraw_all)

    def action_errors(self) -> None:
        """Show the reasons why something was not sent."""
        if self.console_app.allowed("queue.errors"):
            from screens.queue_errors import ErrorsScreen

            self.console_app.go(ErrorsScreen(self.destination))

    def action_export(self) -> None:
        """Write the list to a file."""
        export(self.console_app, self.destination, self.state, self.search)
