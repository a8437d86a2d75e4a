"""One writer to a target at a time, and words about a writer that is gone."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Final

from pacstui.backups import layout
from pacstui.backups.processes import alive, started_at
from pacstui.backups.store import Store
from pacstui.errors import Corrupt, NotFound, PacsError, Unavailable
from pacstui.text import ago, safe

REFRESH_S: Final = 20.0
STALE_S: Final = 600.0
PATIENCE_S: Final = 25.0
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: machine, process, what it does, since when, and when it said last that it lives."""

    host: str
    place: str
    pid: int
    started: str
    what: str
    by: str
    since: str
    seen: str
    token: str

    @property
    def moment(self) -> datetime:
        """When it began."""
        return datetime.fromisoformat(self.since)

    @property
    def last(self) -> datetime:
        """When it said last that it lives."""
        return datetime.fromisoformat(self.seen)

    def told(self) -> str:
        """Return the holder in words."""
        return f"{safe(self.what, 40)} of {safe(self.by, 40)} on {safe(self.host, 60)} (process {self.pid})"


def _place() -> str:
    """Return what tells this running system from all others: processes have one number here."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return ""


def _boot(place: str) -> str:
    return place.partition(" ")[0]


def holder_of(store: Store) -> Holder | None:
    """Return who holds the lock, none if nobody does."""
    try:
        holder = Holder(**json.loads(store.get(layout.LOCK)))
        layout.typed(holder)
        layout.zoned(holder.since)
        layout.zoned(holder.seen)
        return holder
    except NotFound:
        return None
    except (ValueError, TypeError, RecursionError, OverflowError, Corrupt):
        return Holder("?", "", 0, "", "a lock that cannot be read", "?", "1970-01-01T00:00:00+00:00",
                      "1970-01-01T00:00:00+00:00", "")  # fmt: skip


def gone(holder: Holder) -> str:
    """Return why the holder is known to be gone, empty if it may be alive."""
    if holder.place == _place() and holder.place:
        if not alive(holder.pid, holder.started):
            return f"process {holder.pid} of this machine, which held it, has ended"
    elif holder.host == socket.gethostname() and holder.place and _boot(holder.place) != _boot(_place()):
        return "this machine was started anew since"
    return ""


def stale(holder: Holder, now: datetime) -> str:
    """Return why the holder is taken for gone, empty if it is not."""
    known = gone(holder)
    if not known and (now - holder.last).total_seconds() > STALE_S:
        return f"it last said that it lives {ago(holder.last, now)}"
    return known


def _utc() -> datetime:
    return datetime.now(UTC)


class Lock:
    """Holds a target's lock, and says every 20 s that it lives. ``lost`` is called when somebody took it away."""

    def __init__(
        self, store: Store, what: str, by: str, lost: Callable[[str], None], now: Callable[[], datetime] = _utc,
        hurried: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        self._hurried = hurried
        self._store = store
        self._lost = lost
        self._now = now
        at = now().isoformat(timespec="seconds")
        self.mine = Holder(
            socket.gethostname(), _place(), os.getpid(), started_at(os.getpid()), what, by, at, at, token_hex(8)
        )
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._refresh, name="pacstui-backup-lock", daemon=True)

    def __enter__(self) -> Lock:
        """Take it.

        Raises
        ------
        Unavailable
            When another holds it; says who, and what to do if that is wrong.
        """
        until = time.monotonic() + PATIENCE_S
        while True:
            if self._store.create(layout.LOCK, self._encoded()):
                self._thread.start()
                return self
            holder = holder_of(self._store)
            if holder is None:
                if time.monotonic() > until:
                    raise Unavailable(f"{self._store.url} cannot be locked", "look at lock.json there")
                time.sleep(0.01)
                continue
            if holder.token == self.mine.token:  # it was written, and only the answer lost
                self._thread.start()
                return self
            if not gone(holder) and not self._of_another_container(holder):
                if holder.place == self.mine.place and time.monotonic() < until and not self._hurried():
                    time.sleep(_LOOK_S)  # one of ours, of a node that just ended: it is at its end soon
                    continue
                why = stale(holder, self._now())
                raise Unavailable(
                    f"{self._store.url} is in use: {holder.told()}, since {holder.moment.astimezone():%d %b %H:%M}",
                    f"{why}; if it is gone for good: pacstui backup unlock" if why else "wait until it is done",
                )
            self._store.delete(layout.LOCK)

    def _of_another_container(self, holder: Holder) -> bool:
        """Return whether the holder ran on this very machine in a container that is gone: its processes cannot be seen
        from here, but clock and machine are ours, so that its silence tells."""
        same = holder.host == self.mine.host and _boot(holder.place) == _boot(self.mine.place)
        return same and holder.place != self.mine.place and bool(stale(holder, self._now()))

    def _encoded(self) -> bytes:
        return json.dumps(asdict(self.mine)).encode()

    def _refresh(self) -> None:
        while not self._end.wait(REFRESH_S):
            with suppress(PacsError):  # the work itself will notice that the target is away
                holder = holder_of(self._store)
                if holder is None or holder.token != self.mine.token:
                    self._lost("somebody removed the lock of this run")
                    return
                self.mine = Holder(**{**asdict(self.mine), "seen": self._now().isoformat(timespec="seconds")})
                self._store.put(layout.LOCK, self._encoded())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of it, if it is still ours."""
        self._end.set()
        self._thread.join(REFRESH_S)
        with suppress(PacsError):
            holder = holder_of(self._store)
            if holder is not None and holder.token == self.mine.token:
                self._store.delete(layout.LOCK)
