"""Messages of our own, made from templates: a segment on each line, and {names} for values.

A value is one component, with the message's delimiters escaped (HL7 v2.5 chapter 2, 2.7), or a name of a person with
components of its own (XPN), each escaped. Nothing in a value can begin a field, a segment or a frame.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pacstui.hl7v2.message import Delimiters, Message, escape
from pacstui.hl7v2.outgoing_rules import Mistaken
from pacstui.text import safe

MARKS: Final = Delimiters()
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{2}\|")
_CONTROLS: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BARE: Final = re.compile(r"\^+(?=[|~]|$)")
_NAME: Final = re.compile("[a-z][a-z_0-9]*")
_CHARSETS: Final = {"UNICODE UTF-8": "utf-8", "8859/1": "latin-1", "ASCII": "ascii"}


@dataclass(frozen=True, slots=True)
class PersonName:
    """A person's name in the form of DICOM (VR PN, PS3.5 6.2.1.2), written as XPN: one repetition for each group, or as
    XCN, for somebody who has a number there: the first group, after an empty number."""

    text: str
    numbered: bool = False

    def hl7(self) -> str:
        """Return it as XPN, escaped. The prefix is DICOM's 4th and HL7's 5th component, the suffix the other way."""
        groups = [(code, group.strip()) for code, group in zip("AIP", self.text.split("="), strict=False)]
        groups = [(code, group) for code, group in groups if group.strip("^ ")]
        found = []
        for code, group in groups:
            parts = [escape(_clean(part.strip()), MARKS) for part in group.split("^")][:5]
            parts += [""] * (5 - len(parts))
            parts = [parts[0], parts[1], parts[2], parts[4], parts[3]]
            if self.numbered:
                return "^" + "^".join(parts).rstrip("^")
            if len(groups) > 1:
                parts += ["", "", code]
            found.append("^".join(parts).rstrip("^"))
        return "~".join(found)


@dataclass(frozen=True, slots=True)
class Composite:
    """A value with components of its own, ^ between them: HL7's HD."""

    text: str

    def hl7(self) -> str:
        """Return it with each component escaped."""
        return "^".join(escape(_clean(part), MARKS) for part in self.text.split("^"))


Value = str | int | datetime | PersonName | Composite


@dataclass(frozen=True, slots=True)
class _Part:
    literal: str
    name: str
    spec: str


@dataclass(frozen=True, slots=True)
class Template:
    """A template, taken apart: for each segment whether it may be left out, and its parts."""

    lines: tuple[tuple[bool, tuple[_Part, ...]], ...]

    @classmethod
    def of(cls, text: str, known: Mapping[str, str]) -> Template:
        """Take a template apart.

        Parameters
        ----------
        text
            The template.
        known
            The names that there are, with what each means.

        Raises
        ------
        Mistaken
            With the line and what is wrong there.
        """
        lines = []
        for number, line in enumerate(text.replace("\r\n", "\n").replace("\r", "\n").split("\n"), 1):
            if line.strip():
                try:
                    lines.append(_line(line.strip(), known))
                except Mistaken as fault:
                    raise Mistaken(f"line {number}: {fault.text}", fault.hint) from None
        made = cls(tuple(lines))
        made._check()
        return made

    def _check(self) -> None:
        if not self.lines or self.lines[0][0] or not self.lines[0][1][0].literal.startswith("MSH|^~\\&|"):
            raise Mistaken("it does not begin with MSH|^~\\&|", "that is the first segment of each message")
        probe = Message(self._text({}, "X").replace("\n", "\r"))
        if not probe.kind or not probe.trigger:
            raise Mistaken("MSH-9 is empty", "the message type stands there: ORU^R01^ORU_R01")
        if probe.control != "X" or not any(part.name == "control" for part in self.lines[0][1]):
            raise Mistaken("MSH-10 is not {control}", "each message needs a control ID of its own there")

    def _text(self, values: Mapping[str, Value], otherwise: str) -> str:
        lines = []
        for optional, parts in self.lines:
            made, filled = [], False
            for part in parts:
                made.append(part.literal)
                if part.name:
                    told = written(values.get(part.name, otherwise), part.spec)
                    filled = filled or bool(told)
                    made.append(told)
            if filled or not optional:
                lines.append(_trimmed("".join(made)))
        return "\n".join(lines)

    def fill(self, values: Mapping[str, Value]) -> str:
        """Return the message with these values: CR after each segment. A value that is not given is empty."""
        return self._text(values, "").replace("\n", "\r") + "\r"


def _trimmed(line: str) -> str:
    """Return a segment without separators behind which nothing comes."""
    start = 8 if line.startswith("MSH") else 0  # MSH-2 is made of them
    return line[:start] + _BARE.sub("", line[start:]).rstrip("|")


def _line(line: str, known: Mapping[str, str]) -> tuple[bool, tuple[_Part, ...]]:
    optional = line.startswith("?")
    line = line.removeprefix("?")
    if not _SEGMENT.match(line):
        raise Mistaken(f'"{safe(line, 20)}" is no segment', "each line is a segment: three capitals or digits, then |")
    parts = []
    try:
        for literal, name, spec, conversion in string.Formatter().parse(line):
            if name is not None:
                if conversion:
                    raise Mistaken(f"!{conversion} means nothing here", "{name} or {name:16}")
                _known(name, spec or "", known)
            if _CONTROLS.search(literal):
                raise Mistaken("it holds a control character", "values are escaped by themselves; leave it out")
            parts.append(_Part(literal, name or "", spec or ""))
    except ValueError as fault:
        raise Mistaken(f"its braces do not fit: {fault}", "write {{ and }} for braces that are no value") from None
    if optional and not any(part.name for part in parts):
        raise Mistaken("a segment that may be left out has no value", "without the ? it is always there")
    return optional, tuple(parts)


def _known(name: str, spec: str, known: Mapping[str, str]) -> None:
    if not _NAME.fullmatch(name) or name not in known:
        raise Mistaken(f"there is no value {{{safe(name, 30)}}}", "there are: " + ", ".join(sorted(known)))
    if spec and not spec.isdigit() and "%" not in spec:
        raise Mistaken(
            f"{{{name}:{safe(spec, 20)}}} is not understood",
            "{name:16} for 16 characters at most, {now:%Y%m%d} for times",
        )
    if "%" in spec:
        told = written(datetime(2000, 1, 1).astimezone(), spec)
        if not told:
            raise Mistaken(f"{{{name}:{safe(spec, 20)}}} makes no text", "{now:%Y%m%d%H%M%S}")


def _clean(text: str) -> str:
    """Return text without control characters: they would end a segment or the frame."""
    return _CONTROLS.sub(" ", text)


def written(value: Value, spec: str = "") -> str:
    """Return a value as it stands in a message."""
    if isinstance(value, PersonName | Composite):
        return value.hl7()
    if isinstance(value, datetime):
        text = value.strftime(spec) if "%" in spec else value.strftime("%Y%m%d%H%M%S%z")
    else:
        text = str(value)
        if spec.isdigit():
            text = text[: int(spec)]
    text = _clean(text).strip()
    return "" if text == '""' else escape(text, MARKS)  # two quotes would say that the value is to be deleted


def encoded(text: str, charset: str) -> bytes:
    """Return a message in a character set of HL7 table 0211; what it has no character for becomes a question mark."""
    return text.encode(_CHARSETS[charset], "replace")
