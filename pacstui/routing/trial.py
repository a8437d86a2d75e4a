"""Dry runs: what a route would have sent of what came between two times, read from the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final

from pacstui.clock import microseconds
from pacstui.contract.routes import PlannedSending, RouteTrial
from pacstui.index.alike import alike
from pacstui.routing.listing import when
from pacstui.routing.route import Routes, Subject
from pacstui.settings import RouteSettings
from pacstui.text import safe

_GROUPS: Final = 100_000
_ROWS: Final = 1000


def trial(
    connection: sqlite3.Connection, settings: RouteSettings, titles: Mapping[str, str], since: datetime, until: datetime
) -> RouteTrial:
    """Return what a route would have sent of what came from ``since`` to ``until``.

    To which AE title of this node an object was sent is not kept, so that condition is taken as fulfilled.

    Raises
    ------
    BadRequest
        When the route cannot be understood.
    """
    routes = Routes([settings.model_copy(update={"enabled": True})], titles)
    for fault in routes.problems.values():
        raise fault
    tags = sorted(routes.routes[0].tags)
    groups = alike(
        connection, tags, microseconds(since), microseconds(until), _GROUPS + 1, moments=bool(settings.hours)
    )
    cut = len(groups) > _GROUPS
    studies: dict[int, list[Any]] = {}
    looked = set()
    seen = 0
    for key, calling, received, number, octets, values in groups[:_GROUPS]:
        known = dict(zip(tags, values, strict=True))
        looked.add(key)
        seen += number
        subject = Subject(partial(_value, known), calling, "", when(received))
        ways = tuple(way.destination for way in routes.ways(subject))
        if not ways:
            continue
        row = studies.setdefault(key, [calling, received, 0, 0, dict.fromkeys(ways)])
        row[1] = min(row[1], received)
        row[2] += number
        row[3] += octets
        row[4].update(dict.fromkeys(ways))
    rows = [_planned(connection, key, *row) for key, row in sorted(studies.items(), reverse=True)[:_ROWS]]
    return RouteTrial(since, until, len(looked), seen, tuple(rows), cut or len(studies) > _ROWS)


def _value(known: Mapping[int, str], tag: int) -> str:
    return known.get(tag, "")


def _planned(
    connection: sqlite3.Connection, key: int, calling: str, received: int, number: int, octets: int, to: dict[str, None]
) -> PlannedSending:
    study, name, patient, date, modalities, description, whole = connection.execute(
        "SELECT study, patient_name, patient_id, date, modalities, description, instances FROM studies WHERE id=?",
        (key,),
    ).fetchone()
    return PlannedSending(
        safe(study, 64), name, patient, safe(date, 16), safe(modalities.replace("\\", " "), 64), safe(description, 128),
        when(received), safe(calling, 32), number, whole, octets, tuple(to),
    )  # fmt: skip
