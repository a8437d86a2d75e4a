"""What is negotiated with peers in practice, in both directions: contexts, PDU lengths, software, when last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from pacstui.clock import microseconds, moment_or_none
from pacstui.contract.peers import EndRow, FaultRow, Negotiated
from pacstui.dicom.net.association import Association
from pacstui.dicom.uids import name_of
from pacstui.dicom.ul.faults import CONTEXT_RESULTS
from pacstui.dicom.ul.negotiation import Context
from pacstui.equipment.store import End, Store
from pacstui.text import safe

CONTEXTS_KEPT: Final = 128
_SYNTAXES_KEPT: Final = 16
_UID: Final = 64
_FAULTS: Final = 12


class Ends:
    """Both directions of all peers; ``in``: it called us, ``out``: we called it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ends: dict[tuple[str, str], End] = {}
        self._dirty: set[tuple[str, str]] = set()

    async def open(self) -> None:
        """Read what is kept."""
        self._ends = {(end.peer, end.way): end for end in await self._store.ends()}

    def _of(self, peer: str, way: str) -> End:
        end = self._ends.setdefault((peer, way), End(peer, way))
        self._dirty.add((peer, way))
        return end

    def opened(self, peer: str, way: str, association: Association, at: datetime) -> None:
        """Note an association that came about."""
        end = self._of(peer, way)
        end.last, end.associations = microseconds(at), end.associations + 1
        version, uid = association.implementation
        end.body.update(
            address=safe(association.address[0], 64),
            version=safe(version.strip(), 32),
            uid=safe(uid, _UID),
            max_pdu=association.max_pdu_send,
        )
        kept = end.body.setdefault("contexts", {})
        for context in association.contexts:
            _keep(kept, context)
        while len(kept) > CONTEXTS_KEPT:  # the oldest stand first
            del kept[next(iter(kept))]

    def stored(self, peer: str, number: int) -> None:
        """Count instances that a peer stored here."""
        if number:
            end = self._of(peer, "in")
            end.body["stored"] = int(end.body.get("stored", 0)) + number

    def stored_by(self, peer: str) -> int:
        """Return how many instances a peer stored here."""
        return int(self._body(peer, "in").get("stored", 0))

    def failed(self, peer: str, at: datetime, text: str, hint: str) -> None:
        """Note that we could not do something at a peer; the like of the last one counts on that."""
        faults = self._of(peer, "out").body.setdefault("faults", [])
        text = safe(text, 300)
        if faults and faults[0][1] == text:
            faults[0] = [microseconds(at), text, safe(hint, 300), int(faults[0][3]) + 1]
        else:
            faults.insert(0, [microseconds(at), text, safe(hint, 300), 1])
            del faults[_FAULTS:]

    def faults(self, peer: str) -> list[FaultRow]:
        """Return what failed last when we called a peer, the latest first."""
        return [
            FaultRow(at, "out", str(text), str(hint), int(count))
            for value, text, hint, count in self._body(peer, "out").get("faults", ())
            if (at := moment_or_none(int(value))) is not None
        ]

    def secured(self, peer: str, version: str, until: datetime | None, subject: str) -> None:
        """Note what a peer showed in a TLS handshake."""
        self._of(peer, "out").body["tls"] = [safe(version, 16), microseconds(until), safe(subject, 200)]

    def elsewhere(self, peer: str, address: str, at: datetime) -> None:
        """Note that a peer called from another address than its own."""
        self._of(peer, "in").body["elsewhere"] = [safe(address, 64), microseconds(at)]

    def at_home(self, peer: str) -> None:
        """Forget that a peer called from elsewhere: its host was corrected."""
        if "elsewhere" in self._ends.get((peer, "in"), End(peer, "in")).body:
            del self._of(peer, "in").body["elsewhere"]

    def called_from(self, peer: str) -> tuple[str, datetime | None]:
        """Return the other address that a peer called from, and when; empty and none where it did not."""
        told = self._body(peer, "in").get("elsewhere") or ["", 0]
        return str(told[0]), moment_or_none(int(told[1]))

    def _body(self, peer: str, way: str) -> dict[str, Any]:
        end = self._ends.get((peer, way))
        return end.body if end is not None else {}

    def last(self, peer: str, way: str) -> datetime | None:
        """Return when the last association was in a direction."""
        end = self._ends.get((peer, way))
        return moment_or_none(end.last) if end is not None else None

    def certificate(self, peer: str) -> tuple[str, datetime | None, str]:
        """Return TLS version, end of validity and subject of the certificate that a peer showed last."""
        version, until, subject = self._body(peer, "out").get("tls") or ("", 0, "")
        return str(version), moment_or_none(int(until)), str(subject)

    def forget(self, peer: str) -> None:
        """Forget a peer."""
        for key in [key for key in self._ends if key[0] == peer]:
            del self._ends[key]
        self._dirty = {key for key in self._dirty if key[0] != peer}

    def rename(self, peer: str, to: str) -> None:
        """Keep what is known of a peer under another name."""
        self.forget(to)
        for key in [key for key in self._ends if key[0] == peer]:
            end = self._ends.pop(key)
            end.peer = to
            self._ends[to, key[1]] = end
        self._dirty = {(to if name == peer else name, way) for name, way in self._dirty}

    def unsaved(self) -> Sequence[End]:
        """Return what is not in the database yet, and count it as being there."""
        dirty, self._dirty = self._dirty, set()
        return [self._ends[key] for key in dirty]

    def put_back(self, ends: Iterable[End]) -> None:
        """Count what could not be written as unsaved again."""
        self._dirty.update((end.peer, end.way) for end in ends)

    def rows(self, peer: str) -> tuple[EndRow, ...]:
        """Return both directions of a peer."""
        return tuple(self._row(peer, way) for way in ("in", "out"))

    def _row(self, peer: str, way: str) -> EndRow:
        end = self._ends.get((peer, way), End(peer, way))
        version, uid = str(end.body.get("version", "")), str(end.body.get("uid", ""))
        contexts = [_negotiated(uid, told, way) for uid, told in end.body.get("contexts", {}).items()]
        contexts.sort(key=lambda each: (not each.accepted, each.name))
        return EndRow(
            way,
            moment_or_none(end.last),
            end.associations,
            str(end.body.get("address", "")),
            f"{version} ({uid})" if version and uid else version or uid,
            int(end.body.get("max_pdu", 0)),
            tuple(contexts),
        )


def _keep(kept: dict[str, Any], context: Context) -> None:
    """Add one context to those that are kept: transfer syntaxes that were accepted, or the result that it had."""
    uid = safe(context.abstract_syntax, _UID)
    told: dict[str, Any] = kept.pop(uid, {"accepted": [], "result": 0})
    if context.result == 0:
        syntax = safe(context.transfer_syntax, _UID)
        told = {"accepted": [syntax, *(s for s in told["accepted"] if s != syntax)][:_SYNTAXES_KEPT], "result": 0}
    elif not told["accepted"]:
        told = {"accepted": [], "result": int(context.result)}
    kept[uid] = told


def _negotiated(uid: str, told: dict[str, Any], way: str = "out") -> Negotiated:
    refused = "" if told["accepted"] else CONTEXT_RESULTS.get(int(told["result"]), f"result {told['result']}")
    if refused and way == "in" and told["result"] == 1:
        refused = "it may not, as its permissions say"
    return Negotiated(uid, safe(name_of(uid), 64), tuple(safe(name_of(each), 64) for each in told["accepted"]), refused)


def negotiated(contexts: Iterable[Context]) -> tuple[Negotiated, ...]:
    """Return contexts gathered by SOP class, as they are told."""
    kept: dict[str, Any] = {}
    for context in contexts:
        _keep(kept, context)
    return tuple(_negotiated(uid, told) for uid, told in kept.items())
