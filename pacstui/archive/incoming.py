"""One object on its way in: small ones wait in memory, large ones go to a temporary file as they come."""

from __future__ import annotations

import asyncio
import hashlib
import mmap
import os
import threading
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from pacstui.archive import part10
from pacstui.archive.disk import write_all
from pacstui.archive.paths import is_uid
from pacstui.archive.refusal import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH,
    NO_PIXELS,
    OUT_OF_RESOURCES,
    SERIES,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    Refused,
    comment_of,
)
from pacstui.archive.work import Job, Stored
from pacstui.dicom import header
from pacstui.dicom.header import Header
from pacstui.dicom.syntaxes import WHOLLY_DEFLATED
from pacstui.index.entry import entry_of

if TYPE_CHECKING:
    from pacstui.archive.store import Archive

Chunk = bytes | bytearray | memoryview

SPILL = 1 << 20
_WRITE_OUT = 16 << 20
_LOOP_STEPS = 3000
_LOOP_INFLATE = 1 << 16
_BESIDE = 1 << 16  # the digest of so much takes longer than handing it to the lane before


class Incoming:
    """Takes one data set in fragments; `finish` makes it durable. Made by :meth:`Archive.begin`.

    At most two buffers of 1 MiB and a fragment are in memory, whatever the object's size.
    """

    def __init__(
        self, archive: Archive, calling: str, address: str, association: int, sop_class: str, sop_instance: str,
        transfer_syntax: str, called: str = "",
    ) -> None:  # fmt: skip
        self._archive = archive
        self.called = called
        self.onward = True
        self.calling = calling
        self.address = address
        self.association = association
        self.sop_class = sop_class
        self.sop_instance = sop_instance
        self.transfer_syntax = transfer_syntax
        self.size = 0
        self._buffer = bytearray()
        self._digest = hashlib.sha256()
        self._fault: BaseException | None = None
        self._fd = -1
        self._temp = ""
        self._meta = b""
        self._since_write_out = 0
        self._busy: asyncio.Future[None] | None = None
        self._ended = False

    def write(self, chunk: Chunk) -> Awaitable[None] | None:
        """Take a fragment; ``chunk`` is used only during the call.

        Returns
        -------
        Awaitable or None
            What the caller has to wait for before the next fragment, when the disk is slower than the network.
        """
        self.size += len(chunk)
        if self._fault is not None:
            return None  # the rest is read and dropped: the sender listens only after its last fragment
        limit = self._archive.max_object_bytes
        if limit and self.size > limit:
            self._fault = Refused(OUT_OF_RESOURCES, f"The object is larger than {limit} bytes")
            self._drop()
            return None
        self._buffer += chunk
        if len(self._buffer) < SPILL:
            return None
        if self._busy is None or self._busy.done():
            self._hand_over()
            return None
        return self._wait_and_hand_over()

    async def _wait_and_hand_over(self) -> None:
        if self._busy is not None:
            await asyncio.wait([self._busy])
        if self._fault is None and not self._ended:
            self._hand_over()

    def _hand_over(self) -> None:
        """Give the buffer to the thread that writes; the fault of the one before is noted."""
        if self._settle():
            return
        if not self._temp:
            try:
                self._begin_file()
            except Refused as refusal:
                self._fault = refusal
                self._drop()
                return
        buffer, self._buffer = self._buffer, bytearray()
        try:
            self._busy = self._archive.in_thread(self._spill, buffer)
        except Refused as refusal:
            self._fault = refusal
            self._drop()

    def _settle(self) -> bool:
        """Note what became of the last buffer handed over; return whether there is a fault."""
        if self._busy is not None and self._busy.done():
            error = None if self._busy.cancelled() else self._busy.exception()
            self._busy = None
            if error is not None and self._fault is None:
                self._fault = error
                self._drop()
        return self._fault is not None

    def _begin_file(self) -> None:
        """Choose the temporary file and what stands before the data set in it."""
        self._resolve_uids()
        self._meta = self._encode_meta(part10.NO_DIGEST)
        self._temp = self._archive.temp_name()

    def _resolve_uids(self) -> None:
        """Take from the data set's first part what an import was not told."""
        if self.sop_class and self.sop_instance:
            return
        early = header.read(self._buffer, self.transfer_syntax)
        if early is not None:
            self.sop_class = self.sop_class or early.sop_class
            self.sop_instance = self.sop_instance or early.sop_instance

    def _encode_meta(self, digest: bytes) -> bytes:
        for uid, what, tag in ((self.sop_class, "SOP Class", SOP_CLASS), (self.sop_instance, "SOP Instance",
                                                                          SOP_INSTANCE)):  # fmt: skip
            if not is_uid(uid):
                raise Refused(DOES_NOT_MATCH, f"{what} UID is missing or not valid", (tag,))
        return part10.encode(self.sop_class, self.sop_instance, self.transfer_syntax, self.calling, digest)

    def _spill(self, buffer: bytearray) -> None:
        """Write one buffer; on a thread."""
        disk = self._archive.disk
        if self._fd < 0:
            self._fd = self._archive.new_file(self._temp)
            write_all(disk, self._fd, (self._meta, buffer))
        else:
            write_all(disk, self._fd, (buffer,))
        self._digest.update(buffer)
        self._since_write_out += len(buffer)
        if self._since_write_out >= _WRITE_OUT:
            # Begun early and steadily, writing out never stalls the other associations' syncs for long.
            self._since_write_out = 0
            disk.start_writing(self._fd)
            self._archive.space.check()

    async def finish(self) -> Stored:
        """Make the object durable and indexed.

        Returns
        -------
        Stored
            When files, folders and rows are synced.

        Raises
        ------
        Refused
            With the status to answer; nothing of the object is kept then, but what the duplicates' policy sets aside.
        """
        self._ended = True
        try:
            job = await self._prepare()
        except BaseException as error:
            self._drop()
            raise self._archive.refuse(self, error) from error
        self._put(job)
        try:
            return await job.future
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            raise self._archive.refuse(self, error) from error

    def _put(self, job: Job) -> None:
        """Give a job to the lane. The digest of what is in memory is worked out here, of much beside the lane."""
        body = job.body
        if body is None:
            self._archive.lane.put(job)
            return
        if len(body) < _BESIDE:
            job.set_digest(hashlib.sha256(body).digest())
            self._archive.lane.put(job)
            return
        job.unknown = threading.Lock()
        job.unknown.acquire()
        self._archive.lane.put(job)
        digest = b""
        try:
            digest = hashlib.sha256(body).digest()
        finally:
            job.set_digest(digest)

    async def _prepare(self) -> Job:
        if self._busy is not None:
            await asyncio.wait([self._busy])
            self._settle()
        if self._fault is not None:
            raise self._fault
        found: Header | None
        if self._temp:
            last, self._buffer = self._buffer, bytearray()
            found = await self._archive.in_thread(self._complete_file, last)
        else:
            found = None
            if self.transfer_syntax not in WHOLLY_DEFLATED or self.size <= _LOOP_INFLATE:
                found = header.read(self._buffer, self.transfer_syntax, steps=_LOOP_STEPS)
            if found is None:
                found = await self._archive.in_thread(header.read, self._buffer, self.transfer_syntax)
        assert found is not None
        self._judge(found)
        return self._job(found)

    def _job(self, found: Header) -> Job:
        digest = self._digest.digest() if self._temp else b""
        job = Job(
            entry=entry_of(found, self.transfer_syntax, self.calling, self.called, self.onward),
            header=found,
            meta=self._encode_meta(digest or part10.NO_DIGEST),
            digest=digest,
            size=self.size,
            transfer_syntax=self.transfer_syntax,
            calling=self.calling,
            association=self.association,
            body=None if self._temp else self._buffer,
            temp=self._temp,
            future=asyncio.get_running_loop().create_future(),
        )
        if not found.complete:
            job.status, job.comment = NO_PIXELS, comment_of(found.problem)
        self._temp = ""  # the lane's to remove from here on
        return job

    def _complete_file(self, last: bytearray) -> Header | None:
        """Write the rest, put the digest in its place, sync, and read the header; on a thread."""
        disk = self._archive.disk
        if last:
            self._spill(last)
        disk.overwrite(self._fd, self._digest.digest(), len(self._meta) - part10.DIGEST_BYTES)
        disk.fsync(self._fd)
        fd, self._fd = self._fd, -1
        disk.close(fd)
        path = self._archive.incoming_path(self._temp)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            return header.read(view, self.transfer_syntax, start=len(self._meta))

    def _judge(self, found: Header) -> None:
        """Raise `Refused` for what cannot be kept as an object (PS3.4 B.2.3)."""
        if found.cut:
            raise Refused(CANNOT_UNDERSTAND, found.problem[:1].upper() + found.problem[1:])
        for asked, given, what, tag in (
            (self.sop_class, found.sop_class, "SOP Class", SOP_CLASS),
            (self.sop_instance, found.sop_instance, "SOP Instance", SOP_INSTANCE),
        ):
            if not is_uid(given):
                raise Refused(DOES_NOT_MATCH, f"{what} UID is missing or not valid", (tag,))
            if asked and asked.rstrip(" \0") != given:
                raise Refused(DOES_NOT_MATCH, f"{what} UID of data set and command differ", (tag,))
        self.sop_class, self.sop_instance = found.sop_class, found.sop_instance
        for given, what, tag in ((found.study, "Study", STUDY), (found.series, "Series", SERIES)):
            if not is_uid(given):
                raise Refused(DOES_NOT_MATCH, f"{what} Instance UID is missing or not valid", (tag,))

    def abandon(self) -> None:
        """Give the object up before `finish`; quick, and nothing stays on the disk."""
        if not self._ended:
            self._ended = True
            self._drop()

    def _drop(self) -> None:
        """Free the buffer; close and remove the temporary file as soon as no thread uses it."""
        self._buffer = bytearray()
        if self._busy is not None and not self._busy.done():
            self._busy.add_done_callback(self._drop_when_idle)
            return
        if self._temp:
            temp, self._temp = self._temp, ""
            fd, self._fd = self._fd, -1
            self._archive.discard(fd, temp)

    def _drop_when_idle(self, done: asyncio.Future[None]) -> None:
        if not done.cancelled():
            done.exception()  # looked at, so that asyncio does not complain
        self._drop()


def close_quietly(fd: int) -> None:
    """Close a descriptor whose file is given up; its last error does not matter any more."""
    try:
        os.close(fd)
    except OSError:
        pass
