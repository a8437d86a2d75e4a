"""Corrected copies on the way out: what the index says of an object, written into a copy (PS3.4 B.4.1.4, PS3.3
C.12.1.1.9.1). What is archived stays as it is.

An object of a study in which nothing was corrected costs one look at a number that comes with it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import file_digest, sha256
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from time import monotonic
from typing import BinaryIO, Final, cast

from pacstui.archive import Archive, paths
from pacstui.archive.reading import Content, Part
from pacstui.clock import moment
from pacstui.errors import NotFound, PacsError
from pacstui.index import corrected as rows
from pacstui.index.corrected import Said
from pacstui.index.retrieve import Copy
from pacstui.transform import TransformError
from pacstui.transform.correct import Corrections, corrected

_SUFFIX: Final = ".part"
_KNOWN_S: Final = 10.0


class Uncorrected(PacsError):
    """The copy that an object has to leave as cannot be made, so that it does not leave at all."""

    code = "uncorrected"


class Gone(NotFound):
    """An object was corrected, rejected or deleted after it was looked for."""


class ChangedContent(Content):
    """The bytes of a changed copy; `discard` removes the file that holds a large one."""

    def discard(self) -> None:
        """Remove what is on disk of it."""
        if self.data is None:
            with suppress(OSError):
                os.unlink(self._path)

    def opened(self) -> BinaryIO:
        """Return its bytes as a file that begins with the data set, or has it at `offset`."""
        return BytesIO(self.data) if self.data is not None else self._path.open("rb")

    @property
    def offset(self) -> int:
        """Where the data set begins in what `opened` returns."""
        return 0 if self.data is not None else self._part.offset


def discard(content: object) -> None:
    """Remove what is on disk of a changed copy; nothing of what is archived."""
    if isinstance(content, ChangedContent):
        content.discard()


class Handing:
    """Makes the copies that objects leave as.

    Parameters
    ----------
    enabled
        Whether corrected copies are wanted; objects leave as they are otherwise.
    system
        What this node calls itself in a copy.
    """

    def __init__(self, archive: Archive, enabled: Callable[[], bool], system: Callable[[], str]) -> None:
        self._archive = archive
        self._enabled = enabled
        self._system = system
        self._uids: dict[int, tuple[float, dict[str, str]]] = {}
        self.corrections = 0
        """How often anything that decides what objects leave as was changed since the start: by a correction, a
        rejection, the undoing of one, or a message of the RIS that changed whose studies are."""

    def forget(self) -> None:
        """Look anew at what objects are to say: it was changed."""
        self._uids.clear()
        self.corrections += 1

    async def anew(self, copy: Copy, *, notes: bool = False) -> Copy:
        """Return what was found before something was corrected, with whether it was that; rejection ``notes``, which
        nobody finds, only where they are to leave.

        Raises
        ------
        Gone
            When it has another UID, or was rejected or deleted, since then.
        """
        study = await self._archive.db.read(lambda c: rows.differs(c, copy.sop_instance, notes))
        if study is None:
            raise Gone(f"{copy.sop_instance} is not there any more", "it was corrected or deleted meanwhile; retry")
        return copy._replace(corrected=study)

    async def __call__(self, copy: Copy, content: Content) -> tuple[Copy, Content]:
        """Return an object as it is to leave: itself where it says already what it should.

        Raises
        ------
        Uncorrected
            When the copy cannot be made.
        OSError
            When a file cannot be read or written.
        """
        if not copy.corrected:
            return copy, content
        if not self._enabled():  # as it came, also by the UID that it carries
            carried = await self._archive.db.read(lambda c: rows.carried(c, copy.sop_instance))
            return copy._replace(sop_instance=carried), content
        said = await self._archive.db.read(lambda c: rows.said(c, copy.sop_instance))
        if said is None:
            raise Gone(f"{copy.sop_instance} is not there any more", "it was corrected or deleted meanwhile; retry")
        uids = await self._uids_of(said.study)
        try:
            return await asyncio.to_thread(self._make, copy, content, self._wanted(said, uids))
        except TransformError as fault:
            raise Uncorrected(
                f"its corrected copy cannot be made, so it was not sent: {fault.message}",
                fault.hint or "see its corrections; [retrieve] corrected = false sends objects as they came",
            ) from fault

    async def _uids_of(self, study: int) -> dict[str, str]:
        known = self._uids.get(study)
        if known is not None and monotonic() < known[0]:
            return known[1]
        found = await self._archive.db.read(partial(rows.uids, study=study))
        if len(self._uids) > 64:
            self._uids.clear()
        self._uids[study] = (monotonic() + _KNOWN_S, found)
        return found

    def _wanted(self, said: Said, uids: dict[str, str]) -> Corrections:
        at = moment(said.at).astimezone()
        return Corrections(
            said.values, said.patient, said.once, uids or None, f"{at:%Y%m%d%H%M%S%z}", f"PACSTUI {self._system()}",
            "CORRECT" if said.by_hand else "COERCE",
        )  # fmt: skip

    def _make(self, copy: Copy, content: Content, wanted: Corrections) -> tuple[Copy, Content]:
        if content.data is not None:
            out = BytesIO()
            made = corrected(BytesIO(content.data), out, wanted, syntax=copy.transfer_syntax)
            if made is None:
                return copy, content
            data = out.getvalue()[made.data_set_at :]
            part = Part("", 0, len(data), sha256(data).digest())
            return self._copy(copy, made.sop_instance, part), ChangedContent(Path(), part, data)
        return self._large(copy, content, wanted)

    def _large(self, copy: Copy, content: Content, wanted: Corrections) -> tuple[Copy, Content]:
        folder = self._archive.data_dir / paths.INCOMING
        with NamedTemporaryFile("w+b", dir=folder, prefix="out-", suffix=_SUFFIX, delete=False) as out:
            path = Path(out.name)
            try:
                with open(self._archive.data_dir / copy.path, "rb") as source:
                    made = corrected(
                        source, cast(BinaryIO, out), wanted, syntax=copy.transfer_syntax, at=copy.offset
                    )  # fmt: skip
                if made is None:
                    path.unlink(missing_ok=True)
                    return copy, content
                out.flush()
                size = out.seek(0, os.SEEK_END) - made.data_set_at
                out.seek(made.data_set_at)
                digest = file_digest(out, "sha256").digest()
            except BaseException:
                path.unlink(missing_ok=True)
                raise
        part = Part(str(path), made.data_set_at, size, digest)
        return self._copy(copy, made.sop_instance, part), ChangedContent(path, part, None)

    @staticmethod
    def _copy(copy: Copy, sop_instance: str, part: Part) -> Copy:
        return Copy(
            copy.sop_class, sop_instance, copy.transfer_syntax, copy.path, part.offset, part.size, part.digest
        )  # fmt: skip
