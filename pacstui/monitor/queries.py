"""What callers asked by C-FIND, kept with their association: keys, number of answers, and how it ended."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from pacstui.contract.associations import KeyText, QueryText
from pacstui.dicom.dictionary import keyword_of, vr_of
from pacstui.dicom.dimse import Command, Status
from pacstui.dicom.uids import name_of
from pacstui.text import safe

KEPT: Final = 30
"""Queries of one association that are remembered, the last ones."""
_LEVEL: Final = 0x00080052
_WHOSE: Final = frozenset((0x00080050, 0x0020000D, 0x0020000E, 0x00080018, 0x00401001, 0x00400009))
"""Elements that point at one patient without being in its group: Accession Number, UIDs, IDs of procedure and step."""
_ENDS: Final[dict[int, str]] = {Status.SUCCESS: "done", Status.CANCEL: "cancelled by the caller"}


@dataclass(slots=True)
class Query:
    """One query; ``message`` is its message ID."""

    message: int
    at: datetime
    model: str
    keys: Sequence[tuple[int, str]]
    answers: int = 0
    outcome: str = ""

    def shown(self) -> QueryText:
        """Return it as the contract has it."""
        level = next((text for tag, text in self.keys if tag == _LEVEL), "")
        asked = [(tag, text) for tag, text in self.keys if text.strip() and tag != _LEVEL]
        told = sum(not text.strip() for _, text in self.keys)
        return QueryText(
            self.at, safe(self.model, 64), safe(level, 16), tuple(_key(tag, text) for tag, text in asked), told,
            self.answers, self.outcome,
        )  # fmt: skip


def _key(tag: int, text: str) -> KeyText:
    name, value = keyword_of(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})", safe(text, 200)
    whose = tag >> 16 == 0x0010 or tag in _WHOSE or vr_of(tag) in ("PN", "UN")
    return KeyText(name, "", value) if whose else KeyText(name, value)


@dataclass(slots=True)
class Queries:
    """The last queries of an association."""

    held: deque[Query] = field(default_factory=lambda: deque(maxlen=KEPT))

    def asked(self, at: datetime, command: Command, keys: Sequence[tuple[int, str]]) -> None:
        """Note a query that was understood."""
        self.held.append(Query(command.message_id, at, name_of(command.affected_sop_class), tuple(keys)))

    def answered(self, command: Command, status: int) -> None:
        """Count an answer, or note the end."""
        mine = (each for each in reversed(self.held) if each.message == command.message_id and not each.outcome)
        query = next(mine, None)
        if query is None:
            return
        if status in (Status.PENDING, Status.PENDING_WARNING):
            query.answers += 1
        else:
            query.outcome = _ENDS.get(status) or f"ended with {status:04X}H"

    def shown(self) -> tuple[QueryText, ...]:
        """Return them as the contract has them, newest last."""
        return tuple(each.shown() for each in self.held)
