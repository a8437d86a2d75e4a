"""The noun ``corrections``: previews what would be done, does it in one transaction, and undoes it."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from pacstui import events
from pacstui.archive import Archive
from pacstui.archive.lane import microseconds
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.corrections import CorrectionPage, CorrectionRow, Downstream, Preview
from pacstui.errors import BadRequest, NotFound
from pacstui.jobs.store import moment
from pacstui.qc import moving, saying, undoing
from pacstui.qc.ledger import Ledger, Row, row_of, rows_of
from pacstui.qc.plans import Plan, Policy, Request
from pacstui.settings import QcSettings
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.qc")
_PLANS: Final[dict[str, Callable[[sqlite3.Connection, Request, Policy], Plan]]] = {
    "assign": saying.assign, "edit": saying.edit, "split": moving.split, "merge": moving.merge, "move": moving.move,
    "reject": moving.reject,
}  # fmt: skip
_HELD: Final = 200
_WHY: Final = 500


@dataclass(frozen=True, slots=True)
class _Held:
    """A preview that somebody was shown: what it was of, and until when it holds."""

    request: Request
    digest: str
    until: float
    by: str


class CorrectionsRoom:
    """Corrections of studies. Runs on the event loop; rows change on the writer lane."""

    def __init__(
        self, archive: Archive, bus: Bus, clock: Clock, settings: Callable[[], QcSettings], caller: Callable[[], str]
    ) -> None:
        self._archive = archive
        self._bus = bus
        self._clock = clock
        self._settings = settings
        self._caller = caller
        self._held: dict[str, _Held] = {}
        self.arriving: Callable[[], Iterable[str]] = tuple
        """Study Instance UIDs of what is being received."""
        self.changed: Callable[[], None] = lambda: None
        """Called after each correction: what is known of studies elsewhere has to be looked up anew."""
        self.noted: Callable[[str, str, str, str], None] = lambda action, study, patient, detail: None
        """Told what was done, to which study, of which patient: for the audit trail."""

    @property
    def _policy(self) -> Policy:
        settings = self._settings()
        return Policy(settings.new_uids, settings.study_uid, settings.show_rejected)

    # previews

    async def assign(self, study: str, order: int = 0, patient_id: str = "", issuer: str = "") -> Preview:
        return await self._preview(Request("assign", study, order=order, patient_id=patient_id, issuer=issuer))

    async def edit(
        self, study: str, changes: dict[str, str], series: tuple[str, ...] = (), images: tuple[str, ...] = ()
    ) -> Preview:
        return await self._preview(Request("edit", study, series, images, tuple(changes.items())))

    async def split(self, study: str, series: tuple[str, ...], order: int = 0) -> Preview:
        return await self._preview(Request("split", study, series, order=order))

    async def merge(self, study: str, into: str) -> Preview:
        return await self._preview(Request("merge", study, into=into))

    async def move(self, study: str, series: tuple[str, ...], into: str) -> Preview:
        return await self._preview(Request("move", study, series, into=into))

    async def reject(
        self, study: str, reason: str, series: tuple[str, ...] = (), images: tuple[str, ...] = ()
    ) -> Preview:
        return await self._preview(Request("reject", study, series, images, reason=reason))

    async def _preview(self, request: Request) -> Preview:
        policy = self._policy
        plan = await self._archive.db.read(lambda c: _PLANS[request.kind](c, request, policy))
        doubts = list(plan.doubts)
        if set(plan.studies) & set(self.arriving()):
            doubts.insert(0, "images of it are still arriving; those that come later follow the correction")
        token = secrets.token_urlsafe(12)
        now = self._clock.monotonic()
        self._held = {key: held for key, held in self._held.items() if held.until > now}
        while len(self._held) >= _HELD:
            del self._held[next(iter(self._held))]
        self._held[token] = _Held(request, plan.digest, now + self._settings().preview_s, self._caller())
        return Preview(
            token, plan.sentence, tuple(plan.changes), tuple(plan.studies), plan.series, plan.instances, plan.new_uids,
            plan.downstream, tuple(doubts),
        )  # fmt: skip

    # doing and undoing

    async def apply(self, token: str, why: str) -> CorrectionRow:
        held = self._held.get(token)
        if held is None or held.until <= self._clock.monotonic() or held.by != self._caller():
            raise BadRequest("this preview does not hold any more", "look at it again, then do it")
        if not why.strip():
            raise BadRequest("why?", "others will ask: say it in a few words, without names of patients")
        ident = await self._do(held.request, held.digest, held.by, why.strip()[:_WHY])
        self._held.pop(token, None)
        return await self._after("apply", ident)

    async def _do(self, request: Request, digest: str, by: str, why: str) -> int:
        """Do what was asked for in one transaction; ``digest`` is that of the preview, empty without one."""
        policy, at = self._policy, microseconds(self._clock.now())

        def work(connection: sqlite3.Connection) -> int:
            plan = _PLANS[request.kind](connection, request, policy)
            if digest and plan.digest != digest:
                raise BadRequest("something has changed since the preview", "look at it again, then do it")
            try:
                return self._write(connection, plan, by, why, at)
            finally:
                self._archive.lane.index.forget()

        return await self._archive.db.write(work)

    def _write(self, connection: sqlite3.Connection, plan: Plan, by: str, why: str, at: int) -> int:
        study = plan.study
        cursor = connection.execute(
            "INSERT INTO corrections (at, by, kind, study, patient_name, patient_id, sentence, why, state, instances)"
            " VALUES (?,?,?,?,?,?,?,?,'on',?)",
            (at, by, plan.request.kind, study["study"], study["patient_name"], study["patient_id"], plan.sentence, why,
             plan.instances),
        )  # fmt: skip
        ident = cursor.lastrowid
        assert ident is not None
        ledger = Ledger(connection, ident, at)
        plan.steps(ledger)
        ledger.studies |= set(plan.studies)
        connection.executemany(
            "INSERT OR IGNORE INTO corrected_studies (correction, study) VALUES (?,?)",
            [(ident, each) for each in sorted(ledger.studies)],
        )
        sent = [[each.destination, each.instances, microseconds(each.last) if each.last else 0]
                for each in plan.downstream]  # fmt: skip
        body = json.loads(ledger.body()) | {
            "sent": sent, "new_uids": plan.new_uids, "told": {}, "order": plan.request.order,
        }  # fmt: skip
        connection.execute(
            "UPDATE corrections SET body=? WHERE id=?",
            (json.dumps(body, ensure_ascii=False, separators=(",", ":")), ident),
        )
        return ident

    async def undo(self, id: int, why: str) -> CorrectionRow:
        if not why.strip():
            raise BadRequest("why?", "others will ask: say it in a few words, without names of patients")
        by, at = self._caller(), microseconds(self._clock.now())

        def work(connection: sqlite3.Connection) -> Row:
            try:
                return undoing.undo(connection, id, by, at)
            finally:
                self._archive.lane.index.forget()

        await self._archive.db.write(work)
        return await self._after("undo", id)

    async def _after(self, action: str, ident: int) -> CorrectionRow:
        row = await self._one(ident)
        studies = await self._archive.db.read(lambda c: _studies(c, ident))
        self.changed()
        self.noted(f"corrections.{action}", row.study, row.patient_id, f"correction {ident}: {row.kind}")
        told = f"{row.kind}: {plural(row.instances, 'image')}" if action == "apply" else f"undone: {row.kind}"
        who = row.by if action == "apply" else row.undone_by
        self._bus.publish(events.StudyCorrected(self._clock.now(), studies, ident, who, told))
        return row

    # what is shown

    async def list_all(self, study: str = "", before: int = 0, limit: int = 100) -> CorrectionPage:
        most = max(1, min(limit, 500))
        return await self._archive.db.read(lambda c: _page(c, study, before, most))

    async def _one(self, ident: int) -> CorrectionRow:
        return await self._archive.db.read(lambda c: _shown(c, _found(c, ident)))

    async def tell(self, id: int, destinations: tuple[str, ...] = ()) -> CorrectionRow:
        raise BadRequest("not yet", "")


def _found(connection: sqlite3.Connection, ident: int) -> Row:
    row = row_of(connection, "corrections", ident)
    if row is None:
        raise NotFound(f"there is no correction {ident}", "pacstui corrections list has them")
    return row


def _studies(connection: sqlite3.Connection, ident: int) -> tuple[str, ...]:
    rows = connection.execute("SELECT study FROM corrected_studies WHERE correction=? ORDER BY study", (ident,))
    return tuple(row[0] for row in rows)


def _page(connection: sqlite3.Connection, study: str, before: int, most: int) -> CorrectionPage:
    terms, values = ["1"], list[Any]()
    if study:
        terms.append("id IN (SELECT correction FROM corrected_studies WHERE study=?)")
        values.append(study)
    if before:
        terms.append("id < ?")
        values.append(before)
    query = f"SELECT * FROM corrections WHERE {' AND '.join(terms)} ORDER BY id DESC LIMIT ?"  # noqa: S608 - ours
    rows = rows_of(connection, query, (*values, most + 1))
    return CorrectionPage(
        tuple(_shown(connection, row) for row in rows[:most]), rows[most - 1]["id"] if len(rows) > most else 0
    )


def _shown(connection: sqlite3.Connection, row: Row) -> CorrectionRow:
    body = json.loads(row["body"])
    at = moment(row["at"])
    assert at is not None
    told = body.get("told", {})
    downstream = tuple(Downstream(name, count, moment(last), told.get(name, "")) for name, count, last in body["sent"])
    return CorrectionRow(
        row["id"], at, safe(row["by"], 64), row["kind"], row["study"], safe(row["patient_name"], 200),
        safe(row["patient_id"], 64), row["sentence"], safe(row["why"], _WHY), row["state"], row["instances"],
        safe(row["undone_by"], 64), moment(row["undone"]) if row["undone"] else None,
        undoing.hindrance(connection, row), downstream,
    )  # fmt: skip
