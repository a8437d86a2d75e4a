"""``pacstui worklist``: what is scheduled, where it stands, and what was performed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.contract.worklist import STATES
from pacstui.text import person, plural


def _date(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:8]}" if len(text) >= 8 else text


def _clock(text: str) -> str:
    return f"{text[:2]}:{text[2:4]}" if len(text) >= 4 else text


def _counts(row: dict[str, Any]) -> str:
    return f"{row['received']}/{row['expected']}" if row["expected"] >= 0 else str(row["received"] or "")


def _state(row: dict[str, Any]) -> str:
    late = row["late_min"]
    told = f"{late} min" if late < 60 else f"{late // 60}:{late % 60:02} h"
    if row["held"]:
        why = row["held_why"]
        return f"{row['state']} by {row['held']}{f': {why}' if why else ''}"
    return f"{row['state']}, {told} late" if late else str(row["state"])


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "date", "time", "modality", "station", "room", "state", "patient", "ID", "accession", "procedure",
         "images"],
        (
            [r["id"], _date(r["date"]), _clock(r["time"]), r["modality"], r["station_ae"], r["room"], _state(r),
             person(r["patient_name"]), r["patient_id"], r["accession"], r["description"], _counts(r)]
            for r in rows
        ),
        empty="nothing is scheduled; orders come by HL7, or: pacstui worklist new --help",
    )  # fmt: skip


def _page(value: dict[str, Any]) -> Iterator[str]:
    yield from _rows(value["rows"])
    if value["next"]:
        yield f"more: --after '{value['next']}'"


def _row(value: dict[str, Any]) -> list[str]:
    return _rows([value])


def _day(value: dict[str, Any]) -> Iterator[str]:
    yield _date(value["day"])
    seen = [state for state in STATES if any(state in each["counts"] for each in value["standing"])]
    yield from table(
        ["modality", "room", *seen],
        ([each["modality"], each["room"], *(each["counts"].get(state, "") for state in seen)]
         for each in value["standing"]),
        empty="nothing is scheduled on that day",
    )  # fmt: skip
    if value["unordered"]:
        yield f"{value['unordered']} without an order: pacstui worklist unordered"


def _performed(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "state", "station", "modality", "patient", "ID", "began", "ended", "step", "images", "why", "passed on"],
        (
            [r["id"], r["state"], r["station_ae"], r["modality"], person(r["patient_name"]), r["patient_id"],
             _moment(r["started"]), _moment(r["ended"]), r["step"] or "not scheduled", _counts(r), r["reason"],
             r["forwarded"]]
            for r in rows
        ),
        empty="no modality has told of a performed procedure step",
    )  # fmt: skip


def _moment(text: str) -> str:
    return f"{_date(text)} {_clock(text[8:])}".strip()


def _show(value: dict[str, Any]) -> Iterator[str]:
    row = value["row"]
    yield from _row(row)
    yield ""
    for label, text in (
        ("reason", value["reason"]), ("comments", value["comments"]), ("referring", person(value["referring"], "")),
        ("placer", value["placer"]), ("filler", value["filler"]), ("protocol", ", ".join(value["codes"])),
        ("study", row["study"]), ("step ID", row["step_id"]), ("source", row["source"]),
    ):  # fmt: skip
        if text:
            yield f"{label:10} {text}"
    if value["performed"]:
        yield ""
        yield from _performed(value["performed"])
    if value["history"]:
        yield ""
        yield from value["history"]


def _unordered(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["arrived", "patient", "ID", "accession", "modality", "description", "from", "objects", "study"],
        (
            [moment(r["first"]), person(r["patient_name"]), r["patient_id"], r["accession"], r["modality"],
             r["description"], r["calling"], r["instances"], r["study"]]
            for r in rows
        ),
        empty="every study of that day belongs to an order",
    )  # fmt: skip


def _again(count: int) -> list[str]:
    return [f"{plural(count, 'message')} will be passed on"]


app = group(
    "worklist",
    "What is scheduled, where it stands, and what was performed.",
    {"again": _again, "day": _day, "steps": _page, "step": _show, "unordered": _unordered, "performed": _performed,
     "add": _row, "change": _row, "set_state": _row, "cancel": _row},
    words={
        "day": "today (if left out), tomorrow, yesterday, +2, -3, 2026-11-28; list takes 2026-11-01..2026-11-30, all.",
        "modality": "CT, MR, DX, US and the like.", "state": "One of: " + ", ".join(STATES) + ".",
        "search": "Part of name, Patient ID, accession number or description; of all days unless one is named.",
        "after": "What the page before ended with.", "limit": "At most so many.", "id": "The number of the item.",
        "performed": "The number of the performed step.",
        "before": "Below this number.", "patient_id": "Patient ID.", "patient_name": "FAMILY^GIVEN.",
        "issuer": "Who gave the Patient ID.", "birth_date": "1970-01-02.", "sex": "M, F or O.",
        "accession": "Accession Number; made if left out.", "description": "What is to be done.",
        "station_ae": "AE title of the station; several with commas between.", "room": "Where.",
        "done": "It was done already: no modality is told of it.",
        "priority": "ROUTINE, HIGH, STAT, MEDIUM or LOW.", "referring": "Referring physician.",
        "date": "The day; today if left out.", "time": "14:30; now if left out.", "why": "A few words.",
    },
    positional=("day.day", "steps.day", "unordered.day", "performed.day"),
)  # fmt: skip
