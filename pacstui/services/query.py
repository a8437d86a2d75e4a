"""Query SCP: C-FIND of the three Query/Retrieve models (PS3.4 C.4.1)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Final, Literal

from pacstui.db import Database
from pacstui.dicom import charset, dataset, syntaxes
from pacstui.dicom.dataset import CHARSET, DataSet, Element
from pacstui.dicom.matching import NOTHING, Match, comparison, item_test, match_of
from pacstui.dicom.net.request import Request
from pacstui.dicom.sequences import items_of
from pacstui.index.attributes import ATTRIBUTES, UNIQUE, Attribute
from pacstui.index.find import Query, find
from pacstui.index.fold import fold
from pacstui.index.more import ITEMS
from pacstui.services.finding import FindSink, Found
from pacstui.services.identifiers import item_told, sequence_key, terms_for
from pacstui.services.models import (
    COMBINED,
    FIND,
    FUZZY,
    LEVEL,
    RELATIONAL,
    check_above,
    level_of,
    options_of,
)

log = logging.getLogger("pacstui.services")
_UNABLE: Final = 0xC001
_RETRIEVE_AE, _AVAILABILITY = 0x00080054, 0x00080056
_OURS: Final = frozenset((CHARSET, LEVEL, _RETRIEVE_AE, _AVAILABILITY))
_ONLINE: Final = "ONLINE"
_COMMENT: Final = 64


@dataclass(frozen=True, slots=True)
class Asked:
    """A C-FIND identifier understood: the query, the answer's character set if it can carry a value, and the keys that
    are not supported."""

    query: Query
    terms: str
    unsupported: tuple[int, ...]
    extra: tuple[int, ...]


def understand(request: Request, identifier: DataSet, fuzzy: bool, ae_title: str) -> Asked:
    """Return what an identifier asks for; ``ae_title`` is where everything can be retrieved from.

    Raises
    ------
    WrongIdentifier
        When it does not fit its SOP class.
    """
    model = FIND[request.context.abstract_syntax]
    level = level_of(model, identifier)
    options = _options(request, fuzzy)
    if not options[RELATIONAL]:
        check_above(model, level, identifier)
    known = ATTRIBUTES[level]
    keys: dict[int, Match] = {}
    unsupported: list[int] = []
    wanted = {UNIQUE[level]}
    for tag in identifier:
        attribute = known.get(tag)
        if attribute is not None:
            wanted.add(tag)
            keys[tag] = _key(identifier, attribute, request.context.transfer_syntax, unsupported)
        elif tag not in _OURS:
            unsupported.append(tag)
    if not _is(identifier, _RETRIEVE_AE, "AE", ae_title) or not _is(identifier, _AVAILABILITY, "CS", _ONLINE):
        keys[UNIQUE[level]] = Match("UI", NOTHING)
    query = Query(level, keys, tuple(sorted(wanted)), bool(options[COMBINED]), bool(options[FUZZY]))
    extra = tuple(tag for tag in (_RETRIEVE_AE, _AVAILABILITY) if tag == _RETRIEVE_AE or tag in identifier)
    return Asked(query, identifier.terms, tuple(unsupported), extra)


def _is(identifier: DataSet, tag: int, vr: str, value: str) -> bool:
    """Return whether a key matches what is the same of all objects."""
    return comparison(match_of(vr, identifier.text(tag)))(value)


def _key(identifier: DataSet, attribute: Attribute, transfer_syntax: str, unsupported: list[int]) -> Match:
    if attribute.vr == "SQ":
        return sequence_key(identifier, attribute.tag, ITEMS[attribute.tag], unsupported)
    return match_of(attribute.vr, _key_text(identifier, attribute, transfer_syntax))


def _key_text(identifier: DataSet, attribute: Attribute, transfer_syntax: str) -> str:
    element = identifier[attribute.tag]
    if attribute.vr == "US" and element.vr in ("US", "SS", "UN"):
        order: Literal["big", "little"] = "big" if transfer_syntax == syntaxes.BIG_ENDIAN else "little"
        return str(int.from_bytes(element.value[:2], order)) if len(element.value) >= 2 else ""
    return identifier.text(attribute.tag)


def _options(request: Request, fuzzy: bool) -> bytes:
    rq = request.association.rq
    sop_class = request.context.abstract_syntax
    offered = bytes((1, 1, int(fuzzy)))
    for item in rq.user.extended if rq is not None else ():
        if item.sop_class == sop_class:
            return (options_of(item.information, offered) + bytes(3))[:3]
    return bytes(3)


_Head = tuple[int, Attribute | None, bytes, int, Struct]


class Answers:
    """Writes the identifiers of pending responses; the elements that are the same in all are written once."""

    def __init__(
        self, asked: Asked, ae_title: str, transfer_syntax: str, known: Mapping[int, Attribute] | None = None
    ) -> None:
        self._asked = asked
        self._syntax = transfer_syntax
        known = known or ATTRIBUTES[asked.query.level]
        self._columns = [known[tag] for tag in asked.query.wanted]
        self._fixed = DataSet()
        self._fixed.put(LEVEL, asked.query.level, "CS")
        for tag in asked.extra:
            self._fixed.put(tag, ae_title if tag == _RETRIEVE_AE else _ONLINE, "AE" if tag == _RETRIEVE_AE else "CS")
        self._sequences = {
            tag: (match, item_test(match, fold if asked.query.fuzzy else None))
            for tag, match in asked.query.keys.items()
            if match.vr == "SQ"
        }
        vrs = {each.vr for each in self._columns}
        short = (transfer_syntax == syntaxes.IMPLICIT and "SQ" not in vrs) or (
            transfer_syntax == syntaxes.EXPLICIT and not vrs & dataset.LONG_VRS
        )
        self._heads = self._plain_heads() if short else None

    def _plain_heads(self) -> list[_Head]:
        """Return tag, attribute, and how an element begins, in ascending order; with the fixed ones whole."""
        explicit = self._syntax == syntaxes.EXPLICIT
        length = Struct("<H" if explicit else "<I")
        heads: list[_Head] = []
        for at, column in enumerate(self._columns):
            head = Struct("<HH").pack(column.tag >> 16, column.tag & 0xFFFF)
            heads.append((column.tag, column, head + (column.vr.encode("ascii") if explicit else b""), at, length))
        for tag in self._fixed:
            whole = dataset.encode(DataSet({tag: self._fixed[tag]}), self._syntax)
            heads.append((tag, None, whole, 0, length))
        return sorted(heads, key=lambda each: each[0])

    def encode(self, row: Sequence[str | None]) -> bytes:
        """Return one identifier; every wanted attribute is in it, empty where it is not known."""
        if self._heads is not None and all(value is None or value.isascii() for value in row):
            return self._quick(row, self._heads)
        answer = DataSet({tag: self._fixed[tag] for tag in self._fixed})
        codec = self._terms(row)
        if codec:
            answer.put(CHARSET, codec, "CS")
        for column, value in zip(self._columns, row, strict=True):
            text = value or ""
            if column.vr == "SQ":
                answer.put_items(column.tag, self._items(column.tag, text, codec))
                continue
            encoded = charset.encode(text, codec) if column.vr in dataset.TEXT_VRS else text.encode("ascii", "replace")
            answer[column.tag] = Element(column.vr, self._number(column, text, encoded or b""))
        return dataset.encode(answer, self._syntax)

    def _items(self, tag: int, text: str, codec: str) -> list[DataSet]:
        """Return the items that match, with what was asked for; all of all of them where nothing was."""
        match, fits = self._sequences[tag]
        return [item_told(item, ITEMS[tag], match.items, codec) for item in items_of(text) if fits(item)]

    def _number(self, column: Attribute, text: str, encoded: bytes) -> bytes:
        if column.vr != "US":
            return encoded
        order = "big" if self._syntax == syntaxes.BIG_ENDIAN else "little"
        return int(text).to_bytes(2, order) if text.isdigit() and int(text) < 65536 else b""  # type: ignore[arg-type]

    def _quick(self, row: Sequence[str | None], heads: Sequence[_Head]) -> bytes:
        out = []
        for _, column, head, at, length in heads:
            if column is None:
                out.append(head)
                continue
            value = (row[at] or "").encode("ascii")
            if column.vr == "US":
                value = self._number(column, row[at] or "", value)
            elif len(value) & 1:
                value += b"\0" if column.vr == "UI" else b" "
            out.append(head + length.pack(min(len(value), 0xFFFE)) + value[:0xFFFE])
        return b"".join(out)

    def _terms(self, row: Sequence[str | None]) -> str:
        """Return the character set for a row."""
        texts = [v for c, v in zip(self._columns, row, strict=True) if v and (c.vr in dataset.TEXT_VRS or c.vr == "SQ")]
        return terms_for(texts, self._asked.terms)


class QueryService:
    """C-FIND for the three models.

    ``limit`` is the most answers to one query, 0 for no limit; who asks for more is told so. ``fuzzy`` offers fuzzy
    matching of names in extended negotiation.
    """

    def __init__(self, database: Database, ae_title: str, limit: int = 0, fuzzy: bool = True) -> None:
        self.database = database
        self._ae_title = ae_title
        self.limit = limit
        self.fuzzy = fuzzy

    def ae_title(self) -> str:
        """The title under which objects are retrieved here."""
        return self._ae_title

    def replace(self, ae_title: str, limit: int, fuzzy: bool) -> None:
        """Go on with other settings."""
        self._ae_title, self.limit, self.fuzzy = ae_title, limit, fuzzy

    def begin(self, request: Request) -> FindSink:
        def understood(identifier: DataSet) -> Found:
            asked = understand(request, identifier, self.fuzzy, self._ae_title)
            answers = Answers(asked, self._ae_title, request.context.transfer_syntax)
            return Found(find(self.database, asked.query), answers.encode, asked.unsupported, self.limit)

        return FindSink(request, understood, LEVEL)
