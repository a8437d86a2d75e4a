"""Help for one screen, written from its bindings."""

from __future__ import annotations

from collections.abc import Sequence

from screens import keymap
from screens.base import ConsoleScreen
from screens.modals.page import Page
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Section, words


def help_keys(page: ConsoleScreen) -> list[tuple[str, list[keymap.Key]]]:
    """Return the keys that work on ``page``, in groups."""
    modes = [*keymap.mode_keys()]
    moves = [
        keymap.Key("up", "", "Choose a row; k and j do the same", "", shown="up down"),
        keymap.Key("enter", "", "Go where the row leads: to its cause, its detail", "", shown="Enter"),
        keymap.Key("home", "", "First and last row; PgUp and PgDn by a screen", "", shown="Home End"),
    ]
    mine = {k.face for k in page.KEYS}
    common = [k for k in keymap.COMMON if k.face not in mine]
    groups = [("This screen", [*page.KEYS, *moves]), ("Everywhere", common), ("Screens", modes)]
    return [(title, keys) for title, keys in groups if keys]


class Help(Page):
    """What this screen shows and which keys it has."""

    FOOT = "esc back, up and down scroll"

    def __init__(self, page: ConsoleScreen) -> None:
        super().__init__()
        self._page = page

    def sections(self, width: int) -> Sequence[Section]:
        title = Line(self._page.TITLE_WORDS or self._page.MODE.capitalize() or "Association", "focus-title")
        sections = [Section(title, [Item(words(self._page.ABOUT, width))])]
        for name, keys in help_keys(self._page):
            lines: list[Line] = []
            for key in keys:
                held = self.console_app.held_back(key.action)
                first = Line(fit(key.face, 9), "dim" if held else "key").add("  ")
                does = f"{key.does} ({held})" if held else key.does
                lines.extend(words(does, width, "dim" if held else "text", 11, first))
            sections.append(Section(Line(name, "title"), [Item(lines)]))
        return sections
