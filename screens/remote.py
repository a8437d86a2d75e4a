"""Studies at another archive: looked for there, compared, fetched."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual import on
from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.contract.remote import Comparison, PullRow, RemoteStudy
from pacstui.text import count, duration, plural, safe
from screens import keymap
from screens.base import ConsoleScreen
from screens.modals.page import Page
from screens.studies import day
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
FOUND = (
    C("study date", 10),
    C("patient", 14, grow=3, most=40, role="strong"),
    C("ID", 8, grow=1, rank=2, most=20),
    C("mod", 5),
    C("description", 12, grow=4, most=64),
    C("accession", 9, grow=1, rank=4, most=18),
    C("images", 6, align=">"),
    C("here", 6, align=">"),
)
PULLS = (
    C("state", 9),
    C("images", 13),
    C("failed", 6, align=">", rank=2),
    C("by", 6, rank=3),
    C("for", 6, align=">", rank=1, role="dim"),
    C("what", 20, grow=5, most=100),
)
_STATES = {"running": ("> fetching", "good"), "done": ("= done", "dim"), "failed": ("x failed", "fail")}


class RemoteScreen(ConsoleScreen):
    """What a peer has, and what is on its way here."""

    TITLE_WORDS = "Remote studies"
    ABOUT = (
        "Studies at a peer, asked for by C-FIND. It begins with those of today; / looks for others there: by the "
        "beginning of a name, by an ID where there is a digit, by a date as YYYYMMDD or YYYYMMDD-YYYYMMDD. Here: how "
        "many images of it are in this archive. p fetches the study (C-GET, else C-MOVE), c says what is missing "
        "where, x cancels."
    )
    KEYS = (
        keymap.acts("remote.pull", "pull", weight=0),
        keymap.acts("remote.compare", "compare", weight=0),
        keymap.acts("remote.cancel", "cancel_pull", key="x"),
        keymap.Key("r", "refresh", "Ask the peer again", "refresh"),
    )

    def __init__(self, peer: str) -> None:
        super().__init__()
        self._peer = peer
        self._keys: dict[str, str] | None = None
        self._asking = False
        self._watching = False
        self._turn = 0

    def body(self) -> Iterable[Widget]:
        found: RowTable[RemoteStudy] = RowTable(FOUND, self._cells, lambda r: r.study, lambda r: "", id="found")
        found.title = Line(f"Studies at {safe(self._peer, 64)}", "title")
        found.empty = ["asking the peer"]
        yield found
        pulls: RowTable[PullRow] = RowTable(PULLS, self._pull_cells, lambda r: r.id, lambda r: r.study, id="pulls")
        pulls.title = Line("On the way here", "title")
        pulls.empty = ["Nothing. p fetches the chosen study."]
        yield pulls

    @property
    def _found(self) -> RowTable[RemoteStudy]:
        return self.query_one("#found", RowTable)

    @property
    def _pulls(self) -> RowTable[PullRow]:
        return self.query_one("#pulls", RowTable)

    def _cells(self, row: RemoteStudy) -> Sequence[cols.Cell]:
        privacy = self.console_app.privacy
        whole = row.here and row.here >= row.instances > 0
        return (
            day(row.date),
            privacy.name(row.patient_name),
            privacy.ident(row.patient_id, "(none)"),
            "/".join(safe(m, 4) for m in row.modalities[:2]) + ("+" if len(row.modalities) > 2 else ""),
            safe(row.description, 128) or ("(no description)", "dim"),
            privacy.ident(row.accession),
            count(row.instances) if row.instances else ("?", "dim"),
            (count(row.here), "good" if whole else "warn") if row.here else ("-", "dim"),
        )

    def _pull_cells(self, row: PullRow) -> Sequence[cols.Cell]:
        done = f"{count(row.received)} of {count(row.total)}" if row.total else count(row.received)
        return (
            _STATES.get(row.state, (safe(row.state, 16), "dim")),
            done,
            (count(row.failed), "fail" if row.failed else "dim"),
            row.verb,
            duration(row.seconds),
            (f"{safe(row.why, 200)}; {safe(row.hint, 200)}", "fail-text") if row.why else safe(row.study, 64),
        )

    def show(self, view: View) -> None:
        if self._keys is None:
            self._keys = {"date": f"{view.at.astimezone():%Y%m%d}"}
            self.action_refresh()
        if not self._watching:
            self._watching = True
            self.console_app.keep(self._watch())

    async def _watch(self) -> None:
        """Bring the fetches up to now; when one ends, what is here changes."""
        app = self.console_app
        try:
            rows = None if app.away_since is not None else await app.fetch(app.client.remote.pulls())
        finally:
            self._watching = False
        if rows is None or not self.is_attached:
            return
        before = {row.id for row in self._pulls._all if row.state == "running"}
        mine = [row for row in rows if row.peer == self._peer]
        self._pulls.show(mine)
        if any(row.id in before and row.state != "running" for row in mine):
            self.action_refresh()

    def action_refresh(self) -> None:
        """Ask the peer."""
        self._turn += 1
        self.console_app.keep(self._ask(self._turn))

    async def _ask(self, turn: int) -> None:
        app, table = self.console_app, self._found
        keys = self._keys or {}
        table.note = Line("asking the peer", "dim")
        table.redraw()
        page = await app.fetch(app.client.remote.find(peer=self._peer, limit=500, **keys))
        if not self.is_attached or turn != self._turn:
            return
        told = " ".join(f"{name} {safe(value, 40)}" for name, value in keys.items())
        table.title = Line(f"Studies at {safe(self._peer, 64)}  ", "title").add(told, "dim")
        table.note = None
        if page is None:
            table.empty = ["The peer did not answer; the line below says why. r asks again."]
            table.show([])
            return
        app.privacy.learn(t for r in page.rows for t in (r.patient_name, r.patient_id, r.accession))
        table.note = Line("it has more: look for less", "warn") if page.more else None
        table.empty = ["It has no such study. / looks for others: a name, an ID, a date as YYYYMMDD."]
        table.show(page.rows)

    def filter_changed(self, text: str) -> None:
        """Ask the peer, once the typing pauses."""
        wanted = text.strip()
        digits = wanted.replace("-", "")
        if not wanted:
            self._keys = None
            view = self.console_app.view
            self._keys = {"date": f"{view.at.astimezone():%Y%m%d}"} if view is not None else {}
        elif digits.isdigit() and len(digits) in (8, 16):
            self._keys = {"date": wanted}
        elif any(c.isdigit() for c in wanted):
            self._keys = {"id": wanted if "*" in wanted else f"{wanted}*"}
        else:
            self._keys = {"name": wanted}
        self.when_typing_pauses(self.action_refresh, 0.5)

    def action_pull(self) -> None:
        """Fetch the chosen study."""
        row = self._found.selected
        if row is not None and self.console_app.allowed("remote.pull"):
            self.console_app.keep(self._pull(row))

    async def _pull(self, row: RemoteStudy) -> None:
        app = self.console_app
        if await app.fetch(app.client.remote.pull(peer=self._peer, study=row.study)) is not None:
            what = f", {safe(row.description, 40)}" if row.description else ""
            app.say(f"fetching {app.privacy.name(row.patient_name)}{what}")
            await self._watch()

    def action_cancel_pull(self) -> None:
        """Cancel the chosen fetch, else the latest."""
        running = [row for row in self._pulls._all if row.state == "running"]
        chosen = self._pulls.selected
        row = chosen if chosen in running and self._pulls.has_focus else (running[0] if running else None)
        if row is not None and self.console_app.allowed("remote.cancel"):
            app = self.console_app
            app.keep(app.fetch(app.client.remote.cancel(id=row.id)))

    def action_compare(self) -> None:
        """Say what is missing where."""
        row = self._found.selected
        if row is not None and self.console_app.allowed("remote.compare"):
            self.console_app.keep(self._compare(row))

    async def _compare(self, row: RemoteStudy) -> None:
        app = self.console_app
        found = await app.fetch(app.client.remote.compare(peer=self._peer, study=row.study))
        if found is not None and self.is_attached:
            app.push_screen(ComparisonPage(found))

    @on(RowTable.Chosen, "#found")
    def _open(self, event: RowTable.Chosen) -> None:
        row = self._found.selected
        if row is not None and row.here:
            from screens.study import StudyScreen

            self.console_app.go(StudyScreen(row.study))
        else:
            self.console_app.say("it is not here: p fetches it")


class ComparisonPage(Page):
    """What is missing where."""

    FOOT = "y copy, esc back"

    def __init__(self, found: Comparison) -> None:
        super().__init__()
        self._compared = found

    def sections(self, width: int) -> Sequence[Section]:
        found = self._compared
        peer = safe(found.peer, 64)
        lines = [
            *words(safe(found.study, 64), width, "dim"),
            Line(f"{plural(found.here, 'instance')} here, {count(found.there)} at {peer}, {count(found.both)} at both"),
        ]
        if found.here == found.there == found.both:
            lines.append(Line("= the same at both", "good"))
        sections = [Section(Line("Compared with ", "title").add(peer, "focus-title"), [Item(lines)])]
        for title, uids, total in (
            (f"Only at {peer}", found.only_there, found.there - found.both),
            ("Only here", found.only_here, found.here - found.both),
        ):
            if total:
                shown = [Item([Line(safe(uid, 64))]) for uid in uids[:200]]
                sections.append(Section(Line(f"{title}  ", "title").add(count(total), "warn"), shown))
        return sections
