"""What fetching a study by C-GET takes: presentation contexts for what the peer says it has, and as many associations
as those need (PS3.4 C.4.3, PS3.8 9.3.2.2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from pacstui.dicom.dataset import DataSet
from pacstui.dicom.syntaxes import JPEG_2000, JPEG_2000_LOSSLESS, JPEG_BASELINE, JPEG_LOSSLESS, LITTLE, RLE
from pacstui.dicom.syntaxes import JPEG_LS_LOSSLESS as JPEG_LS
from pacstui.dicom.uids import valid_uid
from pacstui.dicom.ul.items import RoleSelection
from pacstui.index.attributes import IMAGE, SERIES, STUDY
from pacstui.services.models import LEVEL

Contexts = list[tuple[str, Sequence[str]]]

_COMPRESSED: Final = (JPEG_BASELINE, JPEG_LOSSLESS, JPEG_LS, JPEG_2000_LOSSLESS, JPEG_2000, RLE)
_USUALLY_COMPRESSED: Final = (JPEG_BASELINE, JPEG_LOSSLESS, JPEG_2000_LOSSLESS, JPEG_2000)
_USUAL: Final = tuple(
    "1.2.840.10008.5.1.4.1.1." + end
    for end in ("1", "1.1", "1.2", "2", "2.1", "3.1", "4", "4.1", "6.1", "7", "12.1", "12.2", "20", "88.11", "88.22",
                "88.33", "88.59", "88.67", "104.1", "128", "481.1", "481.2", "481.3", "481.5", "11.1")
)  # fmt: skip
_MOST: Final = 127
_UIDS_AT_ONCE: Final = 200
_STUDY_UID, _SERIES_UID, _SOP_UID = 0x0020000D, 0x0020000E, 0x00080018


class There(NamedTuple):
    """An instance at a peer. ``syntaxes`` are those in which it can be had, empty where the peer does not say."""

    sop_class: str
    series: str
    syntaxes: tuple[str, ...] = ()

    @property
    def kinds(self) -> frozenset[tuple[str, str]]:
        """SOP class and transfer syntax of each context that it needs; the empty one stands for those without
        compression."""
        compressed = [each for each in self.syntaxes or _COMPRESSED if each not in LITTLE]
        return frozenset([(self.sop_class, ""), *((self.sop_class, each) for each in compressed)])


@dataclass(frozen=True, slots=True)
class Part:
    """What is fetched on one association: contexts and roles beside C-GET itself, and the identifiers to ask with."""

    contexts: Contexts
    roles: list[RoleSelection]
    identifiers: list[DataSet] = field(default_factory=list)


def _part(kinds: Iterable[tuple[str, str]], identifiers: list[DataSet]) -> Part:
    ordered = sorted(kinds)
    contexts: Contexts = [(sop_class, (syntax,) if syntax else LITTLE) for sop_class, syntax in ordered]
    classes = dict.fromkeys(sop_class for sop_class, _ in ordered)
    return Part(contexts, [RoleSelection(sop_class, False, True) for sop_class in classes], identifiers)


def identifier_of(level: str, study: str, series: str = "", instances: Sequence[str] = ()) -> DataSet:
    """Return the identifier of a retrieval (PS3.4 C.4.2.2.1)."""
    asked = DataSet()
    asked.put(LEVEL, level, "CS")
    asked.put(_STUDY_UID, study, "UI")
    if series:
        asked.put(_SERIES_UID, series, "UI")
    if instances:
        asked.put(_SOP_UID, "\\".join(instances), "UI")
    return asked


def parts_of(study: str, found: Mapping[str, There]) -> Iterator[Part]:
    """Yield what is to be fetched, association by association.

    One association and one C-GET of the study where its contexts fit, as they nearly always do; else series by series,
    and of a series that needs too many, instance by instance.

    Parameters
    ----------
    found
        The study's instances by SOP Instance UID; with none the usual SOP classes are proposed.
    """
    usable = {uid: each for uid, each in found.items() if valid_uid(uid) and valid_uid(each.sop_class)}
    if not usable:
        usual = {(sop_class, syntax) for sop_class in _USUAL for syntax in ("", *_USUALLY_COMPRESSED)}
        yield _part(usual, [identifier_of(STUDY, study)])
        return
    whole = frozenset[tuple[str, str]]().union(*(each.kinds for each in set(usable.values())))
    if len(whole) <= _MOST:
        yield _part(whole, [identifier_of(STUDY, study)])
        return
    kinds: frozenset[tuple[str, str]] = frozenset()
    identifiers: list[DataSet] = []
    for series, needed, asked in _steps(study, usable):
        if identifiers and len(kinds | needed) > _MOST:
            yield _part(kinds, identifiers)
            kinds, identifiers = frozenset(), []
        kinds |= needed
        identifiers.append(identifier_of(IMAGE if asked else SERIES, study, series, asked))
    yield _part(kinds, identifiers)


def _steps(study: str, found: Mapping[str, There]) -> Iterator[tuple[str, frozenset[tuple[str, str]], Sequence[str]]]:
    """Yield each step of a fetch that takes several associations: series, contexts, and instances if not all of it."""
    by_series: dict[str, list[str]] = {}
    for uid, each in found.items():
        by_series.setdefault(each.series, []).append(uid)
    for series, uids in by_series.items():
        needed = frozenset[tuple[str, str]]().union(*(found[uid].kinds for uid in uids))
        if len(needed) <= _MOST:
            yield series, needed, ()
            continue
        by_class: dict[str, list[str]] = {}
        for uid in uids:
            by_class.setdefault(found[uid].sop_class, []).append(uid)
        for of_class in by_class.values():
            for at in range(0, len(of_class), _UIDS_AT_ONCE):
                some = of_class[at : at + _UIDS_AT_ONCE]
                needed = frozenset[tuple[str, str]]().union(*(found[uid].kinds for uid in some))
                yield series, frozenset(sorted(needed)[:_MOST]), some
