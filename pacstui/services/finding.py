"""One C-FIND as an SCP: an identifier understood, answered page by page, cancelled at any time (PS3.4 C.4.1, K.4.1)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pacstui.dicom.dataset import CHARSET, DataSet, DataSetError
from pacstui.dicom.dictionary import keyword_of, vr_of
from pacstui.dicom.dimse import Status
from pacstui.dicom.net.request import Request
from pacstui.dicom.net.service import BufferSink
from pacstui.errors import PacsError
from pacstui.services.aside import decoded
from pacstui.services.identifiers import key_text, while_wanted
from pacstui.services.models import WrongIdentifier

_UNABLE: Final = 0xC001
_COMMENT: Final = 64
_LONGEST: Final = 200
_MOST_KEYS: Final = 100


@dataclass(frozen=True, slots=True)
class Found:
    """What a query leads to.

    ``pages`` of rows, ``encode`` makes the identifier of one answer of a row. ``unsupported`` are the keys that it asks
    for and that are left out; with any, answers are told with FF01H. ``limit`` is the most answers, 0 for no limit.
    """

    pages: AsyncGenerator[Sequence[Any], None]
    encode: Callable[[Any], bytes]
    unsupported: Iterable[int]
    limit: int


def keys_of(identifier: DataSet) -> list[tuple[int, str]]:
    """Return the keys of an identifier as texts, those in items of sequences too; empty for what is only to be told."""
    keys: list[tuple[int, str]] = []
    for tag in identifier:
        if tag == CHARSET:
            continue
        vr = vr_of(tag)
        if vr == "SQ":
            keys += [key for item in identifier.items(tag) for key in keys_of(item)]
        else:
            keys.append((tag, key_text(identifier, tag, vr)[:_LONGEST]))
    return keys[:_MOST_KEYS]


class FindSink(BufferSink):
    """Takes an identifier and answers it. ``understand`` raises `WrongIdentifier`; where there is no identifier at all,
    ``level`` is to blame."""

    def __init__(self, request: Request, understand: Callable[[DataSet], Found], *level: int) -> None:
        super().__init__(request)
        self._understand = understand
        self._level = level

    async def finish(self) -> None:
        request = self.request
        try:
            if not request.command.has_data_set:
                raise WrongIdentifier("C-FIND-RQ without an identifier", *self._level)
            if self.too_long:
                raise WrongIdentifier("the identifier has more than 1 MiB")
            identifier = await decoded(self)
            request.tell_keys(keys_of(identifier))
            await self._answer(self._understand(identifier))
        except WrongIdentifier as wrong:
            await request.respond(Status.DATA_SET_MISMATCH, comment=wrong.comment, offending=wrong.offending)
        except DataSetError as error:
            await request.respond(_UNABLE, comment=str(error))
        except PacsError as error:
            await request.respond(_UNABLE, comment=error.message)

    async def _answer(self, found: Found) -> None:
        request = self.request
        left_out = ", ".join(keyword_of(tag) for tag in found.unsupported)
        status = Status.PENDING_WARNING if left_out else Status.PENDING
        told = f"not supported: {left_out}"[:_COMMENT] if left_out else ""
        sent = 0
        async with contextlib.aclosing(found.pages) as pages:
            async for rows in while_wanted(request, pages):
                for row in rows:
                    if request.cancelled:
                        break
                    if found.limit and sent >= found.limit:
                        comment = f"more than {found.limit} match: ask for less"
                        await request.respond(Status.OUT_OF_RESOURCES, comment=comment)
                        return
                    await request.respond(status, data=found.encode(row), comment=told if not sent else "")
                    sent += 1
        if request.cancelled:
            await request.respond(Status.CANCEL, comment="cancelled")
        else:
            await request.respond(Status.SUCCESS)
