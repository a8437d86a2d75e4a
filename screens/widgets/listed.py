"""A page of things that were done, newest first, each in some lines; one of them is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from pacstui.text import count
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words


class _Row(Protocol):
    @property
    def id(self) -> int: ...


R = TypeVar("R", bound=_Row)


class ListedPanel(Panel, Generic[R]):
    """The list; ``page`` is what the node gave, None before it answered.

    Parameters
    ----------
    title
        What is listed.
    nothing
        What is said where there is none.
    older
        The command that lists those beyond the page.
    """

    def __init__(self, title: str, nothing: str, older: str) -> None:
        super().__init__(id="page")
        self.page: Any = None
        self._title = title
        self._nothing = nothing
        self._older = older

    @property
    def row(self) -> R | None:
        """The chosen one."""
        return next((row for row in self.page.rows if row.id == self.cursor), None) if self.page is not None else None

    def sections(self, width: int, height: int) -> Sequence[Section]:
        title = Line(f"{self._title}  ", "title")
        if self.page is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        if not self.page.rows:
            return [Section(title, [Item(words(self._nothing, width, "dim"))])]
        items = [self.item(row, width) for row in self.page.rows]
        if self.page.next:
            items.append(Item([Line(f"and older ones: {self._older}", "dim")]))
        return [Section(title.add(count(len(self.page.rows)), "strong"), items)]

    def item(self, row: R, width: int) -> Item:
        """Return the lines of one."""
        raise NotImplementedError
