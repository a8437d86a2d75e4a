"""Who called and is no peer, or was refused: how often, what for, why not, and what mends it."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.peers import CallerRow, CallersView
from pacstui.text import ago, count, plural, safe
from screens import keymap
from screens import peer_work as work
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("last", 9, align=">"),
    C("who", 14, grow=1, most=24, role="strong"),
    C("from", 13, grow=1, most=40),
    C("times", 7, align=">"),
    C("what", 7),
    C("why", 16, grow=6, most=120),
    C("called", 9, rank=2, most=16, role="dim"),
    C("first", 10, rank=3, align=">", role="dim"),
)
_EVERY_S = 2.0
LABEL = 9


def who(row: CallerRow) -> str:
    """Return how a caller called itself."""
    if row.titles > 1:
        return f"{count(row.titles)} titles"
    return safe(row.calling, 32) or "(no AE title)"


class CallerPanel(Panel):
    """What is known of the chosen caller."""

    def __init__(self, screen: CallersScreen) -> None:
        super().__init__(id="caller")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row = self._of.chosen
        if row is None:
            return [Section(Line("Caller", "title"), [Item([Line("Who called shows here.", "dim")])])]
        now = self.console_app.now()
        title = Line(f"{who(row)}  ", "title").add(f"{row.what} {plural(row.count, 'time')}", "warn-text")
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            if text:
                lines.extend(words(text, width, role, LABEL, Line(fit(label, LABEL), "dim")))

        known = f", the peer {safe(row.peer, 64)}" if row.peer else ""
        called = f', called "{safe(row.called, 32)}"' if row.called else ""
        fact("who", f"{who(row)}{known} from {safe(row.host, 64)}{called}", "strong")
        fact("why", safe(row.text, 300), "warn-text")
        if not row.peer and row.titles == 1:
            lines.append(Line("> ", "accent").add("a", "key").add(" adds it as a peer", "strong"))
        if row.hint and not (row.hint.startswith("add it as a peer") and not row.peer):
            lines.extend(words(safe(row.hint, 300), width, "strong", 2, Line("> ", "accent")))
        fact("seen", f"first {ago(row.first, now)}, last {ago(row.last, now)}")
        fact("software", safe(row.implementation, 100))
        sections = [Section(title, [Item(lines)])]
        if row.contexts:
            wanted = [Line(safe(text, 300)).cut(width) for text in row.contexts]
            sections.append(Section(Line("It proposed", "title"), [Item(wanted)]))
        return sections


class CallersScreen(ConsoleScreen):
    """Unknown callers and refusals."""

    TITLE_WORDS = "Callers"
    ABOUT = (
        "Who called and is no peer, or was refused, the latest first; kept across restarts. Below stands why, what "
        "mends it and what was proposed. a adds a caller as a peer, with its AE title and address filled in. i ignores "
        "one: it is counted on, and shown only with I. Of an address that calls under many AE titles one line stands "
        "for those beyond the first."
    )
    KEYS = (
        keymap.acts("peers.add", "add", weight=0),
        keymap.acts("peers.ignore", "ignore", weight=0),
        keymap.acts("peers.notice", "notice", weight=2),
        keymap.Key("I", "ignored", "Show ignored callers too, or not", "ignored", shown="I"),
    )

    def __init__(self) -> None:
        super().__init__()
        self.chosen: CallerRow | None = None
        self._all = False
        self._busy = False
        self._loaded = -100.0

    def body(self) -> Iterable[Widget]:
        table: RowTable[CallerRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.id,
            lambda r: f"{r.calling} {r.called} {r.host} {r.what} {r.text} {r.peer}",
            id="callers",
        )
        table.title = Line("Callers", "title")
        table.empty = [
            "Nobody but peers has called, and none of them was refused.",
            "",
            "Equipment that is not known here would show up in this list, with its AE",
            "title and address, as soon as it tries: have somebody send an echo there.",
        ]
        yield table
        yield CallerPanel(self)

    def _cells(self, row: CallerRow) -> Sequence[cols.Cell]:
        now = self.console_app.now()
        what = ("ignored", "dim") if row.ignored else (row.what, "fail-text" if row.what == "refused" else "warn-text")
        return (
            ago(row.last, now),
            who(row),
            safe(row.host, 64),
            count(row.count),
            what,
            safe(row.text, 300),
            safe(row.called, 32),
            ago(row.first, now),
        )

    @property
    def _table(self) -> RowTable[CallerRow]:
        return self.query_one(RowTable)

    def show(self, view: View) -> None:
        if self.console_app.door.clock() - self._loaded >= _EVERY_S:
            self.renew()
        else:
            self._redraw()

    def renew(self, name: str = "") -> None:
        """Fetch the list again."""
        if not self._busy and self.is_attached:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app = self.console_app
        view: CallersView | None = None
        try:
            if app.away_since is None:
                view = await app.fetch(app.client.peers.callers(ignored=self._all))
        finally:
            self._busy = False
            self._loaded = app.door.clock()
        if view is None or not self.is_attached or (app.frozen and self._table.shown):
            return
        table = self._table
        table.title = Line("Callers  ", "title").add(count(len(view.rows)), "strong")
        if view.ignored:
            table.title.add(f"  {count(view.ignored)} ignored" + ("" if self._all else ": I"), "dim")
        if view.dropped:
            table.title.add(f"  {plural(view.dropped, 'row')} dropped: too many to keep", "warn-text")
        table.show(view.rows)
        self._point()

    def _point(self) -> None:
        self.chosen = self._table.selected
        self._redraw()

    def _redraw(self) -> None:
        for widget in (*self.query(Panel), *self.query(RowTable)):
            widget.redraw()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.query_one(CallerPanel).top = 0
        self._point()

    @on(RowTable.Chosen)
    def _open(self) -> None:
        self.query_one(CallerPanel).focus()

    def action_add(self) -> None:
        """Add the chosen caller as a peer."""
        row = self._table.selected
        if row is None:
            work.add(self.console_app, self.renew)
        elif row.titles > 1 or "/" in row.host:
            self.console_app.say("this line stands for many AE titles of one address: there is no one to add", "warn")
        elif row.peer:
            self.console_app.say(f"{row.peer} has that AE title already: correct it with E on the screen Peers", "warn")
        else:
            title = row.calling
            work.add(self.console_app, self.renew, name=title, ae_title=title, host=row.host)

    def action_ignore(self) -> None:
        """Ignore the chosen caller."""
        row = self._table.selected
        if row is not None and self.console_app.allowed("peers.ignore"):
            self._do(self.console_app.client.peers.ignore(row.id), f"{who(row)} is ignored; I shows ignored ones")

    def action_notice(self) -> None:
        """Show the chosen caller again."""
        row = self._table.selected
        if row is None or not row.ignored:
            self.console_app.say("it is not ignored; I shows ignored ones")
        elif self.console_app.allowed("peers.notice"):
            self._do(self.console_app.client.peers.notice(row.id), f"{who(row)} is not ignored any more")

    def _do(self, call: Awaitable[None], said: str) -> None:
        async def work_on_it() -> None:
            app = self.console_app
            before = app.notice
            await app.fetch(call)
            if app.notice is before:
                app.say(said)
            self.renew()

        self.console_app.keep(work_on_it())

    def action_ignored(self) -> None:
        """Show ignored callers too, or not."""
        self._all = not self._all
        self.renew()
