"""Which messages that came in are sent on, and how their header is rewritten."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import Final

from pacstui.hl7v2.message import Message, Segment
from pacstui.hl7v2.outcome import ACCEPTED, Outcome
from pacstui.settings import Hl7ForwardSettings
from pacstui.text import safe

Test = Callable[[Message], bool]

_CONDITION: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9]{2})-(\d{1,3})(?:\.(\d{1,3}))?(?:\.(\d{1,3}))?\s*(!=|=|present|absent)\s*(.*)", re.DOTALL
)
_FORM: Final = (
    'write it as "PID-3.4 = HOSPITAL", "PV1-3 != TEST*", "OBR-24 = CT | MR", "ZDS-1 present" or "PID-30 absent"'
)
_HEADER: Final = 10
_ESCAPE: Final = 0x1B


class Mistaken(Exception):
    """A rule, or a template, cannot be understood; ``hint`` says how it is written."""

    def __init__(self, text: str, hint: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.hint = hint


def patterns(wanted: Iterable[str]) -> Callable[[str], bool]:
    """Return what tells whether a text fits one of some patterns with * and ?; without any, each does."""
    found = [re.compile(translate(each.casefold())) for each in wanted]
    if not found:
        return lambda text: True
    return lambda text: any(each.match(text.casefold()) for each in found)


def condition(text: str) -> Test:
    """Return what tests a message by a condition on a field. Raises `Mistaken`."""
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise Mistaken(f'"{safe(text, 60)}" is no condition', _FORM)
    name, field, component, subcomponent, sign, rest = match.groups()
    name, number = name.upper(), int(field)
    if not number or component == "0" or subcomponent == "0":
        raise Mistaken(f'"{safe(text, 60)}": fields and components count from 1', _FORM)
    values = [each.strip() for each in rest.split("|")] if rest.strip() else []
    if sign in ("present", "absent"):
        if values:
            raise Mistaken(f'"{safe(text, 60)}": nothing comes after {sign}', _FORM)
        return lambda message: _there(message, name, number, component, subcomponent) is (sign == "present")
    if not values or "" in values:
        raise Mistaken(f'"{safe(text, 60)}": a value is missing', _FORM)
    fits = patterns(values)

    def test(message: Message) -> bool:
        return any(fits(value) for value in _values(message, name, number, component, subcomponent)) is (sign == "=")

    return test


def _values(message: Message, name: str, field: int, component: str | None, subcomponent: str | None) -> Iterable[str]:
    segments = list(message.all(name))
    if not segments:
        yield ""
    for segment in segments:
        yield from _of(segment, field, component, subcomponent)


def _of(segment: Segment, field: int, component: str | None, subcomponent: str | None) -> Iterable[str]:
    for repetition in range(1, max(1, segment.repetitions(field)) + 1):
        yield segment.value(field, int(component or 1), int(subcomponent or 1), repetition)


def _there(message: Message, name: str, field: int, component: str | None, subcomponent: str | None) -> bool:
    for segment in message.all(name):
        if component is None:
            if segment.raw(field) not in ("", '""'):
                return True
        elif any(value not in ("", '""') for value in _of(segment, field, component, subcomponent)):
            return True
    return False


@dataclass(frozen=True, slots=True)
class Rule:
    """A forward rule, made ready."""

    name: str
    to: tuple[str, ...]
    tests: tuple[Test, ...]
    accepted_only: bool
    header: tuple[tuple[int, str], ...]

    @classmethod
    def of(cls, settings: Hl7ForwardSettings) -> Rule:
        """Return the rule of some settings. Raises `Mistaken`."""
        tests: list[Test] = []
        if settings.sender:
            sender = patterns(settings.sender)
            tests.append(lambda message: sender(message.sender[0]) or sender("@".join(message.sender)))
        if settings.kind:
            kind = patterns(settings.kind)
            tests.append(lambda message: kind(message.kind) or kind(f"{message.kind}^{message.trigger}"))
        if settings.patient_class:
            patient_class = patterns(settings.patient_class)
            tests.append(lambda message: patient_class(message.value("PV1", 2)))
        tests += [condition(each) for each in settings.where]
        header = (
            (3, settings.sending_application), (4, settings.sending_facility), (5, settings.receiving_application),
            (6, settings.receiving_facility),
        )  # fmt: skip
        return cls(
            settings.name, settings.to, tuple(tests), settings.outcome == "accepted",
            tuple((field, value) for field, value in header if value),
        )  # fmt: skip

    def wants(self, message: Message, outcome: Outcome) -> bool:
        """Return whether a message is for this rule."""
        if self.accepted_only and outcome.code != ACCEPTED:
            return False
        return all(test(message) for test in self.tests)


def rules(all_settings: Sequence[Hl7ForwardSettings]) -> tuple[list[Rule], list[tuple[str, Mistaken]]]:
    """Return the rules that are in use, and those that cannot be understood, by name."""
    found, mistaken = [], []
    for settings in all_settings:
        if settings.enabled:
            try:
                found.append(Rule.of(settings))
            except Mistaken as fault:
                mistaken.append((settings.name, fault))
    return found, mistaken


def _fields(header: bytes, mark: int) -> list[int]:
    """Return where the field separators of a segment stand. In the middle of an ISO 2022 set none does: there the byte
    is half of a character."""
    found, ascii_set, at = [], True, 0
    while at < len(header):
        if header[at] == _ESCAPE and at + 2 < len(header):
            multiple = header[at + 1 : at + 2] == b"$"
            ascii_set = not multiple and header[at + 1 : at + 3] in (b"(B", b"(J")
            at += 4 if multiple and header[at + 2 : at + 3] in b"()" else 3
            continue
        if header[at] == mark and ascii_set:
            found.append(at)
        at += 1
    return found


def ready(raw: bytes) -> bytes:
    """Return a message as it came in, with the CR at the end of each segment that the standard wants (2.4)."""
    lines = raw.replace(b"\r\n", b"\r").replace(b"\n", b"\r").strip(b"\r\0")
    return lines + b"\r"


def as_sent(raw: bytes, text: str) -> tuple[bytes, tuple[tuple[int, str], ...]]:
    """Return a message that came in as it is sent on, and what of its header has to change for that.

    What MLLP cannot carry safely (UTF-16 and UTF-32, in whose characters the bytes of the frame occur) goes as UTF-8.
    """
    begin = raw.find(b"MSH")
    if begin < 0 or b"\0" in raw[begin : begin + 8]:
        return ready(text.encode("utf-8", "replace")), ((18, "UNICODE UTF-8"),)
    return ready(raw[begin:]), ()


def readdressed(raw: bytes, header: Sequence[tuple[int, str]], control: str = "") -> bytes:
    """Return a message with some fields of MSH changed, and all other bytes as they were.

    ``control`` becomes its control ID where it has none.
    """
    first, end, rest = raw.partition(b"\r")
    if (not header and not control) or len(first) < 8:
        return raw
    mark = first[3]
    at = _fields(first, mark)
    parts = [first[: at[0]]] if at else [first]
    parts += [first[a + 1 : b] for a, b in zip(at, [*at[1:], len(first)], strict=True)]
    # parts[0] is "MSH", parts[1] is MSH-2, parts[n - 1] is MSH-n.
    parts += [b""] * (max([_HEADER, *(field for field, _ in header)]) - len(parts))
    # Not a character of the field separator: an administrator's text is at most one field.
    for field, value in header:
        parts[field - 1] = value.replace(chr(mark), " ").encode("utf-8")
    if control and not parts[9].strip():
        parts[9] = control.encode("ascii")
    return bytes([mark]).join(parts) + end + rest
