"""Objects that came between two times, gathered by what they have in common."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from pacstui.index import tables as t
from pacstui.index.attributes import ATTRIBUTES, IMAGE
from pacstui.index.queries import Statement


class Alike(NamedTuple):
    """Objects of one study (its row) and sender that have the same ``values``; when the first came (microseconds since
    1970), how many they are, their bytes."""

    study: int
    calling: str
    received: int
    objects: int
    bytes: int
    values: tuple[str, ...]


def alike(
    connection: sqlite3.Connection, tags: Sequence[int], since: int, until: int, limit: int, *, moments: bool
) -> list[Alike]:
    """Return what came in a time, at most ``limit`` groups.

    Parameters
    ----------
    tags
        The attributes that objects of a group share, in the order of `Alike.values`; each can be asked for in a query.
    since, until
        Microseconds since 1970, both included.
    moments
        Whether the time at which an object came counts too.
    """
    i, e, s = t.instances.c, t.series.c, t.studies.c
    columns = [ATTRIBUTES[IMAGE][tag].column.label(f"t{tag}") for tag in tags]
    exact = [i.received] if moments else []
    statement = Statement(
        sa.select(s.id, i.calling, sa.func.min(i.received), sa.func.count(), sa.func.sum(i.size), *columns)
        .select_from(t.instances.join(t.series, i.series == e.id).join(t.studies, e.study == s.id))
        .where(i.received >= sa.bindparam("since"), i.received <= sa.bindparam("until"))
        .group_by(s.id, i.calling, *exact, *columns)
        .limit(sa.bindparam("most"))
    )
    rows = statement.all(connection, since=since, until=until, most=limit)
    return [
        Alike(study, calling, received, objects, octets, tuple(str(value or "") for value in values))
        for study, calling, received, objects, octets, *values in rows
    ]
