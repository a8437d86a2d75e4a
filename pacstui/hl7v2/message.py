"""One HL7 v2 message, read (HL7 v2.5 chapter 2).

The library `hl7` takes the message apart. Here is what it leaves open: escape sequences in one pass (2.7), the
difference between a null value and an empty one (2.5.3), and access that never raises for what is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from hl7 import parser

from pacstui.hl7v2 import charset

NULL: Final = '""'
"""Two quotes in a field: the value is to be deleted. An empty field leaves the value as it is."""

_HEADERS: Final = ("MSH", "BHS", "FHS")
_CHARSET: Final = re.compile(r"(?:C[0-9A-Fa-f]{4}|M[0-9A-Fa-f]{4,6})")
_SHORT: Final = 256
_MOST_PARTS: Final = 10_000
"""A field with more parts is none that anybody means; it is left as one text."""
_HEX: Final = re.compile(r"(?:[0-9A-Fa-f]{2})+")


class Malformed(Exception):
    """This is no HL7 v2 message; the text says why."""


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters of MSH-1 and MSH-2."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"

    @classmethod
    def of(cls, text: str) -> Delimiters:
        """Return those that a message, batch or file declares.

        Raises
        ------
        Malformed
            When it begins with none of MSH, BHS and FHS, or its delimiters cannot be told apart.
        """
        if text[:3] not in ("MSH", "BHS", "FHS") or len(text) < 5:
            raise Malformed("it does not begin with MSH")
        mark = text[3]
        end = text.find(mark, 4)
        given = text[4 : end if end >= 0 else len(text.split("\r", 1)[0])]
        given = given[:4]
        both = mark + given + "^~\\&"[len(given) :]
        if len(set(both)) < 5 or any(c.isalnum() or c in "\r\n\0" for c in both):
            raise Malformed("MSH-1 and MSH-2 do not name five different delimiters")
        return cls(mark, *both[1:])


def unescape(text: str, marks: Delimiters) -> str:
    r"""Undo escape sequences in one pass (2.7): \F\ \S\ \T\ \R\ \E\, \Xdd\ as Latin-1, \.br\ and \.sp\ as a line's end;
    \Cxxyy\ and \Mxxyyzz\ switch the character set of what follows (2.7.5); highlighting goes, what is unknown stays as
    it is."""
    escape = marks.escape
    if escape not in text:
        return text
    plain = {"F": marks.field, "S": marks.component, "T": marks.subcomponent, "R": marks.repetition, "E": escape}
    out: list[str] = []
    at = since = 0
    sequence = b""

    def switch(to: bytes) -> None:
        nonlocal since, sequence
        if sequence:
            out[since:] = [charset.switched("".join(out[since:]), sequence)]
        since, sequence = len(out), to

    while (start := text.find(escape, at)) >= 0:
        end = text.find(escape, start + 1)
        if end < 0:
            break
        out.append(text[at:start])
        code = text[start + 1 : end]
        if code in plain:
            out.append(plain[code])
        elif code in ("H", "N"):
            pass
        elif code.startswith((".br", ".sp", ".ce")):
            lines = code[3:6] if code[1:3] == "sp" else ""
            out.append("\n" * (max(1, min(int(lines), 100)) if lines.isdecimal() else 1))
        elif _CHARSET.fullmatch(code):
            switch(b"\x1b" + bytes.fromhex(code[1:]))
        elif code[:1] == "X" and _HEX.fullmatch(code, 1):
            out.append(bytes.fromhex(code[1:]).decode("latin-1"))
        else:  # not one: the next escape character may begin a real one
            out.append(text[start:end])
            at = end
            continue
        at = end + 1
    out.append(text[at:])
    switch(b"")
    return "".join(out)


def escape(text: str, marks: Delimiters) -> str:
    """Return text with its delimiters escaped, so that it is one subcomponent; line ends become blanks."""
    return text.replace("\r\n", " ").translate(_table(marks))


@lru_cache(64)
def _table(marks: Delimiters) -> dict[int, str]:
    named = {
        marks.escape: "E", marks.field: "F", marks.component: "S", marks.subcomponent: "T", marks.repetition: "R"
    }  # fmt: skip
    escaped = {ord(mark): f"{marks.escape}{name}{marks.escape}" for mark, name in named.items()}
    return escaped | {ord("\r"): " ", ord("\n"): " "}


class _Plan(parser._ParsePlan):  # type: ignore[misc]
    """hl7's plan of how a text is taken apart, which makes the plan for the next level once and not for each part."""

    def next(self) -> Any:
        if not hasattr(self, "_next"):
            self._next = super().next()
        return self._next


@lru_cache(64)
def _plan(marks: Delimiters) -> Any:
    """Return the plan for one field."""
    whole = parser.create_parse_plan(
        f"MSH{marks.field}{marks.component}{marks.repetition}{marks.escape}{marks.subcomponent}{marks.field}"
    )
    field = whole.next().next()
    return _Plan(field.separator, field.separators, field.containers, field.esc, field.factory)


Parts = tuple[tuple[tuple[str, ...], ...], ...]
"""Repetitions of components of subcomponents."""


def _taken_apart(text: str, marks: Delimiters) -> Parts:
    """Return the parts of a field."""
    number = sum(text.count(mark) for mark in (marks.component, marks.repetition, marks.subcomponent))
    if not number or number > _MOST_PARTS:
        return (((text,),),)
    return tuple(
        (((repetition,),) if isinstance(repetition, str) else tuple(
            (component,) if isinstance(component, str) else tuple(map(str, component)) for component in repetition
        ))
        for repetition in parser._split(text, _plan(marks))
    )  # fmt: skip


_known = lru_cache(8192)(_taken_apart)
"""For short fields: senders, codes, places and patients come again and again."""


class Segment:
    """One segment. Fields, repetitions, components and subcomponents count from 1, as in the standard.

    A field is taken apart, by hl7, when a part of it is asked for: of the fifty of a visit three are.
    """

    __slots__ = ("_fields", "_taken", "marks", "name")

    def __init__(self, fields: list[str], marks: Delimiters) -> None:
        self._fields = fields
        self._taken: dict[int, Parts] = {}
        self.marks = marks
        self.name = fields[0]

    def __len__(self) -> int:
        """The number of the last field."""
        return len(self._fields) - 1

    def raw(self, field: int) -> str:
        """Return a field as it was sent; empty if there is none."""
        return self._fields[field] if 0 <= field < len(self._fields) else ""

    def value(self, field: int, component: int = 1, subcomponent: int = 1, repetition: int = 1) -> str:
        """Return a value, unescaped; empty if there is none, `NULL` if it is to be deleted."""
        if not 0 <= field < len(self._fields) or not self._fields[field]:  # most are empty
            return ""
        if component < 1 or subcomponent < 1 or repetition < 1:
            return ""
        try:
            bare = self._parts(field)[repetition - 1][component - 1][subcomponent - 1]
        except IndexError:
            return ""
        return unescape(bare, self.marks) if self.marks.escape in bare else bare

    def whole(self, field: int, repetition: int = 1) -> str:
        """Return a whole repetition of a field as text, unescaped: for what has no components."""
        parts = self.raw(field).split(self.marks.repetition)
        return unescape(parts[repetition - 1], self.marks) if 0 < repetition <= len(parts) else ""

    def repetitions(self, field: int) -> int:
        """Return how often a field is given; 0 if it is empty."""
        return len(self._parts(field))

    def components(self, field: int, repetition: int = 1) -> tuple[str, ...]:
        """Return the components of a field, unescaped, each with its first subcomponent."""
        parts = self._parts(field)
        if not 0 < repetition <= len(parts):
            return ()
        return tuple(unescape(component[0], self.marks) for component in parts[repetition - 1])

    def _parts(self, field: int) -> Parts:
        """Return the repetitions of a field; none of one that is empty."""
        taken = self._taken.get(field)
        if taken is None:
            text = self.raw(field)
            if not text:
                taken = ()
            elif self.name in _HEADERS and field <= 2:
                taken = (((text,),),)
            else:
                taken = (_known if len(text) <= _SHORT else _taken_apart)(text, self.marks)
            self._taken[field] = taken
        return taken


class Message:
    """A message, taken apart.

    Parameters
    ----------
    text
        With CR as the end of segments, without framing.

    Raises
    ------
    Malformed
        When it is none.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.marks = marks = Delimiters.of(text)
        segments = []
        for line in text.split("\r"):
            if line:
                fields = line.split(marks.field)
                if fields[0] in _HEADERS:
                    fields.insert(1, marks.field)
                segments.append(Segment(fields, marks))
        self.segments = tuple(segments)
        self.header = self.segments[0]

    def all(self, name: str) -> Iterator[Segment]:
        """Yield the segments of a name, in order."""
        return (each for each in self.segments if each.name == name)

    def first(self, name: str) -> Segment | None:
        """Return the first segment of a name, none if there is none."""
        return next(self.all(name), None)

    def value(self, name: str, field: int, component: int = 1, subcomponent: int = 1) -> str:
        """Return a value of the first segment of that name, unescaped; empty if there is none."""
        segment = self.first(name)
        return segment.value(field, component, subcomponent) if segment is not None else ""

    @property
    def kind(self) -> str:
        """Message type, as ADT (MSH-9.1)."""
        return self.header.value(9, 1)

    @property
    def trigger(self) -> str:
        """Trigger event, as A08 (MSH-9.2)."""
        return self.header.value(9, 2)

    @property
    def control(self) -> str:
        """Message control ID (MSH-10)."""
        return self.header.value(10)

    @property
    def sender(self) -> tuple[str, str]:
        """Sending application and facility (MSH-3.1, MSH-4.1)."""
        return self.header.value(3), self.header.value(4)
