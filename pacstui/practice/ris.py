"""The practice hospital's RIS: admits, corrects and merges patients, places, changes and cancels orders, over HL7.

It keeps some orders ahead for each station, so that a modality that asks for its worklist finds work. Everything else
happens one after the other, as on a day at the desk: a name is corrected, somebody moves to another ward, an order is
put off, one is on hold for a value of the laboratory, one is cancelled, the same patient turns out to be registered
twice.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pacstui.clock import Clock
from pacstui.practice import messages
from pacstui.practice.messages import Ordered, Who
from pacstui.practice.mllp import Line, NoAnswer, code_of
from pacstui.practice.modalities import EXAMINATIONS
from pacstui.practice.patients import Patient, uid
from pacstui.practice.roster import ROOMS, Room

if TYPE_CHECKING:
    from pacstui.practice.devices import Site

log = logging.getLogger("pacstui.practice")

AHEAD = 2
"""Orders that wait for each station now, at least."""

TICK_S = 1.5
WARDS = ("WARD 1", "WARD 2", "INTENSIVE CARE", "EMERGENCY")
REFERRERS = ("REFERRER^ONE", "REFERRER^TWO", "WARD^THREE", "EMERGENCY^DEPARTMENT")
REASONS = ("cough for three weeks", "pain after a fall", "follow up", "shortness of breath, rule out embolism")


@dataclass(slots=True)
class Account:
    """What the RIS sent and was answered, to hold against the node afterwards.

    ``messages`` are those that were answered, by control ID, with kind and code; ``orders`` the accession numbers that
    were accepted, with how they stand: ordered, changed or cancelled.
    """

    messages: dict[str, tuple[str, str]] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)
    repeated: int = 0
    merged: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def report(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "messages": {control: {"kind": kind, "answer": code} for control, (kind, code) in self.messages.items()},
            "orders": dict(self.orders), "repeated_messages": self.repeated, "merged": dict(self.merged),
            "names": dict(self.names),
        }  # fmt: skip


class Ris:
    """The RIS as one more device of the hospital."""

    title = "RIS"

    def __init__(self, host: str, port: int, seed: object, clock: Clock) -> None:
        self.account = Account()
        self._line = Line(host, port)
        self._rng = random.Random(f"{seed}/RIS")
        self._clock = clock
        self._control = 0
        self._people: dict[str, Who] = {}
        self._open: dict[str, deque[Ordered]] = {room.station: deque() for room in ROOMS}
        self._later: list[Ordered] = []
        self._strangers: deque[Who] = deque()
        self._emergencies = 0
        self._forgotten = 0
        self._seen: list[Who] = []
        self._typed: deque[Ordered] = deque()
        self._held = ""

    # what the others ask of it

    def begun(self, accession: str) -> None:
        """A modality has begun an examination: it is not ahead any more."""
        for waiting in self._open.values():
            for ordered in [each for each in waiting if each.accession == accession]:
                waiting.remove(ordered)
                self._seen.append(ordered.who)

    def on_paper(self, station: str) -> Ordered | None:
        """Return the next order for a station as it is printed for it, where nobody asks for a worklist."""
        waiting = self._open[station]
        if not waiting:
            return None
        self._typed.append(waiting[0])
        return waiting.popleft()

    def stranger(self) -> Who:
        """Return somebody of whom nothing is known: with a number of the emergency department, and no order."""
        self._emergencies += 1
        who = Who(f"TMP{self._emergencies:05}", f"UNKNOWN^EMERGENCY {self._emergencies}", None, "O", "EMERGENCY")
        self._strangers.append(who)
        return who

    # its day

    async def work(self, site: Site) -> None:
        """Work until the hospital closes."""
        incidents: list[Callable[[Site], Any]] = [
            self._umlaut, self._nobody, self._correct, self._cancel, self._put_off, self._move, self._twice_told,
            self._registered_twice, self._identify, self._told_by_phone, self._discharge, self._hold,
        ]  # fmt: skip
        at = 0
        go_on = await self._reached(site)
        while go_on:
            try:
                for room in ROOMS:
                    if len(self._open[room.station]) < AHEAD and not site.stopping.is_set():
                        early, late = (-25, -5) if room.station == "OLDCT7" else (1, 10)
                        await self._place(site, room, timedelta(minutes=self._rng.randrange(early, late)), now=True)
                        if len(self._later) < 18:
                            await self._place(site, room, timedelta(minutes=self._rng.randrange(20, 400)))
                if not site.stopping.is_set():
                    await incidents[at % len(incidents)](site)
                    at += 1
            except NoAnswer as error:
                if not site.stopping.is_set():
                    site.ledger.fault(self.title, str(error))
                log.warning("%s: %s", self.title, error)
            go_on = await site.pause(TICK_S)
        await self._line.close()

    async def _reached(self, site: Site) -> bool:
        """Wait until the archive takes HL7, which may begin a moment after the rest of it; return whether to work."""
        for _ in range(50):
            try:
                await self._line.open()
                return True
            except NoAnswer as error:
                log.info("%s: %s", self.title, error)
            if site.stopping.is_set():
                return False
            await asyncio.sleep(0.1)
        return True

    async def _say(self, text: str, kind: str, charset: str = "utf-8") -> str:
        """Send a message; return the code that it was answered with."""
        control = f"PRA{self._control:06}"
        code, about = code_of(await self._line.ask(text.encode(charset)))
        if about != control:
            raise NoAnswer(f"the answer is about {about or 'nothing'}, not about {control}")
        if control in self.account.messages:
            self.account.repeated += 1
        self.account.messages[control] = (kind, code)
        return code

    def _next(self) -> tuple[str, datetime]:
        self._control += 1
        return f"PRA{self._control:06}", self._clock.now().astimezone()

    # patients

    async def _tell(self, who: Who, event: str, charset: str = "utf-8", named: str = "UNICODE UTF-8") -> bool:
        control, now = self._next()
        code = await self._say(messages.adt(event, who, control, now, named), f"ADT^{event}", charset)
        if code == "AA":
            self._people[who.patient_id] = who
            self.account.names[who.patient_id] = who.name
        return code == "AA"

    async def _admitted(self, patient: Patient) -> Who:
        known = self._people.get(patient.patient_id)
        if known is not None:
            return known
        ward = self._rng.choice((*WARDS[:2], "", ""))
        who = Who(patient.patient_id, patient.name, patient.born, patient.sex, ward)
        await self._tell(who, "A01" if ward else "A04")
        return who

    def _somebody(self, site: Site, room: Room) -> Patient:
        fitting = [p for p in site.patients if p.patient_id and (room.modality != "MG" or p.sex in ("F", "O"))]
        gone = self.account.merged
        return self._rng.choice([p for p in fitting if p.patient_id not in gone])

    async def _correct(self, site: Site) -> None:
        """A name was misspelt at the desk, and is corrected after the examination."""
        who = next((each for each in reversed(self._seen) if each.patient_id in self._people), None)
        if who is None:
            return
        family, _, rest = self._people[who.patient_id].name.partition("^")
        if "=" not in rest and not family.endswith("-TEST"):
            await self._tell(replace(self._people[who.patient_id], name=f"{family}-TEST^{rest}"), "A08")

    async def _move(self, site: Site) -> None:
        """Somebody comes to another ward."""
        inside = [who for who in self._people.values() if who.ward and who.patient_id not in self.account.merged]
        if inside:
            who = self._rng.choice(inside)
            await self._tell(replace(who, ward=self._rng.choice(WARDS)), "A02")

    async def _discharge(self, site: Site) -> None:
        inside = [who for who in self._people.values() if who.ward and who.patient_id not in self.account.merged]
        if inside:
            await self._tell(replace(self._rng.choice(inside), ward=""), "A03")

    async def _umlaut(self, site: Site) -> None:
        """An old part of the RIS sends 8859/1."""
        who = Who("PRAX00001", "MÜSTER^ÖZLEM", self._clock.now().date() - timedelta(days=12000), "F")
        await self._tell(who, "A04", "latin-1", "8859/1")

    async def _registered_twice(self, site: Site) -> None:
        """A patient got a second number, was examined under it, and the two are merged."""
        known = [who.patient_id for who in self._seen if who.patient_id in self._people]
        once = [ident for ident in known if ident not in self.account.merged and not ident.startswith("PRM")]
        women = [p for p in site.patients if p.patient_id and p.sex in ("F", "O")]
        left = sum(p.patient_id not in self.account.merged for p in women)
        if not once or 2 * left <= len(women):  # who is merged is examined no more: some have to stay for each modality
            return
        now = self._people[once[-1]]
        survivor = replace(now, patient_id=f"PRM{self._rng.randrange(10**6):06}")
        if await self._tell(survivor, "A04"):
            await self._merge(survivor, now)

    async def _identify(self, site: Site) -> None:
        """It turns out who was brought in by ambulance: what was done under the makeshift number is theirs."""
        if not self._strangers:
            return
        stranger = self._strangers.popleft()
        known = [p for p in site.patients if p.patient_id and p.patient_id not in self.account.merged]
        who = await self._admitted(self._rng.choice(known))
        await self._tell(stranger, "A04")
        await self._merge(who, stranger)

    async def _merge(self, survivor: Who, prior: Who) -> None:
        control, now = self._next()
        if await self._say(messages.merge(survivor, prior, control, now), "ADT^A40") == "AA":
            self.account.merged[prior.patient_id] = survivor.patient_id
            self._people.pop(prior.patient_id, None)
            for station, waiting in self._open.items():
                self._open[station] = deque(
                    replace(each, who=survivor) if each.who.patient_id == prior.patient_id else each for each in waiting
                )
            self._later = [
                replace(each, who=survivor) if each.who.patient_id == prior.patient_id else each for each in self._later
            ]

    # orders

    async def _place(self, site: Site, room: Room, after: timedelta, now: bool = False) -> None:
        """Order an examination: ``now`` for one that the station is to do next."""
        patient = self._somebody(site, room)
        who = await self._admitted(patient)
        rng, number = self._rng, self._rng.randrange(10**7)
        at = rng.randrange(len(EXAMINATIONS[room.modality]))
        what = EXAMINATIONS[room.modality][at]
        start = (self._clock.now().astimezone() + after).replace(second=0, microsecond=0)
        today = self._clock.now().astimezone().date()
        if now and start.date() != today:  # near midnight: what is ahead now stays on today's list
            start = self._clock.now().astimezone().replace(second=0, microsecond=0)
        ordered = Ordered(
            who, f"PL{number:07}", f"FI{number:07}", f"A{number:07}", f"RP{number:07}", f"SPS{number:07}",
            uid(rng) if rng.random() < 0.6 else "", f"{room.prefix}{at + 1:02}", what.description, room.modality,
            room.station, room.room, start, "STAT" if rng.random() < 0.1 else "ROUTINE", rng.choice(REFERRERS),
            rng.choice(REASONS),
        )  # fmt: skip
        if await self._order(ordered, "NW", room.kind):
            self.account.orders[ordered.accession] = "ordered"
            if now:
                self._open[room.station].append(ordered)
            else:
                self._later.append(ordered)

    async def _order(
        self, ordered: Ordered, code: str, kind: str = "ORM^O01^ORM_O01", status: str = "", why: str = ""
    ) -> bool:
        """Send an order, under the name that its patient has by now: it may have been corrected since it was placed."""
        control, now = self._next()
        ordered = replace(ordered, who=self._people.get(ordered.who.patient_id, ordered.who))
        text = messages.order(ordered, code, control, now, kind=kind, status=status, why=why)
        return await self._say(text, f"{kind[:7]} {code}") == "AA"

    async def _told_by_phone(self, site: Site) -> None:
        """The annex rings up and says what it has done: it has no other way to report it."""
        if len(self._typed) > 2:
            await self._order(self._typed.popleft(), "SC", status="CM")

    async def _put_off(self, site: Site) -> None:
        """An examination is done half an hour later."""
        if self._later:
            at = self._rng.randrange(len(self._later))
            ordered = replace(self._later[at], start=self._later[at].start + timedelta(minutes=30))
            if await self._order(ordered, "XO"):
                self._later[at] = ordered
                self.account.orders[ordered.accession] = "changed"

    async def _cancel(self, site: Site) -> None:
        """An examination is not needed any more."""
        if self._later:
            ordered = self._later.pop(self._rng.randrange(len(self._later)))
            if await self._order(ordered, "CA"):
                self.account.orders[ordered.accession] = "cancelled"

    async def _hold(self, site: Site) -> None:
        """An examination waits until a value of the laboratory is there; then it is released, and another one waits."""
        waited = next((each for each in self._later if each.accession == self._held), None)
        self._held = ""
        if waited is not None:
            await self._order(waited, "RL")
        others = [each for each in self._later if each is not waited]
        if others:
            waits = others[self._rng.randrange(len(others))]
            if await self._order(waits, "HD", why="creatinine is missing"):
                self._held = waits.accession

    async def _nobody(self, site: Site) -> None:
        """An order without a patient's number: it cannot be taken, and somebody has to put it right."""
        self._forgotten += 1
        if self._forgotten % 6 != 1:
            return
        number = self._rng.randrange(10**7)
        who = Who("", "FORGOTTEN^NUMBER", None, "F")
        ordered = Ordered(
            who, f"PL{number:07}", f"FI{number:07}", f"A{number:07}", f"RP{number:07}", f"SPS{number:07}", "", "USA02",
            "US RENAL", "US", "US4", "Outpatients", self._clock.now().astimezone(), "ROUTINE", REFERRERS[0], REASONS[1],
        )  # fmt: skip
        control, now = self._next()
        await self._say(messages.order(ordered, "NW", control, now), "ORM^O01 NW")

    async def _twice_told(self, site: Site) -> None:
        """The answer to a message is lost on the way, and the message is sent once more."""
        if self._people:
            who = self._people[next(iter(self._people))]
            control, now = self._next()
            text = messages.adt("A08", who, control, now)
            if await self._say(text, "ADT^A08") == "AA":
                await self._say(text, "ADT^A08")
