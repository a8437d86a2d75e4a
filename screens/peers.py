"""The equipment around this node, and whether it answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.peers import PeerRow
from pacstui.text import ago, count, safe
from screens import keymap
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("name", 10, grow=2, most=32, role="strong"),
    C("AE title", 10, grow=1, most=16),
    C("address", 14, grow=2, rank=1, most=40),
    C("echo", 24, grow=3, most=60),
    C("called us", 10, rank=2, align=">"),
    C("stored", 8, rank=3, align=">"),
    C("notes", 10, grow=4, rank=4, most=80, role="dim"),
)


def _notes(row: PeerRow) -> str:
    """Return the notes, after what the peer may ask for where that is not everything."""
    if row.allow is None:
        return safe(row.notes, 500)
    may = f"may {', '.join(row.allow)} only" if row.allow else "may ask for nothing"
    return f"{safe(may, 100)}; {safe(row.notes, 500)}" if row.notes else safe(may, 100)


class PeersScreen(ConsoleScreen):
    """Known peers."""

    TITLE_WORDS = "Peers"
    MODE = "peers"
    ABOUT = (
        "The Application Entities of the settings file ([[peers]]). e sends a C-ECHO and shows each step: name, TCP, "
        "association, echo; where a step fails it says what to ask the other side. Enter does the same. f "
        "looks for studies at an archive, and fetches them."
    )
    KEYS = (keymap.acts("peers.echo", "echo"), keymap.acts("remote.find", "remote"))

    def __init__(self) -> None:
        super().__init__()
        self._busy = False

    def body(self) -> Iterable[Widget]:
        table: RowTable[PeerRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.name,
            lambda r: f"{r.name} {r.ae_title} {r.host} {r.port} {_notes(r)} {r.echo} {r.echo_detail}",
            id="peers-list",
        )
        table.title = Line("Peers", "title")
        table.empty = [
            "No peer is known. Programs on this machine may send all the same; add",
            "equipment to the settings file and let the node read it again",
            "(systemctl reload pacstui, or kill -HUP):",
            "",
            "  [[peers]]",
            '  name = "CT 1"',
            '  ae_title = "CT1"',
            '  host = "10.0.4.11"',
        ]
        yield table

    def _cells(self, row: PeerRow) -> Sequence[cols.Cell]:
        now = self.console_app.now()
        when = f", {ago(row.echo_at, now)}" if row.echo_at else ""
        if row.echo == "ok":
            echo = (f"ok {row.echo_ms:.0f} ms{when}", "good")
        elif row.echo == "failed":
            echo = (f"x {safe(row.echo_detail, 200) or 'failed'}{when}", "fail")
        else:
            echo = ("not tried: e", "dim")
        return (
            safe(row.name, 64),
            safe(row.ae_title, 32),
            f"{safe(row.host, 64)}:{row.port}",
            echo,
            ago(row.seen, now) if row.seen else ("never", "dim"),
            count(row.stored),
            _notes(row),
        )

    def show(self, view: View) -> None:
        if not self._busy:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        try:
            rows = None if app.away_since is not None else await app.fetch(app.client.peers.list())
        finally:
            self._busy = False
        if rows is None or not self.is_attached:
            return
        table = self._table
        failed = sum(row.echo == "failed" for row in rows)
        table.title = Line("Peers  ", "title").add(count(len(rows)), "strong").add(" known")
        if failed:
            table.title.add("  ").add(f"x {failed} do not answer", "fail")
        table.show(rows)

    @property
    def _table(self) -> RowTable[PeerRow]:
        return self.query_one(RowTable)

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

    @on(RowTable.Chosen)
    def _chosen(self) -> None:
        self.action_echo()
