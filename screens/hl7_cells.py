"""How HL7 messages look: states as words with symbols, columns, and texts that hide who a patient is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pacstui.contract.hl7 import MessageRow, OutgoingRow, ReceiverRow, SegmentText, SenderRow
from pacstui.text import ago, count, safe
from screens.job_cells import when
from screens.privacy import MASK, Privacy
from screens.widgets import columns as cols
from screens.widgets.line import Line, fit
from screens.widgets.panel import words

C = cols.Column
STATES = {
    "done": ("= done", "good"), "failed": ("x failed", "fail-text"), "repeated": ("- repeated", "dim"),
    "resolved": ("= resolved", "good"), "ignored": ("- ignored", "dim"),
    "waiting": (". waiting", "accent"), "sent": ("= sent", "good"), "held": ("! held", "warn-text"),
    "cancelled": ("- cancelled", "dim"),
}  # fmt: skip
RECEIVERS = {
    "idle": ("= idle", "good"), "sending": ("> sending", "good"), "waiting": ("! waiting", "warn-text"),
    "down": ("x down", "fail"), "stuck": ("x stuck", "fail"), "held": ("! held", "warn-text"),
    "closed": ("- closed", "dim"), "off": ("- off", "dim"), "unknown": ("x unknown", "fail"),
}  # fmt: skip
MESSAGE_STATES = (
    ("", "all"), ("failed", "failed, open"), ("done", "done"), ("repeated", "repeated"), ("resolved", "put right"),
    ("ignored", "ignored"),
)  # fmt: skip
OUTGOING_STATES = (
    ("", "all"), ("waiting", "waiting"), ("failed", "failed"), ("held", "held"), ("sent", "sent"),
    ("cancelled", "cancelled"),
)  # fmt: skip
"""What the lists can be limited to, as the node calls it and as people do."""

SENDERS = (
    C("sender", 16, grow=2, most=32, role="strong"),
    C("from", 12, grow=1, rank=3, most=40, role="dim"),
    C("lines", 5, align=">", rank=4),
    C("messages", 8, align=">"),
    C("failed", 6, align=">"),
    C("a minute", 8, align=">", rank=1, role="accent"),
    C("last message", 12, align=">"),
)
MESSAGES = (
    C("", 1),
    C("state", 10),
    C("time", 8, role="dim"),
    C("sender", 9, grow=1, rank=2, most=24, role="strong"),
    C("kind", 7),
    C("code", 4, rank=6),
    C("what it did, or what was wrong", 32, grow=20, most=120),
    C("patient", 8, grow=1, rank=3, most=20),
    C("accession", 9, grow=1, rank=4, most=20),
    C("control ID", 10, grow=1, rank=5, most=24, role="dim"),
    C("from", 14, rank=7, role="dim"),
)
RECEIVING = (
    C("state", 9),
    C("receiver", 10, grow=1, most=32, role="strong"),
    C("wait", 6, align=">"),
    C("failed", 6, align=">"),
    C("held", 5, align=">", rank=4),
    C("sent", 7, align=">", rank=5),
    C("last sent", 9, rank=3, role="dim"),
    C("what is happening", 20, grow=9, rank=1, most=120),
    C("address", 20, rank=6, role="dim"),
)
OUTGOING = (
    C("", 1),
    C("state", 11),
    C("queued", 8, rank=2, role="dim"),
    C("receiver", 9, grow=1, rank=3, most=24, role="strong"),
    C("kind", 7),
    C("what", 12, grow=2, rank=1, most=40),
    C("answer", 6),
    C("its words, or what went wrong", 26, grow=9, most=120),
    C("tries", 5, align=">", rank=4),
    C("next try", 11, rank=5),
    C("patient", 8, grow=1, rank=6, most=20),
    C("accession", 9, grow=1, rank=7, most=20),
)

_OPEN = frozenset({"MSH", "MSA", "EVN", "BHS", "BTS", "FHS", "FTS", "ORC", "TQ1", "IPC", "ZDS"})
"""Segments that tell nobody who the patient is, but for names and IDs that are known to be some."""


def state(word: str) -> tuple[str, str]:
    """Return a state as a word with its symbol."""
    return STATES.get(word, (safe(word, 20), "warn-text"))


def receiver_state(row: ReceiverRow) -> tuple[str, str]:
    """Return how a receiver stands as a word with its symbol."""
    if row.failed and row.status in ("idle", "sending", "closed"):
        return "! failed", "fail-text"
    return RECEIVERS.get(row.status, (safe(row.status, 20), "warn-text"))


def clock(at: datetime, now: datetime) -> str:
    """Return a time of day, or the day where that is another one."""
    here = at.astimezone(now.tzinfo)
    return f"{here:%H:%M:%S}" if here.date() == now.date() else f"{here.day} {here:%b}"


def moment(at: datetime, now: datetime) -> str:
    """Return a time to the second, with its day where that is another one."""
    here = at.astimezone(now.tzinfo)
    return f"{here:%H:%M:%S}" if here.date() == now.date() else f"{here:%Y-%m-%d %H:%M:%S}"


def sender_name(row: MessageRow | SenderRow) -> str:
    """Return who sends: application, with its facility where it has one."""
    name = safe(row.sender, 64) or "(no name)"
    return f"{name}@{safe(row.facility, 64)}" if row.facility else name


def sender(row: SenderRow, now: datetime) -> Sequence[cols.Cell]:
    """Return the cells of a sender."""
    return (
        sender_name(row),
        safe(row.origin, 64),
        (count(row.connected), "good") if row.connected else ("0", "dim"),
        count(row.messages),
        (count(row.failed), "fail-text" if row.failed else "dim"),
        f"{row.per_minute:,.1f}" if row.per_minute else ("-", "dim"),
        ago(row.last, now) if row.last else ("never", "warn-text"),
    )


def message(row: MessageRow, now: datetime, privacy: Privacy, marked: bool = False) -> Sequence[cols.Cell]:
    """Return the cells of a message that came in."""
    bad = row.state == "failed"
    text = privacy.sentence(row.text)
    if row.state in ("resolved", "ignored") and row.by:
        text = f"{row.state} by {safe(row.by, 64)}: {text}"
    return (
        ("*", "key") if marked else " ",
        state(row.state),
        clock(row.at, now),
        sender_name(row),
        safe(row.kind, 16) or ("(none)", "dim"),
        (safe(row.answer, 4), "fail-text" if row.answer not in ("AA", "CA") else "text"),
        (text, "fail-text") if bad else (text or "-"),
        privacy.ident(row.patient_id),
        privacy.ident(row.accession),
        safe(row.control, 64),
        safe(row.origin, 64),
    )


def receiver(row: ReceiverRow, now: datetime) -> Sequence[cols.Cell]:
    """Return the cells of a receiver."""
    bad = row.status in ("down", "stuck", "unknown")
    return (
        receiver_state(row),
        safe(row.name, 64),
        count(row.waiting),
        (count(row.failed), "fail-text" if row.failed else "dim"),
        (count(row.held), "warn-text" if row.held else "dim"),
        count(row.sent),
        ago(row.last_sent, now) if row.last_sent else ("never", "dim"),
        (safe(row.why, 300), "fail-text") if bad else safe(row.why, 300),
        safe(row.address, 100),
    )


def outgoing(row: OutgoingRow, now: datetime, privacy: Privacy, marked: bool = False) -> Sequence[cols.Cell]:
    """Return the cells of a message that goes out."""
    bad = row.state == "failed"
    text = privacy.sentence(row.text)
    retrying = row.state == "waiting" and row.attempts
    return (
        ("*", "key") if marked else " ",
        ("! retrying", "warn-text") if retrying else state(row.state),
        clock(row.at, now),
        safe(row.destination, 64),
        safe(row.kind, 16),
        safe(row.what, 100),
        (safe(row.answer, 4), "fail-text" if bad else "text") if row.answer else ("-", "dim"),
        (text, "fail-text" if bad else "warn-text") if text and row.state != "sent" else (text or "-", "dim"),
        count(row.attempts) if row.attempts else ("-", "dim"),
        when(row.next_try, now) if row.next_try else ("-", "dim"),
        privacy.ident(row.patient_id),
        privacy.ident(row.accession),
    )


def label(text: str, width: int = 11) -> Line:
    """Return the name of a fact."""
    return Line(fit(text, width), "dim")


def value(segment: str, text: str, privacy: Privacy) -> str:
    """Return the value of a field as it may be shown: with names hidden, nothing of what is about the patient."""
    if privacy.on and segment not in _OPEN and text.strip():
        return MASK
    return privacy.sentence(text)


def raw(line: str, privacy: Privacy) -> str:
    """Return a segment as it was sent, as it may be shown."""
    if privacy.on and line[:3] not in _OPEN and len(line) > 4:
        return f"{safe(line[:4])}{MASK}"
    return privacy.sentence(line)


def segment(part: SegmentText, width: int, privacy: Privacy) -> list[Line]:
    """Return a segment taken apart: a line for each field with its place, name and value; wrong ones are marked."""
    wrong = set(part.wrong)
    whole = part.name in wrong
    lines: list[Line] = []
    places = 12 if width >= 90 else 9
    names = 30 if width >= 110 else 22 if width >= 76 else 16
    for each in part.fields:
        bad = whole or each.place in wrong or any(w.startswith(f"{each.place}.") for w in wrong)
        told = value(part.name, each.value, privacy)
        first = Line("x " if bad else "  ", "fail")
        first.add(fit(safe(each.place, 16), places), "fail-text" if bad else "accent").add(" ")
        first.add(fit(safe(each.name, 60), names), "dim").add(" ")
        role = "fail-text" if bad else "dim" if told == '""' else "text"
        told = 'to be deleted ("")' if told == '""' else told
        lines += words(told or "(empty)", width, role if each.value else "fail-text" if bad else "dim", 0, first)
    seen = {each.place for each in part.fields}
    for place in part.wrong:
        if place != part.name and place not in seen and place.partition(".")[0] not in seen:
            first = Line("x ", "fail").add(fit(safe(place, 16), places), "fail-text").add(" ")
            lines.append(first.add("missing", "fail-text"))
    return lines or [Line("  (no fields)", "dim")]
