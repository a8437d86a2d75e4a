"""The noun ``overview``: all that the dashboard shows, in one value, so that its panels agree with each other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import action
from pacstui.contract.associations import AssociationRow, RefusalRow
from pacstui.contract.feed import FeedRow
from pacstui.contract.node import Rates, Status
from pacstui.contract.queue import QueueView
from pacstui.contract.storage import StorageView


@dataclass(frozen=True, slots=True)
class View:
    """The dashboard at one moment. ``feed`` holds only lines newer than those sent before on the same stream.

    ``associations`` are open; ``ended`` are those that ended in the last seconds, with their final counts.
    """

    at: datetime
    status: Status
    rates: Rates
    associations: tuple[AssociationRow, ...]
    refusals: tuple[RefusalRow, ...]
    queue: QueueView
    storage: StorageView
    feed: tuple[FeedRow, ...]
    ended: tuple[AssociationRow, ...] = ()


class Overview(Protocol):
    """The dashboard."""

    @action("watch", "Show everything that is live", permission="node.view")
    async def show(self, feed_after: int = 0) -> View: ...
