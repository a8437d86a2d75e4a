"""Where a filter is typed: one line above the foot line."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.strip import Strip
from textual.widgets import Input

from screens.widgets.line import Line
from screens.widgets.lines import Lines

if TYPE_CHECKING:
    from screens.base import ConsoleScreen


class FilterMark(Lines):
    def draw(self, width: int, height: int) -> list[Line | Strip]:
        return [Line(" /", "key")]


class FilterLine(Horizontal):
    """Filters while one types; Enter keeps the filter and goes back to the rows, escape takes it away."""

    def compose(self) -> ComposeResult:
        yield FilterMark()
        box = Input(placeholder="words to look for; ! first shows the others. Enter keeps, esc clears", compact=True)
        box.cursor_blink = False
        yield box

    def on_mount(self) -> None:
        """Begin to type."""
        self.query_one(Input).focus()

    @property
    def active(self) -> bool:
        """Whether a filter is open or in force."""
        return bool(self.display)

    @property
    def value(self) -> str:
        """What was typed."""
        return self.query_one(Input).value

    def open(self) -> None:
        """Show the line and type on."""
        self.display = True
        self.query_one(Input).focus()

    def close(self) -> None:
        """Take the filter away."""
        screen = cast("ConsoleScreen", self.screen)
        with self.prevent(Input.Changed):
            self.query_one(Input).value = ""
        self.display = False
        screen.filter_changed("")
        table = screen.filtered()
        if table is not None:
            table.focus()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        cast("ConsoleScreen", self.screen).filter_changed(event.value)

    @on(Input.Submitted)
    def _kept(self, event: Input.Submitted) -> None:
        event.stop()
        screen = cast("ConsoleScreen", self.screen)
        if not event.value.strip():
            self.close()
            return
        table = screen.filtered()
        if table is not None:
            table.focus()
