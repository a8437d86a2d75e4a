"""The nouns ``node`` and ``overview``, put together from what the other rooms know."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pacstui import __version__
from pacstui.clock import Clock
from pacstui.contract.associations import AssociationRow, RefusalRow
from pacstui.contract.node import ArchivePart, AssociationsPart, History, NodePart, QueuePart, Rates, Status
from pacstui.contract.overview import View
from pacstui.contract.queue import QueueView
from pacstui.contract.storage import StorageView
from pacstui.monitor.feed import EventFeed
from pacstui.monitor.problems import Problems, health
from pacstui.monitor.rates import Throughput

FEED_LINES = 200


class _Associations(Protocol):
    def part(self) -> AssociationsPart: ...

    def rows(self, ended: bool) -> tuple[AssociationRow, ...]: ...

    def just_ended(self) -> tuple[AssociationRow, ...]: ...

    def refusal_rows(self) -> tuple[RefusalRow, ...]: ...


class _Queue(Protocol):
    async def list(self) -> QueueView: ...

    def part(self) -> QueuePart: ...


class _Archive(Protocol):
    async def refresh(self) -> None: ...

    def part(self) -> ArchivePart: ...

    @property
    def writing(self) -> int: ...

    async def show(self) -> StorageView: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this node is, for its header line."""

    ae_title: str
    dicom: str
    data_dir: str


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


class NodeRoom:
    """The node as a whole; ``stop`` is what ends it; ``jobs``, ``backups``, ``exceptions``, ``hl7`` and ``worklist``
    are what the status says of them."""

    def __init__(
        self,
        identity: Callable[[], Identity],
        associations: _Associations,
        archive: _Archive,
        queue: _Queue,
        throughput: Throughput,
        problems: Problems,
        clock: Clock,
        stop: Callable[[str], None],
    ) -> None:
        self._identity = identity
        self._associations = associations
        self._archive = archive
        self._queue = queue
        self._throughput = throughput
        self._problems = problems
        self._clock = clock
        self._stop = stop
        self._started = clock.monotonic()
        self._user = _user_name()
        self.jobs: Callable[[], dict[str, int]] = dict
        self.backups: Callable[[], dict[str, int]] = dict
        self.exceptions: Callable[[], dict[str, int]] = dict
        self.hl7: Callable[[], dict[str, int]] = dict
        self.worklist: Callable[[], dict[str, int]] = dict

    def now(self) -> Status:
        """Return the page of truth."""
        identity = self._identity()
        problems = self._problems.now()
        return Status(
            health(problems),
            NodePart(
                __version__,
                os.getpid(),
                round(self._clock.monotonic() - self._started, 1),
                identity.ae_title,
                identity.dicom,
                identity.data_dir,
                self._user,
            ),
            self._associations.part(),
            self._archive.part(),
            self._queue.part(),
            self.jobs(),
            self.backups(),
            self.hl7(),
            self.exceptions(),
            self.worklist(),
            problems,
        )

    async def status(self) -> Status:
        await self._archive.refresh()
        return self.now()

    async def history(self, minutes: int = 180) -> History:
        return self._throughput.history(minutes)

    async def stop(self) -> None:
        self._stop("an operator asked for it")

    def rates(self) -> Rates:
        """Return what moves now."""
        return self._throughput.rates()


class OverviewRoom:
    """The dashboard in one value."""

    def __init__(
        self,
        node: NodeRoom,
        associations: _Associations,
        queue: _Queue,
        archive: _Archive,
        feed: EventFeed,
        clock: Clock,
    ) -> None:
        self._node = node
        self._associations = associations
        self._queue = queue
        self._archive = archive
        self._feed = feed
        self._clock = clock

    async def show(self, feed_after: int = 0) -> View:
        await self._archive.refresh()
        return View(
            self._clock.now(),
            self._node.now(),
            self._node.rates(),
            self._associations.rows(ended=False),
            self._associations.refusal_rows(),
            await self._queue.list(),
            await self._archive.show(),
            self._feed.after(feed_after, FEED_LINES),
            self._associations.just_ended(),
        )
