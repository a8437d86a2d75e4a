"""A page that lies over a screen and goes away with escape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.screen import ModalScreen

from screens.widgets.line import Line
from screens.widgets.panel import Panel, Section

if TYPE_CHECKING:
    from screens.app import ConsoleApp


class PagePanel(Panel):
    """A panel as high as what is in it."""

    def __init__(self) -> None:
        super().__init__(classes="box")

    def sections(self, width: int, height: int) -> Sequence[Section]:
        return cast("Page", self.screen).sections(width)

    def footnote(self) -> Line | None:
        return Line(cast("Page", self.screen).FOOT, "dim")

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        sections = cast("Page", self.screen).sections(max(1, width - 4))
        return sum(len(item.lines) for s in sections for item in s.items) + len(sections) + 1


class Page(ModalScreen[None]):
    """Base of such pages; subclasses return :meth:`sections`."""

    FOOT = "esc back"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,ctrl+c,question_mark,exclamation_mark", "dismiss", show=False),
        Binding("y", "copy", show=False),
    ]
    AUTO_FOCUS = "PagePanel"

    def compose(self) -> ComposeResult:
        yield PagePanel()

    @property
    def console_app(self) -> ConsoleApp:
        """The application, with its own type."""
        return cast("ConsoleApp", self.app)

    def sections(self, width: int) -> Sequence[Section]:
        """Return what is on the page."""
        raise NotImplementedError

    def renew(self) -> None:
        """Draw again, at a new height."""
        for panel in self.query(PagePanel):
            panel.refresh(layout=True)
            panel.redraw()

    def action_copy(self) -> None:
        """Copy the page."""
        self.console_app.copy(self.query_one(PagePanel).copied())
