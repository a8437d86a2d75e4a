"""Writes what happens to the log, in the words of the event feed."""

from __future__ import annotations

import logging
from datetime import datetime

from pacstui import events
from pacstui.bus import Bus
from pacstui.monitor.feed import describe

log = logging.getLogger("pacstui.events")
_LEVELS = {"info": logging.INFO, "warn": logging.WARNING, "fail": logging.ERROR}
_PAUSE_S = 60.0
_KINDS = 100
_OFTEN = (events.ServiceRefused, events.Hl7Refused, events.MessageFailed)


class Logbook:
    """Logs each event that makes a line in the feed; text of the network is made harmless by the log itself.

    Of good news that the feed gathers, the objects of an import, and of what a caller may not or cannot do again and
    again, one a minute is logged with how many there were: a log daemon that is given one a millisecond drops the bad
    news as well.
    """

    def __init__(self, bus: Bus) -> None:
        self._held: dict[str, tuple[datetime, int]] = {}
        bus.subscribe(events.Event, self._note)

    def _note(self, event: events.Event) -> None:
        line = describe(event)
        if line is None:
            return
        often = line.level == "info" or isinstance(
            event, events.ServiceRefused | events.Hl7Refused | events.MessageFailed
        )
        more = self._earlier(line.gather, event.at) if line.gather and often else 0
        if more is None:
            return
        level = _LEVELS[line.level]
        if log.isEnabledFor(level):
            hint = f" [{line.hint}]" if line.hint else ""
            which = [f"association {line.association}"] if line.association else []
            which += [f"instance {line.instance}"] if line.instance else []
            which += [f"and {more:,} before"] if more else []
            about = f" ({', '.join(which)})" if which else ""
            log.log(level, "%s: %s%s%s", line.source or "unknown caller", line.text, about, hint)

    def _earlier(self, kind: str, at: datetime) -> int | None:
        """Return how many of a kind were held back since the last one that was logged, none to hold back this one."""
        logged, held = self._held.get(kind, (None, 0))
        if logged is not None and 0 <= (at - logged).total_seconds() < _PAUSE_S:
            self._held[kind] = (logged, held + 1)
            return None
        if len(self._held) >= _KINDS:
            self._held.clear()
        self._held[kind] = (at, 0)
        return held
