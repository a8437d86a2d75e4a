"""Rows of persons, orders and steps as messages make them, for tests that need some."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

from pacstui.index.fold import fold


def insert(connection: sqlite3.Connection, table: str, values: Mapping[str, Any]) -> int:
    """Insert a row and return its number."""
    names = ", ".join(f'"{name}"' for name in values)
    marks = ", ".join("?" * len(values))
    done = connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(values.values()))
    assert done.lastrowid is not None
    return done.lastrowid


def scheduled(connection: sqlite3.Connection, number: int, **more: Any) -> int:
    """Insert a person, an order and a step; return the step. ``more`` by column, ``p_``, ``o_`` before those of others
    than the step's."""
    split: dict[str, dict[str, Any]] = {"p_": {}, "o_": {}, "": {}}
    for name, value in more.items():
        prefix = name[:2] if name[:2] in ("p_", "o_") else ""
        split[prefix][name.removeprefix(prefix)] = json.dumps(value) if isinstance(value, (dict, list)) else value
    person = {
        "name_key": fold(str(split["p_"].get("name", f"TEST^NUMBER {number}"))),
        "patient_id": f"P{number}", "issuer": "TESTLAB", "name": f"TEST^NUMBER {number}", "birth_date": "19700102",
        "sex": "F", **split["p_"],
    }  # fmt: skip
    known = connection.execute(
        "SELECT id FROM persons WHERE patient_id = ? AND issuer = ?", (person["patient_id"], person["issuer"])
    ).fetchone()
    order = {
        "person": known[0] if known else insert(connection, "persons", person), "placer": f"PL{number}",
        "filler": f"FI{number}", "accession": f"A{number}", "accession_key": f"a{number}",
        "procedure_id": f"RP{number}",
        "study": f"2.25.{uuid4().int}", "state": "scheduled", "priority": "R", "code": "P1", "scheme": "LOCAL",
        "description": "THORAX", "referring": "REFERRER^ANY", **split["o_"],
    }  # fmt: skip
    step = {
        "order": insert(connection, "orders", order), "step_id": f"S{number}", "modality": "CT", "station_ae": "CT1",
        "date": "20250111", "time": "120000", "description": "CT THORAX", "state": "scheduled", **split[""],
    }  # fmt: skip
    return insert(connection, "steps", step)


def schedule(data_dir: Path, *steps: Mapping[str, Any], first: int = 1) -> list[int]:
    """Insert steps into the database of a node that runs."""
    with closing(sqlite3.connect(data_dir / "index.db", timeout=20)) as connection, connection:
        return [scheduled(connection, first + at, **step) for at, step in enumerate(steps)]
