"""What a retrieval sends: instances read ahead of their turn, the contexts that they need, and how far it is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from pacstui.archive import Archive
from pacstui.archive.reading import Content, Part
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.outgoing import Response
from pacstui.dicom.syntaxes import LITTLE, PLAIN
from pacstui.dicom.uids import name_of
from pacstui.dicom.ul.negotiation import Context
from pacstui.errors import PacsError
from pacstui.imaging.conversions import Conversions
from pacstui.imaging.convert import NotConvertible, may_convert
from pacstui.index.retrieve import Copy
from pacstui.text import safe

_AHEAD: Final = 3
_TOGETHER: Final = 512 << 10
_MANY: Final = 16
_CONTEXTS: Final = 120


@dataclass(slots=True)
class Tally:
    """How a retrieval stands, and the first reason why an instance was not sent."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)
    why: str = ""
    hint: str = ""

    def fail(self, copy: Copy, why: str, hint: str = "") -> None:
        """Note that an instance was not sent."""
        self.remaining -= 1
        self.failed += 1
        self.failed_uids.append(copy.sop_instance)
        self.note(why, hint)

    def note(self, why: str, hint: str = "") -> None:
        """Note what was in the way, if it is the first that was."""
        if not self.why:
            self.why, self.hint = why, hint

    @property
    def counters(self) -> dict[str, Any]:
        """The numbers of sub-operations for a response; there is room for 16 bits (PS3.7 9.1.4.1)."""
        numbers = {"remaining": self.remaining, "completed": self.completed, "failed": self.failed}
        return {name: min(number, 0xFFFF) for name, number in (numbers | {"warning": self.warning}).items()}


class _Batch:
    """Some instances that are read together, and how far they are taken."""

    def __init__(self, copies: list[Copy], reading: asyncio.Future[list[Content | PacsError]]) -> None:
        self.copies = copies
        self.reading = reading
        self.at = 0


class Feed:
    """Instances to be sent, read ahead of their turn; shared by the associations of one retrieval.

    Who takes one holds it until it says that it is on its way, or has failed, or gives it back.
    """

    def __init__(self, archive: Archive, found: Sequence[Copy]) -> None:
        self._archive = archive
        self._left: Iterator[Copy] = iter(found)
        self._ahead: deque[_Batch] = deque()
        self._held_by: set[object] = set()
        self._changed = asyncio.Event()

    async def next(self, who: object = None) -> tuple[Copy, Content | PacsError] | None:
        """Return the next instance and its content, or why there is none; None if nothing is left now."""
        while self._ahead and self._ahead[0].at == len(self._ahead[0].copies):
            self._ahead.popleft()
        while len(self._ahead) < _AHEAD and self._read():
            pass
        if not self._ahead:
            return None
        batch = self._ahead[0]
        at = batch.at
        batch.at += 1
        self._held_by.add(who)
        if batch.reading.done():
            return batch.copies[at], batch.reading.result()[at]
        return batch.copies[at], (await asyncio.shield(batch.reading))[at]

    async def more(self) -> bool:
        """Wait until there is something again, or nothing can come back any more; return whether there is something."""
        while self._held_by and not self._ahead:
            self._changed.clear()
            await self._changed.wait()
        return bool(self._ahead)

    def away(self, who: object) -> None:
        """Note that what was taken does not come back."""
        self._held_by.discard(who)
        self._changed.set()

    def give_back(self, who: object, copy: Copy, content: Content | PacsError) -> None:
        """Put an instance back that was taken and not sent; it is the next."""
        self.away(who)
        read: asyncio.Future[list[Content | PacsError]] = asyncio.get_running_loop().create_future()
        read.set_result([content])
        self._ahead.appendleft(_Batch([copy], read))

    def _read(self) -> bool:
        """Begin to read a batch; return whether there was something to read."""
        batch: list[Copy] = []
        size = 0
        while size < _TOGETHER and len(batch) < _MANY and (copy := next(self._left, None)) is not None:
            batch.append(copy)
            size += copy.size
        if batch:
            parts = [Part(copy.path, copy.offset, copy.size, copy.digest) for copy in batch]
            self._ahead.append(_Batch(batch, self._archive.reader.read(parts)))
        return bool(batch)

    def rest(self) -> Iterator[Copy]:
        """Give up what is left, and say what that is."""
        for batch in self._ahead:
            yield from batch.copies[batch.at :]
        self.close()
        yield from self._left

    def close(self) -> None:
        """Let go of what was read ahead."""
        for batch in self._ahead:
            if not batch.reading.cancel():
                batch.reading.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._ahead.clear()


def proposals(found: Sequence[Copy]) -> list[tuple[str, tuple[str, ...]]]:
    """Return the presentation contexts for instances: each SOP class in each transfer syntax that they are kept in,
    and in plain ones."""
    kinds: dict[str, list[str]] = {}
    for copy in found:
        known = kinds.setdefault(copy.sop_class, [])
        if copy.transfer_syntax not in known:
            known.append(copy.transfer_syntax)
    proposals: list[tuple[str, tuple[str, ...]]] = []
    for sop_class, syntaxes in kinds.items():
        proposals += [(sop_class, (syntax,)) for syntax in syntaxes]
    for sop_class in kinds:
        proposals += [(sop_class, (syntax,)) for syntax in LITTLE if syntax not in kinds[sop_class]]
    return proposals


def groups(found: Sequence[Copy]) -> Iterator[tuple[int, int]]:
    """Yield start and length of runs whose contexts fit into one association (128, PS3.8 9.3.2.2)."""
    start = 0
    kinds: set[tuple[str, str]] = set()
    for at, copy in enumerate(found):
        kind = (copy.sop_class, copy.transfer_syntax)
        if kind not in kinds and len(kinds) * 3 + 3 > _CONTEXTS:
            yield start, at - start
            start, kinds = at, set()
        kinds.add(kind)
    if start < len(found):
        yield start, len(found) - start


def group_count(found: Sequence[Copy]) -> int:
    """Return how many associations one after the other a retrieval takes."""
    return sum(1 for _ in groups(found))


def offered_by(association: Association) -> dict[str, list[Context]]:
    """Return the contexts that a peer accepted, by SOP class."""
    offered: dict[str, list[Context]] = {}
    for context in association.accepted.values():
        offered.setdefault(context.abstract_syntax, []).append(context)
    return offered


async def pieces_of(content: Content) -> AsyncIterator[bytes]:
    """Yield a large data set piece by piece, read away from the event loop; raises OSError."""
    pieces = content.pieces()
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece


async def _unless(given_up: Awaitable[None], converting: Awaitable[bytes]) -> bytes:
    """Return what is converted; end that when it is given up before. Raises NotConvertible then."""
    work, stop = asyncio.ensure_future(converting), asyncio.ensure_future(given_up)
    try:
        await asyncio.wait((work, stop), return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            raise NotConvertible("who asked for it did not wait until it was decoded")
        return work.result()
    finally:
        for task in (work, stop):
            task.cancel()
        await asyncio.wait((work, stop))


async def fitted(
    offered: Sequence[Context], copy: Copy, content: Content, *, who: str, conversions: Conversions,
    given_up: Callable[[], Awaitable[None]] | None = None,
) -> tuple[Context, bytes | AsyncIterable[bytes]]:  # fmt: skip
    """Return the context for an instance and its data set as that wants it; arguments and errors as `deliver` has.

    ``given_up`` waits until nobody wants it any more; it is not decoded any longer then.
    """
    context = next((c for c in offered if c.transfer_syntax == copy.transfer_syntax), None)
    if context is not None:
        return context, content.data if content.data is not None else pieces_of(content)
    context = next((c for ts in PLAIN for c in offered if c.transfer_syntax == ts), None)
    if context is None or not may_convert(copy.transfer_syntax, context.transfer_syntax):
        takes = ", ".join(name_of(c.transfer_syntax) for c in offered) or "nothing of this SOP class"
        raise NotConvertible(
            f"{safe(who, 64)} takes {takes}, the instance is {name_of(copy.sop_class)} in "
            f"{name_of(copy.transfer_syntax)}",
            "enable that SOP class and transfer syntax at the receiver",
        )
    converting = conversions.convert(
        content.whole, copy.transfer_syntax, context.transfer_syntax, copy.sop_instance
    )  # fmt: skip
    return context, await (converting if given_up is None else _unless(given_up(), converting))


async def deliver(
    association: Association, offered: Sequence[Context], copy: Copy, content: Content, *, who: str,
    conversions: Conversions, priority: int = 0, originator: tuple[str | None, int | None] = (None, None),
) -> Response:  # fmt: skip
    """Send an instance on an association, in the transfer syntax that it is kept in, else in one that loses nothing.

    Parameters
    ----------
    offered
        The contexts that may be used for its SOP class.
    who
        What the receiver is called in a fault.
    conversions
        Decodes what the receiver takes in another transfer syntax only.
    originator
        For whom it is sent: AE title and message id of a C-MOVE (PS3.7 9.1.1.1).

    Raises
    ------
    NotConvertible
        When the receiver takes it in no transfer syntax that loses nothing, or it cannot be decoded.
    AssociationEnded
        When the association ended meanwhile.
    OSError
        When its file cannot be read.
    """
    context, data = await fitted(offered, copy, content, who=who, conversions=conversions)
    return await association.store(
        context, copy.sop_instance, context.transfer_syntax, data, sop_class=copy.sop_class, priority=priority,
        move_originator=originator[0], move_originator_message_id=originator[1],
    )  # fmt: skip
