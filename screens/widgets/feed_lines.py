"""How a line of the feed is written."""

from __future__ import annotations

from pacstui.contract.feed import FeedRow
from pacstui.text import count, safe
from screens.privacy import Privacy
from screens.widgets.line import Line, fit

MARKS = {"info": (" ", "dim"), "warn": ("!", "warn"), "fail": ("x", "fail")}


def sentence(row: FeedRow, privacy: Privacy) -> str:
    """Return how many times it happened, if more than once, and what."""
    times = f"{count(row.count)}\u00d7 " if row.count > 1 else ""
    return times + privacy.sentence(row.text)


def tone(row: FeedRow) -> str:
    """Return the role of a line's sentence."""
    return {"info": "text", "fail": "fail-text"}.get(row.level, "warn-text")


def feed_line(row: FeedRow, width: int, privacy: Privacy) -> Line:
    """Return one line: mark, time, source, sentence; at the end that Enter leads on, where it fits."""
    mark, role = MARKS.get(row.level, ("!", "warn"))
    line = Line(mark + " ", role).add(f"{row.at.astimezone():%H:%M:%S} ", "dim")
    line.add(fit(safe(row.source, 32), 9), "strong").add(" ")
    line.add(sentence(row, privacy), tone(row))
    if row.hint and line.width + 4 < width:
        line.add("  " + safe(row.hint, 200), "dim")
    return line.cut(width)
