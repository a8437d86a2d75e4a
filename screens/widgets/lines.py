"""A widget that draws lines itself and sends to the terminal only the cells that changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from rich.segment import Segment
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

from screens.widgets.line import Line

if TYPE_CHECKING:
    from screens.app import ConsoleApp
    from screens.theme import Ink


def _same(a: list[Segment], b: list[Segment]) -> int:
    """Return the cells of the common beginning of two lines of segments."""
    cells = 0
    for one, other in zip(a, b, strict=False):
        if one != other:
            break
        cells += one.cell_length
    return cells


def changed(old: Strip, new: Strip) -> tuple[int, int] | None:
    """Return first and last (exclusive) cell that differ between two lines, none if they are alike."""
    before, after = list(old), list(new)
    if before == after:
        return None
    if old.cell_length != new.cell_length:
        return 0, max(old.cell_length, new.cell_length)
    width = new.cell_length
    start = _same(before, after)
    end = width - _same(before[::-1], after[::-1])
    return start, max(start + 1, end)


class Lines(Widget):
    """Base of all that is drawn here: subclasses return lines from :meth:`draw`, :meth:`redraw` compares them."""

    ALLOW_SELECT = False

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes, markup=False)
        self._strips: list[Strip] = []

    @property
    def console_app(self) -> ConsoleApp:
        """The application, with its own type."""
        return cast("ConsoleApp", self.app)

    @property
    def ink(self) -> Ink:
        """The styles in use."""
        return self.console_app.ink

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        """Return what is to be seen, at most ``height`` lines of ``width`` cells."""
        raise NotImplementedError

    def redraw(self) -> None:
        """Draw again; only lines and cells that differ are repainted."""
        width, height = self.size
        if not (width and height and self.is_attached):
            return
        ink = self.ink
        fresh = [
            line.cut(width).strip(ink) if isinstance(line, Line) else line for line in self.draw(width, height)[:height]
        ]
        old = self._strips
        self._strips = fresh
        regions = []
        for y in range(max(len(old), len(fresh))):
            if y >= len(old) or y >= len(fresh):
                regions.append(Region(0, y, width, 1))
                continue
            span = changed(old[y], fresh[y])
            if span is not None:
                regions.append(Region(span[0], y, span[1] - span[0], 1))
        if regions:
            self.refresh(*regions)

    def on_resize(self) -> None:
        """Draw for the new size."""
        self._strips = []
        self.redraw()
        self.refresh()

    def on_show(self) -> None:
        """Draw what was missed while out of sight."""
        self.redraw()

    def render_line(self, y: int) -> Strip:
        """Return line ``y`` as last drawn."""
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.ink["text"])
