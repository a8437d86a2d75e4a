"""Who called and is no peer, or was refused: kept across restarts, within bounds that no caller can move.

A row stands for AE titles, address and what became of the call. Anybody can call under a million AE titles: of one
address (of one /64 where it is IPv6, which is what one caller has) so many rows are kept, what is beyond counts on a
row for all of its other titles. Where all rows are taken, addresses that called least go first, and ignored rows and
those that called often stay.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from pacstui.clock import microseconds, moment_or_none
from pacstui.contract.peers import CallerRow, CallersView
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.service import Refused
from pacstui.dicom.uids import name_of
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.store import Knock, Store
from pacstui.errors import NotFound
from pacstui.text import safe

ROWS: Final = 1000
ROWS_OF_ONE: Final = 24
REFUSED, LET_IN, MAY_NOT = "refused", "let in", "may not"
_CONTEXTS: Final = 32
_SYNTAXES: Final = 6
_QUIET_US: Final = 1_000_000
_MANY: Final = "(many)"
_UNKNOWN: Final = f"{REFUSED} 1/1/3"

_Key = tuple[str, str, str, str]


def origin(address: str) -> str:
    """Return what stands for one caller: an IPv4 address, or the /64 of an IPv6 one."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    if parsed.version == 6 and not parsed.is_loopback:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


class Callers:
    """The record of callers. ``peer_titled`` names the peer with an AE title, empty for none."""

    def __init__(self, store: Store, peer_titled: Callable[[str], str]) -> None:
        self._store = store
        self._peer_titled = peer_titled
        self._rows: dict[_Key, Knock] = {}
        self._of: Counter[str] = Counter()
        self._dirty: set[_Key] = set()
        self._gone: list[int] = []
        self._next = 1
        self.dropped = 0

    async def open(self) -> None:
        """Read what is kept."""
        for knock in reversed(await self._store.knocks(ROWS)):
            self._rows[knock.calling, knock.called, knock.address, knock.kind] = knock
            self._of[origin(knock.address)] += 1
            self._next = max(self._next, knock.id + 1)

    # what the network tells

    def refused(self, told: Refused, at: datetime) -> None:
        """Note a refusal."""
        self._note(
            told.calling,
            told.called,
            told.address[0],
            REFUSED,
            told.text,
            told.hint,
            told.request,
            at,
            kind=f"{REFUSED} {told.result}/{told.source}/{told.reason}",
        )

    def let_in(self, association: Association, at: datetime) -> None:
        """Note an association with somebody who is no peer."""
        self._note(
            association.calling,
            association.called,
            association.address[0],
            LET_IN,
            "is no peer, and was let in",
            "add it as a peer to say what it may, and to see when it is missing",
            association.rq,
            at,
            kind=LET_IN,
        )

    def may_not(self, calling: str, address: str, service: str, text: str, hint: str, at: datetime) -> None:
        """Note that somebody asked for a service that it may not use."""
        self._note(calling, "", address, MAY_NOT, text, hint, None, at, kind=f"{MAY_NOT} {service}")

    def _note(
        self,
        calling: str,
        called: str,
        address: str,
        what: str,
        text: str,
        hint: str,
        request: AssociateRequest | None,
        at: datetime,
        *,
        kind: str,
    ) -> None:
        calling, called, where = safe(calling, 32), safe(called, 32), safe(address, 64)
        key: _Key = (calling, called, where, kind)
        row = self._rows.pop(key, None)
        if row is None:
            key, row = self._another(key, what, origin(where))
        row.text, row.hint = safe(text, 300), safe(hint, 300)
        now = microseconds(at)
        if request is not None and now - row.last > _QUIET_US:  # in a flood one proposal a second is enough
            row.body = {**row.body, **_proposed(request)}
        row.count += 1
        row.last = now
        row.first = row.first or row.last
        self._rows[key] = row  # at the end: the latest
        self._dirty.add(key)

    def _another(self, key: _Key, what: str, who: str) -> tuple[_Key, Knock]:
        """Return the row for a caller that has none: its own, or that of its address where it has many."""
        calling, called, where, kind = key
        if self._of[who] >= ROWS_OF_ONE:
            key = (_MANY, "", who, what)
            row = self._rows.pop(key, None)
            if row is not None:
                row.titles += 1
                return key, row
            calling, called, where, kind = key
        if len(self._rows) >= ROWS:
            self._make_room()
        self._of[who] += 1
        row = Knock(self._next, calling, called, where, kind, "", "", {"what": what})
        self._next += 1
        return key, row

    def _make_room(self) -> None:
        """Drop a tenth of the rows: those that called least, and of these the oldest."""
        order = sorted(self._rows.items(), key=lambda item: (item[1].ignored, min(item[1].count, 100), item[1].last))
        for key, row in order[: max(1, ROWS // 10)]:
            self._drop(key, row)
            self.dropped += 1

    def admitted(self, ae_title: str) -> None:
        """Drop the rows of an AE title that is a peer from now on: that it was not known, and was let in."""
        title = safe(ae_title, 32)
        for key, row in list(self._rows.items()):
            if row.calling == title and row.kind in (LET_IN, _UNKNOWN):
                self._drop(key, row)

    def _drop(self, key: _Key, row: Knock) -> None:
        del self._rows[key]
        self._dirty.discard(key)
        self._gone.append(row.id)
        who = origin(row.address.partition("/")[0])
        self._of[who] -= 1
        if self._of[who] <= 0:
            del self._of[who]

    # keeping

    def unsaved(self) -> tuple[Sequence[Knock], Sequence[int]]:
        """Return rows that are not in the database as they are, and those to be dropped there."""
        dirty, self._dirty = self._dirty, set()
        gone, self._gone = self._gone, []
        return [self._rows[key] for key in dirty if key in self._rows], gone

    def put_back(self, knocks: Iterable[Knock], gone: Iterable[int]) -> None:
        """Count what could not be written as unsaved again."""
        self._dirty.update((k.calling, k.called, k.address, k.kind) for k in knocks)
        self._gone = [*gone, *self._gone][-10 * ROWS :]

    # what people ask

    def view(self, ignored: bool) -> CallersView:
        """Return the rows, the latest first."""
        rows = [self._row(row) for row in reversed(self._rows.values()) if ignored or not row.ignored]
        return CallersView(tuple(rows), sum(bool(row.ignored) for row in self._rows.values()), self.dropped)

    def _row(self, row: Knock) -> CallerRow:
        first, last = moment_or_none(row.first), moment_or_none(row.last)
        assert first is not None
        assert last is not None
        return CallerRow(
            row.id,
            row.calling,
            row.called,
            row.address,
            str(row.body.get("what", REFUSED)),
            row.text,
            row.hint,
            row.count,
            row.titles,
            first,
            last,
            str(row.body.get("software", "")),
            tuple(map(str, row.body.get("contexts", ()))),
            self._peer_titled(row.calling),
            bool(row.ignored),
        )

    def of_title(self, ae_title: str) -> list[CallerRow]:
        """Return the rows of one calling AE title, the latest first."""
        return [self._row(row) for row in reversed(self._rows.values()) if row.calling == safe(ae_title, 32)]

    def ignore(self, ident: int, yes: bool) -> Knock:
        """Ignore a row, or show it again; raises NotFound."""
        for key, row in self._rows.items():
            if row.id == ident:
                row.ignored = int(yes)
                self._dirty.add(key)
                return row
        raise NotFound(f"there is no caller {ident} (any more)", "pacstui peers callers lists them")


def _proposed(request: AssociateRequest) -> dict[str, Any]:
    """Return what a caller wanted, within bounds."""
    user = request.user
    version, uid = safe(user.implementation_version.strip(), 32), safe(user.implementation_uid, 64)
    lines = []
    for context in request.contexts[:_CONTEXTS]:
        syntaxes = ", ".join(safe(name_of(each), 64) for each in context.transfer_syntaxes[:_SYNTAXES])
        more = f" and {len(context.transfer_syntaxes) - _SYNTAXES} more" * (len(context.transfer_syntaxes) > _SYNTAXES)
        lines.append(f"{safe(name_of(context.abstract_syntax), 64)}: {syntaxes}{more}")
    if len(request.contexts) > _CONTEXTS:
        lines.append(f"and {len(request.contexts) - _CONTEXTS} more")
    return {"software": f"{version} ({uid})" if version and uid else version or uid, "contexts": lines}
