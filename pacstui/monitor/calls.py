"""The associations that this node asks others for: open ones, ended ones, and those that did not come about."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from pacstui.clock import Clock
from pacstui.dicom.dimse import RESPONSE, Command, Field, name
from pacstui.dicom.net.association import Association, new_number
from pacstui.dicom.net.service import Unobserved
from pacstui.dicom.uids import name_of
from pacstui.dicom.ul.negotiation import Context
from pacstui.equipment.line import FETCHES, Call
from pacstui.errors import PacsError
from pacstui.monitor.entries import Entry, begins_to_store, entry_of
from pacstui.monitor.rates import Throughput
from pacstui.text import plural, safe

ENDED_KEPT: Final = 300
_PENDING: Final = (0xFF00, 0xFF01)


class Calls:
    """Watches the lines to peers; see :class:`pacstui.equipment.line.Watcher`."""

    def __init__(self, clock: Clock, throughput: Throughput) -> None:
        self.clock = clock
        self.throughput = throughput
        self.open: dict[int, Entry] = {}
        self.ended: OrderedDict[int, Entry] = OrderedDict()
        self._failures: dict[tuple[str, str], int] = {}

    def watch(self, call: Call) -> _Watched:
        return _Watched(self, call)

    def failed(self, call: Call, error: PacsError) -> None:
        """Keep why there was no association; the same again for the same peer is one entry that counts."""
        now = self.clock.now()
        text = safe(error.message, 300)
        key = (call.peer.name, text)
        known = self.ended.pop(self._failures.get(key, 0), None)
        entry = known or Entry(
            new_number(), call.calling, call.peer.ae_title, (call.peer.host, call.peer.port), now,
            self.clock.monotonic(), peer=call.peer.name, outgoing=True, state="failed", doing="failed",
        )  # fmt: skip
        if known is not None:
            entry.times += 1
            entry.opened, entry.started = now, self.clock.monotonic()
        entry.title = f"{safe(call.peer.name, 64)}: no association"
        entry.answer = text + (f"; {entry.times:,} times" if entry.times > 1 else "")
        entry.remedies = (safe(error.hint, 300),) if error.hint else ()
        entry.moment(self.clock, f"{call.doing}{f' for {safe(call.why, 64)}' if call.why else ''}: {text}")
        self._failures[key] = entry.id
        self._remember(entry)

    def broke(self, association: Association, error: PacsError) -> None:
        entry = self.open.get(association.id) or self.ended.get(association.id)
        if entry is not None and not any(safe(error.message) in each.text for each in entry.timeline[-2:]):
            entry.moment(self.clock, safe(error.message, 300))
            entry.answer = safe(error.message, 300)
            entry.remedies = (safe(error.hint, 300),) if error.hint else ()

    def _remember(self, entry: Entry) -> None:
        self.ended[entry.id] = entry
        while len(self.ended) > ENDED_KEPT:
            gone, _ = self.ended.popitem(last=False)
            self._failures = {key: each for key, each in self._failures.items() if each != gone}

    def closed(self, entry: Entry) -> None:
        """Keep one that ended."""
        self.open.pop(entry.id, None)
        self._remember(entry)


class _Watched(Unobserved):
    """Watches one association."""

    def __init__(self, calls: Calls, call: Call) -> None:
        self._calls = calls
        self._clock = calls.clock
        self._call = call
        self._entry: Entry | None = None

    def opened(self, association: Association) -> None:
        self._entry = entry = entry_of(association, self._clock)
        entry.peer, entry.outgoing, entry.doing = self._call.peer.name, True, self._call.doing
        if self._call.why:
            entry.moment(self._clock, safe(self._call.why, 64))
        self._calls.open[entry.id] = entry

    def closed(self, association: Association, how: str, detail: str) -> None:
        if self._entry is not None:
            self._entry.end(self._clock, how, detail)
            self._calls.closed(self._entry)

    def message(self, association: Association, command: Command) -> None:
        if self._entry is not None:
            self._entry.messages[command.field] += 1
            if command.field == Field.C_STORE:
                begins_to_store(self._entry, self._clock, command)

    def answered(self, association: Association, command: Command, status: int) -> None:
        if self._entry is not None and command.field == Field.C_STORE:
            self._entry.receiving = ""
            self._entry.count(self._clock, status, f"refused an instance with {status:04X}H")

    def received(self, association: Association, count: int) -> None:
        if self._entry is not None:
            self._entry.received += count
            if self._call.doing == FETCHES:
                self._calls.throughput.received(count)

    def replied(self, association: Association, context: Context, response: Command) -> None:
        entry, status = self._entry, response.status
        if entry is None:
            return
        field = response.field & ~RESPONSE
        told = f": {safe(response.comment, 64)}" if response.comment else ""
        if field == Field.C_STORE:
            if not entry.messages[field]:
                entry.moment(self._clock, f"sends {safe(name_of(context.abstract_syntax))}")
            entry.messages[field] += 1
            entry.count(self._clock, status, f"an instance was answered with {status:04X}H{told}")
        elif status in _PENDING:
            entry.pending += 1
        else:
            entry.messages[field] += 1
            answers = f": {plural(entry.pending, 'answer')}" if field == Field.C_FIND else ""
            entry.pending = 0
            entry.moment(
                self._clock, f"{name(field)}{answers}" + (f", ended with {status:04X}H{told}" if status else "")
            )
