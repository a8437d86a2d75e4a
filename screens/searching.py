"""Screens whose search the node does, over more than the rows that are there."""

from __future__ import annotations

from typing import ClassVar

from pacstui.contract import privacy
from screens.base import ConsoleScreen


class SearchingScreen(ConsoleScreen):
    """Takes what is typed into the filter line as ``search``, and begins anew with it once the typing pauses."""

    SEARCHES: ClassVar[str] = "of the whole list"
    """Where a search looks, in words."""

    def __init__(self) -> None:
        super().__init__()
        self.search = ""

    def anew(self) -> None:
        """Ask the node for the beginning of what the search finds."""
        raise NotImplementedError

    def search_changed(self) -> None:
        """Forget what was only true of what was searched for before."""

    def filter_changed(self, text: str) -> None:
        """Ask the node, once the typing pauses."""
        wanted = text.strip()
        if wanted.startswith("!"):
            self.console_app.say(f"a search {self.SEARCHES} cannot be inverted: leave out the !", "warn")
            return
        if wanted and self.console_app.lacks(privacy.PERMISSION, "a search"):
            return
        self.search = wanted
        self.search_changed()
        self.when_typing_pauses(self.anew)
