"""What stands above and below the list of a destination."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pacstui.text import safe
from screens import queue_cells
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section

if TYPE_CHECKING:
    from screens.destination import DestinationScreen


class FactsPanel(Panel):
    """The destination in some lines."""

    can_focus = False

    def __init__(self, screen: DestinationScreen) -> None:
        super().__init__(id="destination")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        screen = self._of
        view, name = self.console_app.view, safe(screen.destination, 64)
        title = Line("Destination ", "title").add(name, "focus-title")
        if view is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        lines = queue_cells.facts(screen.row, name, view.at.astimezone(), width)
        return [Section(title, [Item(lines[:height])])]


class ChosenPanel(Panel):
    """What is known of the chosen sending."""

    can_focus = False

    def __init__(self, screen: DestinationScreen) -> None:
        super().__init__(id="chosen")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        row = self._of.table.selected
        if row is None:
            return [Section(Line("Chosen", "title"), [])]
        lines = queue_cells.told(row, self.console_app.now(), width)
        name = self.console_app.privacy.name(row.patient_name)
        title = Line(f"{name}, {safe(row.description, 64) or safe(row.modalities, 16) or 'study'}", "title")
        return [Section(title, [Item(lines[:height])], Line("Enter: its objects", "dim"))]
