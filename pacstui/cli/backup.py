"""``pacstui backup``: copies of the archive elsewhere. Also without a node, and without an archive on this machine."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from pacstui.cli import backup_restore, backup_show
from pacstui.cli.actions import confirm
from pacstui.cli.backup_options import (
    Endpoint,
    Identity,
    Json,
    NoWait,
    Passphrase,
    SignedBy,
    Snapshot,
    Target,
    Url,
    Yes,
    action,
    app,
    end,
    help_of,
    snapshot_lines,
)
from pacstui.cli.backup_ways import Ways, Where
from pacstui.cli.doors import door
from pacstui.cli.out import moment, say, say_json
from pacstui.errors import BadRequest
from pacstui.text import plural, size

__all__ = ["app", "backup_restore", "backup_show"]


@app.callback()
def only_a_group() -> None:
    """Copies of the archive elsewhere."""


@app.command("run", help=help_of("run", "Exit 0 when everything is safe, 1 when something is not."))
def run(context: typer.Context, target: Target = "", no_wait: NoWait = False, json: Json = False) -> None:
    """Take a snapshot."""
    end(Ways(door(context), Where(target)).begin("run", "backup", wait=not no_wait), json)


@app.command("verify", help=help_of("verify", "Exit 0 when nothing is wrong."))
def verify(
    context: typer.Context, target: Target = "",
    full: Annotated[bool, typer.Option("--full", help="Read every byte.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only names and sizes.")] = False,
    percent: Annotated[float, typer.Option(help="Without both: read so much of it.")] = 5.0,
    url: Url = "", identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    signed_by: SignedBy = "",
    no_wait: NoWait = False, json: Json = False,
) -> None:  # fmt: skip
    """Verify a target."""
    if full and quick:
        raise BadRequest("--full and --quick cannot be had at once")
    depth = "full" if full else "quick" if quick else "sample"
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint, signed_by))
    end(ways.begin("verify", "verify", wait=not no_wait, depth=depth, percent=percent), json)


@app.command("drill", help=help_of("drill", "Exit 0 when all came back as it was."))
def drill(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest",
    instances: Annotated[int, typer.Option(help="At least so many.")] = 200, url: Url = "",
    identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    signed_by: SignedBy = "",
    no_wait: NoWait = False, json: Json = False,
) -> None:  # fmt: skip
    """Rehearse a restore."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint, signed_by))
    end(ways.begin("drill", "drill", wait=not no_wait, snapshot=snapshot, instances=instances), json)


@app.command("prune-plan", help=help_of("prune_plan"))
def prune_plan(context: typer.Context, target: Target = "", json: Json = False) -> None:
    """Show what would go."""
    _show_prune(Ways(door(context), Where(target)), json)


def _show_prune(ways: Ways, as_json: bool) -> dict[str, Any]:
    found = dict(ways.ask("prune_plan", "prune_plan"))
    if as_json:
        say_json(found)
        return found
    say(f"rules: {found['rules']}; {plural(len(found['keep']), 'snapshot')} stay")
    for line in snapshot_lines(found["remove"]) if found["remove"] else ["nothing is to be removed"]:
        say(line)
    if found["remove"]:
        say(f"{size(found['bytes'])} in packs that only these need")
    return found


@app.command("prune", help=help_of("prune"))
def prune(
    context: typer.Context, target: Target = "", no_wait: NoWait = False, json: Json = False, yes: Yes = False
) -> None:
    """Remove what no rule keeps."""
    ways = Ways(door(context), Where(target))
    if not yes:
        if sys.stdin.isatty() and not _show_prune(ways, as_json=False)["remove"]:
            raise typer.Exit(0)
        confirm(action("prune"), {"target": ways.name()})
    end(ways.begin("prune", "prune", wait=not no_wait), json)


@app.command("lock", help=help_of("lock"))
def lock(context: typer.Context, target: Target = "", json: Json = False) -> None:
    """Show the lock."""
    found = Ways(door(context), Where(target)).ask("lock", "lock")
    found = found["lock"] if isinstance(found, dict) and "lock" in found else found
    if json:
        say_json(found)
    elif found is None:
        say("nobody works on it")
    else:
        say(f"{found['what']} of {found['holder']}, since {moment(found['since'])}, last seen {moment(found['seen'])}")
        if found["stale"]:
            say(f"its holder is taken for gone: {found['stale']}; pacstui backup unlock removes it")


@app.command("unlock", help=help_of("unlock"))
def unlock(context: typer.Context, target: Target = "", json: Json = False, yes: Yes = False) -> None:
    """Remove a stale lock."""
    ways = Ways(door(context), Where(target))
    if not yes:
        confirm(action("unlock"), {"target": ways.name()})
    ways.ask("unlock", "unlock")
    say_json(None) if json else say("done")
