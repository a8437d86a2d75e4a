"""The bytes of one message, read: characters, delimiters, header, and what of the header refuses it already."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pacstui.hl7v2 import charset
from pacstui.hl7v2.answer import Head, head_of
from pacstui.hl7v2.message import Delimiters, Malformed, Message
from pacstui.hl7v2.outcome import (
    ERROR,
    INTERNAL,
    REJECTED,
    REQUIRED,
    SEQUENCE,
    TABLE_VALUE,
    UNSUPPORTED_PROCESSING,
    UNSUPPORTED_VERSION,
    Fault,
    Outcome,
)  # fmt: skip
from pacstui.hl7v2.segments import normalised

_SEGMENTS: Final = 100_000
_FIELDS: Final = 1_000_000
_HEAD: Final = 20_000
_BLANKS: Final = b"\r\n \t\0"
_END = re.compile(rb"[\r\n]")


@dataclass(frozen=True, slots=True)
class Rules:
    """What a node takes. ``processing`` are the values of MSH-11 that it acts on, ``charset`` is for messages that name
    none."""

    processing: tuple[str, ...] = ("P", "T", "D")
    charset: str = ""


@dataclass(slots=True)
class Read:
    """A message as far as it could be read. ``message`` is none, and ``refused`` says why, where it is not to be acted
    on."""

    raw: bytes
    digest: bytes
    text: str = ""
    charset: str = ""
    damaged: bool = False
    head: Head = field(default_factory=Head)
    message: Message | None = None
    refused: Outcome | None = None


RulesFor = Callable[[str, str], Rules | None]
"""Returns the rules for a sending application and facility, None for one that may not send."""


def read(raw: bytes, rules_for: RulesFor = lambda application, facility: Rules()) -> Read:
    """Read a message; never raises."""
    got = Read(raw, hashlib.sha256(raw).digest())
    bare = raw.lstrip(_BLANKS)
    end = _END.search(bare)
    first = (bare[: end.start()] if end else bare).decode("latin-1")
    rules = rules_for(*_sender(first))
    if (too_many := _too_many(raw, first)) is not None:
        got.head, got.refused = _head(first[:_HEAD]), _refusal(too_many)
        return got
    declared = _declared(first)
    decoded = charset.decode(raw, declared, rules.charset if rules else "")
    got.charset, got.damaged = decoded.charset, decoded.damaged
    escape = first[6] if first[:3] == "MSH" and len(first) > 6 and not first[6].isalnum() else "\\"
    got.text = text = normalised(decoded.text.removeprefix("\ufeff"), escape)
    try:
        marks = Delimiters.of(text)
        got.head = head_of(text.split("\r", 1)[0], marks)
        message = Message(text)
    except Malformed as fault:
        got.refused = _refusal(Fault("MSH", 0, SEQUENCE, f"this is no HL7 v2 message: {fault}"), code=REJECTED)
        return got
    got.refused = _judge(got.head, rules) if rules else _stranger(message.sender)
    if got.refused is None:
        got.message = message
    return got


def _too_many(raw: bytes, first: str) -> Fault | None:
    """Return what is wrong with a message that has more of something than anybody means."""
    mark = first[3:4].encode("latin-1", "replace") or b"|"
    segments, fields = raw.count(b"\r") + raw.count(b"\n"), raw.count(mark)
    if segments <= _SEGMENTS and fields <= _FIELDS and len(first) <= _HEAD:
        return None
    text = f"{segments:,} segments, {fields:,} fields, {len(first):,} characters of MSH: more than are taken"
    return Fault("", 0, INTERNAL, text, f"at most {_SEGMENTS:,}, {_FIELDS:,} and {_HEAD:,} are")


def _head(first: str) -> Head:
    try:
        return head_of(first, Delimiters.of(first))
    except Malformed:
        return Head()


def _declared(first: str) -> str:
    if first[:3] != "MSH" or len(first) < 4:
        return ""
    fields = first.split(first[3], 18)
    mark = fields[1][1:2] if len(fields) > 1 and len(fields[1]) > 1 else "~"
    return fields[17].replace(mark, "~") if len(fields) > 17 else ""


def _sender(first: str) -> tuple[str, str]:
    """Return MSH-3.1 and MSH-4.1 of a header that is not decoded yet."""
    if first[:3] != "MSH" or len(first) < 8:
        return "", ""
    fields = [*first.split(first[3], 4), "", "", ""]
    mark = first[4]
    return fields[2].split(mark, 1)[0], fields[3].split(first[3], 1)[0].split(mark, 1)[0]


def _stranger(sender: tuple[str, str]) -> Outcome:
    who = " of ".join(part for part in sender if part) or "a sender without a name"
    return _refusal(
        Fault("MSH", 3, TABLE_VALUE, f"{who[:80]} may not send from this address", "add it to [[hl7.senders]]"),
        code=REJECTED,
    )


def _refusal(*faults: Fault, code: str = ERROR) -> Outcome:
    return Outcome(code, faults[0].text, faults=faults)


def _judge(head: Head, rules: Rules) -> Outcome | None:
    """Return why a message is refused by its header alone (2.9.2.1), None if it is not."""
    version = head.version.split(head.marks.component)[0].strip()
    if version and not re.fullmatch(r"2(\.\d+){0,3}", version):
        return _refusal(
            Fault("MSH", 12, UNSUPPORTED_VERSION, f"version {version[:20]} is not spoken here", "HL7 2.1 to 2.9 are"),
            code=REJECTED,
        )
    if not head.kind:
        return _refusal(Fault("MSH", 9, REQUIRED, "MSH-9 names no message type"), code=REJECTED)
    processing = head.processing.split(head.marks.component)[0].strip()
    if processing and processing not in rules.processing:
        known = processing in ("P", "T", "D")
        text = f"processing ID {processing[:10]} is not acted on here"
        hint = f"this node takes {', '.join(rules.processing)} ([hl7] processing)"
        return _refusal(
            Fault("MSH", 11, UNSUPPORTED_PROCESSING if known else TABLE_VALUE, text, hint), code=REJECTED
        )  # fmt: skip
    if not head.control.strip():
        return _refusal(
            Fault("MSH", 10, REQUIRED, "MSH-10, the message control ID, is empty", "the sender has to number messages")
        )
    return None
