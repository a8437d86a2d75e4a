"""What a CSV file would do, line by line, before it is done; the base of the screens that take one in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import ClassVar, Generic, Protocol, TypeVar

from textual.widget import Widget

from pacstui.contract.overview import View
from pacstui.text import count, plural, safe
from screens import doing, keymap
from screens.base import ConsoleScreen
from screens.widgets import columns as cols
from screens.widgets.line import Line
from screens.widgets.row_table import RowTable

C = cols.Column
COLUMNS = (
    C("line", 5, align=">"),
    C("name", 12, grow=2, most=40, role="strong"),
    C("", 10),
    C("what", 20, grow=6, most=200),
)


class SheetLine(Protocol):
    """What one line would do: create, change, nothing, or that it is a mistake."""

    @property
    def line(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def what(self) -> str: ...
    @property
    def text(self) -> str: ...


class SheetPlan(Protocol):
    """What all lines would do."""

    @property
    def lines(self) -> Sequence[SheetLine]: ...
    @property
    def mistakes(self) -> int: ...
    @property
    def changes(self) -> int: ...


P = TypeVar("P", bound=SheetPlan)


class SheetImportScreen(ConsoleScreen, Generic[P]):
    """What a CSV file would do. ``WHAT`` is what it is about, ``MADE`` and ``MAKES`` what becomes of a new one."""

    ACTION: ClassVar[str]
    WHAT: ClassVar[str]
    MADE: ClassVar[str]
    MAKES: ClassVar[str]

    def __init__(self, text: str, plan: P, done: Callable[[], None]) -> None:
        super().__init__()
        self._text, self._plan, self._finished = text, plan, done
        self._busy = False

    def call(self, text: str) -> Awaitable[P]:
        """Have the node do what the file says."""
        raise NotImplementedError

    def done(self, plan: P) -> None:
        """Tell what was done."""
        self.console_app.say(f"imported: {plural(plan.changes, 'change')}")

    def body(self) -> Iterable[Widget]:
        table: RowTable[SheetLine] = RowTable(
            COLUMNS, self._cells, lambda r: r.line, lambda r: f"{r.line} {r.name} {r.what} {r.text}", id="import"
        )
        plan = self._plan
        table.title = Line("Would do  ", "title").add(plural(plan.changes, "change"), "strong")
        table.title.add(f"  {plural(plan.mistakes, 'mistake')}", "fail" if plan.mistakes else "dim")
        table.note = Line("i does it", "key") if plan.changes and not plan.mistakes else None
        table.empty = ["The file has no line after the first one."]
        yield table

    def on_mount(self) -> None:
        """Show the lines, mistakes first."""
        rows = sorted(self._plan.lines, key=lambda line: (line.what != "mistake", line.line))
        self.query_one(RowTable).show(rows)

    def show(self, view: View) -> None:
        """What stands here does not change by itself."""

    def _cells(self, row: SheetLine) -> Sequence[cols.Cell]:
        marks = {
            "create": (f"+ {self.MAKES}", "good"), "change": ("~ change", "accent"), "nothing": ("= as it is", "dim"),
            "mistake": ("x mistake", "fail"),
        }  # fmt: skip
        told = (safe(row.text, 400), "fail-text" if row.what == "mistake" else "text")
        return count(row.line), safe(row.name, 64), marks.get(row.what, (safe(row.what, 16), "text")), told

    def action_import(self) -> None:
        """Do it, after a question."""
        app, plan = self.console_app, self._plan
        if self._busy or not app.allowed(self.ACTION):
            return
        if plan.mistakes:
            app.say(f"{plural(plan.mistakes, 'mistake')} in the file: nothing is done until they are mended", "fail")
            return
        if not plan.changes:
            app.say("everything is as the file says: there is nothing to do")
            return
        made = sum(line.what == "create" for line in plan.lines)
        text = f"{plural(made, self.WHAT)} will be {self.MADE}, {count(plan.changes - made)} changed: "
        text += "all of it, or nothing."

        def go() -> None:
            if not self._busy:
                self._busy = True
                app.keep(self._do())

        doing.sure(app, f"Import these {self.WHAT}s?", text, ("not yet", "import"), go)

    async def _do(self) -> None:
        app = self.console_app
        plan: P | None = await app.fetch(self.call(self._text))
        self._busy = False
        if plan is None:
            return
        self._text = ""
        if self.is_current:
            app.back()
        self._finished()
        self.done(plan)


def key(action: str) -> tuple[keymap.Key, ...]:
    """Return the key of such a screen."""
    return (keymap.acts(action, "import", key="i", weight=0),)
