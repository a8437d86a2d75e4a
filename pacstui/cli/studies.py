"""``pacstui studies``: the archive's content."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import day, moment, table
from pacstui.text import person, plural, size


def _who(row: dict[str, Any]) -> str:
    marks = ((row["marked"], " (?)"), (row["conflict"], " (!)"), (row["pinned"], " (pinned)"))
    return person(row["patient_name"]) + "".join(mark for true, mark in marks if true)


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["date", "patient", "ID", "mod", "description", "series", "images", "size", "received", "study"],
        (
            [
                day(r["date"]),
                _who(r),
                r["patient_id"] or "-",
                "/".join(r["modalities"]),
                r["description"],
                r["series"],
                f"{r['instances']:,}",
                size(r["bytes"]),
                moment(r["received"]),
                r["study"],
            ]
            for r in rows
        ),
        empty="no studies",
    )


def _list(page: dict[str, Any]) -> Iterator[str]:
    yield from _rows(page["rows"])
    for row in page["rows"]:
        if row["conflict"]:
            yield f"(!) {row['study']}: {row['conflict']}"
    if page["next"] is not None:
        yield ""
        yield f"{len(page['rows'])} of {plural(page['total'], 'study', 'studies')}; older ones: --before {page['next']}"


def _show(detail: dict[str, Any]) -> Iterator[str]:
    row = detail["row"]
    yield f"{person(row['patient_name'])}  {row['patient_id'] or '(no ID)'}  {row['issuer']}".rstrip()
    yield f"born {day(row['birth_date'])}, {row['sex'] or 'sex unknown'}"
    yield f"{day(row['date'])} {row['description']}, accession {row['accession'] or '-'}"
    yield f"{row['study']}, {plural(row['instances'], 'instance')}, {size(row['bytes'])}"
    first, last = moment(row["received"]), moment(row["changed"])
    yield f"received {first}" + (f", the last object {last}" if last != first else "")
    yield f"sent by {', '.join(detail['calling']) or '-'}"
    if row["conflict"]:
        yield f"doubtful: {row['conflict']}"
    if row["match"]:
        yield f"order: {row['match']}{': ' if row['misfit'] else ''}{row['misfit']}"
    if row["pinned"]:
        yield f"{row['pinned']}: no rule purges it; pacstui space unpin {row['study']}"
    if detail["missing"]:
        yield f"{plural(detail['missing'], 'object')} without file: pacstui storage missing"
    if row["marked"]:
        yield "some text could not be decoded; the objects are stored as they came"
    yield ""
    yield from table(
        ["no.", "mod", "description", "station", "images", "size", "series"],
        (
            [
                s["number"] or "-",
                s["modality"],
                s["description"],
                s["station"],
                f"{s['instances']:,}",
                size(s["bytes"]),
                s["series"],
            ]
            for s in detail["series"]
        ),
    )


app = group(
    "studies",
    "The archive's content.",
    {"list": _list, "show": _show},
    words={
        "search": "A word in name, patient ID, accession number or description.",
        "limit": "At most so many.",
        "only": "conflicts: with objects of two patients; missing: with objects that have no file; exceptions: that"
        " do not fit their order or patient.",
        "before": "Go on after the page that ended with this number.",
        "study": "Study Instance UID.",
    },
)
