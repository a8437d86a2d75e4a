"""Retrieval SCP: C-MOVE and C-GET of the Query/Retrieve models (PS3.4 C.4.2, C.4.3)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Final

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet, DataSetError
from pacstui.dicom.dimse import Status
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import AssociationEnded
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink
from pacstui.dicom.ul.negotiation import Context
from pacstui.equipment.line import SENDS, Lines
from pacstui.errors import PacsError
from pacstui.imaging.conversions import Conversions
from pacstui.index.attributes import LEVELS, PATIENT, UNIQUE
from pacstui.index.retrieve import Copy, copies, subjects
from pacstui.services import models
from pacstui.services.aside import decoded
from pacstui.services.corrected import Handing
from pacstui.services.models import WrongIdentifier, check_above, level_of
from pacstui.services.sending import Feed, Tally, group_count, groups, offered_by, proposals
from pacstui.services.suboperations import SubOperations
from pacstui.settings import PeerSettings
from pacstui.text import safe

log = logging.getLogger("pacstui.services")
_UNABLE: Final = 0xC001
_NO_MATCHES_KNOWN: Final = 0xA701
_UNABLE_TO_SEND: Final = 0xA702
_UNKNOWN_DESTINATION: Final = 0xA801
_WARNING: Final = 0xB000
_FAILED_LIST: Final = 0x00080058
_EVERY_S: Final = 0.5
_GRACE_S: Final = 5.0


def chosen(identifier: DataSet, model: models.Model) -> dict[str, Sequence[str]]:
    """Return the unique keys of a retrieval by level (PS3.4 C.4.2.2.1): one value above, one or more at its level.

    Raises
    ------
    WrongIdentifier
        When they are missing or have wildcards.
    """
    level = level_of(model, identifier)
    keys: dict[str, Sequence[str]] = {}
    check_above(model, level, identifier)
    for each in LEVELS[: LEVELS.index(level) + 1]:
        values = identifier.uids(UNIQUE[each]) if each != PATIENT else [identifier.text(UNIQUE[each])]
        values = [value for value in values if value]
        if not values:
            if each == level:
                raise WrongIdentifier(f"the unique key of level {level} is missing", UNIQUE[each])
            continue
        if any(c in value for value in values for c in "*?"):
            raise WrongIdentifier("unique keys take no wildcards in a retrieval", UNIQUE[each])
        keys[each] = values
    return keys


class Retrieval(BufferSink):
    """One C-MOVE or C-GET under way."""

    verb = ""

    def __init__(self, service: RetrieveService, request: Request) -> None:
        super().__init__(request)
        self.service = service
        self.tally = Tally(0)
        self.subjects: tuple[tuple[str, str], ...] = ()
        self.carrying: set[Association] = set()
        self.corrections = 0

    @property
    def stopped(self) -> bool:
        """Whether nobody waits for the rest any more: it was cancelled, or who asked is gone (PS3.4 C.4.2.3.1)."""
        return self.request.cancelled or self.request.association.over

    async def finish(self) -> None:
        request = self.request
        try:
            if not request.command.has_data_set or self.too_long:
                raise WrongIdentifier("a retrieval needs an identifier of at most 1 MiB", models.LEVEL)
            identifier = await decoded(self)
            keys = chosen(identifier, models.MODELS[request.context.abstract_syntax])
            if not await self.ready():
                return
            if self.service.handing is not None:
                self.corrections = self.service.handing.corrections
            found = await copies(self.service.archive.db, keys)
            self.subjects = await subjects(self.service.archive.db, keys) if found else ()
        except WrongIdentifier as wrong:
            await request.respond(Status.DATA_SET_MISMATCH, comment=wrong.comment, offending=wrong.offending)
            return
        except DataSetError as error:
            await request.respond(_UNABLE, comment=str(error))
            return
        except PacsError as error:
            await request.respond(_NO_MATCHES_KNOWN, comment=error.message)
            return
        await self._run(found)

    async def ready(self) -> bool:
        """See whether there is a way to send; respond if not."""
        return True

    async def send(self, feed: Feed, found: Sequence[Copy]) -> None:
        """Send all of it."""
        raise NotImplementedError

    @property
    def destination(self) -> str:
        """AE title of who receives."""
        raise NotImplementedError

    async def _run(self, found: Sequence[Copy]) -> None:
        self.tally = Tally(len(found))
        feed = Feed(self.service.archive, found)
        helpers = [asyncio.create_task(self._tell_now_and_then()), asyncio.create_task(self._stop_when_withdrawn())]
        try:
            if found:
                await self.send(feed, found)
            if not self.stopped:
                for copy in feed.rest():
                    self.tally.fail(copy, "it could not be sent")
        finally:
            feed.close()
            for helper in helpers:
                helper.cancel()
            await asyncio.wait(helpers)
            self._publish()
        await self._end()

    async def _stop_when_withdrawn(self) -> None:
        """Give what is under way a little time when nobody waits for it any more, then end its associations: a
        destination that stalls holds up no cancel."""
        await self.given_up()
        for association in list(self.carrying):
            association.abort("the retrieval was cancelled")

    async def given_up(self) -> None:
        """Return some time after nobody waits for it any more."""
        await self.request.until_withdrawn()
        await asyncio.sleep(_GRACE_S)

    async def _tell_now_and_then(self) -> None:
        """Send pending responses while it takes long, also while nothing moves (PS3.4 C.4.2.3.1)."""
        with contextlib.suppress(AssociationEnded):
            while True:
                await asyncio.sleep(_EVERY_S)
                if self.tally.remaining:
                    await self.request.respond(Status.PENDING, **self.tally.counters)

    async def _end(self) -> None:
        request, tally = self.request, self.tally
        counters = tally.counters
        data = None
        if tally.failed_uids:
            listed = DataSet()
            listed.put(_FAILED_LIST, "\\".join(tally.failed_uids), "UI")
            data = dataset.encode(listed, request.context.transfer_syntax)
        if request.cancelled and tally.remaining:
            status = int(Status.CANCEL)
        else:
            del counters["remaining"]  # not in a final response that is none to a cancel
            status = 0
            if tally.failed:
                status = _WARNING if tally.completed or tally.warning else _UNABLE_TO_SEND
            elif tally.warning:
                status = _WARNING
        await request.respond(status, data=data, comment=tally.why if status else "", **counters)

    def _publish(self) -> None:
        tally, association = self.tally, self.request.association
        if tally.remaining and association.over and not self.request.cancelled and not tally.why:
            tally.why = "who asked for it is gone, the rest was not sent"
            tally.hint = f"look at {safe(association.calling, 16)}, and whether it waits long enough for a retrieval"
        self.service.bus.publish(
            events.Retrieved(
                self.service.clock.now(), association.id, association.calling, self.verb, self.destination,
                tally.completed, tally.warning, tally.failed, tally.remaining, tally.why, tally.hint,
                association.address[0], self.subjects,
            )
        )  # fmt: skip

    async def work(self, association: Association, contexts: Callable[[Copy], list[Context]], feed: Feed) -> None:
        """Send instances on an association until there are none, the caller cancels, or the association ends."""
        await SubOperations(self, association, contexts, feed).run()

    @property
    def originator(self) -> tuple[str | None, int | None]:
        """For whom an instance is sent: AE title and message id, for the C-STORE-RQ (PS3.7 9.1.1.1)."""
        return None, None


class _Get(Retrieval):
    """C-GET: instances go back on the association that asked, where its requestor takes the SCP role."""

    verb = "C-GET"

    @property
    def destination(self) -> str:
        return self.request.association.calling

    async def send(self, feed: Feed, found: Sequence[Copy]) -> None:
        association = self.request.association
        offered: dict[str, list[Context]] = {}
        for context in association.contexts:
            if context.result == 0 and context.scp:
                offered.setdefault(context.abstract_syntax, []).append(context)
        await self.work(association, lambda copy: offered.get(copy.sop_class, []), feed)


class _Move(Retrieval):
    """C-MOVE: instances go to a peer of ours, by its AE title."""

    verb = "C-MOVE"
    _peer: PeerSettings | None = None

    @property
    def destination(self) -> str:
        return self.request.command.move_destination

    async def ready(self) -> bool:
        peers = self.service.lines.book.titled(self.destination)
        if peers:
            self._peer = peers[0]
            return True
        shown = safe(self.destination, 16)
        await self.request.respond(_UNKNOWN_DESTINATION, comment=f"move destination {shown} is not known here")
        self.tally.why = f"move destination {shown} is not known here"
        self.tally.hint = f'add it as a peer: [[peers]] name = "{shown}", ae_title = "{shown}", host = "..."'
        self._publish()
        return False

    @property
    def originator(self) -> tuple[str | None, int | None]:
        return self.request.association.calling, self.request.command.message_id

    async def send(self, feed: Feed, found: Sequence[Copy]) -> None:
        for start, group in groups(found):
            part = Feed(self.service.archive, found[start : start + group]) if group < len(found) else feed
            workers = min(self.service.parallel, group)
            await asyncio.gather(*(self._associate(part, found[start : start + group]) for _ in range(workers)))
            if part is not feed:
                if not self.stopped:
                    for copy in part.rest():
                        self.tally.fail(copy, "it could not be sent")
                part.close()
            if self.stopped:
                return
        if group_count(found) > 1:
            for _ in feed.rest():  # they were sent group by group
                pass

    async def _associate(self, feed: Feed, found: Sequence[Copy]) -> None:
        peer = self._peer
        assert peer is not None
        try:
            why = f"C-MOVE for {self.request.association.calling}"
            async with self.service.lines.to(peer, proposals(found), doing=SENDS, why=why) as association:
                offered = offered_by(association)
                self.carrying.add(association)
                try:
                    await self.work(association, lambda copy: offered.get(copy.sop_class, []), feed)
                finally:
                    self.carrying.discard(association)
        except PacsError as error:
            self.tally.note(error.message, error.hint)


class RetrieveService:
    """C-MOVE and C-GET for the three models. ``parallel`` associations at once go to a move destination; ``handing``
    makes the copies that corrected objects leave as."""

    def __init__(self, archive: Archive, lines: Lines, bus: Bus, clock: Clock, parallel: int) -> None:
        self.archive = archive
        self.lines = lines
        self.bus = bus
        self.clock = clock
        self.conversions = Conversions()
        self.parallel = parallel
        self.handing: Handing | None = None

    def begin(self, request: Request) -> Retrieval:
        return _Move(self, request) if request.context.abstract_syntax in models.MOVE else _Get(self, request)

    async def close(self) -> None:
        """End what decodes for it."""
        await self.conversions.close()
