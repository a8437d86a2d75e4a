"""A panel that draws from the application's view."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.overview import View
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section


class LivePanel(Panel):
    """A panel that draws from the application's view."""

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        """Return the sections for a view."""
        raise NotImplementedError

    def sections(self, width: int, height: int) -> Sequence[Section]:
        view = self.console_app.view
        if view is None:
            return [Section(Line(self.heading, "title"), [Item([Line("waiting for the node", "dim")])])]
        return self.live(view, width, height)

    heading = ""
