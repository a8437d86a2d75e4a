"""``pacstui exceptions``: studies that do not fit their order or patient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table

_MARKS = {"same": "=", "near": "~", "different": "x", "missing": "-"}


def _why(row: dict[str, Any]) -> str:
    why = f"taken by {row['settled']}" if row["settled"] else row["why"]
    return f"{why}; {_held(row)}" if row["held"] else str(why)


def _held(row: dict[str, Any]) -> str:
    return f"its order is on hold by {row['held']}" + (f": {row['held_why']}" if row["held_why"] else "")


def _rows(rows: list[dict[str, Any]], empty: str = "") -> list[str]:
    return table(
        ["state", "received", "patient", "ID", "accession", "mod", "images", "score", "why", "study"],
        (
            [r["state"], moment(r["received"])[:16], r["patient_name"], r["patient_id"], r["accession"], r["modality"],
             r["instances"], r["score"], _why(r), r["study"]]
            for r in rows
        ),
        empty=empty,
    )  # fmt: skip


def _list(value: dict[str, Any]) -> Iterator[str]:
    yield "  ".join(f"{number} {state}" for state, number in value["counts"].items())
    yield ""
    none = "every study fits its order and patient, or none is expected"
    yield from _rows(value["rows"], "nothing of that kind" if any(value["counts"].values()) else none)
    if value["next"]:
        yield f"more: --before {value['next']}"


def _show(value: dict[str, Any]) -> Iterator[str]:
    row = value["row"]
    yield from _one(row)
    for each in value["disagreements"]:
        told = ", ".join(f"{said['value'] or '(none)'} in {said['objects']:,}" for said in each["values"])
        yield f"x its objects disagree, {each['attribute']}: {told}"
    if not value["candidates"]:
        yield ""
        yield "there is no order that it may belong to; --search TEXT looks for another order or patient"
    for number, each in enumerate(value["candidates"], 1):
        order = f"order {each['order']}" if each["order"] else "a patient without orders"
        state = f", {each['state']}" if each["state"] else ""
        yield ""
        yield f"{number}. {order}{state}, score {each['score']}"
        if each["held"]:
            yield f"   {_held(each)}"
        yield from (
            "   " + line
            for line in table(
                ["", "", "arrived", "expected", ""],
                (
                    [_MARKS.get(d["mark"], "?"), d["attribute"], d["arrived"] or "-", d["expected"] or "-", d["how"]]
                    for d in each["differences"]
                ),
            )
        )


def _one(row: dict[str, Any]) -> list[str]:
    lines = [f"{row['state']}: {row['why']}" if row["why"] else row["state"]]
    if row["settled"]:
        lines.append(f"taken as it is by {row['settled']}")
    return [*lines, *_rows([row])]


app = group(
    "exceptions",
    "Studies that do not fit their order or patient, beside what was expected.",
    {"list_all": _list, "show": _show, "settle": _one, "match": _one, "reopen": _one},
    words={
        "state": "Only conflicting, unmatched, probable or matched ones, or those whose order is 'on hold'.",
        "search": "Words in name, ID, accession number or description; with show, another order or patient to compare.",
        "settled": "Those that somebody took as they are.", "before": "Below this cursor.", "limit": "At most so many.",
        "study": "The Study Instance UID.", "why": "A few words; who looks later will ask.",
    },
)  # fmt: skip
