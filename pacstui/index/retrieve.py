"""Which objects a retrieval is for, and where they are (PS3.4 C.4.2.1.4, C.4.3.1.3)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import sqlalchemy as sa

from pacstui.db import Database
from pacstui.index import tables as t
from pacstui.index.attributes import IMAGE, PATIENT, SERIES, STUDY
from pacstui.index.fold import fold
from pacstui.index.queries import Statement, among


class Copy(NamedTuple):
    """One object to be sent: what it is, and where its data set is. ``corrected`` is not 0 where it may have to say
    something else than it does (:mod:`pacstui.index.corrected`)."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    path: str
    offset: int
    size: int
    digest: bytes
    corrected: int = 0


_DIFFERS = sa.or_(t.studies.c.corrected != "", t.studies.c.identity != 0, t.series.c.corrected != "")
_FLAG = sa.case((_DIFFERS, t.studies.c.id), else_=0)
_VISIBLE = t.SEEN
_JOINED = t.instances.join(t.series, t.instances.c.series == t.series.c.id).join(
    t.studies, t.series.c.study == t.studies.c.id
)
_COLUMN = {STUDY: t.studies.c.study, SERIES: t.series.c.series, IMAGE: t.instances.c.sop_instance}


async def copies(database: Database, keys: Mapping[str, Sequence[str]]) -> list[Copy]:
    """Return the objects with one of the given values at each level; series by series, in the order of their arrival.

    Raises
    ------
    PacsError
        What the database says.
    """
    return await database.read(partial(_copies, keys))


async def subjects(database: Database, keys: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Return Study Instance UID and Patient ID of the studies that such objects belong to.

    Raises
    ------
    PacsError
        What the database says.
    """
    return await database.read(partial(_subjects, keys))


def _subjects(keys: Mapping[str, Sequence[str]], connection: sqlite3.Connection) -> tuple[tuple[str, str], ...]:
    clauses, values = _clauses(keys)
    rows = (
        sa.select(t.studies.c.study, t.studies.c.patient_id).distinct().select_from(_JOINED).where(_VISIBLE, *clauses)
    )
    return tuple((row[0], row[1]) for row in Statement(rows).run(connection, **values))


def _clauses(keys: Mapping[str, Sequence[str]]) -> tuple[list[sa.ColumnElement[bool]], dict[str, Any]]:
    clauses: list[sa.ColumnElement[bool]] = []
    values: dict[str, Any] = {}

    def bind(value: str) -> sa.BindParameter[str]:
        name = f"v{len(values)}"
        values[name] = value
        return sa.bindparam(name)

    for level, given in keys.items():
        if level == PATIENT:
            clauses.append(t.studies.c.patient_id == bind(given[0]))
            if fold(given[0]):
                clauses.append(t.studies.c.patient_id_key == bind(fold(given[0])))
        else:
            clauses.append(among(_COLUMN[level], bind(json.dumps(list(given)))))
    return clauses, values


def _copies(keys: Mapping[str, Sequence[str]], connection: sqlite3.Connection) -> list[Copy]:
    i = t.instances.c
    clauses, values = _clauses(keys)
    statement = Statement(
        sa.select(i.sop_class, i.sop_instance, i.transfer_syntax, i.path, i.data_offset, i.size, i.digest, _FLAG)
        .select_from(_JOINED)
        .where(_VISIBLE, *clauses)
        .order_by(t.series.c.id, i.id)
    )
    return [Copy(*row) for row in statement.run(connection, **values)]
