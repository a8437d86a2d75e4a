"""The noun ``audit``, and what the node writes down by itself: what the bus tells, and who looked at patients."""

from __future__ import annotations

import asyncio
import csv
import io
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from pacstui import events
from pacstui.audit import chain
from pacstui.audit.chain import ID
from pacstui.audit.trail import PATIENCE_S, Trail
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment_or_none
from pacstui.contract import privacy
from pacstui.contract.audit import AuditPage, AuditRow, AuditState, Verdict
from pacstui.errors import BadRequest, Denied, PacsError
from pacstui.text import guarded, plural, safe


class Caller(Protocol):
    """What is asked of a caller: the account or OS user, how the node knows, and from where it calls."""

    @property
    def name(self) -> str: ...

    @property
    def how(self) -> str: ...

    @property
    def origin(self) -> str: ...


_PAGE = 1000
_EXPORTED = 200_000
_REFUSED_S = 600.0
_DENIED_S = 60.0
_KINDS = {"export_csv": "export", "recover": "recovery"}
_REMEMBERED = 10_000
_UNSENT_DAYS = 30
_NAMED, _STUDIES = 2000, 50


def moment(text: str, zone_of: datetime, *, end: bool = False) -> int:
    """Return microseconds since 1970 of a date or a date with time, local where no zone is said.

    Raises
    ------
    BadRequest
        When it is neither.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{safe(text, 40)} is no date", "write 2026-01-31 or 2026-01-31T14:00") from None
    if end and len(text) <= 10:
        at += timedelta(days=1)
    return microseconds(at if at.tzinfo else at.replace(tzinfo=zone_of.tzinfo))


def named_patients(ids: Sequence[str]) -> Iterator[str]:
    """Yield texts that name patients by their IDs, each short enough for an entry; one that is empty for none."""
    some: list[str] = []
    for each in (safe(each, 64) for each in ids):
        if some and sum(map(len, some)) + 2 * len(some) + len(each) > _NAMED:
            yield ID + ", ".join(some)
            some = []
        some.append(each)
    yield ID + ", ".join(some) if some else ""


def _row(row: Any) -> AuditRow:
    return AuditRow(row[0], datetime.fromtimestamp(row[1] / 1e6, UTC), *row[2:11])


class Recent:
    """Remembers what was said lately, so that what happens again and again is written once in a while."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[Any, float] = {}

    def is_new(self, what: Any, seconds: float) -> bool:
        """Return whether ``what`` was not said within the last seconds; it counts as said then."""
        now = self._clock.monotonic()
        if self._until.get(what, -1.0) > now:
            return False
        if len(self._until) >= _REMEMBERED:
            self._until = {key: until for key, until in self._until.items() if until > now}
            if len(self._until) >= _REMEMBERED:
                self._until.clear()
        self._until[what] = now + seconds
        return True


class AuditRoom:
    """The noun ``audit``.

    Parameters
    ----------
    days
        How long entries are kept, 0 for ever.
    seen_s
        For how long a patient view that is repeated stands for one entry.

    ``sent`` is the number of the last entry that a syslog server has, none where there is no server: later ones are
    kept 30 days longer. ``server`` tells how that server does. ``sees_patients`` tells whether the present caller may
    see who patients are.
    """

    def __init__(self, trail: Trail, database: Any, bus: Bus, clock: Clock, days: int, seen_s: float) -> None:
        self.trail = trail
        self._db = database
        self._clock = clock
        self.days = days
        self.seen_s = seen_s
        self._recent = Recent(clock)
        self.sees_patients: Callable[[], bool] = lambda: True
        self.sent: Callable[[], int | None] = lambda: None
        self.server: Callable[[], tuple[str, int, str]] = lambda: ("", 0, "")
        bus.subscribe(events.AssociationRefused, self._refused)
        bus.subscribe(events.ServiceRefused, self._service_refused)
        bus.subscribe(events.AssociationOpened, self._opened)
        bus.subscribe(events.NodeStarted, self._started)
        bus.subscribe(events.NodeStopping, self._stopping)
        bus.subscribe(events.JobBegan, self._job_began)
        bus.subscribe(events.Retrieved, self._retrieved)

    # what the node writes by itself

    def seen(
        self,
        caller: Caller,
        action: str,
        target: str,
        patient: str = "",
        kind: str = "patients seen",
        ids: Sequence[str] = (),
    ) -> None:
        """Note that an account saw who patients are, once in a while for the same thing.

        Parameters
        ----------
        patient
            What was searched for.
        ids
            Whom it saw: each Patient ID stands in an entry, though not again for the same view within ``seen_s``.
        """
        view = (caller.name, kind, action, target, patient)
        fresh = [each for each in ids if self._recent.is_new((*view, each), self.seen_s)]
        if not fresh and (ids or not self._recent.is_new(view, self.seen_s)):
            return
        for named in named_patients(fresh):
            self.trail.note(
                kind,
                "ok",
                caller.name,
                how=caller.how,
                origin=caller.origin,
                action=action,
                target=target,
                patient="; ".join(text for text in (patient, named) if text),
            )

    def _retrieved(self, event: events.Retrieved) -> None:
        """Note which studies went to whom."""
        sent = event.completed + event.warning
        if not sent:
            return
        studies = dict(event.subjects[:_STUDIES])
        rest = len(event.subjects) - len(studies)
        for study, patient in (studies or {"": ""}).items():
            if not self._recent.is_new(("sent", event.calling, event.destination, event.address, study), self.seen_s):
                continue  # many devices fetch a study object by object
            self.trail.note(
                "export",
                "ok",
                event.calling,
                how="DICOM",
                origin=event.address,
                action=f"dicom.{event.verb}",
                target=", ".join(filter(None, (study and f"study={study}", f"to={event.destination}"))),
                patient=f"{ID}{patient}" if patient else "",
                detail=f"{plural(sent, 'instance')} of {plural(len(event.subjects) or 1, 'study', 'studies')} sent"
                + (f", {event.failed:,} failed" if event.failed else "")
                + (f"; the first {_STUDIES} studies are named" if rest > 0 else ""),
            )

    def denied(self, caller: Caller, action: str, target: str, permission: str) -> None:
        """Note that an account lacked a permission, once in a while for the same thing."""
        if self._recent.is_new((caller.name, "denied", action, target), _DENIED_S):
            self.trail.note(
                "denied",
                "denied",
                caller.name,
                how=caller.how,
                origin=caller.origin,
                action=action,
                target=target,
                detail=f"it takes the permission {permission}",
            )

    async def acted(
        self, caller: Caller, action: str, target: str, patient: str = "", fault: PacsError | None = None
    ) -> None:
        """Write down that a person did something, or tried to."""
        await asyncio.wait([self.noted(caller, action, target, patient, fault)], timeout=PATIENCE_S)

    def noted(
        self, caller: Caller, action: str, target: str, patient: str = "", fault: PacsError | None = None
    ) -> asyncio.Future[None]:
        """Put on its way that a person did something, or tried to."""
        kind = _KINDS.get(action.partition(".")[2], "action")
        outcome = "ok" if fault is None else "denied" if isinstance(fault, Denied) else "failed"
        return self.trail.note(
            kind,
            outcome,
            caller.name,
            how=caller.how,
            origin=caller.origin,
            action=action,
            target=target,
            patient=patient,
            detail=fault.message if fault is not None else "",
        )

    def _refused(self, event: events.AssociationRefused) -> None:
        if self._recent.is_new((event.calling, event.called, event.address, event.text), _REFUSED_S):
            self.trail.note(
                "association refused",
                "denied",
                event.calling or "(no AE title)",
                how="DICOM",
                origin=event.address,
                target=event.called,
                detail=event.text,
            )

    def _service_refused(self, event: events.ServiceRefused) -> None:
        if self._recent.is_new((event.calling, event.address, event.text), _REFUSED_S):
            self.trail.note(
                "association refused",
                "denied",
                event.calling or "(no AE title)",
                how="DICOM",
                origin=event.address,
                target=event.service,
                detail=event.text,
            )

    def _opened(self, event: events.AssociationOpened) -> None:
        """Note which service account a caller is, once in a while for the same one."""
        if event.account and self._recent.is_new(("opened", event.account, event.calling, event.address), _REFUSED_S):
            self.trail.note(
                "sign-in", "ok", event.account, how="DICOM", origin=event.address, detail=f"as {event.calling}"
            )

    def _started(self, event: events.NodeStarted) -> None:
        self.trail.note("node", "ok", "node", action="node.start", target=f"{event.ae_title} on {event.address}")

    def _stopping(self, event: events.NodeStopping) -> None:
        self.trail.note("node", "ok", "node", action="node.stop", detail=event.reason)

    def _job_began(self, event: events.JobBegan) -> None:
        """Note a run that nobody began by hand; one that only looks now and then is not worth an entry."""
        if not event.quiet and not event.by_hand:
            self.trail.note(
                "action",
                "ok",
                "schedule",
                how="schedule",
                action="jobs.start",
                target=event.job,
                detail="" if event.by == "schedule" else f"by {event.by}",
            )

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what is wrong now, for ``monitor.problems``."""
        if self.trail.problem:
            yield (
                "audit",
                "fail",
                f"the audit trail cannot be written: {self.trail.problem}",
                "make room on the disk; the entries wait and are written by themselves",
                "audit",
            )
        _, unsent, problem = self.server()
        if problem:
            yield (
                "audit server",
                "warn",
                problem,
                f"{unsent:,} entries wait and are sent once it is back: does it run, are [audit] server and server_ca"
                " right, does it want the certificate of [tls]? pacstui doctor looks",
                "audit",
            )

    async def tick(self) -> None:
        """Seal the end of the chain, and forget what is older than it has to be kept."""
        if self.days and self._recent.is_new("retention", 3600):
            before, sent = self._clock.now() - timedelta(days=self.days), self.sent()
            removed, unsent = await self.trail.forget(before, sent, before - timedelta(days=_UNSENT_DAYS))
            if removed:
                lost = f"; the syslog server never got {unsent:,} of them" if unsent else ""
                self.trail.note(
                    "configuration",
                    "ok",
                    "node",
                    action="audit.retention",
                    detail=f"{removed:,} entries older than {self.days} days were removed{lost}",
                )
        await self.trail.seal()

    # the noun

    async def list(
        self,
        search: str = "",
        who: str = "",
        kind: str = "",
        since: str = "",
        until: str = "",
        limit: int = 100,
        before: int | None = None,
    ) -> AuditPage:
        limit = max(1, min(limit, _PAGE))
        rows = await self._find(search, who, kind, since, until, limit + 1, before)
        more = len(rows) > limit
        return AuditPage(tuple(_row(row) for row in rows[:limit]), rows[limit - 1][0] if more else None)

    async def _find(
        self, search: str, who: str, kind: str, since: str, until: str, most: int, before: int | None
    ) -> Any:
        now = self._clock.now().astimezone()
        conditions, values = ["1"], []
        for text, value in (
            ("id < ?", before), ("who = ?", who), ("kind = ?", kind),
            ("at >= ?", moment(since, now) if since else ""), ("at < ?", moment(until, now, end=True) if until else ""),
        ):  # fmt: skip
            if value not in ("", None):
                conditions.append(text)
                values.append(value)
        for word in search.split():
            patient = "patient" if self.sees_patients() else "''"  # what is hidden is not found either
            conditions.append("instr(lower(who || ' ' || kind || ' ' || outcome || ' ' || origin || ' ' || action"
                              f" || ' ' || target || ' ' || {patient} || ' ' || detail), ?) > 0")  # fmt: skip
            values.append(word.lower())
        sql = f"SELECT {chain.COLUMNS} FROM audit WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT ?"  # noqa: S608

        def body(connection: sqlite3.Connection) -> Any:
            return connection.execute(sql, (*values, most)).fetchall()

        return await self._db.read(body)

    async def verify(self) -> Verdict:
        return await self.trail.verify()

    async def export_csv(self, since: str = "", until: str = "") -> str:
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(
            ["id", "at", "kind", "outcome", "who", "how", "origin", "action", "target", "patient", "detail"]
        )
        rows = await self._find("", "", "", since, until, _EXPORTED + 1, None)
        if len(rows) > _EXPORTED:
            raise BadRequest(f"these are more than {_EXPORTED:,} entries", "export less at once: --since, --until")
        sees = self.sees_patients()
        for row in reversed(rows):
            told = _row(row) if sees else privacy.masked(_row(row))
            writer.writerow([told.id, told.at.isoformat(), *(guarded(str(text)) for text in astuple(told)[2:])])
        return out.getvalue()

    async def state(self) -> AuditState:
        server, unsent, problem = self.server()
        sent = self.sent() if unsent else None

        def body(connection: sqlite3.Connection) -> Any:
            entries, oldest = connection.execute("SELECT count(*), min(at) FROM audit").fetchone()
            row = connection.execute("SELECT at FROM audit WHERE id > ? ORDER BY id LIMIT 1", (sent,)).fetchone()
            return entries, oldest, row[0] if row else 0

        entries, oldest, waits = await self._db.read(body)
        return AuditState(
            entries, moment_or_none(oldest), self.trail.unwritten, server, unsent, self.trail.problem or problem,
            moment_or_none(waits),
        )  # fmt: skip
