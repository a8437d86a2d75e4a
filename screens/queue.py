"""The queue in full: every study that arrives, and what waits to go out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.queue import DestinationRow, ReceivingRow
from pacstui.text import count, duration, plural, safe, size
from screens import keymap, queue_cells
from screens import queue_work as work
from screens.base import ConsoleScreen
from screens.queue_export import export
from screens.widgets import columns as cols
from screens.widgets.association_cells import rate
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section
from screens.widgets.row_table import RowTable

C = cols.Column
ARRIVING = (
    C("state", 11),
    C("from", 8, grow=1, most=16, role="strong"),
    C("patient", 12, grow=3, most=40),
    C("mod", 3, rank=4),
    C("study", 12, grow=4, rank=2, most=60),
    C("images", 6, align=">"),
    C("failed", 6, align=">", rank=7),
    C("size", 7, align=">", rank=5),
    C("rate", 6, align=">", role="accent"),
    C("since", 8, align=">", rank=3, role="dim"),
)
GOING = (
    C("state", 9),
    C("destination", 11, grow=1, most=32, role="strong"),
    C("wait", 6, align=">"),
    C("failed", 6, align=">"),
    C("oldest", 7, align=">", rank=1),
    C("rate", 5, align=">", rank=3, role="accent"),
    C("what is happening", 17, grow=9, rank=2, most=120),
    C("held", 6, align=">", rank=4),
    C("on the way", 10, align=">", rank=5),
)


def _live_first(row: ReceivingRow) -> tuple[bool, float]:
    """Order: what arrives now, the latest begun first; then what is complete, the latest ended first."""
    live = row.state == "receiving"
    return not live, -(row.first if live else row.last).timestamp()


class DestinationPanel(Panel):
    """The chosen destination in full: what happens, since when, and what mends it."""

    can_focus = False

    def __init__(self, screen: QueueScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row, view = self._of.chosen, self.console_app.view
        if row is None or view is None:
            return [Section(Line("Destination", "title"), [])]
        lines = queue_cells.facts(row, row.destination, view.at.astimezone(), width)
        title = Line(safe(row.destination, 64), "focus-title")
        return [Section(title, [Item(lines[:height])], Line("Enter: what waits", "dim"))]


class QueueScreen(ConsoleScreen):
    """What arrives and what waits to go out."""

    TITLE_WORDS = "Queue"
    MODE = "queue"
    ABOUT = (
        "Above, the studies that arrive now, the latest begun first, then those that are complete; they leave after a "
        "while. Enter shows the study. Below, what is sent on: a row for each destination, those in trouble first, "
        "and under it what is known of the chosen one with what mends it. x down: it does not answer, it is asked "
        "again and again, and nothing is lost; ! look at it; > sending; . waiting; - closed: outside of its hours. "
        "Tab changes between the lists. Enter on a destination shows what waits and failed, study by study. e lists "
        "the errors, r tries again now all that failed or waits for the chosen destination, z pauses and resumes it, "
        "O shows the routes."
    )
    KEYS = (
        keymap.acts("queue.errors", "errors"),
        keymap.acts("queue.retry", "retry"),
        *work.PAUSE,
        keymap.ROUTES,
        keymap.Key("x", "export", "Write all that is not sent yet to a file, as CSV or JSON", "export", weight=3),
    )

    def __init__(self) -> None:
        super().__init__()
        self._settled = False

    def body(self) -> Iterable[Widget]:
        arriving: RowTable[ReceivingRow] = RowTable(
            ARRIVING,
            self._arriving,
            lambda r: (r.study, r.calling),
            lambda r: f"{r.calling} {r.patient_name} {r.patient_id} {r.modality} {r.description} {r.state}",
            id="arriving",
        )
        arriving.title = Line("Arriving", "title")
        arriving.empty = ["Nothing arrives. A study shows here, image by image, while it is sent."]
        yield arriving
        going: RowTable[DestinationRow] = RowTable(
            GOING, self._going, lambda r: r.destination, lambda r: f"{r.destination} {r.state}", id="going"
        )
        going.title = Line("Going out", "title")
        going.empty = [
            "Nothing waits to go out.",
            "Each destination that studies are sent on to gets a row here.",
            "O makes routes, which send what comes; s on the studies screen sends one study.",
        ]
        yield going
        yield DestinationPanel(self)

    @property
    def _table(self) -> RowTable[DestinationRow]:
        return self.query_one("#going", RowTable)

    @property
    def chosen(self) -> DestinationRow | None:
        """The destination under the cursor."""
        return self._table.selected

    def _arriving(self, row: ReceivingRow) -> Sequence[cols.Cell]:
        privacy = self.console_app.privacy
        live = row.state == "receiving"
        return (
            ("> receiving", "good") if live else (f"= {safe(row.state, 16)}", "dim"),
            safe(row.calling, 32),
            privacy.name(row.patient_name),
            safe(row.modality, 8),
            safe(row.description, 128) or ("(no description)", "dim"),
            count(row.instances),
            (count(row.failed), "fail" if row.failed else "dim"),
            size(row.bytes),
            rate(row.rate if live else 0.0),
            f"{row.first.astimezone():%H:%M:%S}",
        )

    def _going(self, row: DestinationRow) -> Sequence[cols.Cell]:
        view = self.console_app.view
        oldest = duration((view.at - row.oldest).total_seconds()) if view and row.oldest else "-"
        told = queue_cells.happening(row, view.at.astimezone()) if view else safe(row.state, 200)
        return (
            queue_cells.status_of(row),
            safe(row.destination, 64),
            count(row.waiting),
            (count(row.failed), "fail" if row.failed else "dim"),
            oldest,
            rate(row.rate),
            (told, "fail-text") if row.status in ("down", "unknown") else told,
            (count(row.held), "warn-text" if row.held else "dim"),
            count(row.sending),
        )

    def show(self, view: View) -> None:
        arriving = self.query_one("#arriving", RowTable)
        live = sum(r.state == "receiving" for r in view.queue.receiving)
        name = "study" if live == 1 else "studies"
        arriving.title = Line("Arriving  ", "title").add(count(live), "strong").add(f" {name} now")
        writing = view.queue.writing
        arriving.note = Line(f"{plural(writing, 'object')} being written", "dim") if writing else None
        arriving.show(sorted(view.queue.receiving, key=_live_first))
        going = self.query_one("#going", RowTable)
        part = view.status.queue
        going.title = Line("Going out  ", "title").add(count(part.pending), "strong").add(" wait  ")
        going.title.add(count(part.failed), "fail" if part.failed else "dim").add(" failed")
        going.show(view.queue.outgoing)
        if not self._settled and view.queue.outgoing:
            self._settled = True
            going.focus()
        self.query_one(DestinationPanel).redraw()

    def filter_changed(self, text: str) -> None:
        for table in self.query(RowTable):
            table.filter(text)

    @on(RowTable.Moved, "#going")
    def _moved(self) -> None:
        self.query_one(DestinationPanel).redraw()

    @on(RowTable.Chosen, "#arriving")
    def _study(self, event: RowTable.Chosen) -> None:
        from screens.study import StudyScreen

        if isinstance(event.id, tuple):
            self.console_app.go(StudyScreen(str(event.id[0])))

    @on(RowTable.Chosen, "#going")
    def _destination(self, event: RowTable.Chosen) -> None:
        if self.console_app.allowed("queue.sendings"):
            from screens.destination import DestinationScreen

            self.console_app.go(DestinationScreen(str(event.id)))

    def _redraw(self) -> None:
        for widget in (*self.query(RowTable), *self.query(Panel)):
            widget.redraw()

    def action_retry(self) -> None:
        """Try again all of the chosen destination."""
        row = self.chosen
        if row is not None:
            work.retry(self.console_app, work.of_destination(row), self._redraw)

    def action_pause(self) -> None:
        """Pause the chosen destination, or resume it."""
        row = self.chosen
        if row is not None:
            work.pause(self.console_app, row, row.destination, self._redraw)

    def action_errors(self) -> None:
        """Show the reasons why something was not sent anywhere."""
        if self.console_app.allowed("queue.errors"):
            from screens.queue_errors import ErrorsScreen

            self.console_app.go(ErrorsScreen())

    def action_export(self) -> None:
        """Write what is not sent yet to a file."""
        export(self.console_app, state="unsent")
