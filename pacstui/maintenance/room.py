"""The noun ``maintenance``: drains the node by hand and by plan."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from pydantic import BaseModel

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment_or_none
from pacstui.contract.maintenance import ChangeRow, MaintenanceView, WindowRow
from pacstui.db import Database
from pacstui.dicom.ul.faults import Refusal
from pacstui.errors import BadRequest, NotFound
from pacstui.maintenance import changes, windows
from pacstui.maintenance.windows import Window
from pacstui.text import safe

_SOON: Final = timedelta(minutes=60)
_DRAINS: Final = ("echo", "drain")
_TEMPORARY_CONGESTION: Final = (2, 3, 1)


@dataclass(frozen=True, slots=True)
class Drain:
    """The node does not serve everybody: how much of it it does, why, who wanted that, and until when."""

    effect: str
    why: str
    by: str
    since: datetime
    until: datetime | None = None


class MaintenanceRoom:
    """Keeps callers out, and what waits in, while somebody works on the node.

    What was drained by hand ends with the node: after a restart it serves again. Planned windows do not.
    """

    def __init__(self, database: Database, bus: Bus, clock: Clock, caller: Callable[[], str]) -> None:
        self._db = database
        self._bus = bus
        self._clock = clock
        self._caller = caller
        self._drain: Drain | None = None
        self._windows: list[Window] = []
        self._running: tuple[int, ...] = ()
        self.peers: Callable[[], Iterable[str]] = tuple
        self.associations: Callable[[], int] = lambda: 0
        self.sending: Callable[[], int] = lambda: 0
        self.changed: Callable[[], None] = lambda: None

    async def open(self) -> None:
        """Read what is planned."""
        await self._read()
        await self.tick()

    async def _read(self) -> None:
        now = microseconds(self._clock.now())
        self._windows = await self._db.read(lambda c: windows.since(c, now))

    def follow(self, connection: sqlite3.Connection, old: str, new: str) -> None:
        """Let windows have a peer's new name; on the writer's thread, the list is replaced as a whole."""
        windows.rename_peer(connection, old, new)
        self._windows = windows.since(connection, microseconds(self._clock.now()))

    async def tick(self) -> None:
        """Begin and end what is planned; called every second."""
        now = self._clock.now()
        drain = self._drain
        if drain is not None and drain.until is not None and drain.until <= now:
            self._drain = None
            self._tell("served again: the time that was set is over", drain.by)
            self.changed()
        running = tuple(window.id for window in self._windows if window.runs(microseconds(now)))
        if running != self._running:
            for window in self._windows:
                if window.id in running and window.id not in self._running:
                    self._tell(f"maintenance begins: {window.reason}{_about(window)}", window.owner or window.made_by)
                elif window.id in self._running and window.id not in running:
                    self._tell(f"maintenance is over: {window.reason}{_about(window)}", window.owner or window.made_by)
            self._running = running
            self.changed()

    def _tell(self, text: str, who: str) -> None:
        self._bus.publish(events.MaintenanceTold(self._clock.now(), who, text))

    def now(self) -> Drain | None:
        """Return how the node is kept from serving, none if it serves everybody."""
        if self._drain is not None:
            return self._drain
        at = microseconds(self._clock.now())
        found = [w for w in self._windows if w.runs(at) and not w.peers and w.effect in _DRAINS]
        if not found:
            return None
        window = max(found, key=lambda each: _DRAINS.index(each.effect))
        since = moment_or_none(window.start)
        assert since is not None
        return Drain(window.effect, window.reason, window.owner or window.made_by, since, moment_or_none(window.end))

    # What other rooms ask.

    def refusal(self) -> Refusal | None:
        """Return why new associations are rejected for now (PS3.8 9.3.4: transient), none if they are not."""
        drain = self.now()
        if drain is None or drain.effect != "drain":
            return None
        return Refusal(*_TEMPORARY_CONGESTION, f"maintenance: {drain.why}", _until(drain))

    def echo_only(self) -> str:
        """Return why only C-ECHO is taken, empty if everything is."""
        drain = self.now()
        return f"maintenance: {drain.why}" if drain is not None and drain.effect == "echo" else ""

    def held_up(self, destination: str) -> str:
        """Return why nothing is sent to a destination, empty if things are."""
        drain = self.now()
        if drain is not None:
            return f"held up by maintenance: {drain.why}"
        at = microseconds(self._clock.now())
        for window in self._windows:
            if destination in window.peers and window.effect in _DRAINS and window.runs(at):
                end = moment_or_none(window.end)
                assert end is not None
                return f"held up by maintenance until {end.astimezone():%H:%M}: {window.reason}"
        return ""

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what people have to know, for the list of problems."""
        now = self._clock.now()
        drain = self._drain
        if drain is not None:
            what = "new associations are rejected" if drain.effect == "drain" else "only C-ECHO is taken"
            told = f"{what} and nothing is sent: {drain.why} ({drain.by}, since {drain.since.astimezone():%H:%M})"
            yield "drained", "warn", told, "r on the maintenance screen serves everybody again", "maintenance"
        at, soon = microseconds(now), microseconds(now + _SOON)
        for window in self._windows:
            if window.cancelled or window.end <= at or window.start > soon:
                continue
            start, end = moment_or_none(window.start), moment_or_none(window.end)
            assert start is not None
            assert end is not None
            when = f"until {end.astimezone():%H:%M}" if window.runs(at) else (
                f"from {start.astimezone():%H:%M} to {end.astimezone():%H:%M}"
            )  # fmt: skip
            told = f"maintenance {when}: {window.reason}{_about(window)}"
            owner = window.owner or window.made_by
            yield f"maintenance {window.id}", "note", told, f"ask {owner}" if owner else "", "maintenance"

    # What people do.

    async def show(self, past_days: int = 7) -> MaintenanceView:
        now = self._clock.now()
        past = microseconds(now - timedelta(days=max(0, min(past_days, 400))))
        found = await self._db.read(lambda c: windows.since(c, past))
        drain, at = self.now(), microseconds(now)
        rows = tuple(window.row(at) for window in found)
        if drain is None:
            return MaintenanceView("", "", "", None, None, self.associations(), self.sending(), rows)
        return MaintenanceView(
            drain.effect, safe(drain.why, 200), safe(drain.by, 64), drain.since, drain.until, self.associations(),
            self.sending(), rows,
        )  # fmt: skip

    async def drain(self, why: str, effect: str = "drain", minutes: int = 0) -> MaintenanceView:
        if not why.strip():
            raise BadRequest("why?", "callers' administrators and your colleagues will ask; say it in a few words")
        if effect not in _DRAINS:
            raise BadRequest(f"{safe(effect, 32)} is no way to drain", f"there are: {', '.join(_DRAINS)}")
        if not 0 <= minutes <= 7 * 1440:
            raise BadRequest("a drain is for at most 7 days", "plan a maintenance window instead")
        now = self._clock.now()
        until = now + timedelta(minutes=minutes) if minutes else None
        self._drain = Drain(effect, safe(why.strip(), 200), self._caller(), now, until)
        self._tell(f"drained: {self._drain.why}", self._drain.by)
        self.changed()
        return await self.show()

    async def resume(self) -> MaintenanceView:
        if self._drain is None:
            drain = self.now()
            if drain is None:
                raise BadRequest("the node serves everybody", "there is nothing to resume")
            raise BadRequest(f"a maintenance window is on: {drain.why}", "cancel it to end it now")
        self._drain = None
        self._tell("serves everybody again", self._caller())
        self.changed()
        return await self.show()

    async def plan(
        self, start: str, end: str, reason: str, owner: str = "", effect: str = "announce", peers: tuple[str, ...] = ()
    ) -> WindowRow:
        now = self._clock.now()
        begin = windows.moment_of(start, now)
        close = windows.moment_of(end, now, begin)
        first, last = windows.checked(begin, close, reason, effect)
        if close <= now:
            raise BadRequest("the window is over already", "give a later time")
        self._check_peers(peers)
        by = self._caller()
        window = Window(0, first, last, reason.strip(), owner.strip(), effect, peers, False, by, microseconds(now))
        kept = await self._db.write(lambda c: windows.put(c, window))
        await self._read()
        await self.tick()
        return kept.row(microseconds(now))

    def _check_peers(self, peers: tuple[str, ...]) -> None:
        known = tuple(self.peers())
        strange = [name for name in peers if name not in known]
        if strange:
            raise NotFound(
                f"there is no peer or destination {', '.join(safe(name, 64) for name in strange)}",
                f"there are: {', '.join(known) or 'none'}",
            )

    async def change(
        self, id: int, start: str | None = None, end: str | None = None, reason: str | None = None,
        owner: str | None = None, effect: str | None = None, peers: tuple[str, ...] | None = None,
    ) -> WindowRow:  # fmt: skip
        now = self._clock.now()
        there = await self._open_window(id)
        old_start, old_end = moment_or_none(there.start), moment_or_none(there.end)
        assert old_start is not None
        assert old_end is not None
        begin = windows.moment_of(start, now) if start is not None else old_start
        close = windows.moment_of(end, now, begin) if end is not None else old_end
        said = there.reason if reason is None else reason
        what = there.effect if effect is None else effect
        first, last = windows.checked(begin, close, said, what)
        if peers is not None:
            self._check_peers(peers)
        changed = replace(
            there, start=first, end=last, reason=said.strip(), owner=there.owner if owner is None else owner.strip(),
            effect=what, peers=there.peers if peers is None else peers,
        )  # fmt: skip
        return await self._keep(changed)

    async def cancel(self, id: int) -> WindowRow:
        there = await self._open_window(id)
        now = microseconds(self._clock.now())
        if there.runs(now):
            return await self._keep(replace(there, end=now))
        return await self._keep(replace(there, cancelled=True))

    async def _open_window(self, ident: int) -> Window:
        there = await self._db.read(lambda c: windows.one(c, ident))
        state = there.state(microseconds(self._clock.now()))
        if state in ("over", "cancelled"):
            raise BadRequest(f"the maintenance window {ident} is {state}", "plan another one")
        return there

    async def _keep(self, window: Window) -> WindowRow:
        kept = await self._db.write(lambda c: windows.put(c, window))
        await self._read()
        if all(each.id != kept.id for each in self._windows):
            self._windows.append(kept)  # it ends now: that has to be told
        await self.tick()
        return kept.row(microseconds(self._clock.now()))

    # What was changed.

    async def changes(self, search: str = "", before: int = 0, limit: int = 100) -> tuple[ChangeRow, ...]:
        most = max(1, min(limit, 1000))
        return await self._db.read(lambda c: changes.page(c, search, before, most))

    async def compare(self, settings: BaseModel, who: str, how: str) -> int:
        """Note what of the settings differs from those that the node saw last; return how much that is."""
        now = microseconds(self._clock.now())
        return await self._db.write(lambda c: changes.compare(c, settings, now, who, how))

    def noted(self, connection: sqlite3.Connection, who: str, made: Iterable[tuple[str, str, str]]) -> None:
        """Note changes that somebody made here, in the transaction that makes them; on the writer lane's thread."""
        changes.note(connection, microseconds(self._clock.now()), who, "console", made)


def _about(window: Window) -> str:
    return f" (about {', '.join(window.peers)})" if window.peers else ""


def _until(drain: Drain) -> str:
    if drain.until is None:
        return f"{drain.by} resumes it by hand; the caller may try again later"
    return f"until {drain.until.astimezone():%H:%M}; the caller may try again then"
