"""What the commands about backups have in common: the group, its options, how long work ends."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pacstui.cli.backup_ways import seen
from pacstui.cli.doors import new_app
from pacstui.cli.out import moment, say, say_json, table
from pacstui.contract import Action, actions_of
from pacstui.contract.backups import Backups
from pacstui.text import count, size

_ACTIONS = actions_of(Backups)
app = new_app(help="Copies of the archive elsewhere.", no_args_is_help=True)

Target = Annotated[str, typer.Option(help="The target's name; may be left out where there is only one.")]
Url = Annotated[str, typer.Option(help="A folder or s3: address, for a machine without this node's settings.")]
Identity = Annotated[str, typer.Option(metavar="FILE", help="An age identity that opens what is encrypted.")]
Passphrase = Annotated[str, typer.Option(metavar="FILE", help="The file with the target's passphrase.")]
Endpoint = Annotated[str, typer.Option(help="With an s3: address: the server.")]
SignedBy = Annotated[
    str, typer.Option(metavar="KEY", help="Who signed it: ssh-ed25519 AAAA..., SHA256:..., or a file with such lines.")
]
Snapshot = Annotated[str, typer.Option(help="Its id, the beginning of one, or latest.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Begin it, and do not wait for its end.")]


def help_of(method: str, more: str = "") -> str:
    return f"{_ACTIONS[method].label}.{' ' + more if more else ''}"


def action(method: str) -> Action:
    return _ACTIONS[method]


def end(row: dict[str, Any], as_json: bool) -> None:
    """Print how long work ended, and leave with its exit code: 0 done, 1 for what somebody should look at."""
    if as_json:
        say_json(row)
    elif row["state"] in ("running", "waiting"):
        say(f"run {row['id']} of {row['job']} has begun: pacstui jobs run {row['id']}")
    else:
        say(f"{row['state']}: {row['text']}")
        if row.get("hint"):
            say(f"  {row['hint']}")
    raise typer.Exit(seen(row["state"]))


_SIGNED = {"signed": "yes", "early": "not yet", "unknown": "?"}


def snapshot_lines(rows: list[dict[str, Any]], kept: bool = True) -> list[str]:
    """Return snapshots as a table. ``kept`` tells whether the rules that keep them are known here."""
    titles = [
        "snapshot",
        "when",
        "studies",
        "instances",
        "size",
        "new",
        "missing",
        "signed",
        "checked",
        "by",
        "kept as",
    ]
    lines = [
        [
            row["id"], moment(row["at"]), count(row["studies"]), count(row["instances"]), size(row["bytes"]),
            count(row["new_instances"]), count(row["missing"]) if row["missing"] else "-",
            _SIGNED.get(row["signed"], "NOT OURS"), row["checked"] or "-", row["by"],
            ", ".join(row["keeps"]) or "to be pruned",
        ]
        for row in rows
    ]  # fmt: skip
    if not kept:
        titles, lines = titles[:-1], [line[:-1] for line in lines]
    return table(titles, lines, empty="no snapshot yet")
