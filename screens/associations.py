"""The list of associations: open ones, and ended and refused ones while they are remembered."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.associations import AssociationRow
from pacstui.contract.overview import View
from pacstui.text import count, duration, safe, size
from screens import keymap
from screens.abort import abort
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.association_cells import moved, rate, state, who
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("opened", 8, rank=1, role="dim"),
    C("state", 9),
    C("peer", 9, grow=2, most=24, role="strong"),
    C("mod", 3, rank=4),
    C("images", 6, align=">"),
    C("failed", 6, align=">", rank=5),
    C("rate", 6, align=">", role="accent"),
    C("bytes", 8, align=">", rank=6),
    C("time", 5, align=">", rank=2),
    C("called", 10, grow=1, rank=8, most=16, role="dim"),
    C("from", 15, grow=1, rank=3, most=40, role="dim"),
    C("id", 6, align=">", rank=7, role="dim"),
)


def cells(row: AssociationRow) -> Sequence[cols.Cell]:
    """Return one row."""
    live = row.state == "open"
    return (
        f"{row.opened.astimezone():%H:%M:%S}",
        (safe(row.doing or "open", 16), "dim" if row.doing == "idle" else "good") if live else state(row),
        who(row),
        safe(row.modality, 8),
        count(row.stored),
        (count(row.failed), "fail" if row.failed else "dim"),
        rate(row.rate if live else 0.0),
        size(moved(row)),
        duration(row.seconds),
        safe(row.called, 32),
        safe(row.address.rpartition(":")[0] or row.address, 46),
        str(row.id),
    )


class AssociationsScreen(ConsoleScreen):
    """Who is connected, who was, who was refused, and whom this node called."""

    TITLE_WORDS = "Associations"
    MODE = "associations"
    ABOUT = (
        "Newest first, and / with the word open leaves those that are open now. An arrow before the name is for peers "
        "that this node called: to send, to ask, to echo. Enter "
        "shows an association's negotiated contexts, bytes, messages and timeline; for a refused or failed one the "
        "answer and what mends it. Abort ends an open one: the object that is just being received is not kept, all "
        "acknowledged ones are."
    )
    KEYS = (keymap.acts("associations.abort", "abort"),)

    def __init__(self) -> None:
        super().__init__()
        self._busy = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[AssociationRow] = RowTable(
            COLUMNS,
            cells,
            lambda row: row.id,
            lambda r: f"{r.peer} {r.calling} {r.called} {r.address} {r.state} {r.doing} {r.modality} {r.id}",
            id="associations-list",
        )
        table.title = Line("Associations", "title")
        table.empty = ["Nobody was connected yet. Send an echo from a modality, or:", "  echoscu <host> <port>"]
        yield table

    def show(self, view: View) -> None:
        if not self._busy:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        try:
            rows = None if app.away_since is not None else await app.fetch(app.client.associations.list(ended=True))
        finally:
            self._busy = False
        if rows is None or not self.is_attached or (app.frozen and self._table.shown):
            return
        open_now = sum(row.state == "open" for row in rows)
        refused = sum(row.state == "refused" for row in rows)
        table = self._table
        table.title = Line("Associations  ", "title").add(count(open_now), "strong").add(" open  ")
        table.title.add(count(refused), "fail" if refused else "dim").add(" refused", "text")
        failed = sum(row.state == "failed" for row in rows)
        if failed:
            table.title.add("  ").add(count(failed), "fail").add(" not reached", "text")
        table.show(sorted(rows, key=lambda row: (row.opened, row.id), reverse=True))

    @property
    def _table(self) -> RowTable[AssociationRow]:
        return self.query_one(RowTable)

    @on(RowTable.Chosen)
    def _open(self, event: RowTable.Chosen) -> None:
        from screens.association import AssociationScreen

        if isinstance(event.id, int):
            self.console_app.go(AssociationScreen(event.id))

    def action_abort(self) -> None:
        """Abort the chosen association."""
        row = self._table.selected
        if row is not None:
            abort(self.console_app, row)
