"""``pacstui storage``: the archive's disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.text import size


def _show(value: dict[str, Any]) -> Iterator[str]:
    used = value["total_bytes"] - value["free_bytes"]
    share = 100 * used / value["total_bytes"] if value["total_bytes"] else 0
    yield f"{value['path']}: {size(used)} of {size(value['total_bytes'])} used ({share:.0f}%)"
    yield f"archive  {size(value['archive_bytes'])}, today {size(value['today_bytes'])}"
    yield f"growth   {size(value['growth_bytes_per_day'])} a day, full {value['full_on'] or 'not within ten years'}"
    yield f"reserve  {size(value['reserve_bytes'])}; below it objects are answered with A700"
    yield f"speed    sync {value['sync_ms']:.1f} ms, commit {value['commit_ms']:.1f} ms (medians)"
    if not value["accepting"]:
        yield f"NOT TAKING OBJECTS: {value['detail']}"
    if value["days"]:
        yield ""
        yield from table(
            ["day", "images", "size"],
            ([day["day"], f"{day['instances']:,}", size(day["bytes"])] for day in value["days"]),
        )


def _quarantine(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "when", "from", "size", "why", "instance", "file"],
        (
            [r["id"], moment(r["at"]), r["calling"], size(r["bytes"]), r["reason"], r["sop_instance"], r["path"]]
            for r in rows
        ),
        empty="nothing was set aside",
    )


def _missing(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["received", "from", "size", "study", "instance", "file"],
        ([moment(r["at"]), r["calling"], size(r["bytes"]), r["study"], r["sop_instance"], r["path"]] for r in rows),
        empty="every object of the index has its file, as far as was compared",
    )


app = group(
    "storage",
    "Space, growth and speed of the archive.",
    {"show": _show, "quarantine": _quarantine, "missing": _missing},
    words={"limit": "At most so many, newest first.", "study": "Only those of this Study Instance UID."},
)
