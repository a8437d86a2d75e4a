"""Writes what happens to the log, in the words of the event feed."""

from __future__ import annotations

import logging

from pacstui import events
from pacstui.bus import Bus
from pacstui.monitor.feed import describe

log = logging.getLogger("pacstui.events")
_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "fail": logging.ERROR}


class Logbook:
    """Logs each event that makes a line in the feed; text of the network is made harmless by the log itself."""

    def __init__(self, bus: Bus) -> None:
        bus.subscribe(events.Event, self._note)

    def _note(self, event: events.Event) -> None:
        line = describe(event)
        if line is None:
            return
        level = _LEVELS[line.level]
        if log.isEnabledFor(level):
            hint = f" [{line.hint}]" if line.hint else ""
            which = [f"association {line.association}"] if line.association else []
            which += [f"instance {line.instance}"] if line.instance else []
            about = f" ({', '.join(which)})" if which else ""
            log.log(level, "%s: %s%s%s", line.source or "unknown caller", line.text, about, hint)
