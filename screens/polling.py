"""Screens that fetch what they show again and again, one call at a time, while somebody looks."""

from __future__ import annotations

from typing import ClassVar

from pacstui.contract.overview import View
from screens.base import ConsoleScreen
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable


class PollingScreen(ConsoleScreen):
    """Base of lists that the node does not tell of by itself."""

    EVERY_S: ClassVar[float] = 1.0

    def __init__(self) -> None:
        super().__init__()
        self._busy = False
        self._loaded = -100.0

    async def load(self) -> None:
        """Fetch what is shown, and show it where this screen is still there."""
        raise NotImplementedError

    def show(self, view: View) -> None:
        if self.console_app.door.clock() - self._loaded >= self.EVERY_S:
            self.renew()
        self._redraw()

    def _redraw(self) -> None:
        for widget in (*self.query(Panel), *self.query(RowTable)):
            widget.redraw()

    def renew(self) -> None:
        """Fetch it again."""
        if not self._busy and self.console_app.away_since is None:
            self._busy = True
            self.console_app.keep(self._renewed())

    async def _renewed(self) -> None:
        try:
            await self.load()
        finally:
            self._busy = False
            self._loaded = self.console_app.door.clock()
