"""What can be asked of the index in a query, and what it answers (PS3.4 C.6): tag, level, VR and where it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from pacstui.index import tables as t
from pacstui.index.more import IMAGE_MORE, PATIENT_MORE, SERIES_MORE, STUDY_MORE, key_of

PATIENT, STUDY, SERIES, IMAGE = "PATIENT", "STUDY", "SERIES", "IMAGE"
LEVELS: Final = (PATIENT, STUDY, SERIES, IMAGE)
"""From the top."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute that is matched and returned.

    ``column`` holds its value as text, for VR SQ its items (:mod:`pacstui.dicom.sequences`). ``computed`` ones are
    counted when they are asked for. ``key`` is the column of its folded form where there is one, ``other`` a second
    one; ``store`` is the one that holds it among others.
    """

    tag: int
    level: str
    vr: str
    column: sa.ColumnElement[str]
    computed: bool = False
    key: sa.ColumnElement[str] | None = None
    other: sa.ColumnElement[str] | None = None
    store: sa.ColumnElement[str] | None = None


_p, _s, _e, _i = t.patients.c, t.studies.c, t.series.c, t.instances.c


def _sum(column: sa.Column[int]) -> sa.ColumnElement[str]:
    chosen = sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(_s.patient == _p.id, _s.hidden == 0)
    return sa.cast(chosen.correlate(t.patients).scalar_subquery(), sa.Text)


def _text(column: sa.Column[int]) -> sa.ColumnElement[str]:
    return sa.cast(column, sa.Text)


_STUDY_COUNT = sa.cast(
    sa.select(sa.func.count()).where(_s.patient == _p.id, _s.hidden == 0).correlate(t.patients).scalar_subquery(),
    sa.Text,
)
_other_series, _other_instances = t.series.alias(), t.instances.alias()
_CLASSES = (
    sa.select(sa.func.group_concat(sa.distinct(_other_instances.c.sop_class)))
    .select_from(_other_instances.join(_other_series, _other_instances.c.series == _other_series.c.id))
    .where(_other_series.c.study == _s.id)
    .correlate(t.studies)
    .scalar_subquery()
)

_PATIENT_ROWS: Final = (
    Attribute(0x00100010, PATIENT, "PN", _p.name, key=_p.name_key),
    Attribute(0x00100020, PATIENT, "LO", _p.patient_id),
    Attribute(0x00100021, PATIENT, "LO", _p.issuer),
    Attribute(0x00100030, PATIENT, "DA", _p.birth_date),
    Attribute(0x00100040, PATIENT, "CS", _p.sex),
    Attribute(0x00201200, PATIENT, "IS", _STUDY_COUNT, computed=True),
    Attribute(0x00201202, PATIENT, "IS", _sum(_s.series), computed=True),
    Attribute(0x00201204, PATIENT, "IS", _sum(_s.instances), computed=True),
)
_STUDY_ROWS: Final = (
    Attribute(0x00100010, PATIENT, "PN", _s.patient_name, key=_s.name_key, other=_s.other_name_key),
    Attribute(0x00100020, PATIENT, "LO", _s.patient_id, key=_s.patient_id_key),
    Attribute(0x00100021, PATIENT, "LO", _s.issuer),
    Attribute(0x00100030, PATIENT, "DA", _s.birth_date),
    Attribute(0x00100040, PATIENT, "CS", _s.sex),
    Attribute(0x0020000D, STUDY, "UI", _s.study),
    Attribute(0x00080020, STUDY, "DA", _s.date),
    Attribute(0x00080030, STUDY, "TM", _s.time),
    Attribute(0x00080050, STUDY, "SH", _s.accession, key=_s.accession_key),
    Attribute(0x00200010, STUDY, "SH", _s.study_id),
    Attribute(0x00081030, STUDY, "LO", _s.description),
    Attribute(0x00080090, STUDY, "PN", _s.referring),
    Attribute(0x00080080, STUDY, "LO", _s.institution),
    Attribute(0x00080061, STUDY, "CS", _s.modalities),
    Attribute(0x00080062, STUDY, "UI", sa.func.replace(_CLASSES, ",", "\\"), computed=True),
    Attribute(0x00201206, STUDY, "IS", _text(_s.series), computed=True),
    Attribute(0x00201208, STUDY, "IS", _text(_s.instances), computed=True),
)
_SERIES_ROWS: Final = (
    Attribute(0x0020000E, SERIES, "UI", _e.series),
    Attribute(0x00080060, SERIES, "CS", _e.modality),
    Attribute(0x00200011, SERIES, "IS", _e.number),
    Attribute(0x0008103E, SERIES, "LO", _e.description),
    Attribute(0x00080021, SERIES, "DA", _e.date),
    Attribute(0x00080031, SERIES, "TM", _e.time),
    Attribute(0x00081010, SERIES, "SH", _e.station),
    Attribute(0x00180015, SERIES, "CS", _e.body_part),
    Attribute(0x00181030, SERIES, "LO", _e.protocol),
    Attribute(0x00201209, SERIES, "IS", _text(_e.instances), computed=True),
)
_IMAGE_ROWS: Final = (
    Attribute(0x00080018, IMAGE, "UI", _i.sop_instance),
    Attribute(0x00080016, IMAGE, "UI", _i.sop_class),
    Attribute(0x00200013, IMAGE, "IS", _i.number),
    Attribute(0x00080023, IMAGE, "DA", _i.date),
    Attribute(0x00080033, IMAGE, "TM", _i.time),
    Attribute(0x00080008, IMAGE, "CS", _i.image_type),
    Attribute(0x00280008, IMAGE, "IS", _i.frames),
    Attribute(0x00280010, IMAGE, "US", _i.rows),
    Attribute(0x00280011, IMAGE, "US", _i.columns),
    Attribute(0x00083002, IMAGE, "UI", _i.transfer_syntax),
)

UNIQUE: Final = {PATIENT: 0x00100020, STUDY: 0x0020000D, SERIES: 0x0020000E, IMAGE: 0x00080018}
"""The unique key of each level (PS3.4 C.6.1.1)."""

_OF: Final = {
    PATIENT: _PATIENT_ROWS,
    STUDY: _STUDY_ROWS,
    SERIES: _STUDY_ROWS + _SERIES_ROWS,
    IMAGE: _STUDY_ROWS + _SERIES_ROWS + _IMAGE_ROWS,
}


def attributes_of(level: str) -> dict[int, Attribute]:
    """Return what can be asked for at a level, the levels above included, by tag."""
    return {attribute.tag: attribute for attribute in _OF[level]}


_MORE_OF: Final = (
    (STUDY, STUDY_MORE, _s.more), (SERIES, SERIES_MORE, _e.more), (IMAGE, IMAGE_MORE, _i.more),
)  # fmt: skip
_BASE: Final = {level: attributes_of(level) for level in LEVELS}
ATTRIBUTES: Final = {level: attributes_of(level) for level in LEVELS}
"""What can be asked for, by level and tag; :func:`renew` brings it up to further attributes."""


def renew() -> None:
    """Take in the attributes that are indexed without a column of their own; the lower of two levels has its own."""
    for at, (level, tags, column) in enumerate(_MORE_OF):
        for tag, vr in tags.items():
            attribute = Attribute(tag, level, vr, _held(tag, column), store=column)
            for each in LEVELS[at + 1 :]:
                if tag not in _BASE[each]:
                    ATTRIBUTES[each][tag] = attribute
    for tag, vr in PATIENT_MORE.items():
        held = _held(tag, _s.more)
        latest = sa.select(held).where(_s.patient == _p.id, held != "").order_by(_s.id.desc()).limit(1)
        told = latest.correlate(t.patients).scalar_subquery()
        ATTRIBUTES[PATIENT].setdefault(tag, Attribute(tag, PATIENT, vr, told, computed=True))


def _held(tag: int, column: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    return sa.case((column != "", sa.func.json_extract(column, f'$."{key_of(tag)}"')), else_="")


renew()
