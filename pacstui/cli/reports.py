"""``pacstui report``: what the node did in a period, in numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.text import plural, size


def _show(value: dict[str, Any]) -> Iterator[str]:
    yield f"{value['node']}, {value['first']} to {value['last']}"
    yield (
        f"received {plural(value['studies'], 'study', 'studies')}, {plural(value['instances'], 'instance')}, "
        f"{size(value['bytes'])}; archive {size(value['archive_bytes'])}, {size(value['free_bytes'])} free, growing "
        f"{size(value['growth_bytes_per_day'])} a day"
    )
    received = ["studies", "instances", "size"]
    days = [row for row in value["days"] if row["instances"]]
    for first, rows in (("day", days), ("modality", value["modalities"]), ("sender", value["senders"])):
        name = "day" if first == "day" else "name"
        lines = [[row[name], f"{row['studies']:,}", f"{row['instances']:,}", size(row["bytes"])] for row in rows]
        yield from ("", *table([first, *received], lines, empty=f"no {first}: nothing was received"))
    yield ""
    counted = (
        "associations", "broken", "refused", "not_stored", "set_aside", "sent", "not_sent", "fetched", "not_fetched",
    )  # fmt: skip
    yield from table(
        ["caller", *(name.replace("_", " ") for name in counted)],
        ([row["name"], *(f"{row[name]:,}" for name in counted)] for row in value["callers"]),
        empty="nobody called",
    )
    yield ""
    yield from table(
        ["target", "state", "last good", "unsaved", "problem"],
        ([r["name"], r["state"], moment(r["last_good"]), f"{r['unsaved']:,}", r["problem"]] for r in value["backups"]),
        empty="there is no backup target: what the disk loses is lost",
    )
    yield ""
    yield from table(
        ["job", "runs", "done", "warnings", "failed", "late"],
        ([r["job"], r["runs"], r["done"], r["warnings"], r["failed"], r["late"]] for r in value["jobs"]),
        empty="no job ran",
    )


def _files(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["written", "size", "kept until", "file"],
        ([moment(row["written"]), size(row["bytes"]), row["until"] or "always", row["path"]] for row in rows),
        empty="none was written yet; pacstui jobs start report writes the one of the last month",
    )


app = group(
    "reports",
    "Usage and operations of a period, in numbers.",
    {"show": _show, "files": _files},
    words={"period": "day, week, month (the last one that is over), 30 (days), 2026-01, 2026-01-31, or two with .."},
    positional=("show.period",),
)
