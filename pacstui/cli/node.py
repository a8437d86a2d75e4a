"""``pacstui node``: its history, and stopping it."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.actions import confirm, group
from pacstui.cli.doors import door
from pacstui.cli.out import moment, say, table
from pacstui.cli.status import page
from pacstui.contract import Node, actions_of
from pacstui.errors import NotRunning, PacsError, Unavailable
from pacstui.text import size

_STOP_S = 15.0


def _history(value: dict[str, Any]) -> list[str]:
    return table(
        ["minute", "images", "size", "associations", "refused"],
        (
            [moment(p["at"]), f"{p['instances']:,}", size(p["bytes"]), p["associations"], p["refused"]]
            for p in value["points"]
        ),
        empty="no history yet",
    )


app = group(
    "node",
    "The node as a whole.",
    {"status": page, "history": _history},
    words={"minutes": "How far back."},
    leave_out=("stop",),
)
_STOP = actions_of(Node)["stop"]


@app.command(_STOP.verb, help=f"{_STOP.label}.")
def stop(
    context: typer.Context,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Ask the node to stop and wait until it has."""
    data_dir = door(context).data_dir()
    pid = plain.call(data_dir, "node", "status")["node"]["pid"]
    if not yes:
        confirm(_STOP, {})
    plain.call(data_dir, "node", "stop")
    end = time.monotonic() + _STOP_S
    while time.monotonic() < end:
        try:
            plain.call(data_dir, "node", "status", timeout=2)
        except (NotRunning, Unavailable):
            say(f"the node (pid {pid}) has stopped")
            return
        time.sleep(0.1)
    raise PacsError(f"the node (pid {pid}) still runs after {_STOP_S:.0f} s", "look at its log")
