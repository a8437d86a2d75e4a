"""What the other side's answer means (HL7 v2.5 chapter 2: 2.9.2, 2.9.3, segments MSA and ERR)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pacstui.hl7v2.message import Malformed, Message
from pacstui.text import safe

ACCEPTED: Final = frozenset({"AA", "CA"})
KNOWN: Final = ACCEPTED | {"AE", "AR", "CE", "CR"}
_MEANS: Final = {
    "AE": "it found an error in the message",
    "AR": "it could not take the message",
    "CE": "it found an error in the message",
    "CR": "it could not take the message",
}
_HINTS: Final = {
    "AE": "the content is what it minds: its owner knows what it expects; mend the source or the rule, then send again",
    "AR": "its owner knows why: a kind, event or version that it does not take, or trouble of its own",
    "CE": "the content is what it minds: its owner knows what it expects; mend the source or the rule, then send again",
    "CR": "its owner knows why: a kind, event or version that it does not take, or trouble of its own",
}
_CONDITIONS: Final = {
    "100": "segments out of order", "101": "a required field is missing", "102": "wrong kind of value",
    "103": "value not in its table", "200": "message type not taken", "201": "event not taken",
    "202": "processing ID not taken", "203": "version not taken", "204": "unknown key", "205": "duplicate key",
    "206": "record locked", "207": "internal error",
}  # fmt: skip
_SHOWN: Final = 300


def bare(code: str) -> str:
    """Say what a code means, without the other side's own words: these may tell who a patient is."""
    return f"answered {code}: {_MEANS[code]}" if code in _MEANS else f"answered {code}"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, read. ``code`` is that of MSA-1, empty where it cannot be understood, and ``text`` says why then;
    otherwise ``text`` is what the other side says in words. ``control`` is the message that it answers (MSA-2)."""

    code: str
    control: str
    text: str
    hint: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the other side has the message: AA, or CA of the enhanced mode."""
        return self.code in ACCEPTED


def text_of(raw: bytes) -> str:
    """Return an answer's bytes as text: UTF-8, else Latin-1; the end of each segment is CR."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.replace("\r\n", "\r").replace("\n", "\r").strip("\r\0 ")


def read(raw: bytes, control: str) -> Answer:
    """Read the answer to the message with this control ID."""
    if raw in (b"\x06", b"\x15"):  # the commit acknowledgement of MLLP release 2, which names no message
        if raw == b"\x06":
            return Answer("CA", control, "")
        return Answer("CR", control, "it could not take the message (MLLP negative acknowledgement)", _HINTS["CR"])
    text = text_of(raw)
    hint = "see whether this is an HL7 listener, and what its log says"
    if not text:
        return Answer("", "", "it answered with an empty message", hint)
    try:
        message = Message(text)
    except Malformed as fault:
        shown = safe(text, 40)
        return Answer("", "", f'it answered with something that is no HL7 message ("{shown}"): {fault}', hint)
    msa = message.first("MSA")
    if msa is None:
        kind = safe("^".join(filter(None, (message.kind, message.trigger))) or "without a type", 20)
        return Answer("", "", f"it answered with a message ({kind}) that has no MSA segment", hint)
    code = msa.value(1).strip().upper()
    if code not in KNOWN:
        return Answer("", msa.value(2), f'it answered with "{safe(code, 12)}" in MSA-1, which is no code', hint)
    return Answer(code, msa.value(2).strip(), _words(message, code), _HINTS.get(code, ""))


def _words(message: Message, code: str) -> str:
    """Return what is wrong in the other side's words, with the place that it names; empty if it says nothing."""
    said = [message.value("MSA", 3)]
    if code not in ACCEPTED:
        for segment in message.all("ERR"):
            place = _place(segment.components(2)) or _place(segment.components(1))
            condition = segment.value(3) or segment.value(1, 4)
            told = segment.value(8) or segment.value(7) or segment.value(3, 2) or _CONDITIONS.get(condition, condition)
            said.append(": ".join(filter(None, (place, told))))
    unique = [each for each in dict.fromkeys(part.strip() for part in said) if each]
    whole = safe("; ".join(unique), _SHOWN)
    if code in ACCEPTED:
        return whole
    return f"{_MEANS[code]}: {whole}" if whole else f"{_MEANS[code]} and does not say why"


def _place(parts: tuple[str, ...]) -> str:
    """Return where an error is, as PID-3.4, from the components of ERR-2 (or ERR-1 before 2.5)."""
    parts = (*parts, "", "", "", "", "")
    segment, _, field, repetition_or_component = parts[:4]
    if not segment or not (segment.isalnum() and len(segment) == 3):
        return ""
    component = parts[4] if parts[4].isdigit() else ""
    del repetition_or_component
    if not field.isdigit():
        return segment
    return f"{segment}-{field}" + (f".{component}" if component else "")
