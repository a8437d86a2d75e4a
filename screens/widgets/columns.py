"""Columns that share a width: more room shows more of them, less room drops the least needed first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from screens.widgets.line import Line, fit

Cell = str | tuple[str, str]
"""What stands in a column: safe text, or safe text with a role."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``rank`` 0 is always there; of the others the highest rank goes first when room is short.

    ``width`` is in cells; ``grow`` is the share of the room left over, up to ``most`` cells.
    """

    title: str
    width: int
    grow: int = 0
    align: str = "<"
    rank: int = 0
    most: int = 60
    role: str = "text"


GAP = 2


def share(columns: Sequence[Column], width: int, gap: int = GAP) -> list[int]:
    """Return each column's width in cells, 0 for those left out."""
    chosen = sorted(range(len(columns)), key=lambda at: (columns[at].rank, at))
    used = -gap
    widths = [0] * len(columns)
    for at in chosen:
        need = columns[at].width + gap
        if columns[at].rank and used + need > width:
            break
        widths[at] = columns[at].width
        used += need
    left = width - used
    while left > 0:
        growing = [at for at, w in enumerate(widths) if w and columns[at].grow and w < columns[at].most]
        if not growing:
            break
        total = sum(columns[at].grow for at in growing)
        given = 0
        for at in growing:
            extra = min(max(1, left * columns[at].grow // total), columns[at].most - widths[at], left - given)
            widths[at] += extra
            given += extra
        if not given:
            break
        left -= given
    over = -left
    for at in reversed(chosen):
        if over <= 0:
            break
        if widths[at] and columns[at].grow:
            taken = min(over, max(0, widths[at] - 4))
            widths[at] -= taken
            over -= taken
    return widths


def heads(columns: Sequence[Column], widths: Sequence[int], gap: int = GAP) -> Line:
    """Return the line of column titles."""
    line = Line()
    for column, width in zip(columns, widths, strict=True):
        if width:
            if line.spans:
                line.add(" " * gap)
            line.add(fit(column.title, width, column.align), "dim")
    return line


def row(columns: Sequence[Column], widths: Sequence[int], cells: Sequence[Cell], gap: int = GAP) -> Line:
    """Return one row; every cell is cut or padded to its column."""
    line = Line()
    for column, width, cell in zip(columns, widths, cells, strict=True):
        if width:
            if line.spans:
                line.add(" " * gap)
            text, role = (cell, column.role) if isinstance(cell, str) else cell
            line.add(fit(text, width, column.align), role)
    return line
