"""The equipment of the practice hospital, each piece a task that associates, sends, pauses and begins again."""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import struct
from collections import deque
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from pacstui.clock import Clock
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import AssociationEnded, AssociationRejected, ContextNotAccepted, PeerUnreachable
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.syntaxes import EXPLICIT, IMPLICIT, JPEG_LOSSLESS, RLE
from pacstui.dicom.uids import VERIFICATION
from pacstui.practice.headers import Equipment
from pacstui.practice.ledger import Ledger
from pacstui.practice.patients import Patient
from pacstui.practice.studies import Instance, Study, plan
from pacstui.text import safe

if TYPE_CHECKING:
    from pacstui.practice.ris import Ris

log = logging.getLogger("pacstui.practice")

IDLE_S = 0.6
"""How long a device waits that has nothing to do."""

REMEMBERED = 6
"""Studies that a device keeps in mind to send once more when the archive has had its fill."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the devices share.

    ``pace`` divides all waiting. ``budget`` is how many bytes of new objects the archive shall get; beyond it, studies
    are sent again, which the archive acknowledges without growing.
    """

    host: str
    port: int
    called: str
    pace: float
    budget: int
    patients: tuple[Patient, ...]
    ledger: Ledger
    clock: Clock
    drawing: Executor
    stopping: asyncio.Event
    ris: Ris | None = None
    talking: Executor | None = None

    async def pause(self, seconds: float) -> bool:
        """Wait ``seconds`` divided by the pace; return whether the hospital still works."""
        if not self.stopping.is_set():
            try:
                await asyncio.wait_for(self.stopping.wait(), seconds / self.pace)
            except TimeoutError:
                pass
        return not self.stopping.is_set()


@dataclass(frozen=True, slots=True)
class Habits:
    """How a device works, in seconds at pace 1.

    ``gap`` lies between two instances, ``rest`` (shortest, longest) between two studies, ``linger`` is how long an
    association stays open after the last instance. One study of ``drops_every`` is cut off in the middle, one of
    ``alters_every`` is followed by an instance of it with other content; 0 for never. Of one examination of
    ``loses_every`` an image is not sent, one of ``breaks_off_every`` ends after the first image, and before one of
    ``emergency_every`` somebody is brought in of whom nothing is known.
    """

    modality: str
    first: float
    gap: float
    rest: tuple[float, float]
    linger: float = 0.6
    drops_every: int = 0
    alters_every: int = 0
    loses_every: int = 0
    breaks_off_every: int = 0
    emergency_every: int = 0


class _Cut(Exception):
    """The device hangs up in the middle of an object."""


class Modality:
    """A device that makes studies and sends each on an association of its own."""

    def __init__(self, equipment: Equipment, habits: Habits, seed: object) -> None:
        self.equipment = equipment
        self.habits = habits
        self._rng = random.Random(f"{seed}/{equipment.ae_title}")
        self._past: deque[Study] = deque(maxlen=REMEMBERED)
        self._again: Study | None = None
        self._count = 0

    async def work(self, site: Site) -> None:
        """Send studies until the hospital closes."""
        patience = 0.3
        go_on = await site.pause(self.habits.first)
        while go_on:
            study = await self._next(site)
            if study is None:
                go_on = await site.pause(IDLE_S)
                continue
            try:
                await self._send(study, site)
                patience = 0.3
                rest = self._rng.uniform(*self.habits.rest)
            except _Cut:
                self._again, rest = study, 2.0
            except (PeerUnreachable, AssociationEnded, AssociationRejected, ContextNotAccepted) as error:
                told(site, self.equipment.ae_title, error)
                rest, patience = patience * site.pace, min(5.0, 2 * patience)
            go_on = await site.pause(rest)

    async def _next(self, site: Site) -> Study | None:
        if self._again is not None:
            study, self._again = self._again, None
            return study
        if site.ledger.bytes >= site.budget and self._past:
            return self._rng.choice(self._past)
        now = site.clock.now().astimezone()
        study = plan(self.habits.modality, self.equipment, site.patients, self._rng, now)
        self._past.append(study)
        self._count += 1
        return study

    async def _send(self, study: Study, site: Site) -> None:
        habits, title = self.habits, self.equipment.ae_title
        drops = habits.drops_every and self._count % habits.drops_every == 1 and study is not self._cut_before
        breaks_at = self._rng.randrange(2, max(3, min(12, len(study.recipes)))) if drops else 0
        contexts = [(VERIFICATION, [IMPLICIT]), *study.contexts()]
        async with associate(site.host, site.port, called=site.called, calling=title, contexts=contexts) as association:
            loop = asyncio.get_running_loop()
            due = loop.time()
            for number, recipe in enumerate(study.recipes, 1):
                syntax = _syntax(association, recipe.sop_class, self.equipment.transfer_syntax)
                instance = await loop.run_in_executor(site.drawing, study.instance, recipe, syntax)
                if number == breaks_at:
                    self._cut_before = study
                    await self._break(association, instance, site.ledger)
                await _store(association, instance, site.ledger)
                due = max(due + habits.gap / site.pace, loop.time() - 0.2)
                if not await site.pause((due - loop.time()) * site.pace):
                    return
            if habits.alters_every and self._count % habits.alters_every == 0 and site.ledger.bytes < site.budget:
                await self._alter(association, study, site)
            await site.pause(habits.linger)

    _cut_before: Study | None = None

    async def _break(self, association: Association, instance: Instance, ledger: Ledger) -> None:
        """Send half of an instance and reset the connection, as a device does whose plug is pulled."""

        async def half() -> AsyncIterator[bytes]:
            for start in range(0, len(instance.data) // 2, 16384):
                yield instance.data[start : start + 16384]
                await asyncio.sleep(0)
            _reset(association)
            raise _Cut

        association.machine.max_pdu_send = 16384
        ledger.begins(instance)
        try:
            await association.store(instance.sop_class, instance.sop_instance, instance.transfer_syntax, half())
        finally:
            ledger.cut(instance)

    async def _alter(self, association: Association, study: Study, site: Site) -> None:
        """Send an instance of the study once more with another content, as a badly corrected image comes."""
        recipe = study.recipes[len(study.recipes) // 2]
        syntax = _syntax(association, recipe.sop_class, self.equipment.transfer_syntax)
        loop = asyncio.get_running_loop()
        other = await loop.run_in_executor(
            site.drawing, lambda: study.instance(recipe, syntax, comment="corrected at the console")
        )
        await _store(association, other, site.ledger)


def _syntax(association: Association, sop_class: str, wanted: str) -> str:
    """Return in which transfer syntax to send: the wanted one, if accepted, or a plain one."""
    for syntax in (wanted, EXPLICIT, IMPLICIT):
        try:
            association.context_for(sop_class, syntax)
        except ContextNotAccepted:
            continue
        return syntax
    association.context_for(sop_class)
    return wanted


async def _store(association: Association, instance: Instance, ledger: Ledger) -> None:
    ledger.begins(instance)
    response = await association.store(
        instance.sop_class, instance.sop_instance, instance.transfer_syntax, instance.data
    )
    ledger.answered(instance, response.status, safe(response.comment))


def _reset(association: Association) -> None:
    """Close the connection so that the peer gets a TCP reset, whatever waits to be sent."""
    transport = association.connection.transport
    if transport is not None:
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


def told(site: Site, title: str, error: Exception) -> None:
    """Note what a device could not do."""
    text = safe(getattr(error, "message", str(error)))
    if isinstance(error, AssociationRejected):
        site.ledger.association_refused(title, site.called, text)
    elif not site.stopping.is_set():
        site.ledger.fault(title, text)
    log.warning("%s: %s", title, text)


class Misconfigured:
    """A device that calls an AE title which is not there, as after a move to another archive."""

    def __init__(self, title: str, called: str, first: float, every: float) -> None:
        self.title, self._called, self._first, self._every = title, called, first, every

    async def work(self, site: Site) -> None:
        """Try again and again."""
        contexts = [
            (VERIFICATION, [IMPLICIT]),
            ("1.2.840.10008.5.1.4.1.1.1", [EXPLICIT, IMPLICIT]),
            ("1.2.840.10008.5.1.4.1.1.1.1", [JPEG_LOSSLESS, EXPLICIT]),
        ]
        go_on = await site.pause(self._first)
        while go_on:
            try:
                async with associate(
                    site.host, site.port, called=self._called, calling=self.title, contexts=contexts
                ) as association:
                    await association.echo()
            except AssociationRejected as error:
                site.ledger.association_refused(self.title, self._called, safe(error.text))
            except (PeerUnreachable, AssociationEnded, ContextNotAccepted) as error:
                told(site, self.title, error)
            go_on = await site.pause(self._every)


class Workstation:
    """A workstation that looks from time to time whether the archive is there."""

    def __init__(self, title: str, first: float, every: float) -> None:
        self.title, self._first, self._every = title, first, every

    async def work(self, site: Site) -> None:
        """Echo, wait, echo."""
        go_on = await site.pause(self._first)
        while go_on:
            try:
                async with associate(
                    site.host,
                    site.port,
                    called=site.called,
                    calling=self.title,
                    contexts=[(VERIFICATION, [EXPLICIT, IMPLICIT])],
                ) as association:
                    if await association.echo() == 0:
                        site.ledger.echoes += 1
            except (PeerUnreachable, AssociationEnded, AssociationRejected, ContextNotAccepted) as error:
                told(site, self.title, error)
            go_on = await site.pause(self._every)


class Device(Protocol):
    """Anything in the hospital that works by itself."""

    async def work(self, site: Site) -> None:
        """Work until the hospital closes."""


def _made_by(title: str, modality: str, model: str, syntax: str) -> Equipment:
    serial = f"{sum(map(ord, title)) * 7919 % 1000000:06}"
    return Equipment(
        title, "PRACTICE IMAGING", model, "SIM 1.0", serial, title, f"TECHNOLOGIST^{modality}", transfer_syntax=syntax
    )


def equipment(seed: object, kind: type[Modality] = Modality, old: type[Modality] = Modality) -> tuple[Device, ...]:
    """Return everything that the hospital has; ``kind`` is how its modalities work, ``old`` how the oldest does."""
    return (
        kind(_made_by("CT1", "CT", "SLICE 64", EXPLICIT), Habits("CT", 0.0, 0.045, (1.5, 4.0)), seed),
        kind(
            _made_by("MR2", "MR", "TESLA 1.5", JPEG_LOSSLESS),
            Habits("MR", 0.1, 0.085, (1.5, 4.0), linger=1.0, alters_every=4),
            seed,
        ),
        kind(_made_by("US4", "US", "SONO 4", RLE), Habits("US", 0.3, 0.28, (2.0, 5.0), loses_every=2), seed),
        kind(
            _made_by("CR3", "CR", "PLATE 3", JPEG_LOSSLESS),
            Habits("CR", 0.5, 1.2, (2.5, 6.0), emergency_every=3),
            seed,
        ),
        kind(_made_by("MG5", "MG", "MAMMO 5", EXPLICIT), Habits("MG", 1.2, 0.9, (4.0, 9.0), breaks_off_every=3), seed),
        old(
            _made_by("OLDCT7", "CT", "SLICE 4", IMPLICIT),
            Habits("CT", 2.0, 0.09, (6.0, 14.0), linger=1.5, drops_every=3),
            seed,
        ),
        Misconfigured("XRAY9", "PACS", 1.0, 20.0),
        Workstation("WS-RAD3", 0.7, 10.0),
    )
