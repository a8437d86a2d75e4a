"""``pacstui events``: what happened, and what happens now."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.doors import door, new_app
from pacstui.cli.out import moment, say, say_json

app = new_app()
_MARKS = {"info": " ", "warn": "!", "fail": "x"}
_PACE_S = 0.5


def line(row: dict[str, Any]) -> str:
    """Return one event as a line."""
    many = f" ({row['count']:,} times)" if row["count"] > 1 else ""
    hint = f" - {row['hint']}" if row["hint"] else ""
    return f"{moment(row['at'])} {_MARKS.get(row['level'], ' ')} {row['source']:<16} {row['text']}{many}{hint}"


@app.command()
def events(
    context: typer.Context,
    limit: Annotated[int, typer.Option(help="At most so many, the newest.", min=1, max=10000)] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl+C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON; with --follow one line an event.")] = False,
) -> None:
    """Show what happened, newest last."""
    data_dir = door(context).data_dir()
    rows = plain.call(data_dir, "feed", "list", after=0, limit=limit)
    if json and not follow:
        say_json(rows)
        return
    while True:
        for row in rows:
            if json:
                say_json(row, line=True)
            else:
                say(line(row))
        if not follow:
            return
        last = rows[-1]["id"] if rows else 0
        rows = []
        while not rows:
            time.sleep(_PACE_S)
            rows = plain.call(data_dir, "feed", "list", after=last, limit=1000)
