"""The equipment around this node, and whether it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.peers import CallersView, PeerRow
from pacstui.text import count, plural, safe
from screens import keymap
from screens import peer_cells as cells
from screens import peer_work as work
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("name", 10, grow=2, most=28, role="strong"),
    C("AE title", 9, grow=1, rank=1, most=16),
    C("answers", 28, grow=4, most=70),
    C("up 30 d", 7, align=">", rank=3),
    C("RTT ms", 6, align=">", rank=5),
    C("called us", 10, align=">", rank=2),
    C("we called", 10, align=">", rank=4),
    C("TLS", 9, rank=7),
    C("address", 14, grow=2, rank=6, most=40),
    C("stored", 8, align=">", rank=9),
    C("notes", 10, grow=4, rank=8, most=80, role="dim"),
)
_CALLERS_S = 10.0


def _notes(row: PeerRow) -> str:
    """Return the notes, after what the peer may ask for where that is not everything, and what is wrong with it."""
    told = cells.flaws(row)
    if row.allow is not None:
        told.append(f"may {', '.join(row.allow)} only" if row.allow else "may ask for nothing")
    return safe("; ".join([*told, row.notes] if row.notes else told), 500)


class PeersScreen(ConsoleScreen):
    """Known peers."""

    TITLE_WORDS = "Peers"
    MODE = "peers"
    ABOUT = (
        "The Application Entities of the configuration ([[peers]]) and of the register. Those that do not answer come "
        "first. Up 30 d: the part of the last 30 days in which a peer answered to C-ECHO; RTT: its median round trip. "
        "Enter shows a peer: what it may, what it negotiates, how it answered, what failed. t tests it step by step "
        "and says what to ask its administrator. c shows who else called, and adds them as peers."
    )
    KEYS = (
        *work.KEYS,
        keymap.acts("peers.add", "add", weight=0),
        keymap.acts("peers.callers", "callers", weight=0),
        keymap.acts("remote.find", "remote", weight=2),
        keymap.acts("peers.import_csv", "import", weight=4),
        keymap.acts("peers.export_csv", "export", weight=4),
    )

    def __init__(self) -> None:
        super().__init__()
        self._busy = False
        self._callers: CallersView | None = None
        self._looked = -100.0

    def body(self) -> Iterable[Widget]:
        table: RowTable[PeerRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.name,
            lambda r: (
                f"{r.name} {r.ae_title} {r.host} {r.port} {_notes(r)} {r.echo} {r.echo_detail} {r.failed_detail} "
                f"{' '.join(r.roles)}"
            ),
            id="peers-list",
        )
        table.title = Line("Peers", "title")
        table.empty = [
            "No peer is known. Programs on this machine may send all the same.",
            "a adds one. c shows who called already: a there adds it with what is",
            "known of it. i takes many from a CSV file. The configuration may have",
            "peers too:",
            "",
            "  [[peers]]",
            '  name = "CT 1"',
            '  ae_title = "CT1"',
            '  host = "10.0.4.11"',
        ]
        yield table

    def _cells(self, row: PeerRow) -> Sequence[cols.Cell]:
        now = self.console_app.now()
        notes = _notes(row)
        return (
            safe(row.name, 64),
            safe(row.ae_title, 32),
            cells.answers(row, now),
            cells.percent(row.uptime),
            cells.quick(row.rtt_ms),
            cells.seen(row.seen, now),
            cells.seen(row.called, now),
            cells.expiry(row, now),
            f"{safe(row.host, 64)}:{row.port}",
            count(row.stored),
            (notes, "warn-text") if cells.flaws(row) else notes,
        )

    def show(self, view: View) -> None:
        if not self._busy:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        try:
            rows = None if app.away_since is not None else await app.fetch(app.client.peers.list())
            if rows is not None and app.door.clock() - self._looked >= _CALLERS_S:
                self._looked = app.door.clock()
                self._callers = await app.fetch(app.client.peers.callers())
        finally:
            self._busy = False
        if rows is None or not self.is_attached:
            return
        table = self._table
        failed = sum(row.echo == "failed" for row in rows)
        table.title = Line("Peers  ", "title").add(count(len(rows)), "strong").add(" known")
        if failed:
            table.title.add("  ").add(f"x {failed} do not answer" if failed > 1 else "x 1 does not answer", "fail")
        strangers = len(self._callers.rows) if self._callers is not None else 0
        table.note = Line("c ", "key").add(plural(strangers, "other caller"), "warn-text") if strangers else None
        table.show(sorted(rows, key=lambda row: (row.echo != "failed", row.failed is None, not row.flaws)))

    @property
    def _table(self) -> RowTable[PeerRow]:
        return self.query_one(RowTable)

    def _renew(self, name: str = "") -> None:
        self._looked = -100.0
        if name and self.is_attached:
            self._table.want(name)
        if not self._busy and self.is_attached:
            self._busy = True
            self.console_app.keep(self._load())

    def action_remote(self) -> None:
        """Look for studies at the chosen peer."""
        row = self._table.selected
        if row is not None and self.console_app.allowed("remote.find"):
            from screens.remote import RemoteScreen

            self.console_app.go(RemoteScreen(row.name))

    def action_echo(self) -> None:
        """Echo the chosen peer."""
        row = self._table.selected
        if row is not None and self.console_app.allowed("peers.echo"):
            from screens.modals.echo import Echo

            self.console_app.push_screen(Echo(row))

    def action_test(self) -> None:
        """Test the chosen peer."""
        row = self._table.selected
        if row is not None and self.console_app.allowed("peers.test"):
            from screens.peer_test import PeerTestScreen

            self.console_app.go(PeerTestScreen(row.name))

    def action_add(self) -> None:
        """Add a peer."""
        work.add(self.console_app, self._renew)

    def action_edit(self) -> None:
        """Change the chosen peer."""
        row = self._table.selected
        if row is not None:
            self.console_app.keep(work.edit_named(self.console_app, row.name, self._renew))

    def action_remove(self) -> None:
        """Remove the chosen peer."""
        row = self._table.selected
        if row is not None:
            work.remove(self.console_app, row, self._renew)

    def action_callers(self) -> None:
        """Show who else called."""
        if self.console_app.allowed("peers.callers"):
            from screens.callers import CallersScreen

            self.console_app.go(CallersScreen())

    def action_import(self) -> None:
        """Take peers from a CSV file."""
        work.import_file(self.console_app, self._renew)

    def action_export(self) -> None:
        """Write peers to a CSV file."""
        work.export(self.console_app)

    @on(RowTable.Chosen)
    def _chosen(self) -> None:
        row = self._table.selected
        if row is not None:
            from screens.peer import PeerScreen

            self.console_app.go(PeerScreen(row.name))
