"""The noun ``feed``: what happened, in sentences."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action


@dataclass(frozen=True, slots=True)
class FeedRow:
    """One line of the event feed, fit to be shown.

    ``level`` is info, warn or fail. ``source`` is a peer's name or a room's. ``association`` leads to its detail, 0 if
    there is none. ``count`` is how many like events this line stands for; a line that gathers one more takes the place
    of the line ``replaces`` (0 for none), which who has it should drop. ``instance`` is the SOP Instance UID that the
    line is about, of several the last.
    """

    id: int
    at: datetime
    level: str
    source: str
    text: str
    hint: str
    association: int
    count: int
    replaces: int = 0
    instance: str = ""


class Feed(Protocol):
    """The node's recent past."""

    @action("list", "List what happened, newest last", permission="feed.view")
    async def list(self, after: int = 0, limit: int = 200) -> tuple[FeedRow, ...]: ...
