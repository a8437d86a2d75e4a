"""Routes: what is sent on, where, when and how changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from textual import on
from textual.widget import Widget

from pacstui.contract.routes import RouteRow
from pacstui.text import ago, count, safe
from screens import route_work as work
from screens.asking import AskingScreen
from screens.queue_cells import label
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("", 8),
    C("route", 12, grow=1, most=32, role="strong"),
    C("sends", 18, grow=5, most=90),
    C("to", 10, grow=2, most=40),
    C("waiting", 7, align=">", rank=1),
    C("sent", 8, align=">", rank=3),
    C("failed", 6, align=">", rank=2),
    C("made", 13, rank=4, role="dim"),
)


class RoutePanel(Panel):
    """The chosen route in words."""

    can_focus = False

    def __init__(self, screen: RoutesScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row = self._of.table.selected
        if row is None:
            return [Section(Line("Route", "title"), [])]
        lines: list[Line] = []
        if row.problem:
            lines += words(f"sends nothing: {safe(row.problem, 300)}", width, "fail-text", 2, Line("x ", "fail"))
            if row.hint:
                lines += words(safe(row.hint, 300), width, "strong", 2, Line("> ", "accent"))
        elif not row.enabled:
            lines += words("d switches it on again", width, "strong", 2, Line("> ", "accent"))

        def fact(name: str, text: str, role: str = "text") -> None:
            lines.extend(words(text, width, role, 11, label(name)))

        fact("sends", safe(row.text, 300))
        more = [f"{safe(row.priority, 8)} priority"]
        more += ["also back to the sender"] if row.send_back else []
        more += ["no later route for what it takes"] if row.last else []
        fact("to", f"{', '.join(safe(to, 64) for to in row.to)}; {', '.join(more)}")
        if row.source == "console":
            when = f", {ago(row.changed, self.console_app.now())}" if row.changed else ""
            fact("made", f"here, last changed by {safe(row.changed_by, 64) or 'somebody'}{when}", "dim")
        else:
            fact("made", "in the configuration file; it is changed there, d switches it off and on", "dim")
        return [Section(Line(safe(row.name, 64), "focus-title"), [Item(lines[:height])], Line("Enter: dry run", "dim"))]


class RoutesScreen(AskingScreen):
    """All routes in their order."""

    TITLE_WORDS = "Routes"
    ABOUT = (
        "Each object that comes is held against the routes in this order; each that fits sends a copy to its "
        "destinations. What waits and failed is on the queue's screen. n makes a route, e changes one; the form says "
        "while you type what the route would have sent of the last day. t shows that study by study, also of a route "
        "that is off. d switches a route off and on; what it queued is still sent. D deletes it. Routes of the "
        "configuration file are changed there."
    )
    EVERY_S = 3.0
    KEYS = work.KEYS

    def body(self) -> Iterable[Widget]:
        table: RowTable[RouteRow] = RowTable(
            COLUMNS,
            self._cells,
            lambda r: r.name,
            lambda r: f"{r.name} {r.text} {' '.join(r.to)} {r.source} {r.problem} {'on' if r.enabled else 'off'}",
            id="routes",
        )
        table.title = Line("Routes", "title")
        table.empty = ["asking the node"]
        yield table
        yield RoutePanel(self)

    @property
    def table(self) -> RowTable[RouteRow]:
        """The list."""
        return self.query_one("#routes", RowTable)

    def _cells(self, row: RouteRow) -> Sequence[cols.Cell]:
        mark = ("- off", "dim") if not row.enabled else ("x broken", "fail") if row.problem else ("= on", "good")
        return (
            mark,
            safe(row.name, 64),
            (safe(row.problem, 200), "fail-text") if row.problem and row.enabled else safe(row.text, 200),
            ", ".join(safe(to, 64) for to in row.to),
            count(row.waiting),
            count(row.sent),
            (count(row.failed), "fail-text" if row.failed else "dim"),
            safe(row.source, 20),
        )

    def _renew_at(self, name: str) -> None:
        if self.is_attached:
            self.table.want(name)
        self.renew()

    async def ask(self) -> Any:
        app = self.console_app
        return await app.fetch(app.client.routes.list())

    async def took(self, found: Any) -> None:
        rows: Sequence[RouteRow] | None = found
        table = self.table
        if rows is None:
            table.empty = ["The node did not give them; it is asked again."]
            table.redraw()
            return
        table.title = Line("Routes  ", "title").add(count(len(rows)), "strong")
        broken = sum(row.enabled and bool(row.problem) for row in rows)
        if broken:
            table.title.add(f"  x {count(broken)} broken", "fail")
        table.empty = [
            "No routes: nothing that comes is sent on by itself.",
            "n makes one: choose where it goes, then what. It shows first what it would have sent.",
        ]
        table.show(rows)
        self.redraw_all()

    @on(RowTable.Moved)
    def _moved(self) -> None:
        self.query_one(RoutePanel).redraw()

    def _do(self, do: Callable[..., None], *more: object) -> None:
        row = self.table.selected
        if row is not None:
            do(self.console_app, row, *more)

    @on(RowTable.Chosen)
    def _open(self) -> None:
        self.action_trial()

    def action_trial(self) -> None:
        """Show what the chosen route would have sent."""
        self._do(work.trial)

    def action_create(self) -> None:
        """Make a route."""
        work.edit(self.console_app, None, self._renew_at)

    def action_edit(self) -> None:
        """Change the chosen route."""
        self._do(work.edit, self._renew_at)

    def action_disable(self) -> None:
        """Switch the chosen route off, or on again."""
        self._do(work.disable, self.renew)

    def action_delete(self) -> None:
        """Delete the chosen route."""
        self._do(work.delete, self.renew)
