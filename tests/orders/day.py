"""A day of messages in simulated disorder, and a small model of what it has to end in.

The generator knows the hospital as it really is: patients with several IDs, merges, changes of name, orders, studies.
It lets them arrive as networks and interface engines do: repeated, late, before what they depend on, with characters
that are not those that are declared. The model takes what arrives in its order and knows nothing of rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from pacstui.index.fold import fold
from tests.orders.ward import Rows

SURNAMES = ("Müller", "Núñez", "Ødegård", "Smith", "Nowak", "Rossi", "Weiß", "Bélanger", "Çelik", "Jansen")
GIVEN = ("Ana", "Bo", "Cem", "Dora", "Emil", "Fay", "Gus", "Hela")
MODALITIES = ("CT", "MR", "US", "CR", "NM")
CHARSETS = (
    ("UNICODE UTF-8", "utf-8"), ("8859/1", "latin-1"), ("", "utf-8"), ("", "latin-1"), ("ASCII", "latin-1"),
    ("8859/1", "utf-8"),
)  # fmt: skip
"""What MSH-18 says and what the bytes are: the last is plainly wrong, and nobody can tell."""


@dataclass(frozen=True)
class Event:
    """Something that arrives: ``kind`` is tell, merge, rename, order or study. Of ``values`` none is nothing said."""

    kind: str
    id: str
    name: str = ""
    birth: str = ""
    sex: str = ""
    trigger: str = "A08"
    prior: str = ""
    control: str = "NW"
    status: str = ""
    number: str = ""
    modality: str = "CT"
    start: str = ""
    text: str = ""
    study: str = ""
    series: str = ""
    stranger: bool = False
    issuer: bool = True
    charset: tuple[str, str] = CHARSETS[0]
    control_id: str = ""

    @property
    def read_name(self) -> str:
        """The name as the receiver reads it."""
        declared, codec = self.charset
        if declared == "8859/1" and codec == "utf-8":
            read = self.name.encode("utf-8").decode("latin-1")
            return "".join(" " if "\x80" <= each <= "\x9f" else each for each in read)
        return self.name

    def message(self) -> bytes:
        """Return it as HL7 v2."""
        birth = self.birth or ""
        id = f"{self.id}^^^HOSP^MR" if self.issuer else self.id
        pid = f"PID|1||{id}||{self.name}||{birth}|{self.sex}"
        if self.kind == "order":
            kind = "ORM^O01"
            body = [pid, f"ORC|{self.control}|{self.number}|F{self.number}||{self.status}"]
            if self.control in ("NW", "XO"):
                body.append(
                    f"OBR|1|{self.number}|F{self.number}|C{self.text}^{self.text}^L" + "|" * 14 + f"A{self.number}"
                    + "|" * 6 + self.modality + "|" * 12 + self.start
                )  # fmt: skip
                body.append(f"ZDS|{self.study}")
        else:
            trigger = {"merge": "A40", "rename": "A47"}.get(self.kind, self.trigger)
            kind = f"ADT^{trigger}"
            body = [f"EVN|{trigger}", pid]
            if self.kind != "tell":
                body.append(f"MRG|{self.prior}^^^HOSP^MR")
        head = f"MSH|^~\\&|RIS|HOSP|PACS|NODE|20260101||{kind}|{self.control_id}|P|2.5||||||{self.charset[0]}"
        return ("\r".join((head, *body)) + "\r").encode(self.charset[1])


@dataclass
class _Patient:
    ids: list[str]
    family: str
    given: str
    birth: str
    sex: str
    names: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.family}^{self.given}"


class Hospital:
    """Makes the events of a day, ``count`` messages about it."""

    def __init__(self, seed: int, count: int, studies: bool = True) -> None:
        self._random = random.Random(seed)
        self._count = count
        self._studies = studies
        self._serial = 0
        self._patients: list[_Patient] = []
        self._orders: list[tuple[_Patient, str]] = []
        self._kept: list[tuple[_Patient, str]] = []

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _admit(self) -> _Patient:
        number = self._next()
        chance = self._random
        family = f"{chance.choice(SURNAMES)}{_word(number)}"
        patient = _Patient(
            [f"P{number}"], family, f"{chance.choice(GIVEN)}{_word(number)}",
            f"{1930 + number % 80}{1 + number % 12:02}{1 + number % 28:02}", chance.choice("MFO"),
        )  # fmt: skip
        self._patients.append(patient)
        return patient

    def _told(self, patient: _Patient, **values: Any) -> Event:
        chance = self._random
        event = Event(
            "tell", chance.choice(patient.ids), patient.name, patient.birth, patient.sex,
            chance.choice(("A01", "A04", "A08", "A28", "A31")), issuer=chance.random() > 0.05,
            charset=chance.choice(CHARSETS),
        )  # fmt: skip
        return replace(event, **values)

    def in_order(self) -> Iterator[Event]:
        """Yield the day as it happened."""
        chance = self._random
        for _ in range(self._count):
            what = chance.random()
            patient = chance.choice(self._patients) if self._patients and what > 0.15 else self._admit()
            if what < 0.3:
                yield self._told(patient)
            elif what < 0.36:  # another family name, or a value that is deleted
                if chance.random() < 0.5:
                    patient.family = f"{chance.choice(SURNAMES)}{_word(self._next())}"
                    yield self._told(patient)
                else:
                    yield self._told(patient, sex='""')
            elif what < 0.42:
                yield self._merge(patient)
            elif what < 0.44:
                new = f"P{self._next()}"
                old = chance.choice(patient.ids)
                yield replace(self._told(patient, id=new, issuer=True), kind="rename", prior=old)
                patient.ids.append(new)
            elif what < 0.8:
                yield self._order(patient)
            elif self._studies:
                yield self._study(patient)

    def _merge(self, patient: _Patient) -> Event:
        chance = self._random
        if chance.random() < 0.15:  # nonsense: with itself, in a circle, or with anybody
            prior = chance.choice((*patient.ids, chance.choice(chance.choice(self._patients).ids)))
        elif chance.random() < 0.5:
            prior = f"P{self._next()}"
            patient.ids.append(prior)
        else:
            other = chance.choice(self._patients)
            prior = other.ids[0]
            if other is not patient:
                self._patients.remove(other)
                patient.ids += other.ids
                patient.names += [*other.names, other.name]
        survivor = chance.choice(patient.ids)
        return replace(self._told(patient, id=survivor, issuer=True), kind="merge", prior=prior)

    def _order(self, patient: _Patient) -> Event:
        chance = self._random
        if self._orders and chance.random() < 0.5:
            owner, number = chance.choice(self._orders)
            control = chance.choice(("NW", "XO", "XO", "CA", "SC", "SC"))
        else:
            owner, number, control = patient, str(self._next()), "NW"
            self._orders.append((owner, number))
        return replace(
            self._told(owner), kind="order", number=number, control=control,
            status=chance.choice(("IP", "CM")) if control == "SC" else "", modality=chance.choice(MODALITIES),
            start=f"202601{chance.randint(1, 28):02}{chance.randint(8, 17):02}0000",
            text=f"exam {chance.randint(1, 9)}", study=f"2.25.9.{number}",
        )  # fmt: skip

    def _study(self, patient: _Patient) -> Event:
        chance = self._random
        if self._kept and chance.random() < 0.3:
            owner, study = chance.choice(self._kept)
        else:
            owner, study = patient, f"2.25.7.{self._next()}"
            self._kept.append((owner, study))
        event = replace(self._told(owner), kind="study", study=study, series=f"{study}.{self._next()}")
        if chance.random() < 0.1:
            number = self._next()
            return replace(
                event, name=f"Zzz{_word(number)}^Yyy{_word(number)}", birth="18800101", sex="M", stranger=True
            )
        return event

    def disordered(self) -> list[Event]:
        """Return the day as it arrives."""
        chance = self._random
        events: list[tuple[float, Event]] = []
        for at, event in enumerate(self.in_order()):
            event = replace(event, control_id=f"M{self._next()}")
            delay = chance.expovariate(1 / 50) if chance.random() < 0.2 else 0.0
            if event.kind in ("merge", "rename") and chance.random() < 0.3:
                delay += chance.uniform(0, self._count / 3)
            events.append((at + delay, event))
            while chance.random() < 0.08:  # told again, at once or late
                delay += chance.choice((0.0, chance.uniform(0, 200)))
                again = event if chance.random() < 0.5 else replace(event, control_id=f"M{self._next()}")
                events.append((at + delay, again))
        return [event for _, event in sorted(events, key=lambda each: each[0])]


def _word(number: int) -> str:
    """Return a number in letters, so that no two names share a part by chance."""
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))


@dataclass
class _Told:
    """Whom an ID means, as far as the node was told."""

    ids: set[str]
    live: str
    name: str = ""
    birth: str = ""
    sex: str = ""
    parts: set[str] = field(default_factory=set)
    sexless: bool = False
    untold: set[str] = field(default_factory=set)


@dataclass
class _Exam:
    who: _Told
    modality: str = ""
    start: str = ""
    text: str = ""
    state: str = "scheduled"


@dataclass
class _Study:
    event: Event
    follows: bool = False
    doubtful: bool = False

    def shares(self, who: _Told) -> bool:
        return not _parts(self.event.name) or bool(_parts(self.event.name) & who.parts)


class Model:
    """What has to be in the end. ``hear`` takes events in the order of arrival."""

    def __init__(self) -> None:
        self.people: dict[str, _Told] = {}
        self.exams: dict[str, _Exam] = {}
        self.studies: dict[str, _Study] = {}
        self.waiting: dict[str, list[_Study]] = {}

    def hear(self, event: Event) -> bool:
        """Take an event; return whether it is accepted."""
        new = event.id not in self.people
        accepted = bool(getattr(self, f"_{event.kind}")(event))
        who = self.people.get(event.id)
        for study in [each for id in who.ids for each in self.waiting.get(id, ())] if who is not None else ():
            if study.follows:
                continue
            heard = event.id == study.event.id and new and event.kind != "study"
            if study.shares(who):
                study.follows, study.doubtful = True, False
            elif heard and study.event.birth and who.birth != study.event.birth:
                study.doubtful = True
            else:
                study.follows = not study.doubtful
        return accepted

    def _tell(self, event: Event) -> bool:
        who = self.people.get(event.id)
        if who is None:
            who = self.people[event.id] = _Told({event.id}, event.id)
        who.parts |= _parts(event.read_name)
        if who.live != event.id:
            return True
        who.untold.discard(event.id)
        who.name, who.birth = event.read_name, event.birth or who.birth
        if event.sex == '""':
            who.sex, who.sexless = "", True
        elif event.sex:
            who.sex, who.sexless = event.sex, False
        return True

    def _merge(self, event: Event) -> bool:
        survivor, prior = self.people.get(event.id), self.people.get(event.prior)
        if event.id == event.prior:
            return False
        if survivor is not None and survivor is prior:
            return survivor.live != event.prior
        if prior is not None and prior.live != event.prior:
            return False
        self._tell(event)
        survivor = self.people[event.id]
        if prior is None:
            survivor.ids.add(event.prior)
            survivor.untold.add(event.prior)
            self.people[event.prior] = survivor
            return True
        survivor.ids |= prior.ids
        survivor.parts |= prior.parts
        survivor.untold |= prior.untold
        for id in prior.ids:
            self.people[id] = survivor
        for exam in self.exams.values():
            if exam.who is prior:
                exam.who = survivor
        return True

    def _rename(self, event: Event) -> bool:
        new, who = self.people.get(event.id), self.people.get(event.prior)
        if new is not None:
            return new is who and self._tell(event)
        if who is None:
            who = self.people[event.prior] = _Told({event.prior}, event.prior)
        if who.live != event.prior:
            return False
        who.untold.add(event.prior)
        who.live = event.id
        who.ids.add(event.id)
        self.people[event.id] = who
        return self._tell(event)

    def _order(self, event: Event) -> bool:
        exam, who = self.exams.get(event.number), self.people.get(event.id)
        if exam is not None and exam.who is not who:
            return False
        if exam is None and event.control not in ("NW", "XO"):
            return False
        self._tell(event)
        if exam is None:
            exam = self.exams[event.number] = _Exam(self.people[event.id])
        elif event.control == "CA":
            exam.state = "cancelled" if exam.state == "scheduled" else exam.state
            return True
        elif event.control == "SC":
            rank = ("scheduled", "in progress", "completed")
            state = {"IP": "in progress", "CM": "completed"}[event.status]
            if exam.state in rank and rank.index(state) > rank.index(exam.state):
                exam.state = state
            return True
        elif event.control == "NW" and exam.state == "cancelled":
            exam.state = "scheduled"
        exam.text = event.text
        if exam.state == "scheduled":
            exam.modality, exam.start = event.modality, event.start
        return True

    def _study(self, event: Event) -> bool:
        if event.study not in self.studies:
            self.studies[event.study] = study = _Study(event)
            self.waiting.setdefault(event.id, []).append(study)
            who = self.people.get(event.id)
            if who is not None and event.id not in who.untold and event.birth != who.birth:
                study.doubtful = not study.shares(who)
        return True


def _parts(name: str) -> set[str]:
    return {part for part in fold(name).split() if len(part) > 1}


def settled(events: list[Event]) -> list[Event]:
    """Return a day whose strangers, objects under somebody else's ID, come only when that ID's patient is known, and
    whose further objects of a study are of the patient of its first."""
    told: set[str] = set()
    first: dict[str, Event] = {}
    out: list[Event] = []
    for event in events:
        if event.kind == "study":
            begun = first.get(event.study)
            if begun is not None:
                event = replace(event, id=begun.id, name=begun.name, birth=begun.birth, stranger=begun.stranger)
            elif event.stranger and event.id not in told:
                event = replace(event, stranger=False, name="", birth="", sex="")
            first.setdefault(event.study, event)
        else:
            told.add(event.id)
        out.append(event)
    return out


def differences(model: Model, ward: Rows) -> list[str]:
    """Return where a database is not as the model says."""
    found: list[str] = []
    rows = {
        row[0]: row[1:]
        for row in ward.rows(
            "SELECT p.patient_id, s.patient_id, s.name, s.birth_date, s.sex FROM persons p JOIN persons s"
            " ON s.id = CASE p.merged_into WHEN 0 THEN p.id ELSE p.merged_into END"
        )
    }
    if rows.keys() != model.people.keys():
        found.append(f"persons {sorted(rows.keys() ^ model.people.keys())[:5]}")
    for id, who in model.people.items():
        expected = (who.live, who.name, who.birth, who.sex)
        if rows.get(id) != expected:
            found.append(f"{id}: {rows.get(id)}, not {expected}")
    exams = {
        row[0]: row[1:]
        for row in ward.rows(
            "SELECT o.placer, p.patient_id, s.modality, s.date || s.time, o.description, o.state, s.state FROM orders o"
            ' JOIN persons p ON p.id = o.person JOIN steps s ON s."order" = o.id'
        )
    }
    if exams.keys() != model.exams.keys():
        found.append(f"orders {sorted(exams.keys() ^ model.exams.keys())[:5]}")
    for number, exam in model.exams.items():
        now = (exam.who.live, exam.modality, exam.start, exam.text, exam.state, exam.state)
        if exams.get(number) != now:
            found.append(f"order {number}: {exams.get(number)}, not {now}")
    if ward.one("SELECT count(*) FROM orders") != len(model.exams):
        found.append("orders with more than one row")
    for study, kept in model.studies.items():
        id, _, name, birth, sex, conflict = ward.study(study)
        event = kept.event
        who = model.people.get(event.id)
        if not kept.follows or who is None:
            expected = (event.id, event.name, event.birth, event.sex, kept.doubtful)
        else:
            sex_now = who.sex or ("" if who.sexless else event.sex)
            expected = (who.live, who.name or event.name, who.birth or event.birth, sex_now, kept.doubtful)
        if (id, name, birth, sex, bool(conflict)) != expected:
            found.append(f"study {study}: {(id, name, birth, sex, conflict)}, not {expected}")
    return found
