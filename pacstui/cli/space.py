"""``pacstui space``: the trash, what rules purge, and repair."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.text import plural, size


def _show(value: dict[str, Any]) -> Iterator[str]:
    yield (
        f"volume   {value['used_percent']:.1f}% used, {size(value['free_bytes'])} free; warns from "
        f"{value['warn_percent']:g}%, makes room from {value['purge_above_percent']:g}% until "
        f"{value['purge_until_percent']:g}%"
    )
    yield f"next     {'; '.join(each for each in (value['forecast'], value['next_step']) if each)}"
    told = f"{plural(value['trash_entries'], 'entry', 'entries')}, {size(value['trash_bytes'])}"
    yield f"trash    {told}; the oldest goes on {value['trash_until']}" if value["trash_entries"] else "trash    empty"
    if value["broken"]:
        yield f"BROKEN   {plural(value['broken'], 'object')} missing or damaged: pacstui space repair"
    for rule in value["rules"]:
        yield f"rule     {rule['name']}: {rule['told']}"
    if not value["rules"]:
        yield "rules    none: nothing is ever purged by itself"
    if value["pinned"]:
        yield f"pinned   {plural(value['pinned'], 'study', 'studies')}: pacstui space pins"
    if value["purge_last"]:
        yield f"purged   {value['purge_last']}"
    if value["repair_last"]:
        yield f"repaired {value['repair_last']}"


def _trash(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "deleted", "what", "patient", "ID", "study date", "description", "images", "size", "by", "why", "goes"],
        (
            [r["id"], moment(r["at"]), r["level"], r["patient_name"], r["patient_id"], r["date"], r["description"],
             f"{r['instances']:,}", size(r["bytes"]), r["rule"] or r["by"], r["problem"] or r["why"],
             moment(r["until"])]
            for r in rows
        ),
        empty="the trash is empty",
    )  # fmt: skip


def _delete(value: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{value['level']} of {plural(value['instances'], 'instance')} ({size(value['bytes'])}) is in the trash; it "
        f"comes back with: pacstui space undo {value['id']}"
    )


def _pin(value: dict[str, Any]) -> Iterator[str]:
    yield f"{value['study']} is pinned; pacstui space unpin takes it off"


def _pins(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["pinned", "by", "why", "patient", "study date", "description", "images", "size", "study"],
        (
            [moment(r["at"]), r["by"], r["why"], r["patient_name"] or "-", r["date"] or "-",
             r["description"] if r["instances"] else "(not here)", f"{r['instances']:,}", size(r["bytes"]), r["study"]]
            for r in rows
        ),
        empty="no study is pinned; pacstui space pin keeps one from being purged",
    )  # fmt: skip


def _undo(value: dict[str, Any]) -> Iterator[str]:
    yield f"{plural(value['instances'], 'instance')} brought back, {value['there']:,} were there"
    for uid, why in value["refused"]:
        yield f"stays in the trash: {uid}: {why}"


def _empty(value: dict[str, Any]) -> Iterator[str]:
    yield f"{plural(value['entries'], 'entry', 'entries')} gone for good, {size(value['bytes'])} free again"
    yield from (f"not removed: {each}" for each in value["failed"])


def _plan(value: dict[str, Any]) -> Iterator[str]:
    yield (
        f"{plural(value['studies'], 'study', 'studies')} of {plural(value['instances'], 'instance')} would go, "
        f"{size(value['bytes'])}; {value['kept']:,} stay that a rule is for"
    )
    yield from table(
        ["rule", "why", "stays because", "patient", "study date", "description", "images", "size", "study"],
        (
            [r["rule"], r["why"], r["kept"], r["patient_name"], r["date"], r["description"], f"{r['instances']:,}",
             size(r["bytes"]), r["study"]]
            for r in value["rows"]
        ),
        empty="no rule is for any study",
    )  # fmt: skip


def _run(value: dict[str, Any]) -> Iterator[str]:
    yield f"run {value['id']} of {value['job']} has begun"


app = group(
    "space",
    "The trash, what rules purge, and repair of objects.",
    {"show": _show, "trash": _trash, "delete": _delete, "undo": _undo, "empty": _empty, "plan": _plan, "purge": _run,
     "repair": _run, "pin": _pin, "pins": _pins},
    words={
        "limit": "At most so many.", "study": "Study Instance UID.", "series": "Only this series of it.",
        "instance": "Only this SOP Instance UID of it.", "why": "Words for the list and the audit trail.",
        "entry": "The number of the entry, or all.", "rule": "The name of a rule, or all.",
    },
    failed=lambda method, value: bool(method in ("undo", "empty") and (value.get("refused") or value.get("failed"))),
)  # fmt: skip
