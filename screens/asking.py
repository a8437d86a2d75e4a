"""A screen that asks the node for what it shows, again and again while it is in sight."""

from __future__ import annotations

from typing import Any

from pacstui.contract.overview import View
from screens.base import ConsoleScreen
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable


class AskingScreen(ConsoleScreen):
    """Asks by :meth:`ask`, never twice at once, and takes the answer by :meth:`took`; None stands for none."""

    EVERY_S = 2.0

    def __init__(self) -> None:
        super().__init__()
        self._busy = False
        self._asked = float("-inf")

    async def ask(self) -> Any:
        """Return what the node says, None if it did not."""
        raise NotImplementedError

    async def took(self, found: Any) -> None:
        """Show an answer."""
        raise NotImplementedError

    def every_s(self) -> float:
        """Return after how many seconds it is asked again."""
        return self.EVERY_S

    def show(self, view: View) -> None:
        """Ask again when it is time; what tells ages is drawn anew in any case."""
        if self.console_app.door.clock() - self._asked >= self.every_s():
            self.renew()
        else:
            self.redraw_all()

    def renew(self) -> None:
        """Ask now."""
        if not self._busy:
            self._busy = True
            self.console_app.keep(self._renew())

    async def _renew(self) -> None:
        app = self.console_app
        try:
            found = None if app.away_since is not None else await self.ask()
        finally:
            self._busy = False
            self._asked = app.door.clock()
        if self.is_attached:
            await self.took(found)

    def redraw_all(self) -> None:
        """Draw panels and tables anew."""
        for widget in (*self.query(Panel), *self.query(RowTable)):
            widget.redraw()
