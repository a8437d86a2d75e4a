"""What order messages do: orders and steps are made, changed, cancelled (HL7 v2.5 4.5.1, IHE RAD-2 to RAD-13)."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pacstui.hl7v2.message import NULL
from pacstui.hl7v2.outcome import DUPLICATE_KEY, REQUIRED, TABLE_VALUE, UNKNOWN_KEY, Fault, Refused
from pacstui.orders import coding, holding
from pacstui.orders.mapping import Asked, Planned, Procedures
from pacstui.orders.persons import Person
from pacstui.orders.requests import Request, StepAsked
from pacstui.orders.rows import (
    CANCELLED,
    COMPLETED,
    DISCONTINUED,
    IN_PROGRESS,
    OPEN,
    SCHEDULED,
    Order,
    Step,
    orders,
    save_order,
    save_step,
    state_of,
    steps,
)
from pacstui.orders.words import difference, later, sentence
from pacstui.settings import OrdersSettings

# HL7 table 0119.
NEW: Final = frozenset(("NW", "SN", "RO", "PA", "CH"))
CHANGE: Final = frozenset(("XO", "XX", "XR"))
CANCEL: Final = frozenset(("CA", "OC", "CR", "DC", "OD", "DR", "RP", "RQ", "RU"))
HOLD: Final = frozenset(("HD", "OH", "HR"))
RELEASE: Final = frozenset(("RL", "OE", "OR"))
STATUS: Final = frozenset(("SC", "SR", "NA", "OK", "RE"))
NOTHING: Final = frozenset(
    ("UA", "UC", "UD", "UF", "UH", "UM", "UN", "UR", "UX", "DE", "DF", "LI", "AF", "FU", "OF", "PY", "CN")
)
_STATES: Final = {"CA": CANCELLED, "RP": CANCELLED, "DC": DISCONTINUED, "CM": COMPLETED, "IP": IN_PROGRESS}
_RANK: Final = {SCHEDULED: 0, "arrived": 1, IN_PROGRESS: 2, COMPLETED: 3, DISCONTINUED: 3, CANCELLED: 3}


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one request: the order, what to say of it, and whether anything changed."""

    order: Order
    said: str
    changed: bool = True


class Ordering:
    """Acts on the requests of one message."""

    def __init__(
        self, connection: sqlite3.Connection, settings: OrdersSettings, procedures: Procedures, sender: tuple[str, str],
        at: int, told: list[Fault],
    ) -> None:  # fmt: skip
        self._connection = connection
        self._settings = settings
        self._procedures = procedures
        self._sender = sender
        self._source = "|".join(sender)
        self._at = at
        self._told = told
        self._used: set[int] = set()
        local = datetime.fromtimestamp(at / 1_000_000, UTC).astimezone()
        self._today, self._now = local.strftime("%Y%m%d"), local.strftime("%H%M%S")
        self._stamp = local.strftime("%Y-%m-%d %H:%M")

    def act(self, request: Request, person: Person | None) -> list[Done]:
        """Do what one request says; return what was done.

        Raises
        ------
        Refused
            When it cannot be.
        """
        control = request.control
        known = self._known(request)
        for order in known:
            if person is not None and order.person != person.id:
                raise Refused(
                    Fault("PID", 3, DUPLICATE_KEY, f"order {order.shown} is of another patient",
                          "Cancel it, and order anew for this patient", component=1)
                )  # fmt: skip
        if control in NOTHING:
            return [Done(order, f"order {order.shown} is as it was", False) for order in known]
        if control in NEW or control in CHANGE:
            return [self._write(request, person, known)]
        if control not in CANCEL | HOLD | RELEASE | STATUS:
            raise Refused(
                Fault("ORC", 1, TABLE_VALUE, f"order control code {control[:8]} is not known here", component=1)
            )
        if not known:
            number = request.placer or request.filler or request.accession
            if not number:
                raise Refused(_numberless())
            raise Refused(Fault("ORC", 2 if request.placer else 3, UNKNOWN_KEY, f"there is no order {number[:64]}"))
        if control in CANCEL:
            return [self._cancel(request, order) for order in known]
        if control in STATUS:
            return [self._status(request, order) for order in known]
        return [self._hold(request, order, control in HOLD) for order in known]

    def _known(self, request: Request) -> list[Order]:
        """Return the orders that a request means: by filler's and placer's number of its sender, and of several the one
        with its procedure; without numbers by Accession Number."""
        found: list[Order] = []
        if request.filler:
            found = self._numbered("filler", request.filler, request.filler_issuer)
            if request.placer:
                found = [each for each in found if each.placer in ("", request.placer)]
        if not found and request.placer:
            found = self._numbered("placer", request.placer, request.placer_issuer)
            if request.filler:
                found = [each for each in found if each.filler in ("", request.filler)]
        if not found and not request.filler and not request.placer and request.accession:
            key = coding.plain(request.accession).casefold()
            found = orders(
                self._connection, "accession_key=? AND accession_key != '' AND source=?", (key, self._source)
            )
        found = [each for each in found if each.id not in self._used]
        if not request.whole:
            return found
        for given, fitting in (
            (request.procedure_id, [each for each in found if each.procedure_id == request.procedure_id]),
            (request.code[0], [each for each in found if each.code == request.code[0]]),
        ):
            if given and fitting:
                return fitting[:1]
        if request.shared > 1:
            return []
        return found if len(found) <= 1 or request.control in CANCEL else found[:1]

    def _numbered(self, column: str, number: str, issuer: str) -> list[Order]:
        # The index is for numbers that are not empty, and SQLite takes it only if the query says so too.
        found = orders(self._connection, f"{column}=? AND {column} != '' AND source=?", (number, self._source))
        return [each for each in found if not issuer or each.body.get(f"{column}_issuer", issuer) == issuer]

    def _write(self, request: Request, person: Person | None, known: list[Order]) -> Done:
        """Make an order, or change it: what is sent again changes nothing."""
        old = known[0] if known else None
        new = request.control in NEW
        if old is None:
            if not request.whole:
                raise Refused(Fault("OBR", 0, REQUIRED, "there is no OBR: nothing is ordered", "Send it with the ORC"))
            if not (request.placer or request.filler or request.accession):
                raise Refused(_numberless())
            if not new and self._settings.change_unknown == "refuse":
                raise Refused(Fault("ORC", 2, UNKNOWN_KEY, f"there is no order {request.placer or request.filler}"))
            if person is None:
                raise Refused(Fault("PID", 0, REQUIRED, "there is no patient", "Send a PID"))
        before = old or Order(person=person.id if person else 0, source=self._source)
        there = steps(self._connection, before.id) if old is not None else []
        begun = next((step for step in there if step.state not in (*OPEN, CANCELLED)), None)
        if begun is not None and request.study and request.study != before.study:
            self._told.append(
                coding.at(request.segment, 0, f"the study is {begun.state}: its UID stays {before.study}")
            )
            request = replace(request, study="")
        order, planned = self._order(request, before)
        if old is not None and new and old.state == CANCELLED:
            order = replace(order, state=SCHEDULED).said(f"{self._stamp} ordered again by {self._sender[0]}")
        elif old is None:
            order = order.said(f"{self._stamp} ordered by {self._sender[0] or 'an unnamed sender'}")
        elif old.state == CANCELLED:
            self._told.append(
                coding.at(request.segment, 0, f"order {order.shown} stays cancelled: a change orders nothing")
            )
        if old is None:
            order = self._numbers(request, save_order(self._connection, order, self._at))
        self._used.add(order.id)
        made = self._steps(request, order, planned, there, old is not None and old.state == CANCELLED and new)
        changed = order != old or made != there
        if changed:
            order = replace(order, state=state_of(step.state for step in made))
            if old is not None and old.state != CANCELLED:
                order = order.said(f"{self._stamp} {difference(old, order, there, made)}")
            save_order(self._connection, order, self._at)
            for step in made:
                if step not in there:
                    save_step(self._connection, step, self._at)
        how = "new" if old is None else "changed" if changed else "as it was"
        return Done(order, sentence(order, made, how), changed)

    def _order(self, request: Request, old: Order) -> tuple[Order, tuple[Planned, ...]]:
        """Return the order with what a request says."""
        segment = request.segment
        body = dict(old.body)
        for key, value in request.notes.items():
            body[key] = "" if value == NULL else value
        for key, value in (("placer_issuer", request.placer_issuer), ("filler_issuer", request.filler_issuer)):
            if value:
                body[key] = value
        if request.parent:
            body["parent"] = request.parent
        if request.other[0]:
            body["other_code"] = list(request.other)
        if request.priority:
            body["priority"] = request.priority
        code, scheme, text = request.code
        described = text or code
        order = replace(
            old, placer=request.placer or old.placer, filler=request.filler or old.filler,
            accession=_now(request.accession, old.accession), procedure_id=_now(request.procedure_id, old.procedure_id),
            study=request.study or old.study, code=code or old.code, scheme=scheme if code else old.scheme,
            description=coding.fitting(segment, 4, described, coding.LONG, self._told, 2) or old.description,
            priority=coding.priority(request.priority) or old.priority or "ROUTINE",
            referring=request.referring or old.referring, requesting=request.requesting or old.requesting,
            reason=_now(request.reason, old.reason), body=body,
        )  # fmt: skip
        for name, number, value in (("Accession Number", 18, order.accession),
                                    ("Requested Procedure ID", 19, order.procedure_id)):  # fmt: skip
            if len(value) > coding.SHORT:
                self._told.append(
                    coding.at(
                        segment, number, f"the {name} has {len(value)} characters, more than DICOM's {coding.SHORT}"
                    )
                )
        ask = request.steps[0] if request.steps else StepAsked()
        codes = tuple(each for each in (order.code, request.other[0]) if each)
        schemes = tuple(each for each in (order.scheme, request.other[1]) if each)
        planned = self._procedures.of(Asked(codes, schemes, order.description, ask.modality, self._sender))
        return order, planned

    def _numbers(self, request: Request, order: Order) -> Order:
        """Give a new order what it has to have and nobody sent."""
        accession, study = order.accession, order.study
        if not accession:
            policy = self._settings.accession
            if policy == "refuse":
                raise Refused(
                    Fault(
                        request.segment.name,
                        18,
                        REQUIRED,
                        "there is no Accession Number",
                        "Send one in OBR-18 or IPC-1",
                    )
                )
            numbers = {"filler": order.filler or order.placer, "placer": order.placer or order.filler}
            accession = numbers.get(policy, "")
            if not accession or len(accession) > coding.SHORT:
                accession = f"A{order.id:08d}"
        procedure = order.procedure_id or f"RP{order.id:08d}"
        if not study:
            of = f"accession {accession}" if self._shared(order, request) else f"order {order.id}"
            root = self._settings.uid_root
            number = uuid.uuid5(uuid.NAMESPACE_OID, f"{self._source} {order.placer} {order.filler} {of}")
            if of.startswith("accession"):
                number = uuid.uuid5(uuid.NAMESPACE_OID, f"{order.person} {of}")
            study = f"{root or '2.25'}.{number.int}"[: coding.LONG].rstrip(".")
        return replace(order, accession=accession, procedure_id=procedure, study=study)

    def _shared(self, order: Order, request: Request) -> bool:
        _, planned = self._order(replace(request, notes={}), order)
        return any(each.shared for each in planned)

    def _steps(
        self, request: Request, order: Order, planned: Sequence[Planned], there: list[Step], again: bool
    ) -> list[Step]:
        """Return an order's steps as a request and the table have them; those that have begun stay as they are."""
        if not request.whole:
            return there
        asked = request.steps or (StepAsked(),)
        count = max(len(asked), len(planned))
        made: list[Step] = []
        left = list(there)
        for number in range(count):
            ask = asked[number] if number < len(asked) else StepAsked()
            plan = planned[min(number, len(planned) - 1)]
            old = next((each for each in left if ask.step_id and each.step_id == ask.step_id), None)
            if old is None and left:
                old = left[0]
            if old is not None:
                left.remove(old)
            made.append(self._step(request, order, ask, plan, old, number, again, asked[0]))
        for step in left:
            made.append(replace(step, state=CANCELLED) if step.state in OPEN else step)
        return sorted(made, key=lambda step: step.id or 1 << 62)

    def _step(
        self, request: Request, order: Order, ask: StepAsked, plan: Planned, old: Step | None, number: int, again: bool,
        first: StepAsked,
    ) -> Step:  # fmt: skip
        if old is not None and old.state == CANCELLED and (again or order.state != CANCELLED):
            old = replace(old, state=SCHEDULED)
        if old is not None and old.state not in OPEN:
            return old
        before = old or Step(order=order.id)
        segment = request.segment
        date, time = request.start
        body = dict(before.body)
        made = set(body.get("made", ()))
        if date:
            made.discard("date")
            time = time or before.time or "000000"
            date, time = later(date, time, plan.after_min)
        elif before.date:
            date, time = before.date, before.time
        else:
            made.add("date")
            date, time = later(self._today, self._now, plan.after_min)
        step_id = ask.step_id or before.step_id
        if not step_id:
            made.add("step_id")
            step_id = f"{first.step_id}-{number + 1}" if first.step_id and number else f"SPS{order.id:06d}-{number + 1}"
        if len(step_id) > coding.SHORT:
            self._told.append(
                coding.at(segment, 20, f"the step's ID has {len(step_id)} characters, more than DICOM's 16")
            )
        modality = plan.modality or ask.modality or before.modality
        if not modality:
            raise Refused(
                Fault(segment.name, 24, REQUIRED, "there is no modality",
                      "Send OBR-24 or IPC-5, or name the procedure in [[orders.procedures]]")
            )  # fmt: skip
        codes = plan.codes or ask.codes or before.codes
        if not codes and order.code:
            codes = ((order.code, order.scheme or "L", order.description),)
        body["number"] = number + 1
        if plan.duration_min:
            body["duration_min"] = plan.duration_min
        if made:
            body["made"] = sorted(made)
        else:
            body.pop("made", None)
        return replace(
            before, step_id=step_id, modality=coding.fitting(segment, 24, modality, coding.SHORT, self._told),
            station_ae=plan.station_ae or _now(ask.station_ae, before.station_ae),
            station_name=plan.station_name or _now(ask.station_name, before.station_name),
            room=plan.room or _now(ask.room, before.room), date=date, time=time,
            description=plan.description or order.description, codes=codes,
            physician=_now(ask.physician, before.physician), body=body,
        )  # fmt: skip

    def _cancel(self, request: Request, order: Order) -> Done:
        """Cancel what has not begun."""
        there = steps(self._connection, order.id)
        begun = [step for step in there if step.state not in (*OPEN, CANCELLED)]
        for step in there:
            if step.state in OPEN:
                save_step(self._connection, replace(step, state=CANCELLED), self._at)
        state = state_of([CANCELLED, *(step.state for step in begun)])
        changed = state != order.state or any(step.state in OPEN for step in there)
        if begun:
            self._told.append(
                coding.at(request.segment, 1, f"order {order.shown} had begun: {begun[0].state}", severity="W")
            )
        said = f"order {order.shown} cancelled" if state == CANCELLED else f"order {order.shown} had begun, it stays"
        if state != order.state:
            order = replace(order, state=state).said(f"{self._stamp} cancelled by {self._sender[0]}")
            save_order(self._connection, order, self._at)
        return Done(order, said, changed)

    def _hold(self, request: Request, order: Order, held: bool) -> Done:
        """Put an order on hold, or release it: a held one is not in the worklist."""
        word = "on hold" if held else "released"
        changed = bool(order.body.get("held")) != held
        if changed:
            by, why = self._sender[0], request.why[:200]
            body = holding.held(order.body, by, self._stamp, why) if held else holding.released(order.body)
            order = replace(order, body=body).said(f"{self._stamp} {word}{f': {why},' if why else ''} by {by}")
            save_order(self._connection, order, self._at)
        return Done(order, f"order {order.shown} {word}", changed)

    def _status(self, request: Request, order: Order) -> Done:
        """Take an order's status (ORC-5) and a number that it was given; a step never goes back."""
        numbered = replace(order, placer=request.placer or order.placer, filler=request.filler or order.filler)
        if request.status == "HD" or (request.status and order.body.get("held")):
            numbered = self._hold(request, numbered, request.status == "HD").order
        state = _STATES.get(request.status, "")
        there = steps(self._connection, order.id)
        moved: list[Step] = []
        for step in there:
            if state and _RANK[state] > _RANK[step.state] and not (state == CANCELLED and step.state not in OPEN):
                moved.append(save_step(self._connection, replace(step, state=state), self._at))
            else:
                moved.append(step)
        if moved != there:
            numbered = replace(numbered, state=state_of(step.state for step in moved))
            numbered = numbered.said(f"{self._stamp} {numbered.state}, says {self._sender[0]}")
        if numbered != order:
            save_order(self._connection, numbered, self._at)
        return Done(numbered, f"order {numbered.shown} is {numbered.state}", numbered != order)


def _numberless() -> Fault:
    return Fault("ORC", 2, REQUIRED, "the order has no number", "Send ORC-2 or ORC-3, OBR-2 or OBR-3", component=1)


def _now(value: str, before: str) -> str:
    """Return what a value becomes: what is empty stays, what is `NULL` goes."""
    return before if not value else coding.plain(value)
