"""Sequences that are indexed: of their items what is wanted, as JSON (PS3.5 7.5)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from pacstui.dicom import dataset
from pacstui.dicom.dataset import DataSet

Inner = Mapping[int, "str | Inner"]
"""What is read of a sequence's items: VR by tag, or what is read of a sequence in them."""

SEQUENCES: Final[dict[int, Inner]] = {}
"""The sequences that are read from objects; :func:`pacstui.dicom.header.want_items` adds to them."""

_KEPT: Final = 64
_LONGEST: Final = 1024


@lru_cache(maxsize=1024)
def name_of(tag: int) -> str:
    """Return the name of a tag in the JSON."""
    return f"{tag:08X}"


@lru_cache(maxsize=256)  # the objects of a series mostly have the same
def items_text(tag: int, raw: bytes, big: bool, explicit: bool, terms: str) -> str:
    """Return the items of a sequence as JSON, for each a dictionary of text by tag; empty where nothing is wanted.

    Parameters
    ----------
    raw
        The value of the sequence.
    terms
        Specific Character Set of the data set that it is in.
    """
    try:
        items = dataset.decode_items(raw, big, explicit, terms)
    except dataset.DataSetError:
        return ""
    told = [item for item in (_told(item, SEQUENCES[tag]) for item in items[:_KEPT]) if item]
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")) if told else ""


def _told(item: DataSet, wanted: Inner) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for tag, inner in wanted.items():
        if isinstance(inner, str):
            value: Any = item.text(tag)[:_LONGEST].replace("\0", " ")
        else:
            value = [each for each in (_told(one, inner) for one in item.items(tag)[:_KEPT]) if each]
        if value:
            told[name_of(tag)] = value
    return told


@lru_cache(maxsize=256)
def items_of(text: str) -> tuple[Mapping[str, Any], ...]:
    """Return the items that :func:`items_text` wrote; none for what is no such text."""
    try:
        found = json.loads(text) if text else []
    except ValueError:
        return ()
    return tuple(each for each in found if isinstance(each, dict)) if isinstance(found, list) else ()
