"""Studies that are arriving: gathered from stored instances, forgotten when nothing more comes."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.queue import ReceivingRow
from pacstui.monitor.rates import Recent

SETTLED_S = 10.0
KEPT_S = 60.0
_LIMIT = 500


@dataclass(slots=True)
class _Study:
    study: str
    calling: str
    patient_name: str
    modality: str
    description: str
    first: datetime
    last: datetime
    started: float
    seen: float
    association: int
    instances: int = 0
    failed: int = 0
    bytes: int = 0
    recent: Recent = field(default_factory=Recent)


class Arriving:
    """One row a study and calling AE title. It is complete when nothing came for `SETTLED_S` seconds."""

    def __init__(self, bus: Bus, clock: Clock) -> None:
        self._clock = clock
        self._studies: dict[tuple[str, str], _Study] = {}
        self._by_association: dict[int, tuple[str, str]] = {}
        bus.subscribe(events.InstanceStored, self._stored)
        bus.subscribe(events.InstanceRefused, self._refused)
        bus.subscribe(events.AssociationClosed, self._closed)

    def _stored(self, event: events.InstanceStored) -> None:
        key = (event.study, event.calling)
        now = self._clock.monotonic()
        row = self._studies.get(key)
        if row is None:
            self._forget(now, make_room=True)
            row = self._studies[key] = _Study(
                event.study,
                event.calling,
                event.patient_name,
                event.modality,
                event.description,
                event.at,
                event.at,
                now,
                now,
                event.association,
            )
        row.instances += 1
        row.bytes += event.size
        row.last = event.at
        row.seen = now
        row.association = event.association
        row.recent.add(now)
        self._by_association[event.association] = key

    def _refused(self, event: events.InstanceRefused) -> None:
        row = self._studies.get(self._by_association.get(event.association, ("", "")))
        if row is not None:
            row.failed += 1

    def _closed(self, event: events.AssociationClosed) -> None:
        self._by_association.pop(event.association, None)

    def _forget(self, now: float, *, make_room: bool = False) -> None:
        old = [key for key, row in self._studies.items() if now - row.seen > KEPT_S]
        if make_room and not old and len(self._studies) >= _LIMIT:
            old = [min(self._studies, key=lambda key: self._studies[key].seen)]
        for key in old:
            del self._studies[key]

    def modality_of(self, association: int) -> str:
        """Return the modality of what an association sends, empty if nothing was stored yet."""
        row = self._studies.get(self._by_association.get(association, ("", "")))
        return row.modality if row is not None else ""

    def rows(self) -> tuple[ReceivingRow, ...]:
        """Return the arriving studies in the order in which they began."""
        now = self._clock.monotonic()
        self._forget(now)
        return tuple(
            ReceivingRow(
                s.study,
                s.calling,
                s.patient_name,
                "",
                s.modality,
                s.description,
                s.instances,
                s.failed,
                s.bytes,
                s.recent.mean(now, now - s.started),
                s.first,
                s.last,
                "complete" if now - s.seen > SETTLED_S else "receiving",
            )
            for s in self._studies.values()
        )
