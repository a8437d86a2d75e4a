"""``pacstui queue``: work in flight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.text import person, plural, size


def _list(value: dict[str, Any]) -> Iterator[str]:
    yield f"arriving; {plural(value['writing'], 'object')} on the way to the disk"
    yield from table(
        ["from", "patient", "mod", "description", "images", "size", "per s", "last", "state"],
        (
            [
                r["calling"],
                person(r["patient_name"]),
                r["modality"],
                r["description"],
                f"{r['instances']:,}",
                size(r["bytes"]),
                f"{r['rate']:.0f}",
                moment(r["last"]),
                r["state"],
            ]
            for r in value["receiving"]
        ),
        empty="  nothing",
    )
    yield ""
    yield "going out"
    yield from table(
        ["destination", "wait", "sending", "failed", "oldest", "per s", "what is happening"],
        (
            [
                r["destination"],
                f"{r['waiting']:,}",
                r["sending"],
                f"{r['failed']:,}",
                moment(r["oldest"]),
                f"{r['rate']:.0f}",
                r["state"],
            ]
            for r in value["outgoing"]
        ),
        empty="  nothing",
    )


app = group("queue", "What is arriving and what waits to go out.", {"list": _list})
