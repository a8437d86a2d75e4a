"""The noun ``worklist``: what is scheduled, where it stands, what was performed; entered and changed by hand too."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar
from uuid import uuid4

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds
from pacstui.contract.worklist import (
    STATES,
    PerformedRow,
    StepPage,
    StepRow,
    StepView,
    UnorderedRow,
    WorklistView,
)
from pacstui.db import Database
from pacstui.dicom.matching import normal_time
from pacstui.errors import BadRequest, NotFound
from pacstui.index.fold import fold
from pacstui.orders import holding, persons, reading, rows, views
from pacstui.orders.days import day_of, days_of, shown
from pacstui.orders.holding import ON_HOLD
from pacstui.orders.persons import Ambiguous, Identifier, Person
from pacstui.orders.rows import ARRIVED, CANCELLED, COMPLETED, DISCONTINUED, IN_PROGRESS, OPEN, SCHEDULED, Order, Step
from pacstui.settings import Settings
from pacstui.text import safe

T = TypeVar("T")
_BY_HAND: Final = (SCHEDULED, ARRIVED, ON_HOLD, COMPLETED, DISCONTINUED)
_CODE: Final = re.compile(r"[A-Z0-9_ ]{1,16}")
_MOST: Final = 1000
_ORDER: Final = 'id=(SELECT "order" FROM steps WHERE id=?)'
_LABELS: Final = {"station_ae": "station", "accession": "Accession Number"}
_PRIORITIES: Final = ("ROUTINE", "HIGH", "STAT", "MEDIUM", "LOW")


class WorklistRoom:
    """What people ask of the worklist, and do to it.

    Parameters
    ----------
    caller
        Returns who asks for what is done now.
    """

    def __init__(
        self, database: Database, settings: Callable[[], Settings], bus: Bus, clock: Clock, caller: Callable[[], str]
    ) -> None:
        self._db = database
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._caller = caller
        self.pass_on_again: Callable[[int], Awaitable[int]] = _nobody
        self._missing: tuple[int, str] = (0, "")

    # What is there.

    async def day(self, day: str = "") -> WorklistView:
        """Tell where a day's steps stand."""
        return await self._db.read(partial(views.day, day_of(day, self._clock.now())))

    async def steps(
        self, day: str = "", modality: str = "", state: str = "", search: str = "", after: str = "", limit: int = 100
    ) -> StepPage:
        """List steps; of all days where something is searched for and no day is named."""
        now = self._clock.now()
        if state and state not in STATES:
            raise BadRequest(f"{safe(state, 32)} is no state of a step", ", ".join(STATES))
        first, last = days_of("all" if search.strip() and not day.strip() else day, now)
        shown = views.Shown(first, last, modality.strip().upper(), state, search.strip(), after, _some(limit))
        return await self._db.read(partial(views.steps, shown, now))

    async def step(self, id: int) -> StepView:
        """Show one step."""
        found = await self._db.read(partial(views.view, id, self._clock.now()))
        return _there(found, id)

    async def unordered(self, day: str = "", limit: int = 200) -> tuple[UnorderedRow, ...]:
        """List a day's studies without an order."""
        return await self._db.read(partial(views.unordered, day_of(day, self._clock.now()), _some(limit)))

    async def performed(
        self, day: str = "", state: str = "", before: int = 0, limit: int = 100
    ) -> tuple[PerformedRow, ...]:
        """List performed steps, newest first; of all days where none is named."""
        on = day_of(day, self._clock.now()) if day.strip() and day.strip().lower() != "all" else ""
        word = state.strip().upper()
        if word and word not in reading.STATES:
            raise BadRequest(f"{safe(state, 32)} is no state of a performed step", ", ".join(reading.STATES).lower())
        return await self._db.read(partial(views.performed, on, word, before, _some(limit)))

    # What people do.

    async def add(
        self, patient_id: str, patient_name: str, modality: str, date: str = "", time: str = "", issuer: str = "",
        birth_date: str = "", sex: str = "", accession: str = "", description: str = "", station_ae: str = "",
        room: str = "", priority: str = "", referring: str = "", done: bool = False,
    ) -> StepRow:  # fmt: skip
        """Enter a step by hand, with its order, and its patient where it is a new one; with ``done`` for images that
        are here already: no modality is told of it."""
        now, settings, sentence = self._clock.now(), self._settings(), self._sentences()
        day = day_of(date, now)
        clock = _time(time) if time.strip() else f"{now.astimezone():%H%M}00"
        step = Step(
            modality=_modality(modality), station_ae=_station(station_ae), room=_text("room", room, 16), date=day,
            time=clock, description=_text("description", description), state=COMPLETED if done else SCHEDULED,
        )  # fmt: skip
        order = Order(
            accession=_text("accession", accession, 16), study=f"2.25.{uuid4().int}", priority=_priority(priority),
            description=step.description or step.modality, referring=_name("referring", referring),
            source=f"entered by {self._caller()}", state=step.state,
        )  # fmt: skip
        asked = Person(
            0, _text("patient ID", patient_id), _text("issuer", issuer), _name("name", patient_name),
            day_of(birth_date, now) if birth_date.strip() else "", _sex(sex),
        )  # fmt: skip
        if not asked.patient_id:
            raise BadRequest("a worklist item needs a Patient ID")

        def body(connection: sqlite3.Connection) -> int:
            at = microseconds(now)
            person = _person(connection, asked, settings.orders.local_issuer, order.source, at)
            made = rows.save_order(connection, replace(order, person=person.id), at)
            prefix = settings.worklist.accession_prefix
            number = made.accession or (f"{prefix}{now.astimezone():%y%m%d}{made.id:04}"[:16] if prefix else "")
            if order.accession and rows.orders(
                connection, "accession_key=? AND id!=?", (fold(order.accession), made.id)
            ):
                raise BadRequest(
                    f"Accession Number {safe(order.accession, 16)} is that of another order",
                    "leave it out and one is made, or search for that order",
                )
            made = replace(made, accession=number, procedure_id=f"RP{made.id}", filler=made.filler)
            made = made.said(sentence("entered, for what was done already" if done else "entered"))
            rows.save_order(connection, made, at)
            kept = rows.save_step(connection, replace(step, order=made.id), at)
            rows.save_step(connection, replace(kept, step_id=f"SPS{kept.id}"), at)
            return kept.id

        return await self._done(await self._db.write(body))

    async def change(
        self, id: int, modality: str | None = None, date: str | None = None, time: str | None = None,
        description: str | None = None, station_ae: str | None = None, room: str | None = None,
        priority: str | None = None, accession: str | None = None,
    ) -> StepRow:  # fmt: skip
        """Change what is given of a step and of its order."""
        now, sentence = self._clock.now(), self._sentences()

        def body(connection: sqlite3.Connection) -> int:
            step, order = _found(connection, id)
            if step.state not in (*OPEN, IN_PROGRESS):
                raise BadRequest(
                    f"it is {step.state} and stays as it was", "set it to scheduled first if it is not over"
                )
            changed = replace(
                step,
                modality=step.modality if modality is None else _modality(modality),
                date=step.date if date is None else day_of(date, now),
                time=step.time if time is None else _time(time),
                description=step.description if description is None else _text("description", description),
                station_ae=step.station_ae if station_ae is None else _station(station_ae),
                room=step.room if room is None else _text("room", room, 16),
            )
            ordered = replace(
                order,
                priority=order.priority if priority is None else _priority(priority),
                accession=order.accession if accession is None else _text("accession", accession, 16),
            )
            told = [
                f"{_LABELS.get(name, name)} {shown(name, getattr(new, name))}, was {shown(name, getattr(old, name))}"
                for old, new, names in (
                    (step, changed, ("modality", "date", "time", "description", "station_ae", "room")),
                    (order, ordered, ("priority", "accession")),
                )
                for name in names if getattr(old, name) != getattr(new, name)
            ]  # fmt: skip
            if not told:
                raise BadRequest("nothing is changed by that")
            at = microseconds(now)
            rows.save_step(connection, changed, at)
            rows.save_order(connection, ordered.said(sentence(f"changed: {'; '.join(told)}")), at)
            return id

        return await self._done(await self._db.write(body))

    async def set_state(self, id: int, state: str, why: str = "") -> StepRow:
        """Say by hand where a step stands."""
        word = state.strip().lower()
        if word not in _BY_HAND:
            raise BadRequest(f"{safe(state, 32)} cannot be set by hand", ", ".join(_BY_HAND))
        return await (self._hold(id, why) if word == ON_HOLD else self._move(id, word, why))

    async def _hold(self, id: int, why: str) -> StepRow:
        """Put a step's order on hold."""
        if not why.strip():
            raise BadRequest("say why it is on hold", "who sees it there will ask")
        now, sentence, by = self._clock.now(), self._sentences(), self._caller()
        reason = _text("reason", why, 200)

        def body(connection: sqlite3.Connection) -> int:
            step, order = _found(connection, id)
            if step.state not in OPEN:
                raise BadRequest(f"it is {step.state}", "only what has not begun is put on hold")
            if order.body.get("held"):
                raise BadRequest("it is on hold already", "set it to scheduled or arrived to release it")
            kept = holding.held(order.body, by, f"{now.astimezone():%Y-%m-%d %H:%M}", reason)
            told = sentence(f"{ON_HOLD}: {reason}")
            rows.save_order(connection, replace(order, body=kept).said(told), microseconds(now))
            return id

        return await self._done(await self._db.write(body))

    async def cancel(self, id: int, why: str) -> StepRow:
        """Cancel a step that was not begun."""
        if not why.strip():
            raise BadRequest("say why it is cancelled")

        def check(step: Step) -> None:
            if step.state not in OPEN:
                raise BadRequest(f"it is {step.state}", "what has begun is set to discontinued")

        return await self._move(id, CANCELLED, why, check)

    async def _move(self, id: int, state: str, why: str, check: Callable[[Step], None] = lambda step: None) -> StepRow:
        now, sentence = self._clock.now(), self._sentences()
        reason = _text("reason", why, 200)

        def body(connection: sqlite3.Connection) -> int:
            step, order = _found(connection, id)
            held = bool(order.body.get("held")) and step.state in OPEN
            if step.state == state and not held:
                raise BadRequest(f"it is {state} already")
            check(step)
            at = microseconds(now)
            rows.save_step(connection, replace(step, state=state), at)
            stands = rows.state_of(each.state for each in rows.steps(connection, order.id))
            told = sentence(f"{'released, ' if held else ''}{state}{': ' + reason if reason else ''}")
            body = holding.released(order.body) if held else order.body
            rows.save_order(connection, replace(order, state=stands, body=body).said(told), at)
            return id

        return await self._done(await self._db.write(body))

    async def again(self, performed: int) -> int:
        """Pass on what was refused of a performed step, or waits, once more."""
        count = await self.pass_on_again(performed)
        if not count:
            raise NotFound(
                f"nothing waits of performed step {performed}, and nothing was refused",
                "pacstui worklist performed shows what was passed on",
            )
        return count

    def _sentences(self) -> Callable[[str], str]:
        """Return what makes a sentence of history of what the present caller does; fit for the writer lane."""
        at, who = self._clock.now().astimezone(), self._caller()
        return lambda text: f"{at:%Y-%m-%d %H:%M} {text}, by {who}"

    async def _done(self, id: int) -> StepRow:
        """Tell that a step changed, and return it."""
        found = _there(await self._db.read(partial(views.one, id, self._clock.now())), id)
        at = self._clock.now()
        self._bus.publish(events.StepChanged(at, (id,)))
        self._bus.publish(events.OrderChanged(at, (found.order,)))
        return found

    # What is wrong.

    async def look(self) -> None:
        """Look for what was completed long ago and has no images."""
        minutes = self._settings().worklist.no_images_min
        self._missing = await self._db.read(partial(views.without_images, minutes, self._clock.now()))

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield what people have to know, for the list of problems."""
        count, first = self._missing
        if count:
            whose = f"{first}" if count == 1 else f"{count} steps, the first {first}"
            yield (
                "worklist no images", "warn", f"completed without images: {whose}",
                "see whether the modality still has to send, or sent them as another study; W shows them", "worklist",
            )  # fmt: skip


async def _nobody(performed: int) -> int:
    return 0


def _some(limit: int) -> int:
    return max(1, min(limit, _MOST))


def _there(found: T | None, id: int) -> T:
    if found is None:
        raise NotFound(f"there is no worklist item {id}", "pacstui worklist list shows those of today")
    return found


def _found(connection: sqlite3.Connection, id: int) -> tuple[Step, Order]:
    orders = rows.orders(connection, _ORDER, (id,))
    if not orders:
        _there(None, id)
    return next(step for step in rows.steps(connection, orders[0].id) if step.id == id), orders[0]


def _person(connection: sqlite3.Connection, asked: Person, local_issuer: str, source: str, at: int) -> Person:
    """Return the patient that is meant, made if there is none."""
    try:
        identifier, known = persons.named(connection, Identifier(asked.patient_id, asked.issuer), local_issuer)
    except Ambiguous as fault:
        raise BadRequest(safe(str(fault), 200), "say which issuer is meant") from None
    if known is None:
        if not asked.name:
            raise BadRequest("a new patient needs a name", "family name^given name")
        made = persons.insert(connection, identifier, source, at)
        made = replace(made, name=asked.name, birth_date=asked.birth_date, sex=asked.sex)
        persons.save(connection, made, at)
        return made
    known = persons.survivor(connection, known)
    for name, given, has in (
        ("name", fold(asked.name), fold(known.name)), ("birth date", asked.birth_date, known.birth_date),
        ("sex", asked.sex, known.sex),
    ):  # fmt: skip
        if given and has and given != has:
            whose = "" if known.patient_id == asked.patient_id else f"{safe(asked.patient_id, 64)} was merged into "
            raise BadRequest(
                f"{whose}{safe(known.shown, 64)}{', who' if whose else ''} is known with another {name}",
                f"look for a slip in the ID; leave the {name} out if it is that patient",
            )
    return known


def _text(name: str, text: str, most: int = 64) -> str:
    value = text.strip()
    if len(value) > most:
        raise BadRequest(f"{name}: more than {most} characters")
    if "\\" in value or not value.isprintable():
        raise BadRequest(f"{name}: no backslash and no control characters")
    return value


def _name(name: str, text: str) -> str:
    """Return a person's name in DICOM's form; ``Family, Given`` is taken too."""
    value = _text(name, text)
    if "^" not in value and "," in value:
        family, _, given = value.partition(",")
        value = f"{family.strip()}^{given.strip()}"
    return value


def _modality(text: str) -> str:
    value = text.strip().upper()
    if not _CODE.fullmatch(value):
        raise BadRequest(f"{safe(text, 32)} is no modality", "CT, MR, DX, US and the like (PS3.3 C.7.3.1.1.1)")
    return value


def _station(text: str) -> str:
    titles = [_text("station AE title", each, 16) for each in text.replace("\\", ",").split(",")]
    return "\\".join(each for each in titles if each)


def _time(text: str) -> str:
    whole = normal_time(text.strip())
    if not whole or whole[:2] > "23" or whole[2:4] > "59" or whole[4:6] > "59":
        raise BadRequest(f"{safe(text, 32)} is no time", "14:30 or 1430")
    return whole[:6]


def _sex(text: str) -> str:
    value = text.strip().upper()
    if value not in ("", "M", "F", "O"):
        raise BadRequest(f"{safe(text, 32)} is no sex that DICOM has", "M, F or O")
    return value


def _priority(text: str) -> str:
    value = text.strip().upper()
    if value not in ("", *_PRIORITIES):
        raise BadRequest(f"{safe(text, 32)} is no priority", ", ".join(_PRIORITIES).lower())
    return value or "ROUTINE"
