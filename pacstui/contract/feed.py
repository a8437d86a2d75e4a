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
    there is none. ``count`` is how many like events this line stands for. When one more comes, the line is told anew
    with another ``id``, and ``replaces`` is the ``id`` under which it was told first (0 in that first telling). Who
    keeps lines drops, when one comes, those with the same :attr:`line`; what the node lists has each line once.
    ``instance`` is the SOP Instance UID that the line is about, of several the last. ``screen`` names the screen that
    shows more, as that of a problem does.
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
    screen: str = ""

    @property
    def line(self) -> int:
        """What stays the same however often the line is told anew: the ``id`` of its first telling."""
        return self.replaces or self.id


class Feed(Protocol):
    """The node's recent past."""

    @action("list", "List what happened, newest last", permission="feed.view")
    async def list(self, after: int = 0, limit: int = 200) -> tuple[FeedRow, ...]: ...
