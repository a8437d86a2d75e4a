"""pydicom's tables of UIDs and elements (PS3.6), without the rest of pydicom, which would bring numpy into an idle node
and a quarter of a second into a running one."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from typing import Any, Final

_OURS: Final = {
    0x00080005: "CS", 0x00080020: "DA", 0x00080030: "TM", 0x00080050: "SH", 0x00080052: "CS", 0x00080054: "AE",
    0x00080056: "CS", 0x00080060: "CS", 0x00080061: "CS", 0x00080090: "PN", 0x00081030: "LO", 0x0008103E: "LO",
    0x00100010: "PN", 0x00100020: "LO", 0x00100030: "DA", 0x00100040: "CS", 0x0020000D: "UI", 0x0020000E: "UI",
    0x00080016: "UI", 0x00080018: "UI", 0x00200010: "SH", 0x00200011: "IS", 0x00200013: "IS", 0x00201206: "IS",
    0x00201208: "IS", 0x00201209: "IS",
}  # fmt: skip
"""VR of what is asked for all day, so that the whole table is not needed."""


def _load(file: str, name: str) -> dict[Any, tuple[str, ...]]:
    package = find_spec("pydicom")
    for folder in (package.submodule_search_locations or ()) if package is not None else ():
        spec = spec_from_file_location(f"pacstui{file}", f"{folder}/{file}.py")
        if spec is not None and spec.loader is not None:
            module = module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except OSError:  # another pydicom, with its table elsewhere
                continue
            found: dict[Any, tuple[str, ...]] = getattr(module, name, {})
            return found
    return {}


@cache
def uid_table() -> dict[str, tuple[str, ...]]:
    """Return the table of UIDs: name, type and more by UID."""
    return _load("_uid_dict", "UID_dictionary")


@cache
def _elements() -> dict[int, tuple[str, ...]]:
    return _load("_dicom_dict", "DicomDictionary")


@lru_cache(maxsize=4096)
def vr_of(tag: int) -> str:
    """Return the VR of an element (PS3.6 6), ``UN`` where it is not known; of several the first."""
    known = _OURS.get(tag)
    if known:
        return known
    if tag & 0xFFFF == 0:
        return "UL"
    group = tag >> 16
    if group & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"  # a private creator (PS3.5 7.8.1)
    entry = _elements().get(tag)
    return entry[0][:2] if entry else "UN"


@lru_cache(maxsize=4096)
def keyword_of(tag: int) -> str:
    """Return the keyword of an element (PS3.6 6), ``(gggg,eeee)`` where it has none."""
    entry = _elements().get(tag)
    return entry[4] if entry and entry[4] else f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@cache
def _by_keyword() -> dict[str, int]:
    return {entry[4]: tag for tag, entry in _elements().items() if entry[4]}


def tag_of(keyword: str) -> int:
    """Return the tag of a keyword, 0 where there is none."""
    return _by_keyword().get(keyword, 0)


def known_keywords() -> list[str]:
    """Return the keywords of all elements."""
    return list(_by_keyword())


def is_known(tag: int) -> bool:
    """Return whether the dictionary has an element; those of repeating groups (curves, overlays) it has not."""
    return tag in _elements()
