"""``pacstui routes``: what is sent on, where to, when and how changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.text import person, plural, size


def _state(row: Mapping[str, Any]) -> str:
    return "- off" if not row["enabled"] else "x broken" if row["problem"] else "= on"


def _list(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield from table(
        ["state", "route", "sends", "to", "waiting", "sent", "failed", "made in"],
        (
            [_state(r), r["name"], r["text"], ", ".join(r["to"]), f"{r['waiting']:,}", f"{r['sent']:,}",
             f"{r['failed']:,}", r["source"]]
            for r in rows
        ),
        empty="no routes: nothing that comes is sent on by itself; pacstui routes create -h says how to make one",
    )  # fmt: skip
    for row in rows:
        if row["problem"]:
            yield f"{row['name']} sends nothing: {row['problem']}"
            if row["hint"]:
                yield f"  {row['hint']}"


def _route(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"{row['name']}: {_state(row)}; {row['text']}"
    yield f"to {', '.join(row['to'])}, {row['priority']} priority"
    if row["problem"]:
        yield f"sends nothing: {row['problem']}"
        yield f"  {row['hint']}"


def _trial(value: dict[str, Any]) -> Iterator[str]:
    rows = value["rows"]
    objects = sum(row["instances"] for row in rows)
    yield (
        f"of {plural(value['studies'], 'study', 'studies')} received from {moment(value['since'])} to "
        f"{moment(value['until'])}, it would have sent {plural(objects, 'object')} of "
        f"{plural(len(rows), 'study', 'studies')}; nothing was sent now"
    )
    yield from table(
        ["received", "patient", "ID", "mod", "description", "from", "objects", "of", "size", "to"],
        (
            [moment(r["received"]), person(r["patient_name"]), r["patient_id"] or "-", r["modalities"] or "-",
             r["description"], r["calling"], f"{r['instances']:,}", f"{r['of']:,}", size(r["bytes"]),
             ", ".join(r["to"])]
            for r in rows
        ),
    )  # fmt: skip
    if value["cut"]:
        yield "there is more than can be looked at at once: --hours or --past-hours looks at less"


def _lines(values: list[str]) -> Iterator[str]:
    yield from values or ["none"]


app = group(
    "routes",
    "What is sent on, where to, when and how changed.",
    {
        "list": _list, "create": _route, "edit": _route, "trial": _trial, "trial_of": _trial, "destinations": _lines,
        "transforms": _lines,
    },
    words={
        "name": "Name of the route.",
        "to": "Where to: name of a peer or of one of [[destinations]]; several are possible.",
        "modality": "Only this modality, as CT; may be given again. * stands for anything, ? for one character.",
        "calling": "Only from this AE title; may be given again.",
        "called": "Only what was sent to this AE title of ours; may be given again.",
        "description": "Only with such a study description, as '*CHEST*'; may be given again.",
        "where": "A further condition, as 'BodyPartExamined = CHEST | ABDOMEN'; may be given again: all have to hold.",
        "hours": "create, edit, try-new: only what comes then, as 20:00-06:00. try: so many hours back.",
        "past_hours": "So many hours back.",
        "send": "instance: each object as it comes; series or study: when complete; performed: when MPPS says so.",
        "stable_s": "Seconds without a further object after which a series or study is complete.",
        "priority": "high, medium or low.",
        "transform": "Name of the transformation that the copy goes through.",
        "send_back": "Also to where the object came from.",
        "last": "Do not look at later routes for what this one takes.",
    },
)  # fmt: skip
