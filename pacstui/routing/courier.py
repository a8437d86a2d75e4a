"""Ways to bring objects to a destination: to a peer by C-STORE, as files into a folder, or by asking a peer to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, NamedTuple, Protocol

from pacstui.archive.reading import Content
from pacstui.dicom.dataset import DataSet, encode
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import ContextNotAccepted
from pacstui.dicom.syntaxes import LITTLE
from pacstui.dicom.uids import VERIFICATION
from pacstui.equipment.line import ECHOES, SENDS, Lines
from pacstui.errors import PacsError
from pacstui.imaging.conversions import Conversions
from pacstui.index.retrieve import Copy
from pacstui.services.sending import deliver, offered_by, proposals
from pacstui.settings import PeerSettings

_KINDS: Final = 40
_MOVE: Final = "1.2.840.10008.5.1.4.1.2.2.2"
_LEVEL, _STUDY = 0x00080052, 0x0020000D
_PRIORITY: Final = {0: 1, 1: 0, 2: 2}
"""Priority of a C-STORE-RQ (PS3.7 9.1.1.1.6: medium 0, high 1, low 2) by that of the outbox."""


class Parcel(NamedTuple):
    """An object on its way: what it is, its bytes, the study that it is of, its priority in the outbox."""

    copy: Copy
    content: Content
    study: str
    priority: int
    sending: int


class Hindered(PacsError):
    """This object alone could not be brought there; others may be, and another try may go better."""

    code = "hindered"


class Carrier(Protocol):
    """Takes objects, one after the other, for as long as it is open."""

    def takes(self, copy: Copy) -> bool:
        """Return whether this kind of object was thought of when it was opened."""
        ...

    async def carry(self, parcel: Parcel) -> tuple[int, str]:
        """Bring an object there; return the status and comment of the answer."""
        ...


class Courier(Protocol):
    """Opens carriers to one destination."""

    def open(self, kinds: Sequence[Copy]) -> AbstractAsyncContextManager[Carrier]:
        """Open one for objects such as these. Raises PacsError when the destination cannot be reached."""
        ...

    async def probe(self) -> None:
        """See whether the destination answers. Raises PacsError when it does not."""
        ...


def kind(copy: Copy) -> tuple[str, str]:
    """Return what has to be agreed on before an object can be sent."""
    return copy.sop_class, copy.transfer_syntax


def first_kinds(copies: Sequence[Copy]) -> list[Copy]:
    """Return one object of each kind, as many kinds as fit into one association (PS3.8 9.3.2.2)."""
    found: dict[tuple[str, str], Copy] = {}
    for copy in copies:
        if len(found) < _KINDS:
            found.setdefault(kind(copy), copy)
    return list(found.values())


class _PeerCarrier:
    def __init__(self, association: Association, name: str, kinds: Sequence[Copy], conversions: Conversions) -> None:
        self._association = association
        self._offered = offered_by(association)
        self._name = name
        self._kinds = {kind(copy) for copy in kinds}
        self._conversions = conversions

    def takes(self, copy: Copy) -> bool:
        return kind(copy) in self._kinds

    async def carry(self, parcel: Parcel) -> tuple[int, str]:
        copy = parcel.copy
        response = await deliver(
            self._association, self._offered.get(copy.sop_class, []), copy, parcel.content, who=self._name,
            conversions=self._conversions, priority=_PRIORITY[parcel.priority],
        )  # fmt: skip
        return response.status, response.comment


class PeerCourier:
    """Sends to a peer by C-STORE (PS3.4 B)."""

    def __init__(self, lines: Lines, name: str, conversions: Conversions) -> None:
        self._lines = lines
        self._name = name
        self._conversions = conversions

    @asynccontextmanager
    async def open(self, kinds: Sequence[Copy]) -> AsyncIterator[Carrier]:
        chosen = first_kinds(kinds)
        peer = self._lines.peer(self._name)
        async with self._lines.to(peer, proposals(chosen), doing=SENDS, why="by route") as association:
            yield _PeerCarrier(association, self._name, chosen, self._conversions)

    async def probe(self) -> None:
        await _echo(self._lines, self._lines.peer(self._name))


async def _echo(lines: Lines, peer: PeerSettings) -> None:
    async with lines.to(peer, [(VERIFICATION, LITTLE)], doing=ECHOES, why="is it back?") as association:
        try:
            await association.echo()
        except ContextNotAccepted:
            pass  # it is there, and knows no C-ECHO


class _MoveCarrier:
    def __init__(self, association: Association, to: str) -> None:
        self._association = association
        self._to = to
        self._done: dict[int, tuple[int, str]] = {}

    def takes(self, copy: Copy) -> bool:
        return True

    async def carry(self, parcel: Parcel) -> tuple[int, str]:
        answer = self._done.get(parcel.sending)
        if answer is None:
            answer = self._done[parcel.sending] = await self._move(parcel.study)
        return answer

    async def _move(self, study: str) -> tuple[int, str]:
        context = self._association.context_for(_MOVE)
        identifier = DataSet()
        identifier.put(_LEVEL, "STUDY", "CS")
        identifier.put(_STUDY, study, "UI")
        exchange = await self._association.request(
            context, Field.C_MOVE, encode(identifier, context.transfer_syntax), priority=0,
            affected_sop_class=_MOVE, move_destination=self._to,
        )  # fmt: skip
        response = await exchange.final()
        return response.status, response.comment


class MoveCourier:
    """Asks a peer to send the study that an object is of to somebody else (C-MOVE, PS3.4 C.4.2)."""

    def __init__(self, lines: Lines, asked: str, to: str) -> None:
        self._lines = lines
        self._asked = asked
        self._to = to

    @asynccontextmanager
    async def open(self, kinds: Sequence[Copy]) -> AsyncIterator[Carrier]:
        peer = self._lines.peer(self._asked)
        async with self._lines.to(peer, [(_MOVE, LITTLE)], doing=SENDS, why=f"C-MOVE to {self._to}") as association:
            yield _MoveCarrier(association, self._to)

    async def probe(self) -> None:
        await _echo(self._lines, self._lines.peer(self._asked))
