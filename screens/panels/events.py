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
        return [Section(Line("Events", "title"), items, self._around(view, width))]

    def _around(self, view: View, width: int) -> Line | None:
        """Return what of the hospital around has to be looked at, as much as there is room for; none if nothing."""
        found = [self._exceptions(view), self._errors(view), self._late(view)]
        line = Line()
        for each in found:
            if each is not None and line.width + each.width + 12 <= width:
                line.add("   " if line.width else "").extend(each)
        return line if line.width else None

    def _errors(self, view: View) -> Line | None:
        """Return how many HL7 messages could not be acted on, and the way to them."""
        failed = view.status.hl7.get("failed", 0)
        if not failed or self.console_app.door.lacks("hl7.view"):
            return None
        return Line(f"! {plural(failed, 'HL7 error')}", "warn").add(": H", "key")

    def _late(self, view: View) -> Line | None:
        """Return how today's worklist stands, and the way to it; nothing where nothing is scheduled."""
        found = view.status.worklist
        if not found.get("today") or self.console_app.door.lacks("worklist.view"):
            return None
        line = Line(f"{plural(found['to_come'], 'step')} to come", "dim")
        if found["late"]:
            line = Line(f"! {found['late']:,} of {plural(found['to_come'], 'step')} late", "warn")
        return line.add(": W", "key")

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
