"""What happened last."""

from __future__ import annotations

from collections.abc import Sequence

from pacstui.contract.overview import View
from pacstui.text import plural
from screens.panels.live import LivePanel
from screens.widgets.feed_lines import feed_line
from screens.widgets.line import Line
from screens.widgets.panel import Item, Section


class EventsPanel(LivePanel):
    """What happened last, newest first."""

    heading = "Events"

    def live(self, view: View, width: int, height: int) -> Sequence[Section]:
        app = self.console_app
        most = height if not self.has_focus else 200
        rows = list(app.feed)[-most:][::-1]
        items = [Item([feed_line(row, width, app.privacy)], ("event", row.line)) for row in rows]
        if not items:
            items = [Item([Line("Nothing has happened yet. Studies, refusals and faults are told here.", "dim")])]
        return [Section(Line("Events", "title"), items, self._exceptions(view))]

    def _exceptions(self, view: View) -> Line | None:
        """Return how many studies do not fit their order or patient, and the way to them; none if all do."""
        found = view.status.exceptions
        total = sum(found.values())
        if not total or self.console_app.door.lacks("qc.view"):
            return None
        grave = found.get("conflicting", 0)
        line = Line(f"x {grave} of " if grave else "! ", "fail" if grave else "warn")
        return line.add(plural(total, "exception"), "warn").add(": X", "key")

    def on_blur(self) -> None:
        """Show the newest again."""
        self.cursor = None
        self.top = 0
        super().on_blur()
