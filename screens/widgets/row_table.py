"""A table of any length: draws the rows in sight, asks for pages as they are needed, keeps the cursor on its row."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip

from screens.widgets import columns as cols
from screens.widgets.line import Line, rule, wrap
from screens.widgets.lines import Lines

T = TypeVar("T")
AHEAD = 60
"""Rows beyond the ones in sight for which a page is asked in advance."""
HELD = 5_000
"""Rows that are held of a list that comes in pages; those farthest from what is in sight are let go.

Not where ``bounded`` is false: of a list that can be had downwards only."""


class RowTable(Lines, Generic[T]):
    """Rows with an id each.

    Parameters
    ----------
    columns
        What to show where there is room for it.
    cells
        Writes one row's cells; called for rows in sight only.
    ident
        The row's id. Cursor and actions hold on to it whatever happens to the order.
    words
        The text that a filter looks at.
    """

    can_focus = True

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f", "page(1)", show=False),
        Binding("home,g", "edge(-1)", show=False),
        Binding("end,G", "edge(1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """Enter was pressed on the row with ``id``."""

        def __init__(self, table: RowTable[Any], id: Hashable) -> None:
            super().__init__()
            self.table = table
            self.id = id

        @property
        def control(self) -> RowTable[Any]:
            """The table."""
            return self.table

    class Moved(Message):
        """Somebody moved the cursor."""

        def __init__(self, table: RowTable[Any]) -> None:
            super().__init__()
            self.table = table

        @property
        def control(self) -> RowTable[Any]:
            """The table."""
            return self.table

    class Wanted(Message):
        """The rows that are there run out: the page after them is needed, or the one ``before`` them."""

        def __init__(self, table: RowTable[Any], before: bool = False) -> None:
            super().__init__()
            self.table = table
            self.before = before

        @property
        def control(self) -> RowTable[Any]:
            """The table."""
            return self.table

    class EdgeWanted(Message):
        """The first or the last rows of all are asked for, and they are not among those that are held."""

        def __init__(self, table: RowTable[Any], last: bool) -> None:
            super().__init__()
            self.table = table
            self.last = last

        @property
        def control(self) -> RowTable[Any]:
            """The table."""
            return self.table

    def __init__(
        self,
        columns: Sequence[cols.Column],
        cells: Callable[[T], Sequence[cols.Cell]],
        ident: Callable[[T], Hashable],
        words: Callable[[T], str],
        *,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self._cells, self._ident, self._words = cells, ident, words
        self._all: list[T] = []
        self._rows: list[T] = []
        self._places: dict[Hashable, int] = {}
        self._filter = ""
        self.title = Line()
        self.note: Line | None = None
        self.empty: list[str] = []
        self.total = 0
        self.above = 0
        self.bounded = True
        self.more = False
        self._asked = False
        self._asked_before = False
        self._to_end = False
        self.cursor: Hashable | None = None
        self._wanted: Hashable | None = None
        self.top = 0
        self.unseen = 0

    # what is in it

    def show(self, rows: Sequence[T], *, more: bool = False, total: int | None = None, above: int = 0) -> None:
        """Show ``rows``, before which there are ``above`` others in the list, and after which perhaps ``more``.

        The cursor stays on its id and its place on the screen, whatever came in above it.
        """
        before = self._places.get(self.cursor) if self.cursor is not None else None
        known = self._places
        wanted, self._wanted = self._wanted, None
        self._all = list(rows)
        self.more, self._asked, self._asked_before = more, False, False
        self.above = above
        self.total = len(rows) if total is None else total
        self._apply()
        if wanted is not None and wanted in self._places:
            self._point(self._places[wanted])
        elif self.cursor in self._places and before is not None:
            after = self._places[self.cursor]
            if self.has_focus and (before > 0 or self.top > 0):
                self.top += after - before
            if after > before and self.has_focus and known:
                self.unseen += sum(1 for row in self._rows[: max(0, self.top)] if self._ident(row) not in known)
        elif self._rows:
            self._point(min(before or 0, len(self._rows) - 1))
        else:
            self.cursor = None
        self.redraw()

    def want(self, ident: Hashable) -> None:
        """Choose the row with this id when the list is shown next: somebody has just made it."""
        self._wanted = ident

    def extend(self, rows: Sequence[T], *, more: bool, total: int) -> None:
        """Add a page at the end; what is there already is not looked at again."""
        fresh = [row for row in rows if self._ident(row) not in self._places]
        self._all.extend(fresh)
        self.more, self._asked, self.total = more, False, total
        over = len(self._all) - HELD if self.bounded else 0
        if 0 < over <= self.top:
            del self._all[:over]
            self.above += over
            self.top -= over
        elif over > 0:
            del self._all[HELD:]
            self.more = True
        if over <= 0 and self._rows is self._all:
            start = len(self._all) - len(fresh)
            self._places.update((self._ident(row), start + n) for n, row in enumerate(fresh))
        else:
            self._apply()
        if self._to_end:
            self._to_end = self.more
            self._point(len(self._rows) - 1)
        self.redraw()

    def precede(self, rows: Sequence[T]) -> None:
        """Add a page before the first row; what is in sight stays where it is."""
        fresh = [row for row in rows if self._ident(row) not in self._places]
        self._asked_before = False
        if self.top > HELD // 2:
            return
        self._all[:0] = fresh
        self.above = max(0, self.above - len(fresh)) if fresh else 0
        self.top += len(fresh)
        if len(self._all) > HELD:
            del self._all[HELD:]
            self.more = True
        self._apply()
        self.redraw()

    def not_given(self) -> None:
        """Note that a page that was wanted does not come; it is asked for again when this is drawn next."""
        self._asked = self._asked_before = False

    @property
    def held(self) -> Sequence[T]:
        """The rows that are there, of a list that comes in pages."""
        return self._all

    def filter(self, text: str) -> None:
        """Show only rows with every word of ``text``; with a leading ``!`` only rows without them."""
        self._filter = text
        self._apply()
        if self.cursor not in self._places:
            self.cursor = self._ident(self._rows[0]) if self._rows else None
        self.top = 0
        self.redraw()

    def _apply(self) -> None:
        text = self._filter.strip()
        invert = text.startswith("!")
        wanted = text.lstrip("!").casefold().split()
        if wanted:
            self._rows = [r for r in self._all if all(w in self._words(r).casefold() for w in wanted) is not invert]
        else:
            self._rows = self._all
        self._places = {self._ident(row): at for at, row in enumerate(self._rows)}

    @property
    def shown(self) -> int:
        """How many rows pass the filter."""
        return len(self._rows)

    @property
    def selected(self) -> T | None:
        """The row under the cursor."""
        at = self._places.get(self.cursor)
        return None if at is None else self._rows[at]

    def copied(self) -> str:
        """Return the chosen row's cells as text."""
        chosen = self.selected
        if chosen is None:
            return ""
        texts = [cell if isinstance(cell, str) else cell[0] for cell in self._cells(chosen)]
        return "  ".join(text.strip() for text in texts if text.strip())

    # how it looks

    @property
    def room(self) -> int:
        """Rows that have place."""
        return max(0, self.size.height - 3)

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        focused = self.has_focus
        border = "focus" if focused else "frame"
        ink = self.ink
        inside = max(1, width - 5)
        widths = cols.share(self.columns, inside)
        self._keep_in_sight()
        title = Line().extend(self.title)
        out: list[Line | Strip] = [rule(width, "top", title, self.note, focused)]
        left, right = Line("\u2502", border).strip(ink), Line("\u2502", border).strip(ink)
        grip = Line("\u2503", border).strip(ink)

        def framed(line: Line, edge: Strip, over: str = "", mark: str = " ") -> Strip:
            body = Line(mark + " ", "key" if mark != " " else "text").extend(line).cut(inside + 2).pad(inside + 3)
            return Strip.join([left, body.strip(ink, over), edge])

        if height > 2:
            out.append(framed(cols.heads(self.columns, widths), right))
        thumb = self._thumb()
        told = ["Nothing here fits the filter. esc shows all again."] if self._all else self.empty
        empty = [line for text in told for line in wrap(text, width - 4)]
        for y in range(self.room):
            at = self.top + y
            edge = grip if y in thumb else right
            if at < len(self._rows):
                item = self._rows[at]
                chosen = self._ident(item) == self.cursor
                line = cols.row(self.columns, widths, self._cells(item))
                over = ("cursor" if focused else "cursor-idle") if chosen else ""
                out.append(framed(line, edge, over, ("\u25b8" if focused else "\u25b9") if chosen else " "))
            elif not self._rows and y - 1 in range(len(empty)):
                out.append(framed(Line(empty[y - 1], "dim"), edge))
            else:
                out.append(framed(Line(), edge))
        if height > 1:
            out.append(rule(width, "bottom", self._above(), self._position(), focused))
        self._ask()
        return out

    def _above(self) -> Line | None:
        return Line(f"\u2191 {self.unseen} new above: Home", "accent") if self.unseen and self.top else None

    def _position(self) -> Line | None:
        if not self._rows:
            return None
        top = self.above + self.top
        total = max(self.total, self.above + len(self._rows))
        if self._filter.strip() and not self.more:
            total = len(self._rows)
        last = min(top + self.room, self.above + len(self._rows))
        if total <= self.room and not self._filter.strip():
            return None
        known = self.total > self.above + len(self._rows) or not self.more
        return Line(f"{top + 1:,}\u2013{last:,} of {total:,}{'' if known else '+'}", "dim")

    def _thumb(self) -> range:
        held = self.above + len(self._rows)
        total = max(self.total, held) if self.more else held
        room = self.room
        if total <= room or room <= 0:
            return range(0)
        length = max(1, room * room // total)
        start = round((self.above + self.top) / max(1, total - room) * (room - length))
        return range(start, start + length)

    def _keep_in_sight(self) -> None:
        room = self.room
        at = self._places.get(self.cursor)
        if at is not None and room:
            if at < self.top:
                self.top = at
            elif at >= self.top + room:
                self.top = at - room + 1
        self.top = max(0, min(self.top, max(0, len(self._rows) - room)))
        if not self.top:
            self.unseen = 0

    def _ask(self) -> None:
        if self.more and not self._asked and self.top + self.room + AHEAD >= len(self._rows):
            self._asked = True
            self.post_message(self.Wanted(self))
        if self.above and not self._asked_before and self.top < AHEAD:
            self._asked_before = True
            self.post_message(self.Wanted(self, before=True))

    # moving about

    def _point(self, at: int) -> None:
        if self._rows:
            self.cursor = self._ident(self._rows[max(0, min(at, len(self._rows) - 1))])
            self.post_message(self.Moved(self))

    def action_move(self, by: int) -> None:
        """Move the cursor by rows."""
        self._to_end = False
        self._point(self._places.get(self.cursor, 0) + by)
        self.redraw()

    def action_page(self, by: int) -> None:
        """Move by a screen."""
        step = max(1, self.room - 1) * by
        self.top = max(0, min(self.top + step, max(0, len(self._rows) - self.room)))
        self.action_move(step)

    def action_edge(self, way: int) -> None:
        """Go to the first row, or to the last one; where it is not held, it is asked for."""
        if self.more if way > 0 else self.above:
            self._asked = self._asked_before = True  # no page beside it: that would be one of the list as it was
            self.post_message(self.EdgeWanted(self, last=way > 0))
        self._point(0 if way < 0 else len(self._rows) - 1)
        self.redraw()

    def go_on_to_the_end(self) -> None:
        """Load page after page until the last, and go there, unless another key says otherwise."""
        self._to_end = self.more
        self._asked = self._asked_before = False
        self.redraw()

    def action_choose(self) -> None:
        """Go where the row leads."""
        if self.cursor is not None:
            self.post_message(self.Chosen(self, self.cursor))

    def on_focus(self) -> None:
        """Show the cursor in full."""
        self.redraw()

    def on_blur(self) -> None:
        """Show the cursor idle."""
        self.redraw()

    def on_click(self, event: events.Click) -> None:
        """Point at the row; a double click opens it."""
        at = self.top + event.y - 2
        if 0 <= at < len(self._rows) and event.y >= 2:
            again = self._ident(self._rows[at]) == self.cursor
            self._point(at)
            self.redraw()
            if again and event.chain > 1:
                self.action_choose()

    def on_mouse_scroll_down(self) -> None:
        """Three rows down."""
        self.action_move(3)

    def on_mouse_scroll_up(self) -> None:
        """Three rows up."""
        self.action_move(-3)
