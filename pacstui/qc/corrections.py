"""The noun ``corrections``: previews what would be done, does it in one transaction, and undoes it."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment_or_none
from pacstui.contract.corrections import CorrectionPage, CorrectionRow, Downstream, Preview
from pacstui.errors import BadRequest, NotFound, Stale
from pacstui.index.redirects import new_uid
from pacstui.qc import moving, saying, undoing
from pacstui.qc.downstream import Telling, right_copies
from pacstui.qc.hindrance import hindrance
from pacstui.qc.ledger import Ledger, Row, row_of, rows_of
from pacstui.qc.moving import beside
from pacstui.qc.notes import Made, make, references
from pacstui.qc.noting import Notes
from pacstui.qc.plans import Plan, Policy, Request
from pacstui.qc.since import corrected_since, differences
from pacstui.settings import QcSettings
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.qc")
_PLANS: Final[dict[str, Callable[[sqlite3.Connection, Request, Policy], Plan]]] = {
    "assign": moving.assign, "edit": saying.edit, "split": moving.split, "merge": moving.merge, "move": moving.move,
    "reject": moving.reject,
}  # fmt: skip
_HELD: Final = 200
_WHY: Final = 500


@dataclass(frozen=True, slots=True)
class _Held:
    """A preview that somebody was shown: what it was of and said, when (microseconds), and until when it holds."""

    request: Request
    digest: str
    until: float
    by: str
    at: int
    shown: Preview


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
        self.notes = Notes(archive, bus, self._honoured)
        self.title: Callable[[], str] = lambda: "PACSTUI"
        self.send: Telling | None = None
        """Queues objects of a study for a destination, and says how many."""
        self.arriving: Callable[[], Iterable[str]] = tuple
        """Study Instance UIDs of what is being received."""
        self.changed: Callable[[], None] = lambda: None
        """Called after each correction, before anybody is told: what is known of studies elsewhere has to be looked up
        anew."""
        self.knows: Callable[[str], bool] = lambda calling: True
        """Whether a caller's rejection notes are honoured."""
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

    async def renew(self, token: str) -> Preview:
        old = self._held.get(token)
        if old is None or old.by != self._caller():
            raise BadRequest("this preview is not known any more", "esc, then the same key shows how it is now")
        studies = {old.request.study, old.request.into, *old.shown.studies}
        found = await self._archive.db.read(lambda c: corrected_since(c, studies, old.at))
        return await self._preview(old.request, old, tuple(found))

    async def _preview(self, request: Request, old: _Held | None = None, since: tuple[str, ...] = ()) -> Preview:
        policy = self._policy
        plan = await self._archive.db.read(lambda c: _PLANS[request.kind](c, request, policy))
        doubts = list(plan.doubts)
        if set(plan.studies) & set(self.arriving()):
            doubts.insert(0, "images of it are still arriving; those that come later follow the correction")
        token = secrets.token_urlsafe(12)
        now = self._clock.monotonic()
        # One that does not hold any more stays a while: it can be brought up to date, and says then what has changed.
        while len(self._held) >= _HELD:
            del self._held[next(iter(self._held))]
        shown = Preview(
            token, plan.sentence, tuple(plan.changes), tuple(plan.studies), plan.series, plan.instances, plan.new_uids,
            plan.downstream, tuple(doubts), safe(plan.study["patient_id"], 64), tuple(plan.already),
        )  # fmt: skip
        if old is not None:
            told = (*since, *differences(old.shown, shown))
            same = (
                "nothing: it was only too old" if old.digest == plan.digest else "what it is about is another one now"
            )
            shown = replace(shown, since=told or (same,))
        self._held[token] = _Held(
            request,
            plan.digest,
            now + self._settings().preview_s,
            self._caller(),
            microseconds(self._clock.now()),
            shown,
        )
        return shown

    # doing and undoing

    async def apply(self, token: str, why: str) -> CorrectionRow:
        held = self._held.get(token)
        if held is None or held.until <= self._clock.monotonic() or held.by != self._caller():
            raise Stale("this preview does not hold any more", "a new one shows how it is now")
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
                raise Stale("something has changed since the preview", "a new one shows what")
            try:
                return self._write(connection, plan, by, why, at)
            finally:
                self._archive.lane.index.forget()

        ident = await self._archive.db.write(work)
        self.changed()
        return ident

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
        note = None if plan.request.note else self._note(connection, plan, why)
        if note is not None and not plan.rejects:
            ledger.studies.add(beside(ledger, study, new_uid(), hidden=1)["study"])  # where the note will lie
        plan.steps(ledger)
        if note is not None and ledger.aside:
            connection.execute(
                "INSERT INTO redirects (correction, study, series, to_study, to_series) VALUES (0,?,?,?,?)",
                (study["study"], note.series, ledger.aside, note.series),
            )
        ledger.studies |= set(plan.studies)
        connection.executemany(
            "INSERT OR IGNORE INTO corrected_studies (correction, study) VALUES (?,?)",
            [(ident, each) for each in sorted(ledger.studies)],
        )
        sent = [[each.destination, each.instances, microseconds(each.last)]
                for each in plan.downstream]  # fmt: skip
        body = json.loads(ledger.body()) | {
            "sent": sent, "new_uids": plan.new_uids, "told": {}, "of_series": plan.of_series,
            "of_images": plan.of_images, "rejects": plan.rejects, "order": plan.request.order,
        }  # fmt: skip
        uid = plan.request.note or (note.sop_instance if note is not None else "")
        connection.execute(
            "UPDATE corrections SET body=?, note=?, note_uid=? WHERE id=?",
            (json.dumps(body, ensure_ascii=False, separators=(",", ":")), note.data if note is not None else None, uid,
             ident),
        )  # fmt: skip
        return ident

    def _note(self, connection: sqlite3.Connection, plan: Plan, why: str) -> Made | None:
        """Return the rejection note that goes with a correction: what is rejected, or what somebody has a copy of that
        has other instance UIDs from now on."""
        if not plan.rejects and not (plan.new_uids and plan.downstream):
            return None
        named = references(connection, plan.of_series, plan.of_images)
        at = self._clock.now().astimezone()
        return make(plan.study, named, plan.rejects or "worklist", why, at, self.title())

    async def _honoured(self, request: Request, calling: str) -> int:
        """Do what a rejection note from outside asks for."""
        if not self._settings().honour_notes:
            return 0
        if not self.knows(calling):
            told = "a rejection note of %s rejects nothing: it is no peer; [[peers]], or %s"
            log.warning(told, safe(calling, 16), "pacstui peers add, lets its notes be honoured")
            return 0
        by = f"note of {safe(calling, 16)}"
        ident = await self._do(request, "", by, "a rejection note came")
        await self._after("apply", ident, f", {by}")
        return ident

    async def open(self) -> None:
        """Finish what an end in the middle left: notes that are not stored yet, or not in the trash yet."""
        await self.notes.settle()

    async def tick(self) -> None:
        """Look at rejection notes that came; called every second."""
        await self.notes.tick()

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
        self.changed()
        return await self._after("undo", id)

    async def _after(self, action: str, ident: int, more: str = "") -> CorrectionRow:
        await self.notes.settle(ident)
        row = await self._one(ident)
        studies = await self._archive.db.read(lambda c: _studies(c, ident))
        self.noted(f"corrections.{action}", row.study, row.patient_id, f"correction {ident}: {row.kind}{more}")
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
        row = await self._archive.db.read(lambda c: _found(c, id))
        body = json.loads(row["body"])
        known = [name for name, _, _ in body["sent"]]
        strange = [name for name in destinations if name not in known]
        if strange:
            raise BadRequest(
                f"{safe(strange[0], 64)} was sent nothing of it, as far as the queue remembers",
                f"there are: {', '.join(known) or 'none'}; the queue's send takes the rest",
            )
        wanted = destinations or tuple(name for name in known if name not in body["told"])
        if not wanted:
            why = "all were told already" if known else "nobody was sent it, as far as the queue remembers"
            raise BadRequest(why, "name destinations to tell them again" if known else "")
        assert self.send is not None
        note, right = await self._archive.db.read(lambda c: right_copies(c, row))
        for name in wanted:
            number = await self.send(row["study"], [*note, *right], name)
            if not number:
                raise BadRequest("there is nothing to send any more", "what it was about was rejected or deleted")
            at = self._clock.now().astimezone()
            parts = ["rejection note"] * bool(note) + [plural(len(right), "right copy", "right copies")] * bool(right)
            told = " and ".join(parts)
            body["told"][name] = f"{told} queued {at:%Y-%m-%d %H:%M}"
            await self._archive.db.write(lambda c: _told(c, id, name, body["told"][name]))  # noqa: B023 - awaited here
        self.noted("corrections.tell", row["study"], row["patient_id"], f"correction {id}: {', '.join(wanted)}")
        return await self._one(id)


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
    at = moment_or_none(row["at"])
    assert at is not None
    told = body.get("told", {})
    downstream = tuple(
        Downstream(name, count, moment_or_none(last), told.get(name, "")) for name, count, last in body["sent"]
    )
    return CorrectionRow(
        row["id"], at, safe(row["by"], 64), row["kind"], row["study"], safe(row["patient_name"], 200),
        safe(row["patient_id"], 64), row["sentence"], safe(row["why"], _WHY), row["state"], row["instances"],
        safe(row["undone_by"], 64), moment_or_none(row["undone"]) if row["undone"] else None,
        hindrance(connection, row), downstream,
    )  # fmt: skip


def _told(connection: sqlite3.Connection, ident: int, destination: str, text: str) -> None:
    body = json.loads(_found(connection, ident)["body"])
    body["told"][destination] = text
    connection.execute("UPDATE corrections SET body=? WHERE id=?", (json.dumps(body, ensure_ascii=False), ident))
