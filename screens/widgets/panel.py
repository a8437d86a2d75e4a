"""A frame with sections of items; items that lead somewhere have an id and can be chosen."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from screens.widgets.line import Line, rule, wrap
from screens.widgets.lines import Lines


@dataclass(slots=True)
class Item:
    """Lines that belong together; with an ``id`` they can be chosen."""

    lines: list[Line]
    id: Hashable | None = None


@dataclass(slots=True)
class Section:
    """Items under a title on the dividing line; the first section's title is the frame's."""

    title: Line | None
    items: list[Item] = field(default_factory=list)
    note: Line | None = None


def words(text: str, width: int, role: str = "text", indent: int = 0, first: Line | None = None) -> list[Line]:
    """Return ``text`` wrapped to ``width``, continued lines ``indent`` cells in, the first one after ``first``."""
    start = first or Line()
    if start.width >= indent:
        indent = indent or start.width
    lines = wrap(text, max(8, width - max(indent, start.width)))
    if len(lines) > 1 and start.width > indent and text.startswith(lines[0]):  # what follows has more room
        lines[1:] = wrap(text[len(lines[0]) :].lstrip(), max(8, width - indent))
    out = [start.add(lines[0], role)]
    out.extend(Line(" " * indent).add(line, role) for line in lines[1:])
    return out


class Panel(Lines):
    """Base of the dashboard's panels and of the pages of detail. Subclasses return :meth:`sections`."""

    can_focus = True
    UPPER = "top"
    MARKED = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
        Binding("home,g", "move(-1000000)", show=False),
        Binding("end,G", "move(1000000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """Enter was pressed on the item with ``id`` (none: on the panel as a whole)."""

        def __init__(self, panel: Panel, id: Hashable | None) -> None:
            super().__init__()
            self.panel = panel
            self.id = id

        @property
        def control(self) -> Panel:
            """The panel."""
            return self.panel

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.cursor: Hashable | None = None
        self.top = 0
        self._order: list[Hashable] = []
        self._rows: list[tuple[Line | None, Hashable | None, Section | None]] = []

    def sections(self, width: int, height: int) -> Sequence[Section]:
        """Return what is in the frame; ``width`` and ``height`` are those inside of it."""
        raise NotImplementedError

    @property
    def lit(self) -> bool:
        """Whether frame and cursor show that the keys go here."""
        return self.has_focus

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        focused = self.lit
        inside, room = max(1, width - 4), max(0, height - 2)
        sections = list(self.sections(inside, room)) or [Section(None)]
        rows: list[tuple[Line | None, Hashable | None, Section | None]] = []
        order: list[Hashable] = []
        for number, section in enumerate(sections):
            if number:
                rows.append((None, None, section))
            for item in section.items:
                if item.id is not None and item.id not in order:
                    order.append(item.id)
                rows.extend((line, item.id, None) for line in item.lines)
        self._settle(order)
        self._order, self._rows = order, rows
        self._keep_in_sight(room)
        border = "focus" if focused else "frame"
        # What is scrolled past has its title no more: the frame says what the first line in sight belongs to.
        head = next((section for _, _, section in reversed(rows[: self.top]) if section is not None), sections[0])
        out: list[Line | Strip] = [rule(width, self.UPPER, head.title, head.note, focused)]
        thumb = self._thumb(room)
        for y in range(room):
            at = self.top + y
            line, ident, section_here = rows[at] if at < len(rows) else (Line(), None, None)
            if section_here is not None:
                out.append(rule(width, "mid", section_here.title, section_here.note, focused))
                continue
            marked = self.MARKED and ident is not None and ident == self.cursor and focused
            first = marked and (at == 0 or rows[at - 1][1] != ident)
            ink = self.ink
            text = Line("\u25b8" if first else " ").extend(line or Line()).cut(inside + 1).pad(inside + 2)
            body = text.strip(ink, "cursor" if marked else "")
            edge = "\u2503" if y in thumb else "\u2502"
            out.append(Strip.join([Line("\u2502", border).strip(ink), body, Line(edge, border).strip(ink)]))
        if height > 1:
            out.append(rule(width, "bottom", None, self.footnote(), focused))
        return out

    def footnote(self) -> Line | None:
        """Return what stands in the lower edge."""
        return None

    def _settle(self, order: list[Hashable]) -> None:
        """Keep the cursor on its item; where that is gone, on its former neighbour."""
        if self.cursor in order:
            return
        if self.cursor is not None and order and self.cursor in self._order:
            self.cursor = order[min(self._order.index(self.cursor), len(order) - 1)]
        else:
            self.cursor = order[0] if order else None

    def _keep_in_sight(self, room: int) -> None:
        most = max(0, len(self._rows) - room)
        if self._order and self.cursor is not None:
            mine = [at for at, (_, ident, _) in enumerate(self._rows) if ident == self.cursor]
            if mine and self.cursor == self._order[0] and mine[-1] < room:
                self.top = 0
            elif mine:
                if mine[-1] >= self.top + room:
                    self.top = mine[-1] - room + 1
                if mine[0] < self.top:
                    self.top = mine[0]
        self.top = max(0, min(self.top, most))

    def _thumb(self, room: int) -> range:
        total = len(self._rows)
        if total <= room or room <= 0:
            return range(0)
        length = max(1, room * room // total)
        start = round(self.top / max(1, total - room) * (room - length))
        return range(start, start + length)

    def action_move(self, by: int) -> None:
        """Move the cursor by items, or scroll where there is nothing to choose."""
        last = self.cursor == self._order[-1] if self._order else True
        first = self.cursor == self._order[0] if self._order else True
        if not self._order or (by > 0 and last) or (by < 0 and first):
            room = max(1, self.size.height - 2)
            mine = [at for at, (_, ident, _) in enumerate(self._rows) if ident is not None and ident == self.cursor]
            low = max(0, mine[-1] - room + 1) if mine else 0
            high = mine[0] if mine else len(self._rows)
            self.top = max(low, min(self.top + by, high, max(0, len(self._rows) - room)))
        else:
            at = self._order.index(self.cursor) if self.cursor in self._order else 0
            self.cursor = self._order[max(0, min(len(self._order) - 1, at + by))]
        self.redraw()

    def action_choose(self) -> None:
        """Go where the chosen item leads."""
        self.post_message(self.Chosen(self, self.cursor))

    def copied(self) -> str:
        """Return the chosen item's text, else all of it."""
        chosen = [line.text.strip() for line, ident, _ in self._rows if line is not None and ident == self.cursor]
        if self.cursor is not None and chosen:
            return " ".join(" ".join(chosen).split())
        return "\n".join(line.text.rstrip() for line, _, _ in self._rows if line is not None)

    def on_focus(self) -> None:
        """Show the cursor."""
        self.redraw()

    def on_blur(self) -> None:
        """Hide the cursor; the newest is in sight again."""
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Choose the item under the pointer; a second click opens it."""
        at = self.top + event.y - 1
        if 0 <= at < len(self._rows):
            ident = self._rows[at][1]
            if ident is not None:
                if ident == self.cursor and event.chain > 1:
                    self.action_choose()
                self.cursor = ident
                self.redraw()

    def on_mouse_scroll_down(self) -> None:
        """Scroll down."""
        self.action_move(1)

    def on_mouse_scroll_up(self) -> None:
        """Scroll up."""
        self.action_move(-1)
