"""What was changed in the configuration: by whom, when, what it was and what it is.

The configuration as the node last saw it is kept, so that what somebody changed in the file while no node ran is
noticed at the next start. Secrets are not compared.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from pacstui.clock import moment_or_none
from pacstui.contract.maintenance import ChangeRow
from pacstui.text import safe

_TEXT = 300
_KEPT = 20_000
_SEEN = "settings"


def flat(settings: BaseModel) -> dict[str, str]:
    """Return all settings by name, each as text: ``[dicom] port``, ``peer CT1 host``."""
    found: dict[str, str] = {}
    for section, value in settings.model_dump(mode="json").items():
        _flatten(found, section, value)
    return found


def _flatten(found: dict[str, str], section: str, value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, list) and inner and isinstance(inner[0], dict):
                _rows(found, f"{section} {key}", inner)
            else:
                found[f"[{section}] {key}"] = _said(inner)
    elif isinstance(value, list):
        _rows(found, section, value)


def _rows(found: dict[str, str], section: str, rows: list[Any]) -> None:
    for number, row in enumerate(rows, 1):
        name = str(row.get("name") or row.get("group") or number) if isinstance(row, dict) else str(number)
        for key, inner in row.items() if isinstance(row, dict) else ():
            if key != "name":
                found[f"{section.removesuffix('s')} {name} {key}"] = _said(inner)


def _said(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield key, old and new value of what differs."""
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key, ""), new.get(key, "")
        if before != after:
            yield key, before, after


def note(connection: sqlite3.Connection, at: int, who: str, how: str, changes: Iterable[tuple[str, str, str]]) -> int:
    """Write changes down; return how many."""
    rows = [
        (at, safe(who, 64), safe(how, 64), safe(key, _TEXT), safe(old, _TEXT), safe(new, _TEXT))
        for key, old, new in changes
    ]
    connection.executemany("INSERT INTO changes (at, who, how, key, old, new) VALUES (?,?,?,?,?,?)", rows)
    connection.execute("DELETE FROM changes WHERE id <= (SELECT coalesce(max(id), 0) - ? FROM changes)", (_KEPT,))
    return len(rows)


def compare(connection: sqlite3.Connection, settings: BaseModel, at: int, who: str, how: str) -> int:
    """Note how settings differ from those that were seen last, and keep them; return how many differ."""
    now = flat(settings)
    row = connection.execute("SELECT value FROM state WHERE name=?", (_SEEN,)).fetchone()
    connection.execute("INSERT OR REPLACE INTO state (name, value) VALUES (?, ?)", (_SEEN, json.dumps(now)))
    if row is None:
        return 0
    return note(connection, at, who, how, differences(json.loads(row[0]), now))


def page(connection: sqlite3.Connection, search: str, before: int, limit: int) -> tuple[ChangeRow, ...]:
    """Return changes, newest first."""
    terms, values = ["1"], list[Any]()
    if before:
        terms.append("id < ?")
        values.append(before)
    for word in search.lower().split():
        terms.append("instr(lower(key || ' ' || who || ' ' || old || ' ' || new), ?)")
        values.append(word)
    rows = connection.execute(
        f"SELECT id, at, who, how, key, old, new FROM changes WHERE {' AND '.join(terms)} ORDER BY id DESC LIMIT ?",  # noqa: S608
        (*values, limit),
    )
    return tuple(ChangeRow(key, moment_or_none(at), *rest) for key, at, *rest in rows)  # type: ignore[arg-type]
