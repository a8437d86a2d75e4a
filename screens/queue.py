"""The queue in full: every study that arrives, and what waits to go out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.queue import DestinationRow, ReceivingRow
from pacstui.text import count, duration, plural, safe, size
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.association_cells import rate
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
ARRIVING = (
    C("state", 11),
    C("from", 8, grow=1, most=16, role="strong"),
    C("patient", 12, grow=3, most=40),
    C("ID", 8, grow=1, rank=6, most=20),
    C("mod", 3, rank=4),
    C("study", 12, grow=4, rank=2, most=60),
    C("images", 6, align=">"),
    C("failed", 6, align=">", rank=7),
    C("size", 7, align=">", rank=5),
    C("rate", 6, align=">", role="accent"),
    C("since", 8, align=">", rank=3, role="dim"),
)
GOING = (
    C("destination", 14, grow=1, most=32, role="strong"),
    C("wait", 7, align=">"),
    C("sending", 7, align=">", rank=2),
    C("failed", 6, align=">"),
    C("oldest", 8, align=">", rank=1),
    C("rate", 6, align=">", role="accent"),
    C("what is happening", 17, grow=5, most=90),
)


def _live_first(row: ReceivingRow) -> tuple[bool, float]:
    """Order: what arrives now, the latest begun first; then what is complete, the latest ended first."""
    live = row.state == "receiving"
    return not live, -(row.first if live else row.last).timestamp()


class QueueScreen(ConsoleScreen):
    """What arrives and what waits to go out."""

    TITLE_WORDS = "Queue"
    MODE = "queue"
    ABOUT = (
        "Above, the studies that arrive now, the latest begun first, then those that are complete; they leave after a "
        "while. Enter shows the study. "
        "Below, what waits to be sent on, one row for each destination. Patients' names are hidden with P."
    )

    def body(self) -> Iterable[Widget]:
        arriving: RowTable[ReceivingRow] = RowTable(
            ARRIVING,
            self._arriving,
            lambda r: (r.study, r.calling),
            lambda r: f"{r.calling} {r.patient_name} {r.patient_id} {r.modality} {r.description} {r.state}",
            id="arriving",
        )
        arriving.title = Line("Arriving", "title")
        arriving.empty = ["Nothing arrives. A study shows here, image by image, while a modality sends it."]
        yield arriving
        going: RowTable[DestinationRow] = RowTable(
            GOING, self._going, lambda r: r.destination, lambda r: f"{r.destination} {r.state}", id="going"
        )
        going.title = Line("Going out", "title")
        going.empty = ["Nothing waits to go out. Each destination that studies are sent on to gets a row here."]
        yield going

    def _arriving(self, row: ReceivingRow) -> Sequence[cols.Cell]:
        privacy = self.console_app.privacy
        live = row.state == "receiving"
        return (
            ("> receiving", "good") if live else (f"= {safe(row.state, 16)}", "dim"),
            safe(row.calling, 32),
            privacy.name(row.patient_name),
            privacy.ident(row.patient_id, "(none)"),
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
        return (
            safe(row.destination, 64),
            count(row.waiting),
            count(row.sending),
            (count(row.failed), "fail" if row.failed else "dim"),
            oldest,
            rate(row.rate),
            safe(row.state, 200),
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

    def filter_changed(self, text: str) -> None:
        for table in self.query(RowTable):
            table.filter(text)

    @on(RowTable.Chosen, "#arriving")
    def _study(self, event: RowTable.Chosen) -> None:
        from screens.study import StudyScreen

        if isinstance(event.id, tuple):
            self.console_app.go(StudyScreen(str(event.id[0])))

    @on(RowTable.Chosen, "#going")
    def _destination(self, event: RowTable.Chosen) -> None:
        row = event.table.selected
        if isinstance(row, DestinationRow):
            self.console_app.say(f"{row.destination}: {row.state}")
