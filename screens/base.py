"""What every screen of the console has: a head line, a foot line, a filter line when asked for, and its keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, cast

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from pacstui.text import size
from screens import keymap
from screens.widgets.footer import FootLine
from screens.widgets.header import HEALTH, HeadLine
from screens.widgets.line import Line
from screens.widgets.lines import Lines
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable

if TYPE_CHECKING:
    from textual import events
    from textual.timer import Timer

    from pacstui.contract import Action
    from pacstui.contract.overview import View
    from screens.app import ConsoleApp

SMALLEST = (60, 15)
TYPING_S = 0.15
"""Seconds after the last key after which typing counts as paused."""


class SmallLine(Lines):
    """What a window shows that is too small for anything else."""

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        app = self.console_app
        view = app.view
        if view is None or app.away_since is not None:
            return [Line("x node not reached" if app.away_since else "connecting", "fail")]
        word, role = HEALTH.get(view.status.health, (view.status.health, "warn"))
        line = Line(word, role).add(f"  {len(view.associations)} assoc  {view.rates.in_per_s:.0f}/s")
        line.add(f"  {size(view.rates.in_bytes_per_s)}/s")
        need = f"too small: needs {SMALLEST[0]}x{SMALLEST[1]}"
        return [line, Line(need, "dim")] if height > 1 else [line.add("  " + need, "dim")]


class ConsoleScreen(Screen[None]):
    """Base of all screens.

    Subclasses set ``TITLE_WORDS``, ``MODE`` (for the page that a number key opens), ``KEYS`` and ``ABOUT`` (what help
    says of it), compose :meth:`body`, and repaint in :meth:`show`.
    """

    TITLE_WORDS: ClassVar[str] = ""
    MODE: ClassVar[str] = ""
    ABOUT: ClassVar[str] = ""
    KEYS: ClassVar[tuple[keymap.Key, ...]] = ()
    TYPED: ClassVar[bool] = False
    """Letters and signs are typed into this screen: none of them is a key."""
    AUTO_FOCUS = "Panel, RowTable"
    _soon: Timer | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        cls.BINDINGS = keymap.bindings(*cls.__dict__.get("KEYS", ()))
        super().__init_subclass__(**kwargs)

    def compose(self) -> ComposeResult:
        yield HeadLine(self.TITLE_WORDS)
        with Vertical(id="body"):
            yield from self.body()
        yield SmallLine(id="small")
        yield FootLine(self.KEYS, self.MODE, self.TYPED)

    def body(self) -> Iterable[Widget]:
        """Yield the widgets between head and foot."""
        raise NotImplementedError

    def unfit(self, action: Action) -> str:
        """Return in words why an action is none for what is chosen here, empty if it is one."""
        return ""

    def show(self, view: View) -> None:
        """Bring everything up to ``view``; called whenever a new one is there and this screen is in sight."""

    @property
    def console_app(self) -> ConsoleApp:
        """The application, with its own type."""
        return cast("ConsoleApp", self.app)

    def chrome(self) -> None:
        """Redraw head, foot and the line for small windows."""
        for lines in (*self.query(HeadLine), *self.query(FootLine), *self.query(SmallLine)):
            lines.redraw()

    def on_mount(self) -> None:
        """Show what is known already."""
        self._bring_up()

    def on_screen_resume(self) -> None:
        """Catch up after having been out of sight."""
        self._bring_up()

    def _bring_up(self) -> None:
        if self.console_app.view is not None:
            self.show(self.console_app.view)
        self.chrome()

    def on_resize(self, event: events.Resize) -> None:
        """Say it in one line where there is no room for more."""
        width, height = event.size
        self.set_class(width < SMALLEST[0] or height < SMALLEST[1], "-small")
        self.set_class(width >= 120, "-wide")
        self.set_class(height >= 34, "-tall")
        self.set_class(height < 22, "-low")

    # filter

    def filtered(self) -> RowTable[Any] | None:
        """Return the table that the filter acts on."""
        for table in self.query(RowTable):
            return table
        return None

    def filter_changed(self, text: str) -> None:
        """Apply a filter; the default looks at the rows that are there."""
        table = self.filtered()
        if table is not None:
            table.filter(text)

    def when_typing_pauses(self, do: Callable[[], None], after_s: float = TYPING_S) -> None:
        """Do something once nothing more is typed; of what was to be done before only the last is done."""
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(after_s, do)

    def action_find(self) -> None:
        """Open the filter line."""
        if self.filtered() is None:
            self.console_app.find_study()
            return
        from screens.widgets.filter_line import FilterLine

        self.console_app.typing_begins()
        lines = self.query(FilterLine)
        if lines:
            lines.first().open()
        else:
            self.mount(FilterLine(), before=self.query_one(FootLine))

    def action_back(self) -> None:
        """Close the filter, else this page."""
        from screens.widgets.filter_line import FilterLine

        for line in self.query(FilterLine):
            if line.active:
                line.close()
                return
        self.console_app.back()

    # copy

    def copied(self) -> str:
        """Return the text that ``y`` copies: the chosen row, else the page."""
        focused = self.focused
        if isinstance(focused, (Panel, RowTable)):
            return focused.copied()
        for widget in self.query(Lines):
            if isinstance(widget, (Panel, RowTable)):
                return widget.copied()
        return ""
