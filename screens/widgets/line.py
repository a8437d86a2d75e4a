"""A line of spans: text with a role, measured in cells. Data is only ever text here: no markup is parsed."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip

from screens.theme import Ink

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


@lru_cache(maxsize=4096)
def fit(text: str, width: int, align: str = "<") -> str:
    """Return ``text`` in exactly ``width`` cells: padded, or cut with an ellipsis. ``align`` is <, > or ^."""
    if width <= 0:
        return ""
    cells = cell_len(text)
    if cells > width:
        cut = set_cell_size(text, width - 1).rstrip(" ") + ELLIPSIS
        return cut + " " * (width - cell_len(cut))
    room = width - cells
    if align == ">":
        return " " * room + text
    if align == "^":
        return " " * (room // 2) + text + " " * (room - room // 2)
    return text + " " * room


def wrap(text: str, width: int) -> list[str]:
    """Return ``text`` broken at blanks into lines of at most ``width`` cells; longer words are broken anywhere."""
    width = max(1, width)
    lines: list[str] = []
    current = ""
    for word in text.split():
        while True:
            trial = f"{current} {word}" if current else word
            if cell_len(trial) <= width:
                current = trial
                break
            if current:
                lines.append(current)
                current = ""
                continue
            head = ""
            for char in word:
                if head and cell_len(head + char) > width:
                    break
                head += char
            lines.append(head)
            word = word[len(head) :]
            if not word:
                break
    if current:
        lines.append(current)
    return lines or [""]


_OWN = frozenset(("mode", "safe", "qr"))
"""Roles that keep their background whatever is laid over the line."""


class Line:
    """One line under construction."""

    __slots__ = ("spans", "width")

    def __init__(self, text: str = "", role: str = "text") -> None:
        self.spans: list[tuple[str, str]] = []
        self.width = 0
        if text:
            self.add(text, role)

    def add(self, text: str, role: str = "text") -> Line:
        """Append ``text`` (already safe) and return the line."""
        if text:
            self.spans.append((text, role))
            self.width += cell_len(text)
        return self

    def extend(self, other: Line) -> Line:
        """Append all of ``other``'s spans."""
        self.spans.extend(other.spans)
        self.width += other.width
        return self

    def pad(self, width: int, role: str = "text", fill: str = " ") -> Line:
        """Fill up to ``width`` cells."""
        if self.width < width:
            self.add(fill * (width - self.width), role)
        return self

    def ends(self, other: Line, width: int, role: str = "text") -> Line:
        """Put ``other`` at the right edge of ``width`` cells; this line is cut where they would meet."""
        room = width - other.width - 1
        if room < 1:
            return self.cut(width).pad(width, role)
        return self.cut(room).pad(width - other.width, role).extend(other)

    def cut(self, width: int) -> Line:
        """Cut to ``width`` cells, with an ellipsis where something was lost."""
        if self.width <= width:
            return self
        spans: list[tuple[str, str]] = []
        left = max(0, width)
        for at, (text, role) in enumerate(self.spans):
            cells = cell_len(text)
            if cells < left or (cells == left and not any(t.strip() for t, _ in self.spans[at + 1 :])):
                spans.append((text, role))
                left -= cells
            else:
                spans.append((fit(text + "  ", left), role))
                break
        self.spans = [span for span in spans if span[0]]
        self.width = sum(cell_len(text) for text, _ in self.spans)
        return self

    @property
    def text(self) -> str:
        """The text without roles."""
        return "".join(text for text, _ in self.spans)

    def strip(self, ink: Ink, over: str = "") -> Strip:
        """Return the line as drawn; ``over`` is a role laid over all of it (the cursor)."""
        if over:
            top = ink[over]
            return Strip(
                [Segment(text, ink[role] if role in _OWN else ink[role] + top) for text, role in self.spans], self.width
            )
        return Strip([Segment(text, ink[role]) for text, role in self.spans], self.width)


_CORNERS = {"top": ("\u256d", "\u256e"), "mid": ("\u251c", "\u2524"), "bottom": ("\u2570", "\u256f")}


def rule(width: int, place: str, title: Line | None = None, note: Line | None = None, focused: bool = False) -> Line:
    """Return a horizontal line of a frame, ``place`` being top, mid or bottom, with a title and a note at the right."""
    role = "focus" if focused else "frame"
    left, right = _CORNERS[place]
    if width < 2:
        return Line(left[:width], role)
    line = Line(left, role)
    room = width - 4
    if title is not None and title.width and room > 2:
        line.add("\u2500", role).add(" ", role).extend(title.cut(room - 2)).add(" ", role)
    if note is not None and note.width and line.width + note.width + 5 <= width:
        line.pad(width - note.width - 4, role, "\u2500")
        line.add(" ", role).extend(note).add(" ", role).add("\u2500", role)
    return line.pad(width - 1, role, "\u2500").add(right, role)
