"""The palette: every screen and every action by its name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.strip import Strip
from textual.widgets import Input

from screens import keymap
from screens.base import ConsoleScreen
from screens.widgets.line import Line, fit, rule
from screens.widgets.lines import Lines
from screens.widgets.panel import Item, Panel, Section

if TYPE_CHECKING:
    from screens.common_keys import CommonKeysApp


def entries(page: ConsoleScreen) -> list[keymap.Key]:
    """Return what can be done from ``page``: its own actions first, then the screens, then what works everywhere."""
    known: dict[str, keymap.Key] = {}
    for key in (*page.KEYS, *keymap.mode_keys(), *keymap.COMMON):
        if key.palette:
            known.setdefault(key.run, key)
    return list(known.values())


class PaletteList(Panel):
    """The entries that match."""

    can_focus = False
    UPPER = "mid"

    def __init__(self) -> None:
        super().__init__(id="palette-list")
        self.entries: list[keymap.Key] = []

    @property
    def lit(self) -> bool:
        """The list shows its cursor though the letters go to the input."""
        return True

    def sections(self, width: int, height: int) -> Sequence[Section]:
        items = []
        for key in self.entries:
            held = self.console_app.held_back(key.action)
            line = Line(fit(key.face, 7), "dim" if held else "key").add(key.does, "dim" if held else "text")
            if held:
                line.cut(max(0, width - len(held) - 2)).add(f"  {held}", "dim")
            items.append(Item([line.cut(width)], key.run))
        return [Section(None, items or [Item([Line("no command has these words", "dim")])])]


class Edge(Lines):
    """A part of the frame around the input: above, at its left, at its right."""

    def __init__(self, part: int) -> None:
        super().__init__(classes=("edge-above", "edge-left", "edge-right")[part])
        self._part = part

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        if self._part == 0:
            return [rule(width, "top", Line("Commands", "focus-title"), None, True)]
        return [Line("\u2502 > ", "focus") if self._part == 1 else Line(" \u2502", "focus")]


class Palette(ModalScreen[str]):
    """Type a few letters, Enter does it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+c", "dismiss", show=False),
        Binding("up", "move(-1)", show=False, priority=True),
        Binding("down", "move(1)", show=False, priority=True),
    ]
    AUTO_FOCUS = "Input"

    def __init__(self, page: ConsoleScreen) -> None:
        super().__init__()
        self._page = page

    def compose(self) -> ComposeResult:
        with Vertical(id="palette", classes="box"):
            yield Edge(0)
            with Horizontal(id="palette-input"):
                yield Edge(1)
                box = Input(placeholder="what do you want to do?", compact=True)
                box.cursor_blink = False
                yield box
                yield Edge(2)
            yield PaletteList()

    def on_mount(self) -> None:
        """Show all."""
        self._match("")

    def _match(self, text: str) -> None:
        wanted = text.casefold().split()
        found = self.query_one(PaletteList)
        found.entries = [k for k in entries(self._page) if all(w in f"{k.verb} {k.does}".casefold() for w in wanted)]
        found.cursor = None
        found.redraw()

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        self._match(event.value)

    def action_move(self, by: int) -> None:
        """Choose another entry."""
        self.query_one(PaletteList).action_move(by)

    @on(Input.Submitted)
    def _do(self) -> None:
        run = self.query_one(PaletteList).cursor
        self.dismiss(run if isinstance(run, str) else None)


def open_palette(app: CommonKeysApp, page: ConsoleScreen) -> None:
    """Open the palette over ``page`` and do what is chosen."""

    async def do(run: str) -> None:
        await app.run_action(run, page if run in {k.run for k in page.KEYS} else app)

    def chosen(run: str | None) -> None:
        if run:
            app.keep(do(run))

    app.push_screen(Palette(page), chosen)
