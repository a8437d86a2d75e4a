"""What passes between an association and the lane: one object to be made durable, and what became of it."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pacstui.archive import part10
from pacstui.dicom.header import Header
from pacstui.index.entry import Entry, Found

if TYPE_CHECKING:
    from pacstui.archive.refusal import Refused


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is durable and indexed.

    ``new`` is false when that very content was there before. ``status`` is 0 or a warning (PS3.4 B.2.3) with
    ``comment`` saying why; ``warnings`` are sentences for the operator. ``path`` is relative to the data directory.
    ``set_aside`` is true when the content went to the quarantine because the archive keeps the one it had.
    ``healed`` is true when that very content was there, its file gone or damaged, and is whole again.
    """

    new: bool
    status: int
    comment: str
    header: Header
    path: str
    size: int
    digest: bytes
    warnings: tuple[str, ...] = ()
    set_aside: bool = False
    healed: bool = False


class Todo:
    """What is to be done with an object; decided on the lane, where nothing else can change the index."""

    STORE = "store"
    REPEAT = "repeat"
    HEAL = "heal"
    SET_ASIDE = "set aside"
    OVERWRITE = "overwrite"
    NOTHING = "nothing"


@dataclass(slots=True, eq=False)
class Job:
    """One object on its way through the lane.

    Its bytes are ``meta`` then ``body``, or the file ``temp`` in the incoming folder, which is durable already.
    ``journaled`` ones need no sync of their own. ``placed`` tells that the file has its name. The digest of a data set
    in memory is worked out by who put the job, beside the lane's work: ``digest`` is empty, and ``meta`` without it,
    until then.
    """

    entry: Entry
    header: Header
    meta: bytes
    digest: bytes
    size: int
    transfer_syntax: str
    calling: str
    association: int
    body: bytearray | None
    temp: str
    future: asyncio.Future[Stored]
    unknown: threading.Lock | None = None
    quarantine_reason: str = ""
    status: int = 0
    comment: str = ""
    todo: str = ""
    fd: int = -1
    folder: str = ""
    name: str = ""
    placed: bool = False
    journaled: bool = False
    old: Found | None = None
    aside_folder: str = ""
    aside_name: str = ""
    linked: bool = False
    reason: str = ""
    error: BaseException | None = None
    refused: Refused | None = None
    warnings: list[str] = field(default_factory=list)
    new: bool = True

    def set_digest(self, digest: bytes) -> None:
        """Note the digest, for the lane too; an empty one if it could not be worked out."""
        if digest:
            self.meta = part10.with_digest(self.meta, digest)
            self.digest = digest  # last: who sees it takes it that it is in ``meta``
        if self.unknown is not None:
            self.unknown.release()

    def know_digest(self) -> None:
        """Wait until the digest is known; on the lane's thread."""
        if self.unknown is not None:
            with self.unknown:
                pass
            self.unknown = None
        if not self.digest:  # who should have worked it out was stopped
            assert self.body is not None
            digest = hashlib.sha256(self.body).digest()
            self.meta, self.digest = part10.with_digest(self.meta, digest), digest

    @property
    def may_wait(self) -> bool:
        """Whether it may wait for others: not while its digest is worked out, nor after it has waited for the disk."""
        return self.body is not None and self.unknown is None

    @property
    def wrote(self) -> bool:
        """Whether the archive gets a file and rows for it."""
        return self.todo not in (Todo.REPEAT, Todo.NOTHING)

    @property
    def placed_in_objects(self) -> bool:
        """Whether the archive now has this content as the object (and not only set aside)."""
        return self.todo in (Todo.STORE, Todo.REPEAT, Todo.HEAL, Todo.OVERWRITE)

    @property
    def path(self) -> str:
        """Where the object's file is, relative to the data directory."""
        return f"{self.folder}/{self.name}"
