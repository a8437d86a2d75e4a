"""What ADT messages do to patients: A01 to A49 (HL7 v2.5 chapter 3). On the writer lane, inside its transaction.

Messages count in the order in which they arrive: the time of an event (EVN-2) is no promise of order, and a sender
that repeats an old message says what it says now.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from pacstui.hl7v2.message import NULL, Message, Segment
from pacstui.hl7v2.outcome import DUPLICATE_KEY, REQUIRED, UNKNOWN_KEY, UNSUPPORTED_EVENT, Fault, Refused
from pacstui.orders import coding, merging, persons
from pacstui.orders.observed import observe
from pacstui.orders.persons import Identifier, Person
from pacstui.settings import OrdersSettings

VISIT: Final = frozenset(
    ("A01", "A02", "A03", "A04", "A05", "A06", "A07", "A09", "A10", "A11", "A12", "A13", "A14", "A15", "A16", "A21",
     "A22", "A25", "A26", "A27", "A28", "A32", "A33", "A38", "A52", "A53", "A54", "A55", "A60")
)  # fmt: skip
UPDATE: Final = frozenset(("A08", "A31"))
ACCOUNT: Final = frozenset(("A35", "A41", "A42", "A45", "A50", "A51"))
"""Accounts and visits are merged, moved or numbered anew: nothing here hangs on them."""
MERGE: Final = frozenset(("A18", "A34", "A36", "A39", "A40"))
CHANGE_ID: Final = frozenset(("A46", "A47", "A49"))
_STATUS: Final = {"A01": "admitted", "A03": "discharged", "A04": "registered", "A05": "announced", "A06": "admitted",
                  "A07": "registered", "A11": "", "A13": "admitted"}  # fmt: skip


@dataclass(slots=True)
class Result:
    """What was done: in words, whose, and which rows of ``persons`` and ``orders`` changed."""

    said: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """What a message named and left as it was; told last."""
    patient: str = ""
    persons: set[int] = field(default_factory=set)
    orders: set[int] = field(default_factory=set)
    indexed: bool = False


class Admitting:
    """Acts on one ADT message."""

    def __init__(
        self, connection: sqlite3.Connection, settings: OrdersSettings, message: Message, at: int, told: list[Fault]
    ) -> None:
        self._connection = connection
        self._settings = settings
        self._message = message
        self._source = "|".join(message.sender)
        self._at = at
        self._told = told
        self.result = Result()

    def act(self) -> Result:
        """Do what the message says.

        Raises
        ------
        Refused
            When it cannot be done.
        """
        trigger = self._message.trigger
        if trigger in MERGE:
            self._pairs(self._merge)
        elif trigger in CHANGE_ID:
            self._pairs(self._change_id)
        elif trigger in ACCOUNT:
            self.result.patient = coding.plain(self._message.value("PID", 3))
            self.result.said.append("accounts and visits only: nothing hangs on them here")
        elif trigger in VISIT or trigger in UPDATE:
            segment = self._message.first("PID")
            if segment is None:
                raise Refused(Fault("PID", 0, REQUIRED, "there is no patient", "Send a PID"))
            self.tell(segment, trigger)
        else:
            raise Refused(
                Fault(
                    "MSH", 9, UNSUPPORTED_EVENT, f"ADT {trigger or 'without an event'} is not supported", component=2
                ),
                code="AR",
            )
        return self.result

    def tell(self, segment: Segment, trigger: str = "", *, create: bool = True, update: bool = True) -> Person:
        """Take what a PID and the segments of the visit say; return the person, the survivor if it was merged.

        Raises
        ------
        Refused
            When nobody can be meant, or a patient who is not known is not to be made.
        """
        ids = persons.patient(self._message, segment, self._settings, self._told)
        identifier, person = self._known(segment, 3, ids[0])
        ids[0] = identifier
        self.result.patient = self.result.patient or identifier.id
        if person is not None and (person.patient_id, person.issuer) != (identifier.id, identifier.issuer):
            return self._of_merged(segment, identifier, person)
        new = person is None
        if person is None:
            if not create or (trigger in UPDATE and self._settings.update_unknown == "refuse"):
                raise Refused(
                    Fault("PID", 3, UNKNOWN_KEY, f"patient {identifier.shown} is not known",
                          "Send A01, A04 or A28 first", component=1),
                    patient=identifier.id,
                )  # fmt: skip
            person = persons.insert(self._connection, identifier, self._source, self._at)
        elif not update:
            return person
        told = persons.told_of(person, segment, ids, self._told)
        told = self._visit(told, trigger)
        if told != person or new:
            persons.save(self._connection, told, self._at)
            self.result.persons.add(told.id)
            self.result.indexed |= merging.follow(self._connection, told, self._settings.local_issuer, known=not new)
        if told == person and not new:
            self.result.unchanged.append(f"patient {told.shown} as before")
        else:
            self.result.said.append(f"new patient {told.shown}" if new else f"patient {told.shown} changed")
        return told

    def _of_merged(self, segment: Segment, identifier: Identifier, survivor: Person) -> Person:
        """Take the name that somebody goes on to tell of an ID that was merged: objects may have it."""
        self.result.said.append(f"{identifier.shown} was merged into {survivor.shown}: its data stayed")
        prior = persons.by_key(self._connection, identifier.id, identifier.issuer)
        assert prior is not None
        name = persons.told_of(prior, segment, (), []).name
        names = survivor.body.get("names", ())
        if name and name not in names:
            survivor = replace(survivor, body={**survivor.body, "names": [*names, name]})
            persons.save(self._connection, survivor, self._at)
            self.result.indexed |= merging.follow(self._connection, survivor, self._settings.local_issuer)
        return survivor

    def _known(self, segment: Segment, number: int, identifier: Identifier) -> tuple[Identifier, Person | None]:
        """Return the person that an ID means, the survivor if it was merged."""
        identifier, person = persons.resolved(self._connection, segment, number, identifier, self._settings)
        if person is None:
            return identifier, None
        if person.issuer != identifier.issuer:  # it was known without one
            person = replace(person, issuer=identifier.issuer)
            persons.save(self._connection, person, self._at)
            survivor = persons.survivor(self._connection, person)
            self.result.persons.add(survivor.id)
            self.result.indexed |= merging.follow(self._connection, survivor, self._settings.local_issuer)
            return identifier, survivor
        return identifier, persons.survivor(self._connection, person)

    def _visit(self, person: Person, trigger: str) -> Person:
        """Take class, location and doctor of the visit (PV1), and what else is said of the patient."""
        body = dict(person.body)
        visit = dict(body.get("visit", {}))
        segment = self._message.first("PV1")
        if segment is not None:
            location = " ".join(part for part in (coding.plain(p) for p in segment.components(3)) if part)
            values = (
                ("class", coding.plain(segment.value(2)), segment.value(2)), ("location", location, segment.value(3)),
                ("attending", coding.staff(segment, 7, self._told), segment.value(7)),
                ("number", coding.plain(segment.value(19)), segment.value(19)),
                ("admitted", "T".join(coding.moment(segment.value(44)) or ("",)).rstrip("T"), segment.value(44)),
                ("discharged", "T".join(coding.moment(segment.value(45)) or ("",)).rstrip("T"), segment.value(45)),
            )  # fmt: skip
            for key, value, raw in values:
                if raw == NULL:
                    visit.pop(key, None)
                elif value:
                    visit[key] = value
        if trigger in _STATUS:
            visit["status"] = _STATUS[trigger]
        if trigger == "A11":
            visit.pop("admitted", None)
            visit.pop("location", None)
        if trigger in ("A11", "A13"):
            visit.pop("discharged", None)
        visit = {key: value for key, value in visit.items() if value}
        if visit:
            body["visit"] = visit
        else:
            body.pop("visit", None)
        observe(self._message, body)
        return replace(person, body=body)

    def _pairs(self, act: object) -> None:
        """Go through PID and MRG, which come in pairs (A40: several)."""
        assert callable(act)
        some = False
        for pid, mrg in _pairs(self._message):
            some = True
            act(pid, mrg)
        if not some:
            raise Refused(Fault("MRG", 0, REQUIRED, "there is no MRG", "Send the prior ID in MRG-1"))

    def _prior(self, mrg: Segment) -> list[Identifier]:
        found = persons.chosen(persons.identifiers(mrg, 1, self._told), self._settings.issuers)
        found = found or persons.identifiers(mrg, 4, self._told)
        if not found:
            raise Refused(Fault("MRG", 1, REQUIRED, "there is no prior patient ID", component=1))
        return found

    def _merge(self, pid: Segment, mrg: Segment) -> None:
        """Merge the patient of MRG-1 into that of PID-3. MRG-1 may have further IDs of the prior patient: those under
        which somebody is known are merged too."""
        ids = persons.patient(self._message, pid, self._settings, self._told)
        priors = self._prior(mrg)
        first = next((each for each in priors if each.issuer == ids[0].issuer), priors[0])
        for prior in [first, *(each for each in priors if each != first)]:
            if not prior.issuer and not self._settings.local_issuer:
                prior = replace(prior, issuer=ids[0].issuer)
            if prior == first or persons.by_key(self._connection, prior.id, prior.issuer) is not None:
                self._merge_one(pid, mrg, ids, prior)

    def _merge_one(self, pid: Segment, mrg: Segment, ids: list[Identifier], prior: Identifier) -> None:
        surviving, person = self._known(pid, 3, ids[0])
        prior, old = self._known(mrg, 1, prior)
        if (prior.id, prior.issuer) == (surviving.id, surviving.issuer):
            raise Refused(_circle(f"{prior.shown} cannot be merged into itself"), patient=surviving.id)
        if person is not None and old is not None and person.id == old.id:
            if (person.patient_id, person.issuer) == (prior.id, prior.issuer):
                raise Refused(
                    _circle(f"{surviving.shown} was merged into {prior.shown} before: this merge goes in a circle"),
                    patient=surviving.id,
                )
            self.result.patient = self.result.patient or surviving.id
            self.result.said.append(f"{prior.shown} was merged into {person.shown} before")
            return
        if old is not None and (old.patient_id, old.issuer) != (prior.id, prior.issuer):
            raise Refused(
                _circle(f"{prior.shown} was merged into {old.shown} before, and not into {surviving.shown}"),
                patient=surviving.id,
            )
        person = self.tell(pid)
        if old is None:
            old = persons.insert(self._connection, prior, self._source, self._at)
            name = coding.joined(mrg, 7, coding.group(mrg, 7, 1, self._told), self._told)
            if name:
                old = replace(old, name=name, body={"names": [name]})
                persons.save(self._connection, old, self._at)
        moved = merging.merge(
            self._connection, old, person, self._source, self._message.control, self._at, self._settings.local_issuer
        )
        self.result.persons |= {old.id, person.id}
        self.result.orders |= set(moved.orders)
        self.result.indexed |= moved.indexed
        self.result.said.append(f"{prior.shown} merged into {person.shown}")

    def _change_id(self, pid: Segment, mrg: Segment) -> None:
        """Give the patient of MRG-1 the ID in PID-3."""
        ids = persons.patient(self._message, pid, self._settings, self._told)
        prior = self._prior(mrg)[0]
        new, taken = self._known(pid, 3, ids[0])
        prior, person = self._known(mrg, 1, prior)
        self.result.patient = self.result.patient or new.id
        if taken is not None and person is not None and taken.id == person.id:
            self.tell(pid)  # the ID stays (A49 may change an account alone), or it was changed before
            return
        if taken is not None:
            raise Refused(
                Fault(
                    "PID", 3, DUPLICATE_KEY, f"{new.shown} is another patient's", "Send A40 to merge them", component=1
                ),
                patient=new.id,
            )
        if person is None:
            person = persons.insert(self._connection, prior, self._source, self._at)
        elif (person.patient_id, person.issuer) != (prior.id, prior.issuer):
            raise Refused(_circle(f"{prior.shown} was merged into {person.shown} before"), patient=new.id)
        moved = merging.renamed(
            self._connection, person, new, self._source, self._message.control, self._at, self._settings.local_issuer
        )
        self.result.persons.add(person.id)
        self.result.indexed |= moved.indexed
        self.tell(pid)
        self.result.said.append(f"{prior.shown} is {new.shown} now")


def _circle(text: str) -> Fault:
    return Fault("MRG", 1, DUPLICATE_KEY, text, "Look which of the two IDs survives", component=1)


def _pairs(message: Message) -> Iterator[tuple[Segment, Segment]]:
    pid: Segment | None = None
    for segment in message.segments:
        if segment.name == "PID":
            pid = segment
        elif segment.name == "MRG":
            if pid is None:
                raise Refused(Fault("PID", 0, REQUIRED, "there is no patient before MRG", "Send the survivor in PID-3"))
            yield pid, segment
