"""The noun ``exceptions``: matches studies with orders and patients as they come, and again when those change."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds
from pacstui.contract.exceptions import ExceptionPage, ExceptionRow, ExceptionView
from pacstui.errors import BadRequest, NotFound
from pacstui.qc import candidates, listing, matching, told, verdict
from pacstui.qc.matching import Kept, Look, Rules
from pacstui.qc.sayings import Said, Sayings
from pacstui.settings import Settings
from pacstui.text import plural, safe

_TOP: Final = 1 << 62
_AT_ONCE: Final = 20
"""Studies that are looked at in one go: a few ms each on a thread of the database."""
_PER_TICK: Final = 60
_WALKED: Final = 500
"""Studies that the walk through those that are here already passes in a second."""
_AGAIN: Final = 300
"""Open exceptions that are looked at again when orders have come."""
_AGAIN_S: Final = 30.0
_WAITING: Final = 2_000
_CHANGED: Final = 200
"""Orders and patients that are followed to their studies in one go, while not very many studies wait."""
_NEAR: Final = 6


class ExceptionsRoom:
    """Looks at each study when nothing more of it came for a while, and keeps how well it fits.

    A step of which images are there, and of which no modality has said anything, stands at arrived.
    """

    def __init__(
        self, archive: Archive, bus: Bus, clock: Clock, caller: Callable[[], str], settings: Callable[[], Settings]
    ) -> None:  # fmt: skip
        self._db = archive.db
        self._root = archive.data_dir
        self._bus = bus
        self._clock = clock
        self._caller = caller
        self._settings = settings
        self._arriving: dict[str, float] = {}
        self._said: dict[str, Sayings] = {}
        self._due: dict[str, None] = {}
        self._later: dict[str, None] = {}
        self._orders: dict[int, None] = {}
        self._persons: dict[int, None] = {}
        self._first = 0
        self._below = _TOP
        self._again = False
        self._looked_again = -_AGAIN_S
        self._stale = True
        self._counts: dict[str, int] = {}
        self._oldest = 0
        bus.subscribe(events.InstanceStored, self._stored)
        bus.subscribe(events.TrashChanged, self._trashed)
        bus.subscribe(events.StudyCorrected, lambda event: self.wake(*event.studies))
        bus.subscribe(events.OrderChanged, lambda event: self._orders_changed(event.orders))
        bus.subscribe(events.PatientChanged, lambda event: self._persons_changed(event.persons))

    async def open(self) -> None:
        """Read how it stands; studies that came while nobody looked are looked at from now on, a few a second."""
        self._first = await self._db.read(matching.first_order)
        await self._recount()

    # What makes a study be looked at.

    def _stored(self, event: events.InstanceStored) -> None:
        if event.new:
            self._arriving[event.study] = self._clock.monotonic()
            if event.said:
                self._said.setdefault(event.study, Sayings()).add(event.said)

    def _trashed(self, event: events.TrashChanged) -> None:
        self._stale = True
        if event.what == "returned" and event.study:
            self.wake(event.study)

    def wake(self, *studies: str, again: bool = False) -> None:
        """Look at studies soon; ``again`` where only orders or patients have changed: then not at one that arrives."""
        for study in studies:
            if not again:
                self._due[study] = None
                self._later.pop(study, None)
            elif study not in self._arriving and study not in self._due:
                self._later[study] = None

    def _orders_changed(self, orders: Iterable[int]) -> None:
        self._orders.update(dict.fromkeys(orders))
        self._again = True

    def _persons_changed(self, persons: Iterable[int]) -> None:
        self._persons.update(dict.fromkeys(persons))
        self._again = True

    # The work.

    async def tick(self) -> None:
        """Do what is due, a bounded part of it; called every second."""
        now = self._clock.monotonic()
        wait = self._settings().qc.settled_s
        for study in [study for study, last in self._arriving.items() if now - last >= wait]:
            del self._arriving[study]
            self._due[study] = None
        await self._changed()
        if self._again and now - self._looked_again >= _AGAIN_S:
            self._again, self._looked_again = False, now
            self.wake(*await self._db.read(lambda c: matching.open_ones(c, _AGAIN)), again=True)
        await self._walk()
        for _ in range(_PER_TICK // _AT_ONCE):
            some = _taken(self._due, False) or _taken(self._later, True)
            if not some:
                break
            await self._look_at(some)
        if self._stale:
            await self._recount()

    async def _changed(self) -> None:
        """Find the studies that changed orders and patients are about."""
        if (not self._orders and not self._persons) or len(self._later) >= _WAITING:
            return
        if not self._first:
            self._first = await self._db.read(matching.first_order)
        orders, persons = list(self._orders)[:_CHANGED], list(self._persons)[:_CHANGED]
        for order in orders:
            del self._orders[order]
        for person in persons:
            del self._persons[person]

        def touched(connection: sqlite3.Connection) -> list[str]:
            found = matching.touched_by_orders(connection, orders)
            return found + matching.touched_by_persons(connection, persons)

        self.wake(*await self._db.read(touched), again=True)

    async def _walk(self) -> None:
        """Go on through the studies that are here already, newest first, while nothing else is due.

        What was looked at is known by its row, so that this goes on where it was after a restart; a node that never had
        an order has nothing to look at but studies with objects of two patients, and those are found by their index.
        """
        if self._due or self._later or not self._below:
            return
        if not self._first:
            self._first = await self._db.read(matching.first_order)
            self._below = 0
            self.wake(*await self._db.read(_conflicts))
            return
        found, self._below = await self._db.read(lambda c: matching.unseen(c, self._below, _WALKED))
        self.wake(*(study for study in found if study not in self._arriving))

    async def _look_at(self, studies: dict[str, bool]) -> list[Kept]:
        rules = self._rules()
        since = self._first
        fresh = self._fresh(studies)
        said = await self._what_objects_say(studies, fresh)

        def look(connection: sqlite3.Connection) -> list[Look]:
            found = (
                matching.look(connection, study, rules, since, said.get(study), again)
                for study, again in studies.items()
            )
            return [each for each in found if each is not None]

        looks = await self._db.read(look)
        if not looks:
            self._kept(fresh)  # they are gone, or belong elsewhere by a correction
            return []
        now = self._clock.now()

        def keep(connection: sqlite3.Connection) -> tuple[list[Kept], list[int]]:
            kept = [matching.keep(connection, each, microseconds(now)) for each in looks]
            steps = [step for each in kept if each.left for step in matching.images_went(connection, each.left, now)]
            fresh = [each for each in kept if each.changed and each.state == verdict.MATCHED]
            return kept, steps + [each.step for each in fresh if matching.images_came(connection, each.step, now)]

        kept, steps = await self._db.write(keep)
        self._kept(fresh)
        self._stale = True
        if steps:
            self._bus.publish(events.StepChanged(now, tuple(steps)))
        for each in kept:
            if each.changed:
                how = (each.study, each.state, each.order, each.score, each.calling)
                self._bus.publish(events.StudyMatched(now, *how))
        return kept

    async def _what_objects_say(self, studies: Iterable[str], fresh: Mapping[str, Sayings]) -> dict[str, Said]:
        """Return what objects of studies say: as it was counted when they came, with the ``fresh`` ones; of studies of
        which not all objects were counted, as some of them are read. What a person corrected says what its row says."""

        def read(connection: sqlite3.Connection) -> tuple[dict[str, Said], list[told.Place]]:
            found: dict[str, Said] = {}
            lacking = []
            for study in studies:
                kept, instances = matching.counted_of(connection, study)
                counted = kept.with_more(fresh.get(study))
                free = told.corrected(connection, study) is None
                whole = free and 0 < counted.total == instances
                found[study] = Said(counted if whole else None, counted)
                lacking += [study] if free and not whole else []
            return found, told.places(connection, lacking)

        found, places = await self._db.read(read)
        sampled: dict[str, Sayings] = {}
        for study, one in await asyncio.to_thread(told.read, self._root, places) if places else ():
            values = (one.name, one.patient_id, one.issuer, one.born, one.sex, one.accession)
            sampled.setdefault(study, Sayings()).add(values)
        return found | {study: replace(found[study], counts=some) for study, some in sampled.items()}

    def _fresh(self, studies: Iterable[str]) -> dict[str, Sayings]:
        """Return what was counted of studies and is kept with no row yet."""
        return {study: self._said[study].with_more(None) for study in studies if study in self._said}

    def _kept(self, fresh: Mapping[str, Sayings]) -> None:
        """Forget what was counted and is kept with a row now; what came meanwhile stays."""
        for study, took in fresh.items():
            there = self._said.pop(study, Sayings()).without(took)
            if there.counts:
                self._said[study] = there

    def _rules(self) -> Rules:
        settings = self._settings()
        return Rules(settings.qc, settings.orders.local_issuer)

    async def _recount(self) -> None:
        self._stale = False
        self._counts, self._oldest = await self._db.read(listing.counts)

    # What others ask.

    def part(self) -> dict[str, int]:
        """Return how many exceptions there are, by state."""
        return {state: self._counts.get(state, 0) for state in listing.STATES}

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what people have to know, for the list of problems."""
        there = {state: number for state, number in self.part().items() if number}
        if not there:
            return
        since = datetime.fromtimestamp(self._oldest / 1e6, UTC)
        hours = self._settings().qc.warn_after_h
        old = bool(hours) and self._clock.now() - since >= timedelta(hours=hours)
        states = ", ".join(f"{number:,} {state}" for state, number in there.items())
        total = sum(there.values())
        text = f"{plural(total, 'study', 'studies')} that {'does' if total == 1 else 'do'} not fit order or patient"
        text += f": {states}, the oldest since {since.astimezone():%a %d %b %H:%M}"
        yield "exceptions", "warn" if old else "note", text, "X: what arrived beside what was expected", "exceptions"

    # What people do.

    async def list_all(
        self, state: str = "", search: str = "", settled: bool = False, before: int = 0, limit: int = 100
    ) -> ExceptionPage:
        return await self._db.read(lambda c: listing.page(c, state, search, settled, before, limit))

    async def show(self, study: str, search: str = "") -> ExceptionView:
        rules = self._rules()
        said = await self._what_objects_say([study], self._fresh([study]))

        def read(connection: sqlite3.Connection) -> ExceptionView:
            found = matching.look(connection, study, rules, self._first, said.get(study))
            if found is None:
                raise NotFound(f"the archive has no study {safe(study, 64)}", "it may have been deleted")
            if search.strip():
                ranked = listing.found(connection, found.seen.arrived, search)
                shown = tuple(listing.candidate(each) for each in ranked)
            else:
                shown = listing.candidates(found.ranked) or tuple(
                    listing.candidate(each) for each in candidates.near(connection, found.seen.arrived, _NEAR)
                )
            return ExceptionView(listing.one(connection, study), shown, *listing.disagreements(found.said))

        return await self._db.read(read)

    async def settle(self, study: str, why: str) -> ExceptionRow:
        if not why.strip():
            raise BadRequest("why is it taken as it is?", "say it in a few words; who looks later will ask")
        by = f"{self._caller()}: {safe(why.strip(), 200)}"

        def body(connection: sqlite3.Connection) -> ExceptionRow:
            there = listing.one(connection, study)
            if there.state not in listing.STATES:
                raise BadRequest(f"this study is {there.state}", "there is nothing to settle")
            connection.execute("UPDATE matches SET settled=? WHERE study=?", (by, study))
            return listing.one(connection, study)

        row = await self._db.write(body)
        await self._recount()
        return row

    async def reopen(self, study: str) -> ExceptionRow:
        def body(connection: sqlite3.Connection) -> ExceptionRow:
            if not listing.one(connection, study).settled:
                raise BadRequest("nobody has taken this study as it is", "it is where it belongs")
            connection.execute("UPDATE matches SET settled='' WHERE study=?", (study,))
            return listing.one(connection, study)

        row = await self._db.write(body)
        await self._recount()
        return row

    async def match(self, study: str) -> ExceptionRow:
        await self._look_at({study: False})
        await self._recount()
        return await self._db.read(lambda c: listing.one(c, study))


def _taken(queue: dict[str, None], again: bool) -> dict[str, bool]:
    """Take what is next out of a queue."""
    some = list(itertools.islice(queue, _AT_ONCE))
    for study in some:
        del queue[study]
    return dict.fromkeys(some, again)


def _conflicts(connection: sqlite3.Connection) -> list[str]:
    """Return studies with objects of two patients that were not looked at."""
    rows = connection.execute(
        "SELECT s.study FROM studies s LEFT JOIN matches m ON m.study = s.study"
        " WHERE s.conflict != '' AND s.changed > coalesce(m.seen, -1) ORDER BY s.id DESC LIMIT 1000"
    )
    return [row[0] for row in rows]
