"""The dashboard: associations, storage, queue, throughput and events in one look."""

from __future__ import annotations

from collections.abc import Hashable, Iterable

from textual import on
from textual.containers import Container, Horizontal
from textual.widget import Widget

from pacstui.contract.overview import View
from screens import keymap
from screens.base import ConsoleScreen
from screens.panels.associations import AssociationsPanel
from screens.panels.events import EventsPanel
from screens.panels.plots import PlotsPanel
from screens.panels.queue import QueuePanel
from screens.panels.storage import StoragePanel
from screens.widgets.panel import Panel


class Dashboard(ConsoleScreen):
    """Everything at one look."""

    MODE = "dashboard"
    ABOUT = (
        "The panels agree with each other: all come from one moment. Tab goes from panel to panel, the arrow keys "
        "choose a row, Enter leads from it to its cause: an association to its timeline, a refusal to what mends it, "
        "a study to its series, an event to the association it came from, storage to its history and to what was set "
        "aside. Marks: > moving, = complete, ! look at it, x failed or refused."
    )
    AUTO_FOCUS = "#associations"
    KEYS = (
        keymap.Key("t", "plots", "Show throughput in pictures, now and over the last hours", "throughput", weight=2),
        keymap.Key(
            "slash", "find", "Find a study by name, ID, accession number or description", "find", shown="/", weight=2
        ),
    )

    def action_throughput(self) -> None:
        """Open the plots."""
        from screens.throughput import ThroughputScreen

        self.console_app.go(ThroughputScreen())

    def body(self) -> Iterable[Widget]:
        with Horizontal(id="top"):
            yield AssociationsPanel(id="associations")
            yield StoragePanel(id="storage")
        yield PlotsPanel(id="plots")
        with Container(id="bottom"):
            yield QueuePanel(id="queue")
            yield EventsPanel(id="events")

    def show(self, view: View) -> None:
        for panel in self.query(Panel):
            if panel.display:
                panel.redraw()

    @on(Panel.Chosen)
    def _open(self, event: Panel.Chosen) -> None:
        self.console_app.keep(self.lead(event.id))

    async def lead(self, target: Hashable | None) -> None:
        """Go where a row leads."""
        from screens.ways import follow

        await follow(self.console_app, target)
