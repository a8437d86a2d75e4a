"""Backups: what is safe elsewhere."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from pacstui.contract.overview import View
from screens.base import ConsoleScreen


class BackupsScreen(ConsoleScreen):
    """Backups."""

    TITLE_WORDS = "Backups"
    MODE = "backups"

    def body(self) -> Iterable[Widget]:
        return ()

    def show(self, view: View) -> None:
        """Nothing yet."""
