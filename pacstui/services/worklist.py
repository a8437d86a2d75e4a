"""Modality Worklist SCP: C-FIND of scheduled procedure steps (PS3.4 K)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Final

from pacstui.clock import Clock
from pacstui.db import Database
from pacstui.dicom.dataset import CHARSET, DataSet
from pacstui.dicom.matching import UNIVERSAL, Match, match_of, sequence_of
from pacstui.dicom.net.request import Request
from pacstui.orders import reading
from pacstui.orders.keys import KEYS, STEP
from pacstui.orders.steps import Wanted, Window, find
from pacstui.orders.telling import Item
from pacstui.services.finding import FindSink, Found
from pacstui.services.identifiers import item_told, key_text, sequence_key, terms_for, texts_in
from pacstui.services.models import LEVEL
from pacstui.settings import WorklistSettings

log = logging.getLogger("pacstui.services")
WORKLIST: Final = "1.2.840.10008.5.1.4.31"
_UNABLE: Final = 0xC001
_COMMENT: Final = 64
_WIDE: Final = 30
_IGNORED: Final = frozenset((CHARSET, LEVEL))


@dataclass(frozen=True, slots=True)
class Asked:
    """A worklist identifier understood: its keys, those as what is told of a step that matches, the character set of
    the query, and the keys that are not supported."""

    match: Match
    told: tuple[tuple[int, Match], ...]
    terms: str
    unsupported: tuple[int, ...]


def understand(identifier: DataSet) -> Asked:
    """Return what an identifier asks for.

    Raises
    ------
    WrongIdentifier
        For a sequence with several items (PS3.4 C.2.2.2.6).
    """
    keys: list[tuple[int, Match]] = []
    unsupported: list[int] = []
    for tag in identifier:
        kind = KEYS.get(tag)
        if kind is None:
            unsupported += [] if tag in _IGNORED else [tag]
        elif isinstance(kind, str):
            keys.append((tag, match_of(kind, key_text(identifier, tag, kind))))
        else:
            keys.append((tag, sequence_key(identifier, tag, kind, unsupported)))
    told = tuple((tag, _free(match) if tag == STEP else match) for tag, match in keys)
    return Asked(sequence_of(keys), told, identifier.terms, tuple(unsupported))


def _free(match: Match) -> Match:
    """Return a key for the step itself, of which there is one that matches as a whole: date and time together may be
    one period."""
    return Match(
        "SQ", UNIVERSAL, (), tuple((tag, m if m.vr == "SQ" else Match(m.vr, UNIVERSAL)) for tag, m in match.items)
    )


def answer(asked: Asked, item: Item, transfer_syntax: str) -> bytes:
    """Return the identifier of one answer: what was asked for, empty where it is not known."""
    codec = terms_for(texts_in(item), asked.terms)
    told = item_told(item, KEYS, asked.told, codec) if asked.told else DataSet()
    if codec:
        told.put(CHARSET, codec, "CS")
    return reading.encode(told, transfer_syntax)


class WorklistService:
    """C-FIND for the Modality Worklist Information Model.

    Parameters
    ----------
    settings
        Returns the present ones.
    """

    def __init__(self, database: Database, settings: Callable[[], WorklistSettings], clock: Clock) -> None:
        self.database = database
        self.settings = settings
        self._clock = clock

    def window(self, calling: str) -> Window:
        """Return what a caller is told beside what it asks for."""
        settings = self.settings()
        today = self._clock.now().astimezone()

        def days(before: int, after: int) -> tuple[str, str]:
            return f"{today - timedelta(days=before):%Y%m%d}", f"{today + timedelta(days=after):%Y%m%d}"

        wide = days(max(settings.days_before, _WIDE), max(settings.days_after, _WIDE))
        own = settings.only_own_station
        return Window(settings.hide, *days(settings.days_before, settings.days_after), wide, calling, own)

    def begin(self, request: Request) -> FindSink:
        def understood(identifier: DataSet) -> Found:
            asked = understand(identifier)
            wanted = Wanted(asked.match, self.window(request.association.calling))
            encode = partial(answer, asked, transfer_syntax=request.context.transfer_syntax)
            return Found(find(self.database, wanted), encode, asked.unsupported, self.settings().max_answers)

        return FindSink(request, understood)
