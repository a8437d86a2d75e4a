"""The C-STORE sub-operations of a retrieval on one association: one is under way, the next stands ready.

A requestor takes one instance at a time, so a retrieval is as fast as the next one follows an answer. What is to be
read, corrected, converted and encoded for it is done while the peer has the one before; what is to be counted of it,
when the next is on its way.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pacstui import events
from pacstui.archive.reading import Content
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import AssociationEnded
from pacstui.dicom.net.outgoing import Exchange, Prepared, Response
from pacstui.dicom.ul.negotiation import Context
from pacstui.errors import PacsError
from pacstui.imaging.convert import NotConvertible
from pacstui.index.retrieve import Copy
from pacstui.services.corrected import Gone, Uncorrected, discard
from pacstui.services.sending import Feed, fitted
from pacstui.text import safe

if TYPE_CHECKING:
    from pacstui.services.retrieve import Retrieval


@dataclass(slots=True)
class _Ready:
    """An instance that can go: ``copy`` and ``content`` as the archive has it, the rest as it leaves.

    ``corrections`` is how often something had been corrected when it was made ready.
    """

    copy: Copy
    content: Content
    leaves: Copy
    content_leaves: Content
    context: Context
    data: bytes | AsyncIterable[bytes]
    prepared: Prepared | None
    corrections: int


class SubOperations:
    """Sends what ``feed`` has on ``association``; ``contexts`` says which contexts it has for an instance."""

    def __init__(
        self, retrieval: Retrieval, association: Association, contexts: Callable[[Copy], list[Context]], feed: Feed
    ) -> None:
        self._of = retrieval
        self._association = association
        self._contexts = contexts
        self._feed = feed

    async def run(self) -> None:
        """Go on until there is nothing left, nobody waits any more, or the association ends. What was not sent and has
        not failed is in the feed again."""
        ready: _Ready | None = None
        answered: tuple[Copy, Response] | None = None
        try:
            ready = await self._next(patient=True)
            while ready is not None and not self._of.stopped:
                if ready.corrections != self._corrections:
                    ready = await self._anew(ready)
                    continue
                try:
                    exchange = await self._begin(ready)
                except AssociationEnded as ended:  # nothing of it was sent: it may go on another association
                    self._of.tally.note(ended.message, ended.hint)
                    return
                self._feed.away(self)
                sending, ready = ready, None
                try:
                    if answered is not None:
                        self._count(*answered)
                        answered = None
                    if exchange is None:
                        self._count(sending.copy, await self._send_late(sending))
                    else:
                        ready = await self._next()
                        answered = sending.copy, await self._association.answer_to(exchange)
                except AssociationEnded as ended:
                    self._fail(sending.copy, ended)
                    return
                except (PacsError, OSError) as error:
                    self._fail(sending.copy, error)
                finally:
                    discard(sending.content_leaves)
                if ready is None:
                    if answered is not None:
                        self._count(*answered)
                        answered = None
                    ready = await self._next(patient=True)
        finally:
            if answered is not None:
                self._count(*answered)
            if ready is not None:
                self._give_back(ready)
            self._feed.away(self)

    @property
    def _corrections(self) -> int:
        handing = self._of.service.handing
        return handing.corrections if handing is not None else 0

    async def _next(self, patient: bool = False) -> _Ready | None:
        """Make the next instance ready; those that cannot be sent are counted, and passed over. With ``patient``, wait
        for what another association may give back."""
        while not self._of.stopped:
            item = await self._feed.next(self)
            if item is None:
                if patient and await self._feed.more():
                    continue
                return None
            ended = self._association.ended_error()
            if ended is not None:
                self._feed.give_back(self, *item)
                if self._association is not self._of.request.association:
                    self._of.tally.note(ended.message, ended.hint)
                return None
            ready = await self._make_ready(*item)
            if ready is not None:
                return ready
        return None

    async def _anew(self, ready: _Ready) -> _Ready | None:
        """Make an instance ready again, as something was corrected meanwhile."""
        discard(ready.content_leaves)
        return await self._make_ready(ready.copy, ready.content) or await self._next(patient=True)

    async def _make_ready(self, copy: Copy, content: Content | PacsError) -> _Ready | None:
        of, handing = self._of, self._of.service.handing
        corrections = self._corrections
        try:
            if isinstance(content, PacsError):
                raise content
            leaves, changed = copy, content
            if handing is not None:
                if corrections != of.corrections:
                    leaves = await handing.anew(copy)
                if leaves.corrected:
                    leaves, changed = await handing(leaves, content)
            try:
                context, data = await fitted(
                    self._contexts(copy), leaves, changed, who=of.destination, conversions=of.service.conversions,
                    given_up=of.given_up,
                )  # fmt: skip
                prepared = None
                if isinstance(data, bytes):
                    title, message = of.originator
                    prepared = self._association.prepare_store(
                        context, leaves.sop_instance, data, sop_class=leaves.sop_class,
                        priority=of.request.command.priority, move_originator=title,
                        move_originator_message_id=message,
                    )  # fmt: skip
            except BaseException:
                discard(changed)
                raise
        except AssociationEnded:
            self._feed.give_back(self, copy, content)
            return None
        except (PacsError, OSError) as error:
            if self._of.stopped:  # a cancel came first: what was not begun then remains, it has not failed
                self._feed.give_back(self, copy, content)
                return None
            self._feed.away(self)
            self._fail(copy, error)
            return None
        return _Ready(copy, content, leaves, changed, context, data, prepared, corrections)

    async def _begin(self, ready: _Ready) -> Exchange | None:
        """Send what stands ready; None if it is to be read while it is sent. Raises AssociationEnded, then nothing of
        it was sent."""
        if ready.prepared is not None:
            return await self._association.send_prepared(ready.prepared)
        ended = self._association.ended_error()
        if ended is not None:
            raise ended
        return None

    async def _send_late(self, ready: _Ready) -> Response:
        """Send an instance that is read while it is sent."""
        title, message = self._of.originator
        return await self._association.store(
            ready.context, ready.leaves.sop_instance, ready.context.transfer_syntax, ready.data,
            sop_class=ready.leaves.sop_class, priority=self._of.request.command.priority, move_originator=title,
            move_originator_message_id=message,
        )  # fmt: skip

    def _give_back(self, ready: _Ready) -> None:
        discard(ready.content_leaves)
        self._feed.give_back(self, ready.copy, ready.content)

    def _fail(self, copy: Copy, error: PacsError | OSError) -> None:
        """Count an instance that was not sent, and tell of it where that is the archive's fault."""
        tally, service = self._of.tally, self._of.service
        if isinstance(error, OSError):
            tally.fail(copy, f"{copy.path} cannot be read: {error.strerror}", "check the archive's disk")
            return
        tally.fail(copy, error.message, error.hint)
        if not isinstance(error, (AssociationEnded, NotConvertible, Uncorrected, Gone)):
            service.bus.publish(
                events.InstanceUnreadable(service.clock.now(), copy.sop_instance, copy.path, error.message, error.hint)
            )

    def _count(self, copy: Copy, response: Response) -> None:
        """Count an instance that was answered."""
        tally = self._of.tally
        if not response.ok:
            comment = f": {safe(response.comment, 64)}" if response.comment else ""
            who = safe(self._of.destination, 16)
            tally.fail(copy, f"{who} answered {response.status:04X}H{comment}", f"look at the log of {who}")
            return
        tally.remaining -= 1
        if response.status:
            tally.warning += 1
        else:
            tally.completed += 1
