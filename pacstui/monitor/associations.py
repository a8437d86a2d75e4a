"""The ledger of associations: open ones, ended ones while they are remembered, and refusals gathered by caller."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice

from pacstui import events
from pacstui.bus import Bus
from pacstui.clock import Clock
from pacstui.contract.associations import (
    AssociationDetail,
    AssociationRow,
    ContextRow,
    RefusalRow,
)
from pacstui.contract.node import AssociationsPart
from pacstui.dicom.dimse import Command, Field, Status, name
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.service import Observer, Refused, Unobserved
from pacstui.dicom.uids import name_of
from pacstui.dicom.ul.items import UserIdentity
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.book import PeerBook
from pacstui.errors import NotFound
from pacstui.monitor.arriving import Arriving
from pacstui.monitor.callers import answer_in_words, software, user
from pacstui.monitor.calls import Calls
from pacstui.monitor.entries import Entry, begins_to_store, entry_of
from pacstui.monitor.rates import Throughput
from pacstui.text import plural, safe, size

ENDED_KEPT = 500
REFUSALS_KEPT = 200
JUST_ENDED_S = 10.0
_JUST_ENDED = 100
_CONTEXTS_KEPT = 32
_SYNTAXES_KEPT = 8
_SERVICES_KEPT = 100
_NOT_JUDGED = -1
_ASKS: dict[int, str] = {Field.C_FIND: "queries", Field.C_MOVE: "moves", Field.C_GET: "gets"}


@dataclass(slots=True)
class _Refusals:
    entry: int
    calling: str
    called: str
    address: str
    text: str
    hint: str
    count: int
    first: datetime
    last: datetime


class Ledger(Unobserved):
    """Watches the listener and implements the noun ``associations``; ``calls`` watches the lines to peers.

    ``account_of`` tells which account an accepted caller's user identity stands for, empty if that was not judged.
    ``watch`` is told too of who came, and of who was refused.
    """

    def __init__(
        self,
        bus: Bus,
        clock: Clock,
        book: PeerBook,
        throughput: Throughput,
        arriving: Arriving,
        limit: int,
        entered: Callable[[str], None],
        left: Callable[[str], None],
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._book = book
        self._throughput = throughput
        self._arriving = arriving
        self.limit = limit
        self._entered = entered
        self._left = left
        self._open: dict[int, Entry] = {}
        self._ended: OrderedDict[int, Entry] = OrderedDict()
        self._refusals: OrderedDict[tuple[str, str, str, str], _Refusals] = OrderedDict()
        self.calls = Calls(clock, throughput)
        self._accepted = 0
        self._rejected = 0
        self.account_of: Callable[[UserIdentity | None], str] = lambda identity: ""
        self.watch: Observer = Unobserved()
        self._not_allowed: dict[int, list[events.ServiceRefused]] = {}
        bus.subscribe(events.InstanceStored, self._stored)
        bus.subscribe(events.ServiceRefused, self._service_refused)

    # what the network tells

    def _service_refused(self, event: events.ServiceRefused) -> None:
        """Keep what is told while contexts are judged, until the association is open."""
        if len(self._not_allowed) >= _SERVICES_KEPT:
            self._not_allowed.clear()
        self._not_allowed.setdefault(event.association, []).append(event)

    def opened(self, association: Association) -> None:
        now = self._clock.now()
        entry = entry_of(association, self._clock)
        identity = association.rq.user.identity if association.rq is not None else None
        account = self.account_of(identity)
        entry.user = user(identity, account, judged=False)
        told = self._not_allowed.pop(entry.id, [])
        for event in told:
            entry.moment(self._clock, safe(event.text, 200))
        entry.remedies = tuple(dict.fromkeys(event.hint for event in told))
        self._open[entry.id] = entry
        self.watch.opened(association)
        self._accepted += 1
        self._entered(entry.address[0])
        self._bus.publish(
            events.AssociationOpened(
                now, entry.id, entry.calling, entry.called, entry.address[0], len(association.accepted), account
            )
        )

    def refused(self, refused: Refused) -> None:
        now = self._clock.now()
        self._rejected += 1
        self._throughput.refused()
        self.watch.refused(refused)
        entry = Entry(
            refused.association,
            refused.calling,
            refused.called,
            refused.address,
            now,
            self._clock.monotonic(),
            state="refused",
            doing="refused",
        )
        entry.title = f"Refused: {safe(refused.text)}"
        entry.answer = answer_in_words(refused.result, refused.source, refused.reason)
        entry.remedies = (safe(refused.hint),) if refused.hint else ()
        if refused.request is not None:
            self._proposed(entry, refused.request)
        entry.moment(self._clock, "refused")
        self._remember(entry)
        key = (refused.calling, refused.called, refused.address[0], refused.text)
        known = self._refusals.pop(key, None)
        if known is None:
            known = _Refusals(
                entry.id,
                refused.calling,
                refused.called,
                refused.address[0],
                safe(refused.text),
                safe(refused.hint),
                0,
                now,
                now,
            )
            if len(self._refusals) >= REFUSALS_KEPT:
                self._refusals.popitem(last=False)
        known.count += 1
        known.last = now
        known.entry = entry.id
        self._refusals[key] = known
        self._bus.publish(
            events.AssociationRefused(
                now,
                entry.id,
                refused.calling,
                refused.called,
                refused.address[0],
                refused.result,
                refused.source,
                refused.reason,
                refused.text,
                refused.hint,
            )
        )

    def _proposed(self, entry: Entry, request: AssociateRequest) -> None:
        """Keep what a refused caller wanted, within bounds: anybody can send such requests."""
        told = request.user
        entry.implementation = software(told.implementation_version, told.implementation_uid)
        entry.max_pdu = told.max_length or 0
        entry.user = user(told.identity)
        entry.contexts = tuple(
            ContextRow(
                c.id,
                safe(c.abstract_syntax, 64),
                safe(name_of(c.abstract_syntax), 64),
                tuple(safe(name_of(ts), 64) for ts in c.transfer_syntaxes[:_SYNTAXES_KEPT]),
                "",
                _NOT_JUDGED,
            )
            for c in request.contexts[:_CONTEXTS_KEPT]
        )
        if len(request.contexts) > _CONTEXTS_KEPT:
            entry.moment(self._clock, f"proposed {len(request.contexts)} contexts, {_CONTEXTS_KEPT} are kept here")

    def closed(self, association: Association, how: str, detail: str) -> None:
        entry = self._open.pop(association.id, None)
        if entry is None:
            return
        entry.modality = entry.modality or self._arriving.modality_of(entry.id)
        entry.end(self._clock, how, detail)
        self._remember(entry)
        self._left(entry.address[0])
        self._bus.publish(
            events.AssociationClosed(
                self._clock.now(),
                entry.id,
                entry.calling,
                entry.address[0],
                how,
                detail,
                entry.stored,
                entry.failed,
                entry.received,
                entry.seconds,
            )
        )

    def message(self, association: Association, command: Command) -> None:
        entry = self._open.get(association.id)
        if entry is None:
            return
        entry.messages[command.field] += 1
        if command.field == Field.C_STORE:
            begins_to_store(entry, self._clock, command)
        elif command.field in _ASKS:
            entry.doing = _ASKS[command.field]
            entry.pending = 0
        elif command.field == Field.C_ECHO:
            entry.doing = "echoes"
            entry.moment(self._clock, "C-ECHO")

    def asked(self, association: Association, command: Command, keys: Sequence[tuple[int, str]]) -> None:
        entry = self._open.get(association.id)
        if entry is not None:
            entry.queries.asked(self._clock.now(), command, keys)

    def answered(self, association: Association, command: Command, status: int) -> None:
        entry = self._open.get(association.id)
        if entry is None:
            return
        entry.receiving = ""
        if command.field in _ASKS:
            entry.queries.answered(command, status)
            self._answered(entry, command, status)
        elif command.field == Field.C_STORE:
            entry.count(self._clock, status, f"refused an instance with {status:04X}H")

    def _answered(self, entry: Entry, command: Command, status: int) -> None:
        """Note the end of a query or a retrieval; ``pending`` counts its answers until then."""
        if status in (Status.PENDING, Status.PENDING_WARNING):
            entry.pending += 1
            return
        entry.doing = "idle"
        told = (
            f"{name(command.field)}: {plural(entry.pending, 'answer')}"
            if command.field == Field.C_FIND
            else name(command.field)
        )
        entry.moment(self._clock, told if status == Status.SUCCESS else f"{told}, ended with {status:04X}H")

    def received(self, association: Association, count: int) -> None:
        self._throughput.received(count)
        entry = self._open.get(association.id)
        if entry is not None:
            entry.received += count

    def _stored(self, event: events.InstanceStored) -> None:
        if event.new:
            self._throughput.stored(event.size)

    def _remember(self, entry: Entry) -> None:
        self._ended[entry.id] = entry
        while len(self._ended) > ENDED_KEPT:
            self._ended.popitem(last=False)

    async def tick(self) -> None:
        """Note how many associations are open, once a second."""
        self._throughput.associations(len(self._open))

    # what people ask

    def active(self) -> int:
        """Return how many associations are open."""
        return len(self._open)

    def open_of(self, calling: str) -> int:
        """Return how many associations of a calling AE title are open."""
        return sum(entry.calling == calling for entry in self._open.values())

    def part(self) -> AssociationsPart:
        """Return the counts for the status."""
        return AssociationsPart(len(self._open), self._accepted, self._rejected, self.limit)

    def rows(self, ended: bool) -> tuple[AssociationRow, ...]:
        """Return open associations in order of arrival; after them, if asked, the ended ones, newest first."""
        listed = [self._row(entry) for entry in (*self._open.values(), *self.calls.open.values())]
        if ended:
            both = (*self._ended.values(), *self.calls.ended.values())
            listed += [self._row(entry) for entry in sorted(both, key=lambda each: each.opened, reverse=True)]
        return tuple(listed)

    def just_ended(self) -> tuple[AssociationRow, ...]:
        """Return the associations that ended in the last `JUST_ENDED_S` seconds, newest first, at most a hundred."""
        since = self._clock.monotonic() - JUST_ENDED_S
        newest = chain(
            islice(reversed(self._ended.values()), _JUST_ENDED),
            islice(reversed(self.calls.ended.values()), _JUST_ENDED),
        )
        return tuple(self._row(entry) for entry in newest if entry.started + entry.seconds >= since)[:_JUST_ENDED]

    def _row(self, entry: Entry) -> AssociationRow:
        peer = entry.peer or self._book.name_of(entry.calling)
        return entry.row(self._clock, peer, entry.modality or self._arriving.modality_of(entry.id))

    def refusal_rows(self) -> tuple[RefusalRow, ...]:
        """Return gathered refusals, the latest first; ``id`` is the latest one's association."""
        return tuple(
            RefusalRow(r.entry, r.calling, r.called, r.address, r.text, r.hint, r.count, r.first, r.last)
            for r in reversed(self._refusals.values())
        )

    async def list(self, ended: bool = False) -> tuple[AssociationRow, ...]:
        return self.rows(ended)

    async def refusals(self) -> tuple[RefusalRow, ...]:
        return self.refusal_rows()

    def _tables(self) -> tuple[Mapping[int, Entry], ...]:
        return self._open, self.calls.open, self._ended, self.calls.ended

    def _find(self, id: int) -> Entry:
        entry = next((each[id] for each in self._tables() if id in each), None)
        if entry is None:
            raise NotFound(f"association {id} is not known (any more)", "the last 500 that ended are remembered")
        return entry

    async def show(self, id: int) -> AssociationDetail:
        entry = self._find(id)
        today = self._clock.now().date()
        gathered = [r for r in self._refusals.values() if r.calling == entry.calling and r.last.date() == today]
        who = entry.peer or self._book.name_of(entry.calling) or safe(entry.calling) or entry.address[0]
        refused = entry.state == "refused"
        return AssociationDetail(
            row=self._row(entry),
            title=entry.title or f"{who}: {entry.state}",
            answer=entry.answer or _told(entry),
            remedies=entry.remedies,
            implementation=entry.implementation,
            max_pdu=entry.max_pdu,
            user=entry.user,
            contexts=entry.contexts,
            timeline=tuple(entry.timeline),
            messages={name(field): count for field, count in sorted(entry.messages.items())},
            receiving=safe(entry.receiving, 64),
            receiving_bytes=entry.received - entry.receiving_from if entry.receiving else 0,
            refused_today=sum(r.count for r in gathered) if refused else 0,
            queries=entry.queries.shown(),
        )

    async def abort(self, id: int) -> None:
        entry = self._find(id)
        if entry.association is None:
            raise NotFound(f"association {id} has already ended", "nothing to abort")
        await entry.association.abort_and_wait("an operator aborted it")


def _told(entry: Entry) -> str:
    """Return what an association did, in words."""
    there = " there" if entry.outgoing and not entry.messages[Field.C_GET] else ""
    refused = f", {entry.failed:,} refused" if entry.failed else ""
    return f"{plural(entry.stored, 'instance')} stored{there}{refused}, {size(entry.received)} received, " + (
        f"{size(entry.sent_bytes)} sent"
    )
