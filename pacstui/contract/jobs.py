"""The noun ``jobs``: what the node does by itself, when, and how it went."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. ``state`` is waiting (for its turn), running, done, warning, failed, cancelled or interrupted (the node
    ended meanwhile).

    ``started_by`` is an account, ``schedule``, ``restart`` (it goes on after an interruption) or the job that it
    follows. ``planned`` is when the schedule wanted it, ``late_s`` how much later it began. ``total`` and
    ``total_bytes`` are 0 while they are not known; ``unit`` says what is counted. ``now`` is what is worked on.
    ``per_s`` and ``bytes_per_s`` are means of the last seconds, ``left_s`` is what remains at that rate, none while
    nobody can tell. ``text`` is the outcome in one sentence, ``hint`` what mends it. ``attempt`` counts from 1.
    """

    id: int
    job: str
    kind: str
    state: str
    started_by: str
    planned: datetime | None
    started: datetime
    ended: datetime | None
    late_s: float
    attempt: int
    done: int
    total: int
    unit: str
    done_bytes: int
    total_bytes: int
    per_s: float
    bytes_per_s: float
    left_s: float | None
    errors: int
    now: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class RunLine:
    """One line of a run's log. ``level`` is info, warn or fail."""

    id: int
    at: datetime
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job: a kind with parameters, and when it runs.

    ``schedule`` is empty for one that is only started by hand or by another (``after``). ``window`` are the hours in
    which it may begin, as 20:00-06:00, empty for any. ``zone`` is the time zone of both. ``state`` is idle, running,
    waiting (for its window, its turn or its next try), disabled or broken; ``problem`` says why it is broken.
    ``missed`` counts times that passed without a run and were made up for by the last one. ``builtin`` jobs were made
    by the node: they can be changed and disabled, not deleted. ``waits`` says what a waiting job waits for, ``quiet``
    that nobody needs to look at it while it goes well.
    """

    name: str
    kind: str
    label: str
    parameters: dict[str, str]
    schedule: str
    schedule_text: str
    window: str
    zone: str
    enabled: bool
    after: str
    retries: int
    retry_s: float
    timeout_s: float
    overlap: str
    state: str
    next_run: datetime | None
    running: int
    last: RunRow | None
    missed: int
    problem: str
    builtin: bool
    waits: str = ""
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class ParameterRow:
    """A parameter of a kind of job: its name, what it means, its usual value, and what it may be (empty: any text)."""

    name: str
    text: str
    default: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KindRow:
    """A kind of job: what it does, and what may be told to it."""

    name: str
    label: str
    text: str
    parameters: tuple[ParameterRow, ...]


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """A run that is to come."""

    job: str
    at: datetime


@dataclass(frozen=True, slots=True)
class JobsView:
    """All jobs, what runs now and what ran last, what comes in the next day; ``paused`` while none is begun."""

    paused: bool
    paused_by: str
    jobs: tuple[JobRow, ...]
    running: tuple[RunRow, ...]
    recent: tuple[RunRow, ...]
    planned: tuple[PlannedRow, ...] = field(default=())


class Jobs(Protocol):
    """What the node does by itself."""

    @action("list", "List jobs, what runs and what comes", permission="jobs.view")
    async def list(self) -> JobsView: ...

    @action("history", "List runs, newest first", permission="jobs.view", key="h")
    async def history(
        self, job: str = "", limit: int = 100, before: int | None = None, state: str = ""
    ) -> tuple[RunRow, ...]: ...

    @action("run", "Show one run", permission="jobs.view")
    async def run(self, id: int) -> RunRow: ...

    @action("log", "Show what a run wrote down", permission="jobs.view", key="l")
    async def log(self, id: int, after: int = 0, limit: int = 500) -> tuple[RunLine, ...]: ...

    @action("kinds", "List the kinds of jobs that there are", permission="jobs.view")
    async def kinds(self) -> tuple[KindRow, ...]: ...

    @action("start", "Start a job now", permission="jobs.run", audited=True, key="r")
    async def start(self, job: str, parameters: dict[str, str] | None = None) -> RunRow: ...

    @action("cancel", "Cancel a run: it ends at the next safe point", permission="jobs.run", danger=Danger.CONFIRM,
            audited=True, key="c")  # fmt: skip
    async def cancel(self, id: int) -> None: ...

    @action("enable", "Let a job run by its schedule again", permission="jobs.edit", audited=True)
    async def enable(self, job: str) -> None: ...

    @action("disable", "Keep a job from running by its schedule", permission="jobs.edit", danger=Danger.CONFIRM,
            audited=True, key="d")  # fmt: skip
    async def disable(self, job: str) -> None: ...

    @action("pause", "Begin no job by its schedule until resumed", permission="jobs.edit", danger=Danger.CONFIRM,
            audited=True, key="p")  # fmt: skip
    async def pause(self) -> None: ...

    @action("resume", "Begin jobs by their schedules again", permission="jobs.edit", audited=True)
    async def resume(self) -> None: ...

    @action("create", "Make a job", permission="jobs.edit", audited=True, key="n")
    async def create(
        self, name: str, kind: str, schedule: str = "", parameters: dict[str, str] | None = None, window: str = "",
        zone: str = "", after: str = "", retries: int = 0, retry_s: float = 300.0, timeout_s: float = 0.0,
        overlap: str = "skip",
    ) -> JobRow: ...  # fmt: skip

    @action("edit", "Change when and how a job runs", permission="jobs.edit", audited=True, key="e")
    async def edit(
        self, job: str, schedule: str | None = None, parameters: dict[str, str] | None = None,
        window: str | None = None, zone: str | None = None, after: str | None = None, retries: int | None = None,
        retry_s: float | None = None, timeout_s: float | None = None, overlap: str | None = None,
    ) -> JobRow: ...  # fmt: skip

    @action("delete", "Delete a job; its history stays", permission="jobs.edit", danger=Danger.TYPE_NAME, audited=True,
            key="D")  # fmt: skip
    async def delete(self, job: str) -> None: ...

    @action("preview", "Show when a schedule would run next", permission="jobs.view")
    async def preview(
        self, schedule: str, window: str = "", zone: str = "", count: int = 5
    ) -> tuple[datetime, ...]: ...
