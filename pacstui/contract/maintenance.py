"""The noun ``maintenance``: taking the node out of service in order, planned windows, and what was changed when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action


@dataclass(frozen=True, slots=True)
class WindowRow:
    """A planned piece of maintenance.

    ``effect`` is announce (people are told, nothing else), echo (new associations for C-ECHO only) or drain (new
    associations are rejected for now); with the latter two nothing is sent on. ``peers`` are those that it is about:
    then nothing is sent to them, and all others are served as ever; empty for this node. ``state`` is planned, running,
    over or cancelled.
    """

    id: int
    start: datetime
    end: datetime
    reason: str
    owner: str
    effect: str
    peers: tuple[str, ...]
    state: str
    made_by: str
    made: datetime


@dataclass(frozen=True, slots=True)
class MaintenanceView:
    """How the node stands.

    ``effect`` is empty while it serves everybody, else echo or drain; then ``why`` and ``by`` say why it does not and
    who wanted that, ``since`` since when, ``until`` when that ends by itself (none: by hand). ``associations`` are
    those that still run, ``sending`` objects on their way out: at 0 stopping cuts nothing short.
    """

    effect: str
    why: str
    by: str
    since: datetime | None
    until: datetime | None
    associations: int
    sending: int
    windows: tuple[WindowRow, ...]


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """One change of the configuration. ``who`` is an account, or the owner of the configuration file; ``key`` what was
    changed, as [dicom] port, peer CT1 host or route night; ``old`` and ``new`` are empty where there was or is none."""

    id: int
    at: datetime
    who: str
    how: str
    key: str
    old: str
    new: str


class Maintenance(Protocol):
    """Maintenance of this node and of the equipment around it."""

    @action("show", "Show whether the node serves everybody, and what is planned", permission="maintenance.view")
    async def show(self, past_days: int = 7) -> MaintenanceView: ...

    @action("drain", "Take no new associations and send nothing, until resumed", permission="maintenance.drain",
            danger=Danger.CONFIRM, audited=True, key="d")  # fmt: skip
    async def drain(self, why: str, effect: str = "drain", minutes: int = 0) -> MaintenanceView: ...

    @action("resume", "Serve everybody again", permission="maintenance.drain", audited=True, key="r")
    async def resume(self) -> MaintenanceView: ...

    @action("plan", "Plan a maintenance window", permission="maintenance.plan", audited=True, key="n")
    async def plan(
        self, start: str, end: str, reason: str, owner: str = "", effect: str = "announce", peers: tuple[str, ...] = ()
    ) -> WindowRow: ...

    @action("change", "Change a maintenance window", permission="maintenance.plan", audited=True, key="e")
    async def change(
        self, id: int, start: str | None = None, end: str | None = None, reason: str | None = None,
        owner: str | None = None, effect: str | None = None, peers: tuple[str, ...] | None = None,
    ) -> WindowRow: ...  # fmt: skip

    @action("cancel", "Cancel a maintenance window, or end it now", permission="maintenance.plan",
            danger=Danger.CONFIRM, audited=True, key="c")  # fmt: skip
    async def cancel(self, id: int) -> WindowRow: ...

    @action(
        "changes", "List what was changed in the configuration, newest first", permission="maintenance.view", key="h"
    )
    async def changes(self, search: str = "", before: int = 0, limit: int = 100) -> tuple[ChangeRow, ...]: ...
