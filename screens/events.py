"""The whole feed, with a filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.feed import FeedRow
from pacstui.contract.overview import View
from pacstui.text import count, safe
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.feed_lines import MARKS, sentence, tone
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("", 1),
    C("time", 8, role="dim"),
    C("source", 9, grow=1, most=20, role="strong"),
    C("what happened", 30, grow=6, most=110),
    C("what to do", 24, grow=4, rank=1, most=90, role="dim"),
    C("assoc", 6, rank=2, align=">", role="dim"),
)


class EventsScreen(ConsoleScreen):
    """What happened."""

    TITLE_WORDS = "Events"
    MODE = "events"
    ABOUT = (
        "Newest first. ! look at it, x failed or refused. Enter leads to the association that a line came from, else "
        "shows the line in full. / filters: words, all of them; with a leading ! the lines without them."
    )

    def body(self) -> Iterable[Widget]:
        table: RowTable[FeedRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.line,
            lambda r: f"{r.level} {r.source} {r.text} {r.hint}",
            id="events-list",
        )
        table.title = Line("Events", "title")
        table.empty = ["Nothing has happened yet. Studies, refusals, faults and what people did are told here."]
        yield table

    def _cells(self, row: FeedRow) -> Sequence[cols.Cell]:
        mark, role = MARKS.get(row.level, ("!", "warn"))
        text = sentence(row, self.console_app.privacy)
        return (
            (mark, role),
            f"{row.at.astimezone():%H:%M:%S}",
            safe(row.source, 32),
            (text, tone(row)),
            safe(row.hint, 300),
            str(row.association) if row.association else "",
        )

    def show(self, view: View) -> None:
        table = self.query_one(RowTable)
        rows = self.console_app.feed[::-1]
        bad = sum(row.level != "info" for row in rows)
        table.title = Line("Events  ", "title").add(count(len(rows)), "strong").add("  ")
        table.title.add(f"{count(bad)} to look at", "warn" if bad else "dim")
        table.show(rows)

    @on(RowTable.Chosen)
    async def _open(self, event: RowTable.Chosen) -> None:
        from screens.ways import follow

        await follow(self.console_app, ("event", event.id))
