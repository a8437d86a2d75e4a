"""Rows as files that other programs read: CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pacstui.text import guarded

SENDING: Final = (
    "id", "state", "destination", "route", "asked_by", "priority", "transform", "study", "series", "level",
    "patient_name", "patient_id", "date", "modalities", "description", "waiting", "sent", "warning", "failed",
    "cancelled", "filtered", "bytes_waiting", "bytes_sent", "attempts", "queued", "changed", "due", "status", "error",
    "hint",
)  # fmt: skip
"""The columns of an exported list of sendings; the fields of `SendingRow`."""


def status_word(status: int | None) -> str:
    """Return a status of a response as the standard writes it, ``A700H`` (PS3.7 annex C); empty for none."""
    return "" if status is None else f"{status:04X}H"


def _plain(name: str, value: Any) -> Any:
    if name == "status":
        return status_word(value)
    if isinstance(value, datetime):
        return value.isoformat()
    return value


def sendings_csv(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = SENDING) -> str:
    """Return rows as CSV with a line of names; an empty cell is one that has no value."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        cells = (_plain(name, row[name]) for name in columns)
        writer.writerow(["" if cell is None else guarded(cell) if isinstance(cell, str) else cell for cell in cells])
    return out.getvalue()


def sendings_json(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] = SENDING) -> str:
    """Return rows as a JSON array of objects."""
    return json.dumps([{name: _plain(name, row[name]) for name in columns} for row in rows], indent=1) + "\n"
