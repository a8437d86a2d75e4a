"""Modalities that work by orders: from the archive's worklist, and one whose technologist types what is on paper."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar, TypeVarTuple

from pydicom.dataset import Dataset

from pacstui.practice.devices import Habits, Modality, Site
from pacstui.practice.headers import Equipment, Order, header
from pacstui.practice.headers import Series as HeaderSeries
from pacstui.practice.patients import Patient, uid
from pacstui.practice.studies import Study, made, pick
from pacstui.practice.talking import Item, Speaker, Unheard, begin, end

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
log = logging.getLogger("pacstui.practice")
EARLY = timedelta(minutes=15)
"""How long before its time an examination may begin."""


@dataclass(slots=True)
class _Examination:
    """An examination on its way: what of it was told to the archive."""

    item: Item | None
    instance: str
    count: int
    told: str = ""


def _charset(name: str, known: Patient | None) -> tuple[str, ...]:
    if name.isascii():
        return ()
    return known.charset if known is not None and known.name == name and known.charset else ("ISO_IR 192",)


def patient_of(item: Item, patients: tuple[Patient, ...], rng: random.Random) -> Patient:
    """Return whom an item is about, named as the worklist names them, with the body of whom we know by that ID."""
    known = next((p for p in patients if p.patient_id == item.patient_id), None)
    body = known or rng.choice(patients)
    born = datetime.strptime(item.born, "%Y%m%d").date() if item.born else None  # noqa: DTZ007 - a day has no zone
    return replace(
        body, name=item.patient_name, patient_id=item.patient_id, born=born, sex=item.sex,
        charset=_charset(item.patient_name, known),
    )  # fmt: skip


class Booked(Modality):
    """Takes the next examination from the worklist, and tells when it begins and how it ended."""

    def __init__(self, equipment: Equipment, habits: Habits, seed: object) -> None:
        super().__init__(equipment, habits, seed)
        self._examinations: dict[str, _Examination] = {}
        self._taken: set[str] = set()

    async def _next(self, site: Site) -> Study | None:
        if site.ris is None:
            return await super()._next(site)
        if self._again is not None:
            study, self._again = self._again, None
            return study
        if site.ledger.bytes >= site.budget and self._past:
            return self._rng.choice(self._past)
        every = self.habits.emergency_every
        if every and self._count % every == every - 1:
            return self._emergency(site)
        item = await self._ask(site)
        return None if item is None else self._plan(site, item)

    async def _ask(self, site: Site) -> Item | None:
        """Return the next item of the worklist that is due."""
        now = site.clock.now().astimezone()
        speaker = self._speaker(site)
        try:
            items = await _aside(site, speaker.worklist, self.habits.modality, f"{now:%Y%m%d}")
        except Unheard as error:
            self._not_heard(site, error)
            return None
        site.ledger.worklist_queries += 1
        site.ledger.worklist_answers += len(items)
        site.ledger.scheduled |= {item.accession for item in items}
        due = f"{now + EARLY:%Y%m%d%H%M%S}"
        fresh = [item for item in items if item.start <= due and item.step_id not in self._taken]
        return min(fresh, key=lambda item: item.start, default=None)

    def _plan(self, site: Site, item: Item) -> Study:
        assert site.ris is not None
        self._taken.add(item.step_id)
        rng, now = self._rng, site.clock.now().astimezone()
        instance = uid(rng)
        order = Order(
            patient_of(item, site.patients, rng), self.equipment, item.study or uid(rng), item.procedure_id[:16],
            item.accession, item.description, self.habits.modality, item.referrer, now, item.step_id,
            item.procedure_id, instance,
        )  # fmt: skip
        return self._remembered(made(self.habits.modality, order, rng), item, instance)

    def _emergency(self, site: Site) -> Study:
        """Examine somebody of whom nothing is known, before anybody could order it."""
        assert site.ris is not None
        rng, now = self._rng, site.clock.now().astimezone()
        who = site.ris.stranger()
        site.ledger.emergencies += 1
        body = pick(self.habits.modality, site.patients, rng)
        patient = replace(body, name=who.name, patient_id=who.patient_id, born=None, sex=who.sex, charset=())
        instance, number = uid(rng), rng.randrange(10**7)
        order = Order(
            patient, self.equipment, uid(rng), f"{number:07}", "", "XR CHEST PA", "CHEST", "", now, performed=instance,
            by_hand=True,
        )  # fmt: skip
        return self._remembered(made(self.habits.modality, order, rng), None, instance)

    def _remembered(self, study: Study, item: Item | None, instance: str) -> Study:
        self._past.append(study)
        self._count += 1
        self._examinations[study.uid] = _Examination(item, instance, self._count)
        return study

    async def _send(self, study: Study, site: Site) -> None:
        examination = self._examinations.get(study.uid)
        if examination is None or examination.told not in ("", "IN PROGRESS"):
            await super()._send(study, site)
            return
        await self._begin(study, site, examination)
        habits, number = self.habits, examination.count
        broken = habits.breaks_off_every and number % habits.breaks_off_every == 0 and examination.item is not None
        loses = habits.loses_every and number % habits.loses_every == 0 and len(study.recipes) > 2
        planned = study.recipes[:1] if broken else study.recipes
        sent = [r for r in planned if not loses or r is not planned[len(planned) // 2]]
        await super()._send(replace(study, recipes=tuple(sent)), site)
        whole = all(site.ledger.kept(recipe.sop_instance) for recipe in sent)
        if loses and whole:
            site.ledger.lost += 1
        if broken:
            await self._end(study, site, examination, "DISCONTINUED", 1, "110505")
        elif whole:
            await self._end(study, site, examination, "COMPLETED", len(planned))
        else:
            here = sum(site.ledger.kept(recipe.sop_instance) for recipe in planned)
            await self._end(study, site, examination, "DISCONTINUED", here, "110513")

    async def _begin(self, study: Study, site: Site, examination: _Examination) -> None:
        item, order = examination.item, study.order
        if item is not None and site.ris is not None:
            site.ris.begun(item.accession)
        if examination.told:
            return
        series = HeaderSeries(uid(random.Random(0)), 1, "", "")
        patient = header(order, series, study.modality, series.uid, series.uid, 1)
        step = begin(
            self.equipment.ae_title, study.modality, study.uid, order.study_id, site.clock.now().astimezone(), item,
            patient, order.description,
        )  # fmt: skip
        await self._tell(site, examination, "IN PROGRESS", self._speaker(site).began, step)

    async def _end(
        self, study: Study, site: Site, examination: _Examination, state: str, images: int, reason: str = ""
    ) -> None:
        if examination.told != "IN PROGRESS":
            return
        step = end(
            state, site.clock.now().astimezone(), study.recipes[:images], study.recipes[0].series,
            self.equipment.operator, study.order.description, reason,
        )  # fmt: skip
        await self._tell(site, examination, state, self._speaker(site).ended, step)

    async def _tell(
        self, site: Site, examination: _Examination, state: str, tell: Callable[[str, Dataset], None], step: Dataset
    ) -> None:
        try:
            await _aside(site, tell, examination.instance, step)
        except Unheard as error:
            self._not_heard(site, error)
            return
        examination.told = state
        site.ledger.performed[examination.instance] = state

    def _speaker(self, site: Site) -> Speaker:
        return Speaker(self.equipment.ae_title, site.host, site.port, site.called)

    def _not_heard(self, site: Site, error: Unheard) -> None:
        if not site.stopping.is_set():
            site.ledger.fault(self.equipment.ae_title, str(error))
        log.warning("%s: %s", self.equipment.ae_title, error)


async def _aside(site: Site, call: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Do what blocks in a thread."""
    return await asyncio.get_running_loop().run_in_executor(site.talking, call, *arguments)


def slipped(name: str, ident: str, number: int) -> tuple[str, str]:
    """Return name and ID as somebody types them who is in a hurry: each time another slip.

    Given and family name change places, two digits of the ID do, the last letter of the name is missing.
    """
    family, _, given = name.split("=")[0].partition("^")
    given = given.split("^")[0]
    kind = number % 3
    if kind == 0 and given:
        return f"{given}^{family}", ident
    if kind == 1 and len(ident) > 3:
        at = next((n for n in range(len(ident) - 1, 3, -1) if ident[n] != ident[n - 1]), 0)
        return (f"{family}^{given}", ident[: at - 1] + ident[at] + ident[at - 1] + ident[at + 1 :]) if at else (
            f"{family}^{given}", ident
        )  # fmt: skip
    return f"{family[:-1]}^{given}", ident


class ByHand(Modality):
    """Too old for a worklist: its technologist types name and number from a sheet of paper, and gets them wrong."""

    async def _next(self, site: Site) -> Study | None:
        if site.ris is None:
            return await super()._next(site)
        if self._again is not None:
            study, self._again = self._again, None
            return study
        if site.ledger.bytes >= site.budget and self._past:
            return self._rng.choice(self._past)
        sheet = site.ris.on_paper(self.equipment.ae_title)
        if sheet is None:
            return None
        rng, now = self._rng, site.clock.now().astimezone()
        name, ident = slipped(sheet.who.name, sheet.who.patient_id, self._count)
        known = next((p for p in site.patients if p.patient_id == sheet.who.patient_id), site.patients[0])
        patient = replace(
            known, name=name, patient_id=ident, born=sheet.who.born, sex=sheet.who.sex, charset=_charset(name, None)
        )
        number = rng.randrange(10**7)
        order = Order(
            patient, self.equipment, uid(rng), f"{number:07}", "", sheet.description, self.habits.modality, "", now,
            by_hand=True,
        )  # fmt: skip
        study = made(self.habits.modality, order, rng)
        self._past.append(study)
        self._count += 1
        site.ledger.typed += 1
        return study
