"""``pacstui audit``: who did what, and whether the record of it is whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.archive.paths import DATABASE
from pacstui.cli.actions import group
from pacstui.cli.doors import Door, door
from pacstui.cli.out import fields, moment, say, say_json, table
from pacstui.errors import NotFound, NotRunning, Unavailable


def _list(page: dict[str, Any]) -> Iterator[str]:
    yield from table(
        ["id", "at", "who", "what", "outcome", "target", "patient", "detail", "from"],
        (
            [
                r["id"],
                moment(r["at"]),
                r["who"],
                f"{r['kind']} {r['action']}".strip(),
                r["outcome"],
                r["target"] or "-",
                r["patient"] or "-",
                r["detail"] or "-",
                r["origin"] or "-",
            ]
            for r in page["rows"]
        ),
        empty="no entries",
    )
    if page["next"] is not None:
        yield ""
        yield f"older ones: --before {page['next']}"


def _verdict(verdict: dict[str, Any]) -> Iterator[str]:
    yield verdict["text"]
    for flaw in verdict["flaws"]:
        first, last = flaw["first"], flaw["last"]
        yield f"  {f'entry {first}' if first == last else f'entries {first} to {last}'}: {flaw['text']}"


app = group(
    "audit",
    "Who did what, in a chain in which every change is found.",
    {"list": _list, "state": fields, "export_csv": lambda text: text.rstrip().split("\n")},
    words={
        "search": "Only entries with these words.",
        "who": "Only entries of this account.",
        "kind": "Only entries of this kind: action, sign-in, denied, patients seen, ...",
        "since": "From this date or time on.",
        "until": "Up to this date or time.",
        "limit": "At most so many.",
        "before": "Go on after the page that ended with this number.",
    },
    leave_out=("verify",),
)


@app.command("verify")
def verify(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Check that no entry was changed, removed or put in; exit 1 if one was. Works without a running node, too."""
    data_dir = door(context).data_dir()
    try:
        verdict = plain.call(data_dir, "audit", "verify", timeout=600)
    except NotRunning:
        verdict = _offline(door(context))
    if json:
        say_json(verdict)
    else:
        for line in _verdict(verdict):
            say(line)
    if verdict["flaws"]:
        raise typer.Exit(1)


def _offline(from_door: Door) -> dict[str, Any]:
    from pathlib import Path

    from pacstui.audit import chain
    from pacstui.audit.trail import HEAD, KEY
    from pacstui.configuration import load

    settings = load(from_door.config).settings
    data_dir = settings.node.data_dir
    path = data_dir / DATABASE
    if not path.exists():
        raise NotFound(f"there is no index in {data_dir}", "was the node ever started?")
    key = chain.read_key(Path(settings.audit.key) if settings.audit.key else data_dir / KEY)
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            return asdict(chain.verify(connection, key, data_dir / HEAD))
    except sqlite3.Error as error:
        raise Unavailable(f"{path} cannot be read: {error}", "see docs/operations.md") from None
