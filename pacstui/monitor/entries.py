"""What is remembered of one association, of either direction."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

from pacstui.clock import Clock
from pacstui.contract.associations import AssociationRow, ContextRow, Moment
from pacstui.dicom.dimse import Command, Status
from pacstui.dicom.net.association import Association
from pacstui.dicom.uids import name_of
from pacstui.monitor.callers import software
from pacstui.monitor.queries import Queries
from pacstui.monitor.rates import Recent
from pacstui.text import plural, safe

_TIMELINE = 40
_FAILURES_TOLD = 20


@dataclass(slots=True)
class Entry:
    """One association, or one refused caller; ``peer`` is set for those that this node asked for."""

    id: int
    calling: str
    called: str
    address: tuple[str, int]
    opened: datetime
    started: float
    association: Association | None = None
    peer: str = ""
    outgoing: bool = False
    state: str = "open"
    doing: str = "idle"
    stored: int = 0
    failed: int = 0
    received: int = 0
    sent: int = 0
    seconds: float = 0.0
    recent: Recent = field(default_factory=Recent)
    messages: Counter[int] = field(default_factory=Counter)
    timeline: list[Moment] = field(default_factory=list)
    contexts: tuple[ContextRow, ...] = ()
    implementation: str = ""
    max_pdu: int = 0
    user: str = ""
    title: str = ""
    answer: str = ""
    remedies: tuple[str, ...] = ()
    modality: str = ""
    receiving: str = ""
    receiving_from: int = 0
    pending: int = 0
    queries: Queries = field(default_factory=Queries)
    times: int = 1

    @property
    def sent_bytes(self) -> int:
        """Bytes sent so far."""
        return self.association.connection.sent_bytes if self.association is not None else self.sent

    def moment(self, clock: Clock, text: str) -> None:
        """Note a step; of many the first and the last are kept."""
        if len(self.timeline) >= _TIMELINE:
            del self.timeline[_TIMELINE // 2]
        self.timeline.append(Moment(clock.now(), text))

    def count(self, clock: Clock, status: int, refused: str) -> None:
        """Count an instance that was answered with ``status``; ``refused`` is what the timeline says if it failed."""
        if status == Status.SUCCESS or status & 0xF000 == 0xB000:
            self.stored += 1
            self.recent.add(clock.monotonic())
        else:
            self.failed += 1
            if self.failed <= _FAILURES_TOLD:
                self.moment(clock, refused)

    def end(self, clock: Clock, how: str, detail: str) -> None:
        """Note the end."""
        self.sent = self.sent_bytes
        self.state = self.doing = how
        self.seconds = clock.monotonic() - self.started
        self.association = None
        self.moment(clock, f"{how}: {safe(detail)}" if detail else how)

    def row(self, clock: Clock, peer: str, modality: str) -> AssociationRow:
        """Return it as the console shows it."""
        now = clock.monotonic()
        is_open = self.association is not None
        seconds = now - self.started if is_open else self.seconds
        recent = self.recent.mean(now, seconds) if is_open else 0.0
        rate = recent if is_open else (self.stored / seconds if seconds > 0 else 0.0)
        doing = self.doing
        if is_open and doing in ("stores", "echoes") and not self.outgoing and not self.receiving and not recent:
            doing = "idle"
        return AssociationRow(
            self.id, peer, self.calling, self.called, f"{self.address[0]}:{self.address[1]}", self.state, doing,
            modality, self.stored, self.failed, round(rate, 1), self.received, self.opened, round(seconds, 1),
            self.sent_bytes, self.outgoing,
        )  # fmt: skip


def entry_of(association: Association, clock: Clock) -> Entry:
    """Return what is remembered of an association that was just established."""
    entry = Entry(
        association.id, association.calling, association.called, association.address, clock.now(), clock.monotonic(),
        association,
    )  # fmt: skip
    entry.contexts = tuple(
        ContextRow(
            c.id, safe(c.abstract_syntax, 64), safe(name_of(c.abstract_syntax)),
            tuple(safe(name_of(ts)) for ts in c.proposed), safe(name_of(c.transfer_syntax)) if not c.result else "",
            c.result,
        )
        for c in association.contexts
    )  # fmt: skip
    entry.implementation = software(*association.implementation)
    entry.max_pdu = association.max_pdu_send
    accepted = sum(not c.result for c in association.contexts)
    entry.moment(clock, f"accepted, {accepted} of {plural(len(association.contexts), 'context')}")
    return entry


def begins_to_store(entry: Entry, clock: Clock, command: Command) -> None:
    """Note that an instance is coming."""
    if entry.doing != "stores" and not entry.outgoing:
        entry.doing = "stores"
        entry.moment(clock, f"stores {safe(name_of(command.affected_sop_class))}")
    entry.receiving = command.affected_sop_instance
    entry.receiving_from = entry.received
