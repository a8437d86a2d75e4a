"""Query/Retrieve as SCU (PS3.4 C.4): finds studies at peers, fetches them, compares them with what is here."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.remote import Comparison, PullRow, RemotePage, RemoteStudy
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet, DataSetError
from pacstui.dicom.dimse import E_COMPLETED, E_FAILED, E_REMAINING, E_WARNING, Field, Status
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import ContextNotAccepted
from pacstui.dicom.net.outgoing import Response
from pacstui.dicom.net.service import Service
from pacstui.dicom.uids import is_storage, valid_uid
from pacstui.dicom.ul.items import RoleSelection
from pacstui.equipment.line import FETCHES, QUERIES, Lines
from pacstui.errors import BadRequest, NotFound, PacsError, Unavailable
from pacstui.events import StudyFetched
from pacstui.index.attributes import IMAGE, SERIES, STUDY
from pacstui.services.models import LEVEL
from pacstui.services.storage import StorageService
from pacstui.settings import PeerSettings
from pacstui.text import safe

log = logging.getLogger("pacstui.services")
_ROOT: Final = "1.2.840.10008.5.1.4.1.2.2."
FIND, MOVE, GET = _ROOT + "1", _ROOT + "2", _ROOT + "3"
_EXPLICIT, _IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
_COMPRESSED: Final = (
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.5",
)  # fmt: skip
_USUAL: Final = tuple(
    "1.2.840.10008.5.1.4.1.1." + end
    for end in ("1", "1.1", "1.2", "2", "2.1", "3.1", "4", "4.1", "6.1", "7", "12.1", "12.2", "20", "88.11", "88.22",
                "88.33", "88.59", "88.67", "104.1", "128", "481.1", "481.2", "481.3", "481.5", "11.1")
)  # fmt: skip
_NAME, _ID, _BIRTH, _DATE, _TIME = 0x00100010, 0x00100020, 0x00100030, 0x00080020, 0x00080030
_ACCESSION, _DESCRIPTION, _MODALITIES, _STUDY_UID = 0x00080050, 0x00081030, 0x00080061, 0x0020000D
_SERIES_UID, _SOP_UID, _SOP_CLASS = 0x0020000E, 0x00080018, 0x00080016
_SERIES_COUNT, _INSTANCE_COUNT = 0x00201206, 0x00201208
_LISTED: Final = 1000
_PULLS_KEPT: Final = 100
_MOVE_S: Final = 1800.0


@dataclass(slots=True)
class _Pull:
    id: int
    peer: str
    study: str
    started: datetime
    began: float
    verb: str = ""
    state: str = "running"
    total: int = 0
    received: int = 0
    failed: int = 0
    seconds: float = 0.0
    why: str = ""
    hint: str = ""
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class _Counted(StorageService):
    """Stores what comes by C-GET, under the name of the peer that it comes from."""

    def service_for(self, abstract_syntax: str, command: int) -> Service | None:
        return self if command == Field.C_STORE else None


class RemoteRoom:
    """The noun ``remote``."""

    def __init__(self, archive: Archive, lines: Lines, bus: Bus, clock: Clock) -> None:
        self._archive = archive
        self.lines = lines
        self._bus = bus
        self._clock = clock
        self._pulls: OrderedDict[int, _Pull] = OrderedDict()
        self._last = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def title_of(self, peer: str) -> str:
        """Return a peer's AE title. Raises NotFound when there is no such peer."""
        return self.lines.peer(peer).ae_title

    async def close(self) -> None:
        """Stop what is on its way; what came is kept."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _ask(
        self, association: Association, level: str, keys: Mapping[int, str], limit: int
    ) -> tuple[list[DataSet], bool]:
        """Return what a peer answers to a C-FIND, and whether it has more than ``limit``."""
        context = association.context_for(FIND)
        asked = DataSet()
        asked.put(LEVEL, level, "CS")
        plain = all(text.isascii() for text in keys.values())
        if not plain:
            asked.put(dataset.CHARSET, "ISO_IR 192", "CS")
        for tag, text in keys.items():
            asked.put(tag, text, codec="ascii" if plain else "utf_8")
        exchange = await association.request(
            context, Field.C_FIND, dataset.encode(asked, context.transfer_syntax), priority=0, affected_sop_class=FIND
        )
        found: list[DataSet] = []
        more = False
        async for response in exchange:
            if response.pending:
                if len(found) < limit:
                    found.append(self._answer(response, context.transfer_syntax))
                elif not more:
                    more = True
                    await exchange.cancel()
            elif response.status not in (Status.SUCCESS, Status.CANCEL):
                told = f": {safe(response.comment, 64)}" if response.comment else ""
                raise Unavailable(f"the peer answered the query with {response.status:04X}H{told}", "look at its log")
        return found, more

    def _answer(self, response: Response, transfer_syntax: str) -> DataSet:
        try:
            return dataset.decode(response.data or b"", transfer_syntax)
        except DataSetError as error:
            raise Unavailable(f"the peer's answer cannot be read: {error}", "look at its log") from error

    async def find(
        self, peer: str, name: str = "", id: str = "", accession: str = "", date: str = "", modality: str = "",
        study: str = "", limit: int = 100,
    ) -> RemotePage:  # fmt: skip
        found = self.lines.peer(peer)
        if name and not set(name) & set("*?^"):
            name = f"{name}*"
        keys = {
            _DATE: date, _TIME: "", _ACCESSION: accession, _MODALITIES: modality, _DESCRIPTION: "", _NAME: name,
            _ID: id, _BIRTH: "", _STUDY_UID: study, _SERIES_COUNT: "", _INSTANCE_COUNT: "",
        }  # fmt: skip
        async with self.lines.to(found, [(FIND, (_EXPLICIT, _IMPLICIT))], doing=QUERIES) as association:
            answers, more = await self._ask(association, STUDY, keys, max(1, min(limit, 1000)))
        rows = [await self._row(answer) for answer in answers]
        rows.sort(key=lambda row: (row.date, row.time), reverse=True)
        return RemotePage(found.name, tuple(rows), more)

    async def _row(self, answer: DataSet) -> RemoteStudy:
        study = answer.uid(_STUDY_UID)
        here = 0
        with contextlib.suppress(NotFound):
            here = (await self._archive.index.study(study)).row.instances

        def number(tag: int) -> int:
            text = answer.text(tag)
            return int(text) if text.isdigit() and len(text) < 10 else 0

        def text(tag: int, limit: int = 64) -> str:
            return safe(answer.text(tag), limit)

        return RemoteStudy(
            safe(study, 64), text(_NAME, 200), text(_ID), text(_BIRTH, 16), text(_DATE, 16), text(_TIME, 16),
            tuple(safe(each, 16) for each in answer.text(_MODALITIES).split("\\") if each), text(_DESCRIPTION),
            text(_ACCESSION, 16), number(_SERIES_COUNT), number(_INSTANCE_COUNT), here,
        )  # fmt: skip

    async def _instances(self, association: Association, study: str) -> dict[str, str]:
        """Return SOP class by SOP Instance UID of a study at the peer."""
        series, _ = await self._ask(association, SERIES, {_STUDY_UID: study, _SERIES_UID: ""}, 100_000)
        found = {}
        for one in series:
            keys = {_STUDY_UID: study, _SERIES_UID: one.uid(_SERIES_UID), _SOP_UID: "", _SOP_CLASS: ""}
            answers, _ = await self._ask(association, IMAGE, keys, 1_000_000)
            found.update({answer.uid(_SOP_UID): answer.uid(_SOP_CLASS) for answer in answers})
        return found

    async def compare(self, peer: str, study: str) -> Comparison:
        found = self.lines.peer(peer)
        _check(study)
        async with self.lines.to(found, [(FIND, (_EXPLICIT, _IMPLICIT))], doing=QUERIES) as association:
            there = set(await self._instances(association, study))
        here = {each.sop_instance for each in await self._archive.index.instances(study)}
        return Comparison(
            found.name, study, len(here), len(there), len(here & there), tuple(sorted(here - there)[:_LISTED]),
            tuple(safe(uid, 64) for uid in sorted(there - here)[:_LISTED]),
        )  # fmt: skip

    async def pull(self, peer: str, study: str) -> PullRow:
        found = self.lines.peer(peer)
        _check(study)
        self._last += 1
        pull = _Pull(self._last, found.name, study, self._clock.now(), self._clock.monotonic())
        self._pulls[pull.id] = pull
        while len(self._pulls) > _PULLS_KEPT:
            self._pulls.popitem(last=False)
        task = asyncio.create_task(self._run(pull, found), name="pull")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return self._shown(pull)

    async def ended(self, id: int) -> PullRow:
        """Return how a study that is on its way got here, once that is known."""
        pull = self._pulls[id]
        await pull.ended.wait()
        return self._shown(pull)

    async def pulls(self) -> tuple[PullRow, ...]:
        return tuple(self._shown(pull) for pull in reversed(self._pulls.values()))

    async def cancel(self, id: int) -> None:
        pull = self._pulls.get(id)
        if pull is None or pull.state != "running":
            raise NotFound(f"nothing with the number {id} is on its way", "pacstui remote pulls lists what is")
        pull.cancelled.set()

    def _shown(self, pull: _Pull) -> PullRow:
        seconds = self._clock.monotonic() - pull.began if pull.state == "running" else pull.seconds
        return PullRow(
            pull.id, pull.peer, pull.study, pull.verb, pull.state, pull.total, pull.received, pull.failed,
            pull.started, round(seconds, 1), pull.why, pull.hint,
        )  # fmt: skip

    async def _run(self, pull: _Pull, peer: PeerSettings) -> None:
        try:
            try:
                await self._get(pull, peer)
            except ContextNotAccepted:
                await self._move(pull, peer)
            if pull.cancelled.is_set():
                pull.state = "cancelled"
            else:
                pull.state = "failed" if pull.why else "done"
        except PacsError as error:
            pull.state, pull.why, pull.hint = "failed", error.message, error.hint
        except asyncio.CancelledError:
            pull.state, pull.why = "failed", "this node is being stopped"
            raise
        except Exception:
            log.exception("fetching a study failed")
            pull.state, pull.why, pull.hint = "failed", "a fault in this node", "look at the node's log"
        finally:
            pull.seconds = self._clock.monotonic() - pull.began
            pull.ended.set()
            self._bus.publish(
                StudyFetched(
                    self._clock.now(), pull.peer, pull.study, pull.verb, pull.received, pull.failed, pull.why, pull.hint
                )
            )

    async def _get(self, pull: _Pull, peer: PeerSettings) -> None:
        """Fetch by C-GET; raises ContextNotAccepted where the peer does not offer that."""
        pull.verb = "C-GET"
        classes: set[str] = set()
        with contextlib.suppress(ContextNotAccepted, Unavailable):
            async with self.lines.to(peer, [(FIND, (_EXPLICIT, _IMPLICIT))], doing=QUERIES) as association:
                found = await self._instances(association, pull.study)
                pull.total = len(found)
                classes = {uid for uid in found.values() if valid_uid(uid)}
        wanted = sorted(classes)[:16] or list(_USUAL)
        contexts: list[tuple[str, Sequence[str]]] = [(GET, (_EXPLICIT, _IMPLICIT))]
        contexts += [(sop_class, (_EXPLICIT, _IMPLICIT)) for sop_class in wanted]
        if classes:
            contexts += [(sop_class, (syntax,)) for sop_class in wanted for syntax in _COMPRESSED]
        roles = [RoleSelection(sop_class, False, True) for sop_class in wanted if is_storage(sop_class) or classes]
        storage = _Counted(self._archive, self._bus, self._clock, peer.ae_title)
        async with self.lines.to(
            peer, contexts[:128], doing=FETCHES, why="C-GET", roles=roles, service_for=storage.service_for
        ) as association:
            await self._follow(pull, association, GET, Field.C_GET)

    async def _move(self, pull: _Pull, peer: PeerSettings) -> None:
        """Let it be sent to us by C-MOVE, through our listener."""
        pull.verb = "C-MOVE"
        # What it sends comes by other associations: on this one it may be silent all the while.
        patient = replace(self.lines.timeouts, response=_MOVE_S)
        contexts = [(MOVE, (_EXPLICIT, _IMPLICIT))]
        async with self.lines.to(peer, contexts, doing=FETCHES, why="C-MOVE", timeouts=patient) as association:
            await self._follow(pull, association, MOVE, Field.C_MOVE, move_destination=self.lines.ae_title)

    async def _follow(self, pull: _Pull, association: Association, model: str, command: int, **elements: str) -> None:
        context = association.context_for(model)
        asked = DataSet()
        asked.put(LEVEL, STUDY, "CS")
        asked.put(_STUDY_UID, pull.study, "UI")
        exchange = await association.request(
            context, command, dataset.encode(asked, context.transfer_syntax), priority=0, affected_sop_class=model,
            **elements,
        )  # fmt: skip

        async def watch() -> None:
            await pull.cancelled.wait()
            await exchange.cancel()

        watching = asyncio.create_task(watch())
        try:
            async for response in exchange:
                self._count(pull, response)
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError, PacsError):
                await watching

    def _count(self, pull: _Pull, response: Response) -> None:
        command = response.command
        completed = command.number(E_COMPLETED) + command.number(E_WARNING)
        pull.received = max(pull.received, completed)
        pull.failed = max(pull.failed, command.number(E_FAILED))
        pull.total = max(pull.total, completed + pull.failed + command.number(E_REMAINING))
        if response.pending or response.status in (Status.SUCCESS, Status.CANCEL):
            return
        told = f": {safe(response.comment, 64)}" if response.comment else ""
        pull.why = f"{safe(pull.peer, 64)} ended with {response.status:04X}H{told}"
        pull.hint = _HINTS.get(response.status, "look at the peer's log")


_HINTS: Final = {
    0xA801: "make this node known at the peer as a move destination: AE title, address and port",
    0xA702: "look at the peer's log for why it could not send",
    0xB000: "fetch it again; what came is kept",
}


def _check(study: str) -> None:
    if not valid_uid(study):
        raise BadRequest(f"{safe(study, 64)} is no Study Instance UID", "it has digits and dots only")
