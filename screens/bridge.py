"""The one task that listens to the node: keeps the newest view, says when the node is away, comes back by itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Protocol

from pacstui.contract.feed import FeedRow
from pacstui.contract.overview import View
from pacstui.errors import PacsError

REMEMBERED = 2000
"""Lines of the feed that a console keeps."""


class Source(Protocol):
    """What the bridge needs of ApiClient."""

    def stream(self, interval: float) -> AsyncIterator[View]:
        """Yield fresh views."""
        ...


class Bridge:
    """Consumes the client's stream.

    A view that was not shown yet is replaced by a newer one; lines of the feed are never lost on the way, and one that
    is told anew takes the place of its earlier telling.

    Parameters
    ----------
    wake
        Called when there is something new to show; not again before :meth:`taken`.
    patience_s
        Seconds without a view after which the node counts as away.
    """

    def __init__(
        self,
        source: Source,
        interval: float,
        wake: Callable[[], None],
        *,
        patience_s: float = 0.0,
        retry_s: float = 1.0,
    ) -> None:
        self._source = source
        self._interval = interval
        self._wake = wake
        self._patience = patience_s or max(5.0, 5 * interval)
        self._retry = retry_s
        self._pending = False
        self._pid = 0
        self._last = 0
        self.newest: View | None = None
        self._lines: dict[int, FeedRow] = {}
        self.away_since: datetime | None = None
        self.away_because: PacsError | None = None
        self.replaced = 0
        self.again = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._renewed = False

    @property
    def feed(self) -> tuple[FeedRow, ...]:
        """The feed, oldest first, at most `REMEMBERED` lines."""
        return tuple(self._lines.values())

    def taken(self) -> View | None:
        """Return the newest view and allow the next waking."""
        self._pending = False
        return self.newest

    def renew(self) -> None:
        """Forget all that was heard, and listen anew: as somebody else."""
        self._lines.clear()
        self._last = self._pid = 0
        self.newest = self.away_since = self.away_because = None
        if self._listening is not None:
            self._renewed = True
            self._listening.cancel()
        self.again.set()

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            self._listening = asyncio.get_running_loop().create_task(self._listen())
            try:
                await self._listening
                self._lost(None)
            except asyncio.CancelledError:
                if not self._renewed:
                    self._listening.cancel()
                    raise
                self._renewed = False
                continue
            except PacsError as error:
                self._lost(error)
            except ValueError:
                self._lost(PacsError("the node's answer is not understood", "console and node have different versions"))
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self._lost(None)
            self._listening = None
            self.again.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.again.wait(), self._retry)

    async def _listen(self) -> None:
        views = self._source.stream(self._interval)
        try:
            while True:
                try:
                    view = await asyncio.wait_for(anext(views), self._patience)
                except StopAsyncIteration:
                    return
                self._arrived(view)
        finally:
            closing = getattr(views, "aclose", None)
            if closing is not None:
                with contextlib.suppress(PacsError, OSError, RuntimeError):
                    await closing()

    def _arrived(self, view: View) -> None:
        if view.status.node.pid != self._pid:
            self._pid = view.status.node.pid
            self._lines.clear()
            self._last = 0
        for row in view.feed:
            if row.id > self._last:
                self._last = row.id
                self._lines.pop(row.line, None)
                self._lines[row.line] = row
        while len(self._lines) > REMEMBERED:
            del self._lines[next(iter(self._lines))]
        if self._pending:
            self.replaced += 1
        self.newest = view
        self.away_since = self.away_because = None
        self._notify()

    def _lost(self, because: PacsError | None) -> None:
        if self.away_since is None:
            self.away_since = datetime.now(UTC)
        self.away_because = because
        self._notify()

    def _notify(self) -> None:
        if not self._pending:
            self._pending = True
            self._wake()
