"""A list of ways to go on, each with a sentence of what it does and costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on

from screens.modals.page import Page
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words


@dataclass(frozen=True, slots=True)
class Way:
    """One way: its key word, its name, and what it does; all of it safe text."""

    id: str
    label: str
    does: str = ""


class Choose(Page):
    """Arrow keys choose, Enter goes on, escape goes back. Nothing is done by the choice alone."""

    FOOT = "up/down choose, Enter goes on, esc back"

    def __init__(self, title: str, intro: Sequence[str], ways: Sequence[Way], then: Callable[[str], None]) -> None:
        super().__init__()
        self._title, self._intro, self._ways, self._then = title, intro, ways, then

    def sections(self, width: int) -> Sequence[Section]:
        lines = [line for text in self._intro for line in words(text, width, "dim")]
        items = []
        for way in self._ways:
            does = words(way.does, width, "dim", 4, Line("    ")) if way.does else []
            items.append(Item([Line("  ").add(way.label, "strong").cut(width), *does], way.id))
        return [Section(Line(self._title, "focus-title"), [Item(lines), *items] if lines else list(items))]

    @on(Panel.Chosen)
    def _chosen(self, event: Panel.Chosen) -> None:
        if isinstance(event.id, str):
            self.dismiss()
            self.app.call_later(self._then, event.id)
