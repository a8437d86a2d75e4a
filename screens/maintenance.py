"""Maintenance: whether the node serves everybody, what is planned, and the next two weeks at a look."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract import all_actions
from pacstui.contract.maintenance import MaintenanceView, WindowRow
from pacstui.text import ago, count, plural, safe
from screens import maintenance_work as work
from screens.asking import AskingScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
DAYS = 14
_STATES = {
    "planned": ("\u00b7 planned", "accent"), "running": ("> running", "warn"), "over": ("= over", "dim"),
    "cancelled": ("- cancelled", "dim"),
}  # fmt: skip
COLUMNS = (
    C("state", 11),
    C("when", 29, role="strong"),
    C("reason", 14, grow=4, most=80),
    C("what happens", 20, grow=1, rank=2, most=32),
    C("about", 9, grow=2, rank=1, most=40),
    C("owner", 8, grow=1, rank=3, most=32, role="dim"),
)


class StandPanel(Panel):
    """Whether the node serves everybody; then the calendar."""

    can_focus = False

    def __init__(self, screen: MaintenanceScreen) -> None:
        super().__init__(id="stand")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self._of.view
        if view is None:
            return [Section(Line("Node", "title"), [Item([Line("asking the node", "dim")])])]
        now = self.console_app.now()
        if view.effect:
            title = Line("Node  ", "title").add("! drained", "warn")
            what = f"{work.EFFECTS[view.effect]} and nothing is sent: {safe(view.why, 200)}"
            until = f"until {view.until.astimezone():%a %H:%M}" if view.until else "until r"
            since = f", {ago(view.since, now)}" if view.since else ""
            lines = words(what, width, "warn-text")
            lines += words(f"{safe(view.by, 64)}{since}, {until}", width, "dim")
            if view.associations or view.sending:
                left = [plural(view.associations, "association")] if view.associations else []
                left += [plural(view.sending, "object")] if view.sending else []
                lines += words(f"{' and '.join(left)} on the way: do not stop the node yet", width, "strong")
            else:
                lines += words("nothing runs any more: the node can be stopped", width, "good")
        else:
            title = Line("Node  ", "title").add("= serves everybody", "good")
            lines = [Line(f"{plural(view.associations, 'association')} run; d drains", "dim")]
        return [Section(title, [Item(lines)]), Section(Line("Next two weeks", "title"), [Item(self._days(view))])]

    def _days(self, view: MaintenanceView) -> list[Line]:
        """Return two rows of days, each with how much is planned: ``Mo 30 \u2588``."""
        today = self.console_app.now().astimezone().replace(hour=0, minute=0, second=0, microsecond=0)
        lines = []
        for week in range(2):
            line = Line()
            for day in range(7):
                begin = today + timedelta(days=week * 7 + day)
                end = begin + timedelta(days=1)
                found = [r for r in view.windows if r.state != "cancelled" and r.start < end and r.end > begin]
                line.add(f"{begin:%a %d} ", "strong" if found else "dim")
                line.add(f"{len(found)}  " if found else "\u00b7  ", "warn" if found else "dim")
            lines.append(line)
        return lines


class MaintenanceScreen(AskingScreen):
    """Draining and planned windows."""

    TITLE_WORDS = "Maintenance"
    ABOUT = (
        "Above, whether the node takes new associations. d drains it: callers are turned away for now, or get C-ECHO "
        "only; nothing is sent on; what runs may end. When nothing runs any more the node can be stopped. r serves "
        "everybody again. Below, the windows that are planned or were: n plans one for this node or for peers, e "
        "changes it, c cancels it or ends it now. Everybody at a console sees one an hour before. h shows what was "
        "changed in the configuration: by whom, when, what it was."
    )
    EVERY_S = 2.0
    KEYS = work.KEYS

    def __init__(self) -> None:
        super().__init__()
        self.view: MaintenanceView | None = None
        self._peers: tuple[str, ...] = ()

    def body(self) -> Iterable[Widget]:
        yield StandPanel(self)
        table: RowTable[WindowRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.id,
            lambda r: f"{r.reason} {r.owner} {r.state} {r.effect} {' '.join(r.peers)}",
            id="windows",
        )
        table.title = Line("Windows", "title")
        table.empty = ["No maintenance is planned.", "n plans some: those at a console see it an hour before."]
        yield table

    @property
    def table(self) -> RowTable[WindowRow]:
        """The list."""
        return self.query_one("#windows", RowTable)

    def _cells(self, row: WindowRow) -> Sequence[cols.Cell]:
        return (
            _STATES.get(row.state, (safe(row.state, 20), "text")),
            work.span(row),
            safe(row.reason, 200),
            work.EFFECTS.get(row.effect, safe(row.effect, 32)),
            ", ".join(safe(name, 64) for name in row.peers) or ("this node", "dim"),
            safe(row.owner or row.made_by, 64),
        )

    async def ask(self) -> Any:
        app = self.console_app
        view = await app.fetch(app.client.maintenance.show())
        known = all_actions()["routes.destinations"].permission
        if view is not None and not self._peers and not app.door.lacks(known):
            self._peers = await app.fetch(app.client.routes.destinations()) or ()
        return view

    async def took(self, found: Any) -> None:
        view: MaintenanceView | None = found
        if view is None:
            return
        self.view = view
        order = {"running": 0, "planned": 1, "over": 2, "cancelled": 3}
        open_ones = sum(row.state in ("running", "planned") for row in view.windows)
        self.table.title = Line("Windows  ", "title").add(count(open_ones), "strong").add(" to come or on")
        self.table.show(sorted(view.windows, key=lambda r: (order.get(r.state, 9), r.start)))
        self.query_one(StandPanel).redraw()

    def filter_changed(self, text: str) -> None:
        self.table.filter(text)

    def _do(self, do: Callable[..., None], *more: object) -> None:
        row = self.table.selected
        if row is None:
            self.console_app.say("there is no window to choose")
        elif row.state in ("over", "cancelled"):
            self.console_app.say(f"this window is {row.state}; n plans another")
        else:
            do(self.console_app, row, *more)

    def action_drain(self) -> None:
        """Drain the node."""
        if self.view is not None:
            work.drain(self.console_app, self.view, self.renew)

    def action_resume(self) -> None:
        """Serve everybody again."""
        if self.view is not None:
            work.resume(self.console_app, self.view, self.renew)

    def action_plan(self) -> None:
        """Plan a window."""
        work.edit(self.console_app, None, self._peers, self.renew)

    @on(RowTable.Chosen)
    def _chosen(self) -> None:
        self.action_change()

    def action_change(self) -> None:
        """Change the chosen window."""
        self._do(work.edit, self._peers, self.renew)

    def action_cancel(self) -> None:
        """Cancel or end the chosen window."""
        self._do(work.cancel, self.renew)

    def action_changes(self) -> None:
        """Show what was changed in the configuration."""
        from screens.changes import ChangesScreen

        if self.console_app.allowed("maintenance.changes"):
            self.console_app.go(ChangesScreen())
