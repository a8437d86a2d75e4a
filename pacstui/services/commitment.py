"""Storage Commitment Push Model SCP (PS3.4 J): every object that a caller asks about is read back and compared with its
digest, and the answer is delivered, whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

from pacstui import events
from pacstui.archive import Archive
from pacstui.archive.reading import Part
from pacstui.bus import Bus
from pacstui.clock import Clock, microseconds, moment
from pacstui.contract.commitments import AskedRow, CommitmentRow
from pacstui.dicom import dataset, syntaxes
from pacstui.dicom.dataset import DataSet, DataSetError, Element
from pacstui.dicom.dimse import E_ACTION_TYPE, Field, Status
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink
from pacstui.dicom.syntaxes import LITTLE
from pacstui.dicom.uids import valid_uid
from pacstui.dicom.ul.items import RoleSelection
from pacstui.equipment.line import COMMITS, Lines
from pacstui.errors import NotFound, PacsError, Unavailable
from pacstui.index.commitments import REPORTING, WAITING, Commitment, Commitments, Outcome, Reference
from pacstui.services.aside import aside
from pacstui.text import safe

log = logging.getLogger("pacstui.services")
COMMITMENT: Final = "1.2.840.10008.1.20.1"
INSTANCE: Final = "1.2.840.10008.1.20.1.1"

PROCESSING_FAILURE, NO_SUCH_INSTANCE, RESOURCE_LIMITATION = 0x0110, 0x0112, 0x0213
CLASS_CONFLICT, DUPLICATE_TRANSACTION = 0x0119, 0x0131
"""Failure reasons (PS3.3 C.14.1.1)."""

_TRANSACTION, _REFERENCED, _FAILED, _REASON = 0x00081195, 0x00081199, 0x00081198, 0x00081197
_CLASS_UID, _INSTANCE_UID, _RETRIEVE_AE = 0x00081150, 0x00081155, 0x00080054
_REQUEST: Final = 1
_ALL_COMMITTED, _SOME_FAILED = 1, 2
_NO_SUCH_ACTION, _INVALID_ARGUMENT = 0x0123, 0x0115
_LIMIT: Final = 64 << 20
_AT_ONCE: Final = 64
_LOOKING: Final = 2
_AT_WORK: Final = 8
_BACKOFF_S: Final = (15, 60, 120, 300, 600, 1800, 3600)
_ATTEMPTS: Final = 200
_ANSWER_S: Final = 60.0


class _ActionSink(BufferSink):
    """One N-ACTION-RQ."""

    def __init__(self, service: CommitmentService, request: Request) -> None:
        super().__init__(request, _LIMIT)
        self._service = service

    async def finish(self) -> None:
        request, command = self.request, self.request.command
        if command.requested_sop_instance != INSTANCE:
            await request.respond(Status.NO_SUCH_INSTANCE)
            return
        if command.number(E_ACTION_TYPE) != _REQUEST:
            await request.respond(_NO_SUCH_ACTION)
            return
        try:
            if self.too_long:
                raise DataSetError("more than 64 MiB")
            transaction, asked = await aside(len(self.data), self._understand)
        except DataSetError as error:
            await request.respond(_INVALID_ARGUMENT, comment=str(error))
            return
        try:
            commitment = await self._service.record(transaction, request.association.calling, asked)
        except PacsError as error:
            await request.respond(Status.RESOURCE_LIMITATION, comment=error.message)
            return
        await request.respond(Status.SUCCESS)
        self._service.begin_work(commitment, request.association)

    def _understand(self) -> tuple[str, list[Reference]]:
        return _read(dataset.decode(bytes(self.data), self.request.context.transfer_syntax))


def _read(identifier: DataSet) -> tuple[str, list[Reference]]:
    transaction = identifier.uid(_TRANSACTION)
    if not valid_uid(transaction):
        raise DataSetError("Transaction UID is missing or not valid")
    asked = [(item.uid(_CLASS_UID), item.uid(_INSTANCE_UID)) for item in identifier.items(_REFERENCED)]
    if not asked or not all(valid_uid(uid) for pair in asked for uid in pair):
        raise DataSetError("Referenced SOP Sequence is empty or has invalid UIDs")
    return transaction, asked


class Asker(Protocol):
    """The SCU side; see :mod:`pacstui.services.commitment_scu`."""

    async def ask(self, peer: str, study: str) -> AskedRow: ...

    async def again(self, id: int) -> AskedRow: ...

    async def tick(self) -> None: ...

    async def list(self, limit: int) -> Sequence[AskedRow]: ...


class CommitmentService:
    """Takes requests, looks at the objects, and delivers the answers; see :meth:`run`."""

    def __init__(self, archive: Archive, lines: Lines, bus: Bus, clock: Clock) -> None:
        self.asker: Asker | None = None
        self.transactions = Commitments(archive.db)
        self._archive = archive
        self._lines = lines
        self._bus = bus
        self._clock = clock
        self._busy: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._told: set[int] = set()
        self._open: dict[int, int] = {}
        self._loaded = False
        self._looking = asyncio.Semaphore(_LOOKING)

    def begin(self, request: Request) -> _ActionSink:
        return _ActionSink(self, request)

    def _now(self) -> int:
        return microseconds(self._clock.now())

    async def record(self, transaction: str, calling: str, asked: Sequence[Reference]) -> Commitment:
        """Make a request durable; raises PacsError."""
        commitment = await self.transactions.add(transaction, calling, asked, self._now(), DUPLICATE_TRANSACTION)
        self._note(commitment.id, commitment.next_try)
        return commitment

    def _note(self, id: int, next_try: int | None) -> None:
        """Remember when a transaction is due, none for one that is at its end."""
        self._open.pop(id, None)
        if next_try is not None:
            self._open[id] = next_try

    def begin_work(self, commitment: Commitment, association: Association | None = None) -> None:
        """Look at the objects and deliver the answer, on ``association`` if it is still there then."""
        if commitment.id not in self._busy:
            self._busy.add(commitment.id)
            task = asyncio.create_task(self._work(commitment, association), name="storage commitment")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def tick(self) -> None:
        """Take up what is due: after a restart, and after deliveries that failed."""
        now = self._now()
        if not self._loaded:
            self._open = await self.transactions.open() | self._open
            self._loaded = True
        due = [id for id, next_try in self._open.items() if next_try <= now and id not in self._busy]
        for id in due[: max(0, _AT_WORK - len(self._busy))]:
            commitment = await self.transactions.get(id)
            if commitment is None or commitment.state not in (WAITING, REPORTING):
                self._note(id, None)
            else:
                self.begin_work(commitment)
        if self.asker is not None:
            await self.asker.tick()

    async def close(self) -> None:
        """Stop; what is open is taken up at the next start."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def retry(self, id: int) -> None:
        """Deliver an answer anew.

        Raises
        ------
        NotFound
            When there is no such transaction.
        """
        now = self._now()
        if await self.transactions.again(id, now):
            self._note(id, now)
        else:
            raise NotFound(f"there is no storage commitment {id}", "pacstui commitments list shows the latest")
        await self.tick()

    async def list(self, limit: int = 50) -> tuple[CommitmentRow, ...]:
        """The noun ``commitments``."""
        rows = await self.transactions.latest(max(1, min(limit, 1000)))
        return tuple(
            CommitmentRow(
                each.id, safe(each.transaction, 64), safe(each.calling, 16), moment(each.received), each.objects,
                each.failed, each.state, each.attempts, moment(each.next_try), safe(each.problem),
            )
            for each in rows
        )  # fmt: skip

    async def ask(self, peer: str, study: str) -> AskedRow:
        """The noun ``commitments``: ask a peer."""
        assert self.asker is not None
        return await self.asker.ask(peer, study)

    async def again(self, id: int) -> AskedRow:
        """The noun ``commitments``: ask a peer again."""
        assert self.asker is not None
        return await self.asker.again(id)

    async def asked(self, limit: int = 50) -> Sequence[AskedRow]:
        """The noun ``commitments``: what peers were asked for."""
        assert self.asker is not None
        return await self.asker.list(limit)

    async def _work(self, commitment: Commitment, association: Association | None) -> None:
        try:
            outcome: Sequence[Outcome] = commitment.outcome
            try:
                if commitment.state == WAITING or not outcome:
                    async with self._looking:
                        outcome = await self._look(commitment.asked)
                    await self.transactions.looked(commitment.id, outcome)
                looked = True
                problem, hint = await self._report(commitment, outcome, association)
            except PacsError as error:
                looked, problem, hint = False, f"the objects cannot be looked at: {error.message}", error.hint
            last = False
            if not problem:
                await self.transactions.told(commitment.id)
                self._note(commitment.id, None)
            else:
                wait = _BACKOFF_S[min(commitment.attempts, len(_BACKOFF_S) - 1)]
                next_try = microseconds(self._clock.now() + timedelta(seconds=wait))
                last = commitment.attempts + 1 >= _ATTEMPTS
                await self.transactions.failed(commitment.id, problem, next_try, last, looked)
                self._note(commitment.id, None if last else next_try)
            if last:
                hint = f"no further try: pacstui commitments retry {commitment.id} begins again; {hint}"
            if not problem or last or commitment.id not in self._told:
                self._publish(commitment, outcome, problem, hint)
        except PacsError as error:
            log.warning("storage commitment %s waits: %s", safe(commitment.transaction, 64), error)
        except Exception:  # a fault of ours: the next tick tries again, and the log says why
            log.exception("storage commitment %s failed", safe(commitment.transaction, 64))
        finally:
            self._busy.discard(commitment.id)

    def _publish(self, commitment: Commitment, outcome: Sequence[Outcome], problem: str, hint: str) -> None:
        (self._told.add if problem else self._told.discard)(commitment.id)
        failed = sum(1 for _, _, reason in outcome if reason)
        self._bus.publish(
            events.CommitmentTold(
                self._clock.now(), commitment.calling, commitment.transaction, len(outcome) - failed, failed, problem,
                hint,
            )
        )  # fmt: skip

    async def _look(self, asked: Sequence[Reference]) -> Sequence[Outcome]:
        """Read every object back; raises PacsError where nothing can be said now."""
        outcome: deque[Outcome] = deque()
        for at in range(0, len(asked), _AT_ONCE):
            group = asked[at : at + _AT_ONCE]
            found = await self._archive.index.named([instance for _, instance in group])
            parts = [Part(each.path, each.data_offset, each.size, each.digest) for each in found if each is not None]
            read = iter(await self._archive.reader.read(parts, fresh=True) if parts else ())
            for (sop_class, instance), known in zip(group, found, strict=True):
                reason = 0
                if known is None:
                    reason = NO_SUCH_INSTANCE
                else:
                    content = next(read)
                    if isinstance(content, Unavailable):
                        raise content
                    if isinstance(content, PacsError):
                        reason = NO_SUCH_INSTANCE if isinstance(content, NotFound) else PROCESSING_FAILURE
                        self._bus.publish(
                            events.InstanceUnreadable(
                                self._clock.now(), instance, known.path, content.message, content.hint
                            )
                        )
                    elif known.sop_class != sop_class:
                        reason = CLASS_CONFLICT
                outcome.append((sop_class, instance, reason))
        return tuple(outcome)

    async def _report(
        self, commitment: Commitment, outcome: Sequence[Outcome], association: Association | None
    ) -> tuple[str, str]:
        """Deliver the answer; return what went wrong and what mends it, both empty if nothing did."""
        if association is not None and association.is_open:
            try:
                async with asyncio.timeout(_ANSWER_S):
                    return await self._tell(association, commitment, outcome), ""
            except (PacsError, TimeoutError) as error:
                log.info("the answer to a storage commitment goes by an association of its own: %s", error)
        peers = self._lines.book.titled(commitment.calling)
        if not peers:
            shown = safe(commitment.calling, 16)
            return (
                f"{shown} has ended its association and is no known peer",
                f'add it: [[peers]] name = "{shown}", ae_title = "{shown}", host = "..."',
            )
        peer = peers[0]
        try:
            async with (
                asyncio.timeout(_ANSWER_S),
                self._lines.to(
                    peer,
                    [(COMMITMENT, LITTLE)],
                    doing=COMMITS,
                    why="the answer to a storage commitment",
                    roles=[RoleSelection(COMMITMENT, False, True)],
                ) as own,
            ):
                return await self._tell(own, commitment, outcome), f"look at the log of {safe(peer.name, 64)}"
        except TimeoutError:
            return f"{safe(peer.name, 64)} does not answer", "look whether it hangs"
        except PacsError as error:
            return error.message, error.hint

    async def _tell(self, association: Association, commitment: Commitment, outcome: Sequence[Outcome]) -> str:
        """Send an N-EVENT-REPORT; return what the peer said against it, empty for success."""
        context = association.context_for(COMMITMENT)
        failed = [each for each in outcome if each[2]]
        data = await aside(
            128 * len(outcome), lambda: self._information(commitment.transaction, outcome, context.transfer_syntax)
        )
        exchange = await association.request(
            context, Field.N_EVENT_REPORT, data, affected_sop_class=COMMITMENT, affected_sop_instance=INSTANCE,
            event_type=_SOME_FAILED if failed else _ALL_COMMITTED,
        )  # fmt: skip
        response = await exchange.final()
        return "" if response.ok else f"{safe(commitment.calling, 16)} answered {response.status:04X}H"

    def _information(self, transaction: str, outcome: Sequence[Outcome], transfer_syntax: str) -> bytes:
        order = "big" if transfer_syntax == syntaxes.BIG_ENDIAN else "little"
        report = DataSet()
        report.put(_TRANSACTION, transaction, "UI")
        report.put(_RETRIEVE_AE, self._lines.ae_title, "AE")
        kept: dict[bool, list[DataSet]] = {True: [], False: []}
        for sop_class, instance, reason in outcome:
            item = DataSet()
            item.put(_CLASS_UID, sop_class, "UI")
            item.put(_INSTANCE_UID, instance, "UI")
            if reason:
                item[_REASON] = Element("US", reason.to_bytes(2, order))  # type: ignore[arg-type]
            kept[not reason].append(item)
        if kept[True]:
            report.put_items(_REFERENCED, kept[True])
        if kept[False]:
            report.put_items(_FAILED, kept[False])
        return dataset.encode(report, transfer_syntax)
