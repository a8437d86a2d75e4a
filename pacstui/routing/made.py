"""Routes and destinations that people made or changed on the console, beside those of the configuration."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from pacstui.errors import BadRequest
from pacstui.routing.route import Route
from pacstui.settings import RouteSettings
from pacstui.text import safe


@dataclass(frozen=True, slots=True)
class MadeRoute:
    """A route and where it comes from: ``configuration`` or ``console``; ``by`` changed it last, at ``changed``
    (microseconds since 1970, 0 for never)."""

    settings: RouteSettings
    source: str
    by: str = ""
    changed: int = 0


def checked(values: dict[str, Any]) -> RouteSettings:
    """Return a route as somebody described it.

    Raises
    ------
    BadRequest
        That names what does not fit, and what would.
    """
    try:
        settings = RouteSettings(**values)
    except ValidationError as fault:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadRequest(
            f"{where}: {first['msg'].removeprefix('Value error, ')}", "see docs/configuration.md, [[routes]]"
        ) from None
    Route(settings)
    return settings


def routes(connection: sqlite3.Connection, configured: Iterable[RouteSettings]) -> list[MadeRoute]:
    """Return all routes: those of the configuration, then those of the console, each in its order."""
    rows = connection.execute("SELECT name, body, by, changed FROM routes ORDER BY place, name").fetchall()
    kept = {name: (json.loads(body), by, changed) for name, body, by, changed in rows}
    found = []
    for each in configured:
        body, by, changed = kept.pop(each.name, ({}, "", 0))
        # Of a route of the configuration only whether it is in use is kept here.
        enabled = bool(body.get("enabled", each.enabled)) if set(body) == {"enabled"} else each.enabled
        found.append(MadeRoute(each.model_copy(update={"enabled": enabled}), "configuration", by, changed))
    for name, (body, by, changed) in kept.items():
        if set(body) == {"enabled"}:
            continue  # the configuration has that route no longer
        try:
            found.append(MadeRoute(RouteSettings(**body | {"name": name}), "console", by, changed))
        except ValidationError:
            continue
    return found


def put(connection: sqlite3.Connection, settings: RouteSettings, source: str, by: str, now: int) -> None:
    """Keep a route; of one of the configuration, whether it is in use."""
    body = settings.model_dump(mode="json", exclude={"name"})
    if source == "configuration":
        body = {"enabled": settings.enabled}
    connection.execute(
        "INSERT INTO routes (name, place, body, by, changed) VALUES (?, (SELECT coalesce(max(place), 0) + 1 FROM"
        " routes), ?, ?, ?) ON CONFLICT (name) DO UPDATE SET body=excluded.body, by=excluded.by,"
        " changed=excluded.changed",
        (settings.name, json.dumps(body), by, now),
    )


def remove(connection: sqlite3.Connection, name: str) -> None:
    """Forget a route."""
    connection.execute("DELETE FROM routes WHERE name=?", (name,))


def rename_destination(connection: sqlite3.Connection, old: str, new: str) -> None:
    """Let pauses, and routes of the console, name a destination by its new name."""
    connection.execute("DELETE FROM destinations WHERE name=?", (new,))
    connection.execute("UPDATE destinations SET name=? WHERE name=?", (new, old))
    for name, text in connection.execute("SELECT name, body FROM routes").fetchall():
        body = json.loads(text)
        if old in body.get("to", ()):
            body["to"] = list(dict.fromkeys(new if to == old else to for to in body["to"]))
            connection.execute("UPDATE routes SET body=? WHERE name=?", (json.dumps(body), name))


@dataclass(frozen=True, slots=True)
class Pause:
    """Somebody wanted that nothing is sent to a destination."""

    destination: str
    why: str
    by: str
    at: int


def pauses(connection: sqlite3.Connection) -> dict[str, Pause]:
    """Return which destinations are paused."""
    rows = connection.execute("SELECT name, paused, paused_by, paused_at FROM destinations WHERE paused_by != ''")
    return {row[0]: Pause(*row) for row in rows}


def pause(connection: sqlite3.Connection, destination: str, why: str, by: str, now: int) -> None:
    """Note that a destination is paused, or with an empty ``by`` that it is not."""
    connection.execute(
        "INSERT INTO destinations (name, paused, paused_by, paused_at) VALUES (?,?,?,?) ON CONFLICT (name) DO UPDATE"
        " SET paused=excluded.paused, paused_by=excluded.paused_by, paused_at=excluded.paused_at",
        (destination, safe(why, 200), by, now),
    )
