"""``pacstui maintenance``: out of service in order, and what was changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.text import plural

_EFFECTS = {"drain": "new associations are rejected", "echo": "only C-ECHO is taken", "announce": "told to people only"}


def _show(value: dict[str, Any]) -> Iterator[str]:
    if value["effect"]:
        until = f", until {moment(value['until'])[:16]}" if value["until"] else ", until resumed"
        yield f"DRAINED  {_EFFECTS[value['effect']]} and nothing is sent: {value['why']}"
        yield f"         by {value['by']} since {moment(value['since'])[:16]}{until}"
    else:
        yield "serving  everybody"
    running, sending = value["associations"], value["sending"]
    if value["effect"] and not running and not sending:
        yield "running  nothing: it can be stopped"
    else:
        yield f"running  {plural(running, 'association')}, {plural(sending, 'object')} on the way out"
    yield ""
    yield from _windows(value["windows"])


def _windows(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "from", "to", "state", "what happens", "about", "owner", "reason"],
        (
            [r["id"], moment(r["start"])[:16], moment(r["end"])[:16], r["state"], _EFFECTS[r["effect"]],
             ", ".join(r["peers"]) or "this node", r["owner"] or r["made_by"], r["reason"]]
            for r in rows
        ),
        empty="no maintenance is planned",
    )  # fmt: skip


def _window(value: dict[str, Any]) -> list[str]:
    return _windows([value])


def _changes(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "when", "who", "how", "what", "was", "is"],
        ([r["id"], moment(r["at"]), r["who"], r["how"], r["key"], r["old"], r["new"]] for r in rows),
        empty="nothing was changed",
    )


app = group(
    "maintenance",
    "Out of service in order: draining, planned windows, what was changed.",
    {"show": _show, "drain": _show, "resume": _show, "plan": _window, "change": _window, "cancel": _window,
     "changes": _changes},
    words={
        "why": "A few words; callers' administrators and colleagues see them.",
        "effect": "drain: new associations are rejected for now; echo: only C-ECHO; announce: people are told.",
        "minutes": "Resume by itself after so many; 0: by hand.", "start": "2026-12-24 22:00, 22:00, +30 min or +2 h.",
        "end": "The same; with + it counts from the start.", "reason": "What is done.", "owner": "Who answers for it.",
        "peers": "About these peers only: nothing is sent to them meanwhile. May be given several times.",
        "past_days": "Show what is over for up to so many days.", "id": "The number of the window.",
        "search": "Words in what was changed.", "before": "Below this number.", "limit": "At most so many.",
    },
)  # fmt: skip
