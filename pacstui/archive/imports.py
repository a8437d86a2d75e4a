"""A whole DICOM file on its way in: its head is read, then the data set goes the way of every received object."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from pacstui.archive import part10
from pacstui.archive.incoming import Chunk, Incoming
from pacstui.archive.paths import is_uid
from pacstui.archive.refusal import CANNOT_UNDERSTAND, Refused
from pacstui.archive.work import Stored

if TYPE_CHECKING:
    from pacstui.archive.store import Archive


class Skipped(Refused):
    """The file is nothing to store: no DICOM, or a directory of other files; the comment says which."""


class IncomingFile:
    """Takes a DICOM file in pieces, as :class:`Incoming` takes a data set. Made by :meth:`Archive.begin_import`.

    Preamble, prefix, file meta information and even the transfer syntax may be missing: what can be seen from the
    bytes is assumed (PS3.10 7.1 wants them, many old files lack them).
    """

    def __init__(self, archive: Archive, source: str, onward: bool = True) -> None:
        self._archive = archive
        self._source = source
        self._onward = onward
        self._head = bytearray()
        self._inner: Incoming | None = None
        self._fault: Refused | None = None

    def write(self, chunk: Chunk) -> Awaitable[None] | None:
        """Take a piece; ``chunk`` is used only during the call. Wait for what is returned before the next piece."""
        if self._inner is not None:
            return self._inner.write(chunk)
        if self._fault is not None:
            return None
        self._head += chunk
        return self._look(whole=False)

    async def finish(self) -> Stored:
        """Make the object durable and indexed.

        Raises
        ------
        Skipped
            When the file is nothing to store.
        Refused
            When its object cannot be taken.
        """
        if self._inner is None and self._fault is None:
            wait = self._look(whole=True)
            if wait is not None:
                await wait
        if self._fault is not None:
            raise self._fault
        assert self._inner is not None
        return await self._inner.finish()

    def abandon(self) -> None:
        """Give the file up before `finish`."""
        self._head = bytearray()
        if self._inner is not None:
            self._inner.abandon()

    def _look(self, whole: bool) -> Awaitable[None] | None:
        try:
            head = part10.parse(self._head, whole)
        except part10.NeedMore:
            if len(self._head) > part10.HEAD_LIMIT:
                self._no_object("its file meta information has no end")
            return None
        except part10.NotDicom as reason:
            self._no_object(str(reason))
            return None
        if head.sop_class == part10.DIRECTORY:
            self._give_up(Skipped(CANNOT_UNDERSTAND, "it is a DICOMDIR, a directory of other files"))
            return None
        if not is_uid(head.transfer_syntax):
            self._give_up(Refused(CANNOT_UNDERSTAND, "Its transfer syntax is no valid UID"))
            return None
        try:
            self._inner = self._archive.begin_file(self._source, head.transfer_syntax, self._onward)
        except Refused as refusal:
            self._give_up(refusal)
            return None
        rest, self._head = memoryview(self._head)[head.offset :], bytearray()
        return self._inner.write(rest)

    def _no_object(self, why: str) -> None:
        """Give up: a damaged DICOM file is refused, so that nobody takes it for stored; another file is skipped."""
        kind = Refused if part10.is_marked(self._head) else Skipped
        self._give_up(kind(CANNOT_UNDERSTAND, why))

    def _give_up(self, why: Refused) -> None:
        self._fault = why
        self._head = bytearray()
