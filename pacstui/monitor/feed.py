"""The event feed: what happened, as sentences, like events gathered into one line."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pacstui import events
from pacstui.bus import Bus
from pacstui.contract import all_actions
from pacstui.contract.feed import FeedRow
from pacstui.text import duration, plural, safe, size

KEPT = 2000
_GATHER_S = 60.0


@dataclass(frozen=True, slots=True)
class _Line:
    level: str
    source: str
    text: str
    hint: str = ""
    association: int = 0
    gather: str = ""
    instance: str = ""
    screen: str = ""
    again: str = ""
    """What stands instead of ``text`` where it is gathered with others that are not quite the same."""


_WHAT_TO_DO = {
    0xA7: "free space, or look at storage; the sender may send again then",
    0xA9: "the object contradicts itself or its command: correct it where it was made, then send it again",
    0xC1: "find out which of the two is right: the stored one is kept",
    0xC0: "the object is damaged or cut short: send it again, and if that does not help look at the sender",
    0x01: "look at this node's log",
}
"""By the first byte of the status of a C-STORE response (PS3.4 B.2.3)."""


_EXCEPTIONS = {
    "probable": "a study whose order is probably known, but something differs",
    "unmatched": "a study that fits no order",
    "conflicting": "a study that contradicts its order or patient",
}


def _closed(event: events.AssociationClosed) -> _Line | None:
    if event.how == "released":
        if not (event.stored or event.failed):
            return None
        told = f"{plural(event.stored, 'instance')} stored, {size(event.received_bytes)}"
        if event.failed:
            told += f", {event.failed:,} refused"
        return _Line("warn" if event.failed else "info", event.calling, told, "", event.association)
    told = f"association {event.how}: {event.detail}" if event.detail else f"association {event.how}"
    if event.stored:
        told += f"; {plural(event.stored, 'instance')} stored before"
    return _Line("warn", event.calling or event.address, told, "what was acknowledged is kept", event.association)


def _committed(event: events.CommitmentTold) -> _Line:
    told = f"storage commitment: {plural(event.committed, 'instance')} committed"
    if event.failed:
        told += f", {event.failed:,} not"
    if event.problem:
        told += f"; the answer could not be delivered: {event.problem}"
    level = "warn" if event.failed or event.problem else "info"
    return _Line(level, event.calling, told, event.hint, 0, f"commitment {event.transaction} {event.problem}")


def _answered(event: events.CommitmentAnswered) -> _Line:
    told = f"keeps {plural(event.committed, 'instance')} of a study"
    if event.failed:
        told += f", and {event.failed:,} not"
    if event.problem:
        told = f"storage commitment of a study: {event.problem}"
    level = "warn" if event.failed or event.problem else "info"
    return _Line(level, event.peer, told, event.hint, 0, f"asked commitment {event.transaction}")


def _retrieved(event: events.Retrieved) -> _Line:
    to = f" to {event.destination}" if event.destination and event.destination != event.calling else ""
    told = f"{event.verb}{to}: {plural(event.completed + event.warning, 'instance')} sent"
    if event.failed:
        told += f", {event.failed:,} failed"
    if event.remaining:
        told += f", {event.remaining:,} not sent any more"
    if event.why:
        told += f": {event.why}"
    level = "warn" if event.failed or event.remaining or event.why else "info"
    return _Line(level, event.calling, told, event.hint, event.association)


def _performed(event: events.PerformedChanged) -> _Line:
    state = event.state.lower()
    told = f"procedure {state}" + (f", {plural(event.images, 'object')}" if event.images else "")
    told += "" if event.steps else ", without an order"
    return _Line("info", event.calling, told, "", 0, f"performed {event.calling} {state} {bool(event.steps)}")


def _sent(event: events.SendingEnded) -> _Line:
    sent = event.sent + event.warning
    parts = [f"a study sent on, {plural(sent, 'instance')}"] if sent or not event.failed else []
    if event.warning:
        parts.append(f"{event.warning:,} of them with a warning")
    if event.failed:
        parts.append(f"{plural(event.failed, 'instance')} could not be sent: {event.why}")
    told = ", ".join(parts)
    gather = f"not sent on {event.destination} {event.why}" if event.failed else f"sent on {event.destination}"
    return _Line("warn" if event.failed or event.warning else "info", event.destination, told, event.hint, 0, gather)


def _quarantined(event: events.InstanceQuarantined) -> _Line:
    told = {
        "overwrite": "duplicate with other content replaced the first, which is set aside",
        "reject": "duplicate with other content rejected",
    }.get(event.policy, "duplicate with other content, the newcomer is set aside")
    return _Line(
        "warn",
        event.calling,
        told,
        "pacstui storage quarantine lists what is set aside",
        event.association,
        f"quarantine {event.calling}",
        event.sop_instance,
    )


def describe(event: events.Event) -> _Line | None:
    """Return the feed's line for ``event``; none for events that make no line of their own."""
    match event:
        case events.NodeStarted():
            return _Line("info", "node", f"{event.ae_title} listens on {event.address}")
        case events.NodeStopping():
            return _Line("info", "node", f"stopping: {event.reason}")
        case events.ServiceRefused():
            who = event.calling or "unknown caller"
            return _Line("warn", who, event.text, event.hint, event.association, f"may not {who} {event.text}")
        case events.AssociationRefused():
            who = event.calling or "unknown caller"
            return _Line(
                "warn",
                who,
                f"refused ({event.address}): {event.text}",
                event.hint,
                event.association,
                f"refused {who} {event.text}",
            )
        case events.AssociationClosed():
            return _closed(event)
        case events.InstanceQuarantined():
            return _quarantined(event)
        case events.DestinationDown():
            return _Line("warn", event.destination, f"takes nothing: {event.why}; what is for it waits", event.hint)
        case events.DestinationUp():
            return _Line("info", event.destination, "takes objects again")
        case events.StudyCorrected():
            return _Line("info", event.who or "node", f"correction {event.correction}: {event.text}")
        case events.MaintenanceTold():
            return _Line("info", event.who or "node", event.text)
        case events.SendingEnded():
            return _sent(event)
        case events.InstanceRefused():
            return _Line(
                "warn",
                event.calling,
                f"instance refused, {event.status:04X}H: {event.comment}",
                _WHAT_TO_DO.get(event.status >> 8, ""),
                event.association,
                f"instance {event.association} {event.status} {event.comment}",
                event.sop_instance,
            )
        case events.Retrieved():
            return _retrieved(event)
        case events.StudyFetched():
            told = f"{event.verb} of a study: {plural(event.received, 'instance')} fetched"
            told += f", {event.failed:,} failed" if event.failed else ""
            told += f": {event.why}" if event.why else ""
            return _Line("warn" if event.why or event.failed else "info", event.peer, told, event.hint)
        case events.CommitmentTold():
            return _committed(event)
        case events.CommitmentAnswered():
            return _answered(event)
        case events.InstanceUnreadable():
            return _Line("fail", "storage", event.why, event.hint, 0, f"unreadable {event.path}", event.sop_instance)
        case events.StoragePressure():
            if event.full:
                return _Line("fail", "storage", event.detail, "free space; objects are taken again by themselves")
            return _Line("info", "storage", event.detail or "objects are accepted again")
        case events.ReconciliationDone():
            return _reconciled(event)
        case events.TrashChanged():
            return _trash(event)
        case events.PeerEchoed() if not event.quiet:
            told = f"echo answered in {event.milliseconds:.0f} ms" if event.ok else f"echo failed: {event.detail}"
            return _Line("info" if event.ok else "warn", event.peer, told)
        case events.PerformedChanged():
            return _performed(event)
        case events.OperatorActed():
            return _acted(event)
        case events.JobEnded():
            return _job_ended(event)
        case events.JobTold():
            return _Line(event.level, event.job, event.text, event.hint, 0, f"job {event.job} {event.text}")
        case events.StudyMatched() if event.state in _EXCEPTIONS:
            told = f"{_EXCEPTIONS[event.state]}: X shows it"
            gather = f"{event.state} {event.calling}"
            return _Line("warn", event.calling or "matching", told, "", 0, gather, screen="exceptions")
        case events.MessageTaken() | events.MessageFailed() | events.Hl7Refused():
            return _hl7_in(event)
        case events.ReceiverDown() | events.ReceiverUp() | events.MessageNotSent():
            return _hl7_out(event)
        case events.InstanceStored() if not event.association:
            return _imported(event)
    return None


_HL7_MEANS = {
    "A01": "admitted", "A02": "transferred", "A03": "discharged", "A04": "registered", "A05": "pre-admitted",
    "A06": "to inpatient", "A07": "to outpatient", "A08": "patient updated", "A11": "admission cancelled",
    "A13": "discharge cancelled", "A28": "patient added", "A31": "patient updated", "A40": "patients merged",
    "A47": "patient ID changed", "A49": "patient account changed", "O01": "order", "O19": "order", "O23": "order",
}  # fmt: skip
"""What HL7 events mean, by trigger event: what a message did tells who the patient is, and does not stand here."""


def _hl7_in(event: events.MessageTaken | events.MessageFailed | events.Hl7Refused) -> _Line | None:
    """Tell of HL7 messages that came in: those of one sender that were acted on are one line."""
    match event:
        case events.Hl7Refused():
            told = f"HL7 connection closed: {event.text}"
            gather = f"hl7 refused {event.origin} {event.text}"
            return _Line("warn", event.origin, told, event.hint, 0, gather, "", "hl7")
        case events.MessageFailed():
            who, kind = event.sender or event.origin, event.kind or "a message"
            told = f"{kind} answered {event.code}: {event.why}"
            screen = f"hl7-message:{event.id}" if event.id else "hl7"
            hint = f"pacstui hl7 view {event.id} shows it; it can be edited and resubmitted" if event.id else ""
            return _Line("warn", who or "HL7", told, hint, 0, f"hl7 failed {who} {event.why}", "", screen)
    if event.state == "repeated":
        return None
    who, kind = event.sender or event.origin, event.kind or "message"
    means = _HL7_MEANS.get(kind.partition("^")[2], "")
    told = f"{kind}, {means}" if means else kind
    again = f"HL7 messages, last {told}"
    return _Line("info", who or "HL7", told, "", 0, f"hl7 {who}", "", f"hl7-message:{event.id}", again)


def _hl7_out(event: events.ReceiverDown | events.ReceiverUp | events.MessageNotSent) -> _Line:
    """Tell of HL7 messages that go out."""
    screen = f"hl7-out:{event.receiver}"
    match event:
        case events.ReceiverDown():
            told = f"takes no HL7 messages: {event.why}; what is for it waits"
            return _Line("warn", event.receiver, told, event.hint, 0, "", "", screen)
        case events.ReceiverUp():
            return _Line("info", event.receiver, "takes HL7 messages again", "", 0, "", "", screen)
    told = f"did not take {event.kind}: {event.why}"
    return _Line("warn", event.receiver, told, event.hint, 0, f"hl7 not sent {event.receiver} {event.why}", "", screen)


def _acted(event: events.OperatorActed) -> _Line | None:
    if event.action in ("peers.echo", "corrections.apply", "corrections.undo"):
        return None  # its outcome is told
    action = all_actions().get(event.action)
    label = action.label.partition(":")[0] if action is not None else event.action
    return _Line("info", event.who, f"{label[:1].lower()}{label[1:]}" + (f": {event.target}" if event.target else ""))


def _job_ended(event: events.JobEnded) -> _Line | None:
    if event.quiet:
        return None
    level = {"failed": "fail", "warning": "warn", "interrupted": "warn"}.get(event.state, "info")
    how = "" if event.state in ("done", "warning") else f"{event.state}: "
    told = f"{how}{event.text or 'ended'}, after {duration(event.seconds)}"
    return _Line(level, event.job, told, event.hint)


def _imported(event: events.InstanceStored) -> _Line:
    """Tell of an instance that came by no association; many of them are one line."""
    told = "instance imported" if event.new else "instance imported again, it was there already"
    gather = f"import {event.calling} {event.new}"
    return _Line("info", event.calling or "import", told, "", 0, gather, event.sop_instance)


def _trash(event: events.TrashChanged) -> _Line:
    """Tell of the trash; many of one kind, as a purge has them, are one line."""
    how = {"deleted": "moved to the trash", "returned": "brought back from the trash"}.get(event.what, "gone for good")
    told = f"{event.level} of {plural(event.instances, 'instance')} ({size(event.bytes)}) {how}"
    told += f", but {event.problem}" if event.problem else ""
    hint = "pacstui space undo brings it back" if event.what == "deleted" else ""
    level, gather = "warn" if event.problem else "info", f"trash {event.what} {event.by}"
    return _Line(level, event.by or "trash", told, hint, 0, gather)


def _reconciled(event: events.ReconciliationDone) -> _Line | None:
    told = [
        f"{plural(number, 'file')} {what}"
        for number, what in (
            (event.adopted, "adopted"),
            (event.unreadable, "unreadable, set aside"),
            (event.missing, "missing"),
            (event.removed, "half-received removed"),
        )
        if number
    ]
    if not told:
        return None
    level = "fail" if event.missing else "warn" if event.unreadable else "info"
    hint = "pacstui storage missing lists what has no file" if event.missing else ""
    return _Line(level, "archive", "after the last stop: " + ", ".join(told), hint)


class EventFeed:
    """The last `KEPT` lines, oldest first. Like lines within a minute are one line with a count."""

    def __init__(self, bus: Bus) -> None:
        self._rows: dict[int, FeedRow] = {}
        self._gathered: dict[str, FeedRow] = {}
        self._last = 0
        bus.subscribe(events.Event, self._note)

    def _note(self, event: events.Event) -> None:
        line = describe(event)
        if line is None:
            return
        earlier = self._gathered.get(line.gather) if line.gather else None
        if earlier is not None and (event.at - earlier.at).total_seconds() < _GATHER_S:
            self._rows.pop(earlier.id, None)
            self._append(line, event.at, earlier.count + 1, earlier.line)
        else:
            self._append(line, event.at, 1)

    def _append(self, line: _Line, at: datetime, count: int, replaces: int = 0) -> None:
        self._last += 1
        row = FeedRow(
            self._last,
            at,
            line.level,
            safe(line.source, 64),
            safe(line.again if count > 1 and line.again else line.text, 300),
            line.hint,
            line.association,
            count,
            replaces,
            safe(line.instance, 64),
            line.screen,
        )
        self._rows[row.id] = row
        if len(self._rows) > KEPT:
            del self._rows[next(iter(self._rows))]
        if line.gather:
            if len(self._gathered) > KEPT:
                self._gathered.clear()
            self._gathered[line.gather] = row

    def note(self, at: datetime, level: str, source: str, text: str, hint: str = "") -> None:
        """Add a line that stands for no single event."""
        self._append(_Line(level, source, text, hint), at, 1)

    def after(self, last: int, limit: int) -> tuple[FeedRow, ...]:
        """Return lines with an id above ``last``, oldest first, at most the newest ``limit``."""
        found: list[FeedRow] = []
        for row in reversed(self._rows.values()):
            if row.id <= last or len(found) >= limit:
                break
            found.append(row)
        return tuple(reversed(found))

    async def list(self, after: int = 0, limit: int = 200) -> tuple[FeedRow, ...]:
        """The noun ``feed``."""
        return self.after(after, max(1, min(limit, KEPT)))
