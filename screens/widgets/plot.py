"""Numbers over time, for those who would rather look than read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from screens.widgets.line import Line

_EIGHTHS = " \u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588"
_LEFT_EIGHTHS = " \u258f\u258e\u258d\u258c\u258b\u258a\u2589\u2588"


def spark(values: Sequence[float], width: int, top: float = 0.0) -> str:
    """Return a sparkline of one row; a value above 0 is always seen. The newest values are at the right."""
    shown = [float(v) for v in values[-width:]] if width > 0 else []
    shown = [0.0] * (width - len(shown)) + shown
    peak = max([top, *shown, 1e-9])
    return "".join("\u2581" if v <= 0 else _EIGHTHS[max(1, min(8, round(v / peak * 8)))] for v in shown)


def bar(part: float, width: int, used: str = "bar") -> Line:
    """Return a bar of ``width`` cells filled for ``part`` (0 to 1), to an eighth of a cell."""
    part = min(1.0, max(0.0, part))
    eighths = round(part * width * 8)
    if part > 0 and not eighths:
        eighths = 1
    full, rest = divmod(eighths, 8)
    line = Line("\u2588" * full, used)
    if rest:
        line.add(_LEFT_EIGHTHS[rest], used)
    return line.pad(width, "track", "\u2591")


def nice(peak: float) -> float:
    """Return a round number at or above ``peak``."""
    if peak <= 0:
        return 1.0
    power = 1.0
    while power * 10 < peak:
        power *= 10
    while power > peak:
        power /= 10
    for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 8.0, 10.0):
        if step * power >= peak:
            return step * power
    return peak


def chart(
    values: Sequence[float],
    width: int,
    height: int,
    label: Callable[[float], str],
    role: str = "plot",
    low: float = 1.0,
) -> list[Line]:
    """Return a chart of ``height`` rows: a scale at the left, bars with the newest at the right.

    Parameters
    ----------
    label
        Writes a value for the scale.
    low
        The scale never ends below this, so that a trickle does not look like a flood.
    """
    top = nice(max([low, *values]))
    marks = {0: label(top), height - 1: label(0)}
    if height >= 5:
        marks[(height - 1) // 2] = label(top / 2)
    gutter = max(len(text) for text in marks.values())
    room = max(1, width - gutter - 2)
    shown = [float(v) for v in values[-room:]]
    shown = [0.0] * (room - len(shown)) + shown
    levels = [0 if v <= 0 else max(1, round(v / top * height * 8)) for v in shown]
    lines = []
    for y in range(height):
        base = (height - 1 - y) * 8
        cells = "".join(_EIGHTHS[max(0, min(8, level - base))] for level in levels)
        if y == height - 1:
            cells = cells.replace(" ", "\u2581")
        edge = "\u2524" if y in marks else "\u2502"
        lines.append(Line(marks.get(y, "").rjust(gutter), "dim").add(" ").add(edge, "frame").add(cells, role))
    return lines
