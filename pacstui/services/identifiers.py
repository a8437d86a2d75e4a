"""What queries of all information models have in common: keys that are sequences, items of answers, and pages that
nobody waits for any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeVar

from pacstui.dicom import charset, dataset
from pacstui.dicom.dataset import CHARSET, DataSet, Element
from pacstui.dicom.matching import UNIVERSAL, Match, item_test, match_of, sequence_of
from pacstui.dicom.net.request import Request
from pacstui.dicom.sequences import Inner, name_of
from pacstui.services.models import WrongIdentifier

P = TypeVar("P")
_ANY: Final = Match("", UNIVERSAL)


def key_text(data: DataSet, tag: int, vr: str) -> str:
    """Return the value of a key as text; of numbers (US), in little endian, too."""
    if vr != "US":
        return data.text(tag)
    value = data[tag].value
    return str(int.from_bytes(value[:2], "little")) if len(value) > 1 else ""


def sequence_key(identifier: DataSet, tag: int, known: Inner, unsupported: list[int]) -> Match:
    """Return what a key of VR SQ asks for (PS3.4 C.2.2.2.6); the elements of its item that are not known are added to
    ``unsupported``."""
    items = identifier.items(tag)
    if len(items) > 1:
        raise WrongIdentifier("a key that is a sequence has one item", tag)
    keys = []
    for inner in items[0] if items else ():
        kind = known.get(inner)
        if kind is None:
            unsupported += [inner] if inner != CHARSET else []
        elif isinstance(kind, str):
            keys.append((inner, match_of(kind, key_text(items[0], inner, kind))))
        else:
            keys.append((inner, sequence_key(items[0], inner, kind, unsupported)))
    return sequence_of(keys)


def item_told(item: Mapping[str, Any], known: Inner, asked: Sequence[tuple[int, Match]], codec: str) -> DataSet:
    """Return one item of an answer: what was asked for, empty where the item lacks it; all of it where nothing was."""
    told = DataSet()
    for tag, match in asked or [(tag, _ANY) for tag in known if name_of(tag) in item]:
        vr, value = known[tag], item.get(name_of(tag), "")
        if vr == "US":
            told[tag] = Element(vr, int(value).to_bytes(2, "little") if value.isdigit() and len(value) < 5 else b"")
            continue
        if isinstance(vr, str):
            encoded = charset.encode(value, codec) if vr in dataset.TEXT_VRS else value.encode("ascii", "replace")
            told[tag] = Element(vr, encoded or b"")
            continue
        if not match.is_universal:
            fits = item_test(match)
            value = [each for each in value or () if fits(each)]
        told.put_items(tag, [item_told(each, vr, match.items, codec) for each in value or ()])
    return told


async def while_wanted(request: Request, pages: AsyncGenerator[P, None]) -> AsyncGenerator[P, None]:
    """Yield pages until there are none, or who asked cancels or is gone; a statement that still runs is interrupted."""
    withdrawn = asyncio.ensure_future(request.until_withdrawn())
    try:
        while not withdrawn.done():
            turn = asyncio.ensure_future(anext(pages, None))
            await asyncio.wait((turn, withdrawn), return_when=asyncio.FIRST_COMPLETED)
            if not turn.done():
                turn.cancel()
                await asyncio.wait([turn])
                return
            rows = turn.result()
            if rows is None:
                return
            yield rows
    finally:
        withdrawn.cancel()


def terms_for(texts: Iterable[str], asked: str) -> str:
    """Return the character set for texts of one answer: the query's own if it can carry all of them, else UTF-8; none
    where all is ASCII (PS3.4 C.4.1.1.3.2)."""
    wide = [text for text in texts if not text.isascii()]
    if not wide:
        return ""
    return asked if all(charset.encode(text, asked) is not None for text in wide) else "ISO_IR 192"


def texts_in(item: Mapping[str, Any]) -> Iterator[str]:
    """Yield all texts of an item, those in its sequences too."""
    for value in item.values():
        if isinstance(value, str):
            yield value
        else:
            for each in value:
                yield from texts_in(each)
