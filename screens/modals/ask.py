"""A question with its answers; the safe one has the focus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen

from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer: its key word, what the button says, and whether it is the safe one."""

    id: str
    label: str
    safe: bool = False


class AskPanel(Panel):
    """The question and a row of buttons."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,shift+tab,h", "turn(-1)", show=False),
        Binding("right,tab,l", "turn(1)", show=False),
    ]

    def __init__(self, title: str, text: Sequence[str], choices: Sequence[Choice]) -> None:
        super().__init__(classes="box")
        self.title_text = title
        self.text = " ".join(text)
        self.choices = list(choices)
        self.at = next((n for n, choice in enumerate(choices) if choice.safe), 0)
        self._buttons: list[range] = []

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        return len(words(self.text, max(1, width - 4))) + 5

    def sections(self, width: int, height: int) -> Sequence[Section]:
        buttons = Line()
        self._buttons = []
        for number, choice in enumerate(self.choices):
            if number:
                buttons.add("  ")
            start = buttons.width
            here = number == self.at
            buttons.add("\u25b8[" if here else " [", "safe" if here else "dim")
            buttons.add(f" {choice.label} ", "safe" if here else "text").add("]", "safe" if here else "dim")
            self._buttons.append(range(start, buttons.width))
        lines = words(self.text, width)
        room = max(0, height - len(lines) - 1)
        gap = [Line()] if room else []
        return [Section(Line(self.title_text, "focus-title"), [Item([*gap, *lines, *gap, buttons])])]

    def footnote(self) -> Line | None:
        return Line("left/right choose, Enter does, esc stays", "dim")

    def action_turn(self, by: int) -> None:
        """Choose the next answer."""
        self.at = (self.at + by) % len(self.choices)
        self.redraw()

    def action_choose(self) -> None:
        """Give the chosen answer."""
        cast("Ask", self.screen).dismiss(self.choices[self.at].id)

    def on_click(self, event: events.Click) -> None:
        """Give the answer under the pointer."""
        for number, cells in enumerate(self._buttons):
            if event.y == self.size.height - 3 and event.x - 2 in cells:
                self.at = number
                self.action_choose()


class Ask(ModalScreen[str]):
    """Asks; answers with a choice's id, or none when escaped."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,ctrl+c", "cancel", show=False)]
    AUTO_FOCUS = "AskPanel"

    def __init__(self, title: str, text: Sequence[str], choices: Sequence[Choice]) -> None:
        super().__init__()
        self._panel = AskPanel(title, text, choices)

    def compose(self) -> ComposeResult:
        yield self._panel

    def action_cancel(self) -> None:
        """Answer nothing."""
        self.dismiss(None)
