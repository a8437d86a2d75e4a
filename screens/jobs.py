"""Jobs: what the node does by itself."""

from __future__ import annotations

from collections.abc import Iterable

from textual.widget import Widget

from pacstui.contract.overview import View
from screens.base import ConsoleScreen


class JobsScreen(ConsoleScreen):
    """Jobs."""

    TITLE_WORDS = "Jobs"
    MODE = "jobs"

    def body(self) -> Iterable[Widget]:
        return ()

    def show(self, view: View) -> None:
        """Nothing yet."""
