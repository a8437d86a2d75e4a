"""Storage Commitment Push Model SCU (PS3.4 J): asks peers whether they keep what was sent to them, and takes their
answers, on the association that asked or on one of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from pacstui import events
from pacstui.archive import Archive
from pacstui.archive.lane import microseconds
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.commitments import AskedRow
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet, DataSetError
from pacstui.dicom.dimse import Field, Status
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink, Service
from pacstui.equipment.line import COMMITS, Lines
from pacstui.errors import NotFound, PacsError
from pacstui.index.commitments import AskedCommitment, AskedCommitments, Outcome
from pacstui.index.queries import moment
from pacstui.services.commitment import COMMITMENT, INSTANCE, PLAIN
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
            report = dataset.decode(bytes(self.data), request.context.transfer_syntax)
            order = "big" if request.context.transfer_syntax == dataset.BIG_ENDIAN else "little"
            known = await self._asker.answered(report.uid(_TRANSACTION), _outcome(report, order))
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
    """Asks, and takes the answers."""

    def __init__(self, archive: Archive, lines: Lines, bus: Bus, clock: Clock) -> None:
        self._archive = archive
        self._lines = lines
        self._bus = bus
        self._clock = clock
        self._asked = AskedCommitments(archive.db)
        self._waiting: dict[str, asyncio.Event] = {}
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
        failed = sum(1 for _, _, reason in known.outcome if reason)
        hint = "pacstui commitments asked says which; send them again" if failed else ""
        self._bus.publish(
            events.CommitmentTold(
                self._clock.now(), known.peer, transaction, len(known.outcome) - failed, failed, "", hint
            )
        )
        return True

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
        references = [(each.sop_class, each.sop_instance) for each in instances]
        transaction = f"2.25.{uuid4().int}"
        key = await self._asked.add(transaction, found.name, study, references, microseconds(self._clock.now()))
        task = asyncio.create_task(self._send(key, transaction, found), name="commitment request")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return _row(await self._asked.get(key))

    async def list(self, limit: int) -> tuple[AskedRow, ...]:
        """Return the latest requests, newest first."""
        return tuple(_row(each) for each in await self._asked.latest(max(1, min(limit, 1000))))

    async def _send(self, key: int, transaction: str, peer: PeerSettings) -> None:
        request = await self._asked.get(key)
        asked = DataSet()
        asked.put(_TRANSACTION, transaction, "UI")
        items = []
        for sop_class, instance in request.asked:
            item = DataSet()
            item.put(_CLASS_UID, sop_class, "UI")
            item.put(_INSTANCE_UID, instance, "UI")
            items.append(item)
        asked.put_items(_REFERENCED, items)
        came = self._waiting[transaction] = asyncio.Event()
        try:
            async with self._lines.to(
                peer, [(COMMITMENT, PLAIN)], doing=COMMITS, why="asks for storage commitment",
                service_for=self.service_for,
            ) as association:  # fmt: skip
                context = association.context_for(COMMITMENT)
                exchange = await association.request(
                    context, Field.N_ACTION, dataset.encode(asked, context.transfer_syntax),
                    requested_sop_class=COMMITMENT, requested_sop_instance=INSTANCE, action_type=1,
                )  # fmt: skip
                response = await exchange.final()
                if not response.ok:
                    told = f": {safe(response.comment, 64)}" if response.comment else ""
                    await self._failed(key, request, f"{safe(peer.name, 64)} answered {response.status:04X}H{told}", "")
                    return
                try:
                    async with asyncio.timeout(_STAY_S):
                        await came.wait()
                except TimeoutError:
                    pass  # it comes by an association of the peer's
        except PacsError as error:
            if not came.is_set():
                await self._failed(key, request, error.message, error.hint)
        finally:
            del self._waiting[transaction]

    async def _failed(self, key: int, request: AskedCommitment, why: str, hint: str) -> None:
        await self._asked.failed(key, why)
        self._bus.publish(
            events.CommitmentTold(
                self._clock.now(), request.peer, request.transaction, 0, len(request.asked), why, hint
            )
        )


def _row(each: AskedCommitment) -> AskedRow:
    missing = [instance for _, instance, reason in each.outcome if reason]
    return AskedRow(
        each.id, each.transaction, each.peer, each.study, len(each.asked), len(each.outcome) - len(missing),
        tuple(safe(uid, 64) for uid in missing[:_LISTED]), each.state, moment(each.sent),
        moment(each.answered) if each.answered else None, safe(each.problem),
    )  # fmt: skip
