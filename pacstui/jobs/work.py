"""One run under way: what its work tells, how fast it is, and when it is to end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from pacstui.clock import microseconds, moment_or_none
from pacstui.contract.jobs import RunRow
from pacstui.jobs.kinds import Cancelled, Kind
from pacstui.jobs.store import RUNNING, Line, RunRecord
from pacstui.text import safe

RATE_S = 10.0
LINES = 2000
"""Lines that a run may write down; beyond half of them only what went wrong."""


class Working:
    """A run as its work sees it (:class:`pacstui.jobs.kinds.Run`), and as the room does."""

    def __init__(
        self, record: RunRecord, kind: Kind, parameters: Mapping[str, str], kept: str, now: Callable[[], datetime],
        keep: Callable[[str], Awaitable[None]],
    ) -> None:  # fmt: skip
        self.record = record
        self.kind = kind
        self.lane = lane_of(kind, parameters)
        self.task: asyncio.Task[None] | None = None
        self.began = 0.0
        self.by_hand = False
        self.why = ""
        self.ends_as = ""
        self.stopped_at: float | None = None
        self.saved = 0.0
        self.lines: list[Line] = []
        self.ended = asyncio.Event()
        self._parameters = dict(parameters)
        self._kept = kept
        self._now = now
        self._keep = keep
        self._stop = asyncio.Event()
        self._written = 0
        self._left_out = 0
        self._samples: deque[tuple[float, int, int]] = deque()

    # as the work sees it

    @property
    def id(self) -> int:
        return self.record.id

    @property
    def parameters(self) -> Mapping[str, str]:
        return self._parameters

    @property
    def started_by(self) -> str:
        return self.record.started_by

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def check(self) -> None:
        if self._stop.is_set():
            raise Cancelled(self.why or "it was cancelled")

    async def stopped(self) -> None:
        await self._stop.wait()

    def tell(
        self, *, done: int | None = None, total: int | None = None, unit: str | None = None,
        done_bytes: int | None = None, total_bytes: int | None = None, errors: int | None = None,
        now: str | None = None,
    ) -> None:  # fmt: skip
        record = self.record
        if done is not None:
            record.done = done
        if total is not None:
            record.total = total
        if unit is not None:
            record.unit = unit
        if done_bytes is not None:
            record.done_bytes = done_bytes
        if total_bytes is not None:
            record.total_bytes = total_bytes
        if errors is not None:
            record.errors = errors
        if now is not None:
            record.now = now

    def note(self, text: str, level: str = "info") -> None:
        level = level if level in ("info", "warn", "fail") else "info"
        if self._written >= (LINES // 2 if level == "info" else LINES):
            self._left_out += 1
            return
        self._written += 1
        self.lines.append((self.record.id, microseconds(self._now()), level, safe(text, 500)))

    @property
    def kept(self) -> str:
        return self._kept

    async def keep(self, text: str) -> None:
        self._kept = text
        await self._keep(text)

    # as the room sees it

    def stop(self, state: str, why: str, at: float) -> None:
        """Ask the work to end at its next safe point, in ``state``; ``at`` is monotonic. The first reason counts."""
        if not self._stop.is_set():
            self.ends_as, self.why, self.stopped_at = state, why, at
            self._stop.set()

    def taken_lines(self) -> list[Line]:
        """Return lines that are to be kept now."""
        lines, self.lines = self.lines, []
        return lines

    def last_line(self) -> None:
        """Write down how many lines were too many."""
        if self._left_out:
            told = f"{self._left_out:,} further lines left out"
            self.lines.append((self.record.id, microseconds(self._now()), "warn", told))

    def sample(self, at: float) -> None:
        """Remember how far it is, for the rates."""
        samples = self._samples
        samples.append((at, self.record.done, self.record.done_bytes))
        while len(samples) > 2 and samples[1][0] <= at - RATE_S:
            samples.popleft()

    def rates(self) -> tuple[float, float]:
        """Return what it does in a second, and bytes in a second, over the last ten seconds."""
        if len(self._samples) < 2:
            return 0.0, 0.0
        (first, done, size), (last, more, more_size) = self._samples[0], self._samples[-1]
        passed = last - first
        return (max(0.0, (more - done) / passed), max(0.0, (more_size - size) / passed)) if passed > 0 else (0.0, 0.0)

    def row(self) -> RunRow:
        """Return the run as it is now."""
        return row_of(self.record, *self.rates())


def lane_of(kind: Kind, parameters: Mapping[str, str]) -> str:
    """Return what a run has for itself; its parameters stand in braces."""
    lane = kind.lane
    for name, value in parameters.items():
        lane = lane.replace("{" + name + "}", value)
    return lane


def row_of(record: RunRecord, per_s: float = 0.0, bytes_per_s: float = 0.0) -> RunRow:
    """Return a run as the contract says it."""
    left: float | None = None
    if record.state == RUNNING:
        if record.total_bytes and bytes_per_s > 0:
            left = max(0, record.total_bytes - record.done_bytes) / bytes_per_s
        elif record.total and per_s > 0:
            left = max(0, record.total - record.done) / per_s
    started = moment_or_none(record.started)
    assert started is not None
    return RunRow(
        record.id, record.job, record.kind, record.state, record.started_by, moment_or_none(record.planned), started,
        moment_or_none(record.ended), record.late_ms / 1000, record.attempt, record.done, record.total, record.unit,
        record.done_bytes, record.total_bytes, round(per_s, 2), round(bytes_per_s, 1),
        None if left is None else round(left, 1), record.errors, safe(record.now, 300), record.text, record.hint,
    )  # fmt: skip
