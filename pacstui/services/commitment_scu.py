"""Storage Commitment Push Model SCU (PS3.4 J): asks peers whether they keep what was sent to them, and takes their
answers, on the association that asked or on one of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment
from pacstui.contract.commitments import AskedRow
from pacstui.dicom import dataset, syntaxes
from pacstui.dicom.dataset import DataSet, DataSetError
from pacstui.dicom.dimse import Field, Status
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink, Service
from pacstui.dicom.syntaxes import LITTLE
from pacstui.equipment.line import COMMITS, Lines
from pacstui.errors import NotFound, PacsError
from pacstui.index.commitments import AskedCommitment, AskedCommitments, Outcome, Reference
from pacstui.services.aside import aside
from pacstui.services.commitment import COMMITMENT, INSTANCE
from pacstui.settings import PeerSettings
from pacstui.text import safe

_TRANSACTION, _REFERENCED, _FAILED, _REASON = 0x00081195, 0x00081199, 0x00081198, 0x00081197
_CLASS_UID, _INSTANCE_UID = 0x00081150, 0x00081155
_NO_SUCH_EVENT, _INVALID_ARGUMENT = 0x0113, 0x0115
_LIMIT: Final = 64 << 20
_STAY_S: Final = 10.0
_LISTED: Final = 1000


class _ReportSink(BufferSink):
    """One N-EVENT-REPORT-RQ."""

    def __init__(self, asker: CommitmentAsker, request: Request) -> None:
        super().__init__(request, _LIMIT)
        self._asker = asker

    async def finish(self) -> None:
        request = self.request
        try:
            if self.too_long:
                raise DataSetError("more than 64 MiB")
            transaction, outcome = await aside(len(self.data), self._understand)
            known = await self._asker.answered(transaction, outcome)
        except DataSetError as error:
            await request.respond(_INVALID_ARGUMENT, comment=str(error))
            return
        except PacsError as error:
            await request.respond(Status.RESOURCE_LIMITATION, comment=error.message)
            return
        if not known:
            await request.respond(Status.NO_SUCH_INSTANCE, comment="this transaction was not asked for here")
            return
        await request.respond(Status.SUCCESS)

    def _understand(self) -> tuple[str, list[Outcome]]:
        syntax = self.request.context.transfer_syntax
        report = dataset.decode(bytes(self.data), syntax)
        return report.uid(_TRANSACTION), _outcome(report, "big" if syntax == syntaxes.BIG_ENDIAN else "little")


def _outcome(report: DataSet, order: str) -> list[Outcome]:
    good = [(item.uid(_CLASS_UID), item.uid(_INSTANCE_UID), 0) for item in report.items(_REFERENCED)]
    bad = []
    for item in report.items(_FAILED):
        element = item.get(_REASON)
        value = element.value[:2] if element is not None else b""
        reason = int.from_bytes(value, order) if len(value) == 2 else 0  # type: ignore[arg-type]
        bad.append((item.uid(_CLASS_UID), item.uid(_INSTANCE_UID), reason or 0x0110))
    return good + bad


class CommitmentAsker:
    """Asks, and takes the answers. ``answer_h`` is how many hours a peer has for its answer."""

    def __init__(self, archive: Archive, lines: Lines, bus: Bus, clock: Clock, answer_h: float) -> None:
        self._archive = archive
        self._lines = lines
        self._bus = bus
        self._clock = clock
        self._asked = AskedCommitments(archive.db)
        self.answer_h = answer_h
        self._waiting: dict[str, asyncio.Event] = {}
        self._open: dict[int, int] = {}
        self._loaded = False
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, request: Request) -> _ReportSink:
        return _ReportSink(self, request)

    def service_for(self, abstract_syntax: str, command: int) -> Service | None:
        """Find the service for what comes on an association of ours."""
        return self if command == Field.N_EVENT_REPORT and abstract_syntax == COMMITMENT else None

    async def close(self) -> None:
        """Stop; answers come by associations of the peers then."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def answered(self, transaction: str, outcome: Sequence[Outcome]) -> bool:
        """Take an answer; return whether it was asked for."""
        known = await self._asked.answered(transaction, outcome, microseconds(self._clock.now()))
        if known is None:
            return False
        waiting = self._waiting.get(transaction)
        if waiting is not None:
            waiting.set()
        self._open.pop(known.id, None)
        failed = sum(1 for _, _, reason in known.outcome if reason)
        hint = "pacstui commitments asked says which; send them again" if failed else ""
        self._publish(known, len(known.outcome) - failed, failed, "", hint)
        return True

    def _publish(self, asked: AskedCommitment, committed: int, failed: int, problem: str, hint: str) -> None:
        self._bus.publish(
            events.CommitmentAnswered(
                self._clock.now(), asked.peer, asked.study, asked.transaction, committed, failed, problem, hint
            )
        )

    async def tick(self) -> None:
        """See which answers are overdue."""
        if not self._loaded:
            self._open = await self._asked.open() | self._open
            self._loaded = True
        before = microseconds(self._clock.now()) - int(self.answer_h * 3_600_000_000)
        for key in [key for key, sent in self._open.items() if sent <= before]:
            self._open.pop(key, None)
            problem = f"no answer within {self.answer_h:g} h"
            if await self._asked.overdue(key, problem) and (asked := await self._asked.get(key)) is not None:
                hint = f"look at its log; pacstui commitments again {key} asks again"
                self._publish(asked, 0, len(asked.asked), problem, hint)

    async def ask(self, peer: str, study: str) -> AskedRow:
        """Ask a peer for the commitment of a study's instances; the answer is noted when it comes.

        Raises
        ------
        NotFound
            When there is no such peer or study.
        """
        found = self._lines.peer(peer)
        instances = await self._archive.index.instances(study)
        if not instances:
            raise NotFound(f"the archive has no study {safe(study, 64)}", "pacstui studies list has those that it has")
        return await self._begin(found, study, [(each.sop_class, each.sop_instance) for each in instances])

    async def ask_about(self, peer: str, study: str, references: Sequence[Reference]) -> AskedRow:
        """Ask a peer for the commitment of some instances of a study; as `ask` otherwise."""
        return await self._begin(self._lines.peer(peer), study, references)

    async def again(self, id: int) -> AskedRow:
        """Ask the same peer for the same instances anew.

        Raises
        ------
        NotFound
            When there is no such request, or no such peer any more.
        """
        asked = await self._asked.get(id)
        if asked is None:
            raise NotFound(f"there is no request {id}", "pacstui commitments asked lists the latest")
        return await self._begin(self._lines.peer(asked.peer), asked.study, asked.asked)

    async def _begin(self, peer: PeerSettings, study: str, references: Sequence[Reference]) -> AskedRow:
        transaction, now = f"2.25.{uuid4().int}", microseconds(self._clock.now())
        key = await self._asked.add(transaction, peer.name, study, references, now)
        self._open[key] = now
        request = await self._asked.get(key)
        assert request is not None
        task = asyncio.create_task(self._send(request, peer), name="commitment request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _row(request)

    async def list(self, limit: int) -> tuple[AskedRow, ...]:
        """Return the latest requests, newest first."""
        return tuple(_row(each) for each in await self._asked.latest(max(1, min(limit, 1000))))

    async def _send(self, request: AskedCommitment, peer: PeerSettings) -> None:
        came = self._waiting[request.transaction] = asyncio.Event()
        try:
            async with self._lines.to(
                peer, [(COMMITMENT, LITTLE)], doing=COMMITS, why="asks for storage commitment",
                service_for=self.service_for,
            ) as association:  # fmt: skip
                context = association.context_for(COMMITMENT)
                data = await aside(
                    128 * len(request.asked), lambda: dataset.encode(_asking(request), context.transfer_syntax)
                )
                exchange = await association.request(
                    context, Field.N_ACTION, data,
                    requested_sop_class=COMMITMENT, requested_sop_instance=INSTANCE, action_type=1,
                )  # fmt: skip
                response = await exchange.final()
                if not response.ok:
                    told = f": {safe(response.comment, 64)}" if response.comment else ""
                    await self._failed(request, f"{safe(peer.name, 64)} answered {response.status:04X}H{told}", "")
                    return
                try:
                    async with asyncio.timeout(_STAY_S):
                        await came.wait()
                except TimeoutError:
                    pass  # it comes by an association of the peer's
        except PacsError as error:
            if not came.is_set():
                await self._failed(request, error.message, error.hint)
        finally:
            del self._waiting[request.transaction]

    async def _failed(self, request: AskedCommitment, why: str, hint: str) -> None:
        await self._asked.failed(request.id, why)
        self._open.pop(request.id, None)
        self._publish(request, 0, len(request.asked), why, hint)


def _asking(request: AskedCommitment) -> DataSet:
    """Return the action information of an N-ACTION (PS3.4 J.3.2.1)."""
    items = []
    for sop_class, instance in request.asked:
        item = DataSet()
        item.put(_CLASS_UID, sop_class, "UI")
        item.put(_INSTANCE_UID, instance, "UI")
        items.append(item)
    asked = DataSet()
    asked.put(_TRANSACTION, request.transaction, "UI")
    asked.put_items(_REFERENCED, items)
    return asked


def _row(each: AskedCommitment) -> AskedRow:
    missing = [instance for _, instance, reason in each.outcome if reason]
    return AskedRow(
        each.id, each.transaction, each.peer, each.study, len(each.asked), len(each.outcome) - len(missing),
        tuple(safe(uid, 64) for uid in missing[:_LISTED]), each.state, moment(each.sent),
        moment(each.answered) if each.answered else None, safe(each.problem),
    )  # fmt: skip
