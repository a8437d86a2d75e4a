"""``pacstui commitments``: storage commitments that were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table


def _list(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield from table(
        ["id", "received", "from", "objects", "not kept", "state", "tries", "next", "transaction"],
        (
            [
                r["id"],
                moment(r["received"]),
                r["calling"],
                f"{r['objects']:,}",
                f"{r['failed']:,}",
                r["state"],
                r["attempts"],
                moment(r["next_try"]) if r["state"] in ("waiting", "reporting") else "-",
                r["transaction"],
            ]
            for r in rows
        ),
        empty="nobody has asked for a storage commitment",
    )
    for r in rows:
        if r["problem"]:
            yield f"{r['id']}: {r['problem']}"


def _asked(rows: list[dict[str, Any]]) -> Iterator[str]:
    yield from table(
        ["id", "sent", "peer", "objects", "committed", "state", "answered", "study"],
        (
            [
                r["id"],
                moment(r["sent"]),
                r["peer"],
                f"{r['objects']:,}",
                f"{r['committed']:,}",
                r["state"],
                moment(r["answered"]) if r["answered"] else "-",
                r["study"],
            ]
            for r in rows
        ),
        empty="no peer was asked for a storage commitment",
    )
    for r in rows:
        if r["problem"]:
            yield f"{r['id']}: {r['problem']}"
        for uid in r["missing"]:
            yield f"{r['id']}: {r['peer']} does not keep {uid}"


app = group(
    "commitments",
    "Storage commitments that were asked for, by others and by this node.",
    {"list": _list, "asked": _asked, "ask": lambda row: _asked([row])},
    words={
        "limit": "At most so many, newest first.", "id": "Its number, as the list shows it.",
        "peer": "The peer's name, as pacstui peers list shows it.", "study": "Study Instance UID of a study here.",
    },
)  # fmt: skip
