"""What commands print: sentences, tables aligned by cells, JSON. Everything passes through `pacstui.text.safe`."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TextIO

from pacstui.errors import PacsError
from pacstui.text import safe


def say(text: object = "") -> None:
    """Print one line."""
    print(safe(text))  # noqa: T201


def warn(text: object) -> None:
    """Print one line on standard error."""
    print(safe(text), file=sys.stderr)  # noqa: T201


def complain(fault: PacsError) -> None:
    """Print what was wrong and what to do about it on standard error."""
    problems = getattr(fault, "problems", ())
    for problem in problems:
        warn(problem)
    if not problems:
        warn(f"pacstui: {fault.message}")
    if fault.hint:
        warn(f"  {fault.hint}")


class Live:
    """A line on standard error that changes while work goes on; nothing where that is no terminal."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()

    def now(self, text: str) -> None:
        """Show ``text`` in place of what is shown."""
        if self._shown:
            sys.stderr.write("\x1b[K" + _fit(safe(text), max(20, (_width_of(sys.stderr) or 80) - 1)).rstrip() + "\r")
            sys.stderr.flush()

    def line(self, text: str) -> None:
        """Write a line that stays."""
        self.end()
        warn(text)

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            sys.stderr.write("\x1b[K")
            sys.stderr.flush()


@contextmanager
def live() -> Iterator[Live]:
    """Yield a line for progress, and take it away at the end."""
    line = Live()
    try:
        yield line
    finally:
        line.end()


def say_json(value: Any, *, line: bool = False) -> None:
    """Print ``value`` as JSON, in ASCII, so that it is harmless on a terminal and exact for programs."""
    print(json.dumps(value, indent=None if line else 2, default=str), flush=line)  # noqa: T201


def cells(text: str) -> int:
    """Return how many terminal cells ``text`` takes."""
    if text.isascii():
        return len(text)
    width = 0
    for char in text:
        if unicodedata.category(char) in ("Mn", "Me", "Cf"):
            continue
        width += 2 if unicodedata.east_asian_width(char) in "WF" else 1
    return width


def _fit(text: str, width: int, *, right: bool = False) -> str:
    taken = cells(text)
    if taken > width:
        kept = ""
        for char in text:
            if cells(kept + char) > width - 1:
                break
            kept += char
        text, taken = kept + "\N{HORIZONTAL ELLIPSIS}", cells(kept) + 1
    pad = " " * (width - taken)
    return pad + text if right else text + pad


def _width_of(stream: TextIO) -> int | None:
    """Return the width of the terminal that a stream goes to, none when it goes elsewhere."""
    try:
        return os.get_terminal_size(stream.fileno()).columns if stream.isatty() else None
    except (OSError, ValueError):
        return None


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "") -> list[str]:
    """Return lines of a table; numbers stand to the right.

    On a terminal the widest columns are cut until a line fits; elsewhere nothing is cut.
    """
    body = [[safe(cell) for cell in row] for row in rows]
    if not body:
        return [empty] if empty else []
    widths = [max(cells(title), *(cells(row[i]) for row in body)) for i, title in enumerate(columns)]
    right = [all(_numeric(row[i]) for row in body) for i in range(len(columns))]
    screen = _width_of(sys.stdout)
    while screen is not None and sum(widths) + 2 * (len(widths) - 1) > screen and max(widths) > 8:
        widths[widths.index(max(widths))] -= 1
    lines = []
    for row in ([*columns], *body):
        line = "  ".join(_fit(cell, widths[i], right=right[i]) for i, cell in enumerate(row))
        lines.append(line.rstrip())
    return lines


def _numeric(text: str) -> bool:
    return not text.strip(" -") or text.strip().split(" ")[0].replace(",", "").replace(".", "", 1).isdigit()


def day(text: str) -> str:
    """Return a date of DICOM as 2026-01-31, other text as it is, ``-`` for none."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text or "-"


def moment(text: str | None) -> str:
    """Return a time of the node's answer (ISO 8601) as local date and time, ``-`` for none."""
    if not text:
        return "-"
    try:
        return datetime.fromisoformat(text).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError):
        return safe(text, 32)


def fields(value: Mapping[str, Any], names: Iterable[str] = ()) -> list[str]:
    """Return the plain fields of an answer, one a line, ``names`` first."""
    order = [*dict.fromkeys([*names, *value])]
    shown = [(name, value[name]) for name in order if not isinstance(value.get(name), list | dict)]
    width = max((len(name) for name, _ in shown), default=0)
    return [f"{name.replace('_', ' '):<{width}}  {'-' if item is None or item == '' else item}" for name, item in shown]


def anything(value: Any) -> list[str]:
    """Return an answer for which nobody has made a view: rows as a table, one thing as fields."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        columns = [name for name, item in value[0].items() if not isinstance(item, list | dict)]
        return table([c.replace("_", " ") for c in columns], [[row.get(c) for c in columns] for row in value])
    if isinstance(value, dict):
        lines = fields(value)
        for name, item in value.items():
            if isinstance(item, list | dict) and item:
                lines += ["", name.replace("_", " "), *("  " + line for line in anything(item))]
        return lines
    if isinstance(value, list):
        return [str(item) for item in value] or ["nothing"]
    return [] if value is None else [str(value)]
