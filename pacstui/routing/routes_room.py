"""The routes' room: those of the configuration and those that people made here, and dry runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pacstui.clock import Clock, microseconds
from pacstui.contract.routes import RouteRow, RouteTrial
from pacstui.db import Database
from pacstui.errors import BadRequest, NotFound
from pacstui.routing import made
from pacstui.routing.listing import when
from pacstui.routing.made import MadeRoute
from pacstui.routing.queueing import Queueing
from pacstui.routing.route import Routes
from pacstui.routing.trial import trial
from pacstui.settings import RouteSettings
from pacstui.text import safe

_MOST_HOURS = 31 * 24.0


@dataclass(slots=True)
class RouteSources:
    """What routes are made of: those of the configuration, AE titles by name of destination, names of transformations,
    and who asks."""

    configured: Callable[[], Iterable[RouteSettings]]
    titles: Callable[[], Mapping[str, str]]
    transforms: Callable[[], Iterable[str]]
    caller: Callable[[], str]

    def load(self, connection: sqlite3.Connection) -> Routes:
        """Return the routes that are in use."""
        found = made.routes(connection, self.configured())
        return Routes((each.settings for each in found), self.titles())


Noted = Callable[[sqlite3.Connection, str, Iterable[tuple[str, str, str]]], None]
"""Writes down who changed what, in the transaction that changes it: key, old and new value of each."""


class RoutesRoom:
    """Lists, makes and tries routes. ``noted`` is told of what people change."""

    def __init__(self, database: Database, sources: RouteSources, queueing: Queueing, clock: Clock) -> None:
        self._db = database
        self._sources = sources
        self._queueing = queueing
        self._clock = clock
        self._broken: dict[str, str] = {}
        self.noted: Noted = lambda connection, who, changes: None

    async def list(self) -> tuple[RouteRow, ...]:
        configured = list(self._sources.configured())

        def read(connection: sqlite3.Connection) -> tuple[list[MadeRoute], dict[str, tuple[int, int, int]]]:
            rows = connection.execute(
                "SELECT route, sum(waiting), sum(sent + warning), sum(failed) FROM sendings WHERE route != ''"
                " GROUP BY route"
            )
            return made.routes(connection, configured), {row[0]: row[1:] for row in rows}

        found, counts = await self._db.read(read)
        self._broken = {}
        rows = [self._row(each, counts.get(each.settings.name, (0, 0, 0))) for each in found]
        self._broken = {row.name: row.problem for row in rows if row.problem and row.enabled}
        return tuple(rows)

    def _row(self, each: MadeRoute, counts: tuple[int, int, int]) -> RouteRow:
        settings = each.settings
        fault = Routes([settings.model_copy(update={"enabled": True})]).problems.get(settings.name)
        problem, hint = (fault.message, fault.hint) if fault is not None else ("", "")
        strange = [to for to in settings.to if to not in self._sources.titles()]
        if not problem and strange:
            problem = f"there is no destination {', '.join(safe(to, 64) for to in strange)}"
            hint = "add it as a peer or to [[destinations]], or change the route"
        if not problem and settings.transform and settings.transform not in self._sources.transforms():
            problem, hint = (
                f"there is no transformation {safe(settings.transform, 64)}",
                "[[transforms]] in the configuration",
            )
        return RouteRow(
            settings.name, _words(settings), each.source, settings.enabled, problem, hint, settings.to,
            settings.modality, settings.calling, settings.called, settings.description, settings.where,
            settings.hours, settings.send, settings.stable_s, settings.priority, settings.transform,
            settings.send_back, settings.last, *counts, when(each.changed) if each.changed else None, each.by,
        )  # fmt: skip

    async def look(self) -> None:
        """See which routes cannot be used, for the list of problems."""
        await self.list()

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield the routes that cannot be used."""
        for name, why in self._broken.items():
            yield (
                f"route {name}",
                "fail",
                f"the route {name} sends nothing: {why}",
                "correct it or switch it off",
                "routes",
            )

    async def destinations(self) -> tuple[str, ...]:
        return tuple(sorted(self._sources.titles()))

    async def transforms(self) -> tuple[str, ...]:
        return tuple(sorted(self._sources.transforms()))

    async def _named(self, name: str) -> MadeRoute:
        configured = list(self._sources.configured())
        found = await self._db.read(lambda c: made.routes(c, configured))
        for each in found:
            if each.settings.name == name:
                return each
        known = ", ".join(each.settings.name for each in found) or "none"
        raise NotFound(f"there is no route {safe(name, 64)}", f"there are: {known}")

    def _check(self, settings: RouteSettings) -> None:
        known = self._sources.titles()
        strange = [to for to in settings.to if to not in known]
        if strange:
            raise NotFound(
                f"there is no destination {', '.join(safe(to, 64) for to in strange)}",
                f"there are: {', '.join(sorted(known)) or 'none; add a peer first'}",
            )
        if settings.transform and settings.transform not in self._sources.transforms():
            there = ", ".join(self._sources.transforms()) or "none"
            raise NotFound(f"there is no transformation {safe(settings.transform, 64)}", f"there are: {there}")

    async def _put(self, settings: RouteSettings, source: str, old: RouteSettings | None = None) -> RouteRow:
        by, now = self._sources.caller(), microseconds(self._clock.now())

        def write(connection: sqlite3.Connection) -> None:
            made.put(connection, settings, source, by, now)
            self.noted(connection, by, _changes(old, settings))

        await self._db.write(write)
        self._queueing.renew()
        return next(row for row in await self.list() if row.name == settings.name)

    async def create(self, name: str, to: tuple[str, ...], **more: Any) -> RouteRow:
        settings = made.checked({"name": name, "to": to, **more})
        self._check(settings)
        if any(row.name == settings.name for row in await self.list()):
            raise BadRequest(f"there is a route {safe(settings.name, 64)} already", "edit it, or choose another name")
        return await self._put(settings, "console")

    async def edit(self, name: str, **changes: Any) -> RouteRow:
        there = await self._named(name)
        if there.source != "console":
            raise BadRequest(
                f"the route {safe(name, 64)} stands in the configuration file", "change it there, and reload the node"
            )
        wanted = {key: value for key, value in changes.items() if value is not None}
        settings = made.checked(there.settings.model_dump() | wanted)
        self._check(settings)
        return await self._put(settings, "console", there.settings)

    async def enable(self, name: str) -> None:
        there = await self._named(name)
        await self._put(there.settings.model_copy(update={"enabled": True}), there.source, there.settings)

    async def disable(self, name: str) -> None:
        there = await self._named(name)
        await self._put(there.settings.model_copy(update={"enabled": False}), there.source, there.settings)

    async def delete(self, name: str) -> None:
        there = await self._named(name)
        if there.source != "console":
            raise BadRequest(
                f"the route {safe(name, 64)} stands in the configuration file", "remove it there, or disable it here"
            )
        by = self._sources.caller()

        def write(connection: sqlite3.Connection) -> None:
            made.remove(connection, name)
            self.noted(connection, by, _changes(there.settings, None))

        await self._db.write(write)
        self._queueing.renew()
        await self.look()

    async def trial(self, name: str, hours: float = 24.0) -> RouteTrial:
        return await self._trial((await self._named(name)).settings, hours)

    async def trial_of(self, to: tuple[str, ...], past_hours: float = 24.0, **more: Any) -> RouteTrial:
        settings = made.checked({"name": "new", "to": to, **more})
        self._check(settings)
        return await self._trial(settings, past_hours)

    async def _trial(self, settings: RouteSettings, hours: float) -> RouteTrial:
        if not 0 < hours <= _MOST_HOURS:
            raise BadRequest(f"a dry run looks at 1 to {_MOST_HOURS:g} hours", "give fewer hours")
        now, titles = self._clock.now(), dict(self._sources.titles())
        return await self._db.read(lambda c: trial(c, settings, titles, now - timedelta(hours=hours), now))


def _changes(old: RouteSettings | None, new: RouteSettings | None) -> list[tuple[str, str, str]]:
    """Return what differs between two states of a route, none for one that there is not."""
    before = old.model_dump(mode="json") if old is not None else {}
    after = new.model_dump(mode="json") if new is not None else {}
    name = str(after.get("name") or before.get("name"))
    found = []
    for key in RouteSettings.model_fields:
        was, is_now = before.get(key), after.get(key)
        if key != "name" and was != is_now:
            found.append((f"route {name} {key}", _said(was), _said(is_now)))
    return found


def _said(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _words(settings: RouteSettings) -> str:
    """Say in words what a route is for."""
    parts = []
    for what, values in (
        ("", settings.modality), ("from ", settings.calling), ("called ", settings.called),
        ("described as ", settings.description),
    ):  # fmt: skip
        if values:
            parts.append(what + " or ".join(values))
    parts += settings.where
    if settings.hours:
        parts.append(f"coming {settings.hours}")
    what = ", ".join(parts) or "everything"
    how = {
        "instance": "", "series": f", each series when complete ({settings.stable_s:g} s)",
        "study": f", when the study is complete ({settings.stable_s:g} s)",
        "performed": f", when the procedure is performed and all is here (else {settings.stable_s:g} s)",
    }[settings.send]  # fmt: skip
    through = f", through {settings.transform}" if settings.transform else ""
    return safe(f"{what}{how}{through}", 300)
