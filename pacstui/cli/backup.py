"""``pacstui backup``: copies of the archive elsewhere. Also without a node, and without an archive on this machine."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

from pacstui.cli.actions import confirm
from pacstui.cli.backup_ways import Ways, Where, seen
from pacstui.cli.doors import door, new_app
from pacstui.cli.out import day, moment, say, say_json, table
from pacstui.contract import Action, actions_of
from pacstui.contract.backups import Backups
from pacstui.errors import BadRequest
from pacstui.text import ago, count, duration, person, plural, size

_ACTIONS = actions_of(Backups)
app = new_app(help="Copies of the archive elsewhere.", no_args_is_help=True)

Target = Annotated[str, typer.Option(help="The target's name; may be left out where there is only one.")]
Url = Annotated[str, typer.Option(help="A folder or s3: address, for a machine without this node's settings.")]
Identity = Annotated[str, typer.Option(metavar="FILE", help="An age identity that opens what is encrypted.")]
Passphrase = Annotated[str, typer.Option(metavar="FILE", help="The file with the target's passphrase.")]
Endpoint = Annotated[str, typer.Option(help="With an s3: address: the server.")]
Snapshot = Annotated[str, typer.Option(help="Its id, the beginning of one, or latest.")]
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Begin it, and do not wait for its end.")]


@app.callback()
def only_a_group() -> None:
    """Copies of the archive elsewhere."""


def _help(method: str, more: str = "") -> str:
    return f"{_ACTIONS[method].label}.{' ' + more if more else ''}"


def _action(method: str) -> Action:
    return _ACTIONS[method]


def _end(row: dict[str, Any], as_json: bool) -> None:
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


@app.command("targets", help=_help("show"))
def targets(context: typer.Context, json: Json = False) -> None:
    """Show all targets. Exit 1 when one is not good."""
    from pacstui.api import plain
    from pacstui.clock import SYSTEM

    view = plain.call(door(context).data_dir(), "backups", "show")
    if json:
        say_json(view)
    else:
        for line in _targets(view, SYSTEM.now()):
            say(line)
    raise typer.Exit(0 if all(row["state"] == "good" for row in view["targets"]) else 1)


def _targets(view: dict[str, Any], now: Any) -> list[str]:
    from datetime import datetime

    lines = table(
        ["target", "state", "last good", "unsaved", "snapshots", "size", "free", "next", "drill", "where"],
        (
            [
                row["name"], row["state"],
                ago(datetime.fromisoformat(row["last_good"]), now) if row["last_good"] else "never",
                count(row["unsaved"]), count(row["snapshots"]), size(row["bytes"]),
                size(row["free_bytes"]) if row["free_bytes"] is not None else "-", moment(row["next_run"]),
                "never" if row["drill_ok"] is None else "ok" if row["drill_ok"] else "FAILED", row["url"],
            ]
            for row in view["targets"]
        ),
        empty="no target: write [[backups.targets]] with name and url into the settings",
    )  # fmt: skip
    lines += [f"{row['name']}: {row['problem']}; {row['hint']}" for row in view["targets"] if row["problem"]]
    loss = view["loss"]
    since = moment(loss["since"])
    if loss["since"] and not loss["instances"]:
        lines.append(f"if the disk died now: nothing that came until {since} would be lost")
    else:
        lines.append(
            f"if the disk died now: {plural(loss['instances'], 'instance')} of "
            f"{plural(loss['studies'], 'study', 'studies')} would be lost"
            + (f", received since {since}" if loss["since"] else ", all that there is")
        )
    if loss["restore_s"]:
        lines.append(f"back in about {duration(loss['restore_s'])}, by the drill of {moment(loss['measured_at'])}")
    return lines


def _snapshots(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["snapshot", "when", "studies", "instances", "size", "new", "missing", "checked", "by", "kept as"],
        (
            [
                row["id"], moment(row["at"]), count(row["studies"]), count(row["instances"]), size(row["bytes"]),
                count(row["new_instances"]), count(row["missing"]) if row["missing"] else "-", row["checked"] or "-",
                row["by"], ", ".join(row["keeps"]) or "to be pruned",
            ]
            for row in rows
        ),
        empty="no snapshot yet",
    )  # fmt: skip


@app.command("list", help=_help("snapshots"))
def snapshots(
    context: typer.Context, target: Target = "", url: Url = "", identity_file: Identity = "",
    passphrase_file: Passphrase = "", endpoint: Endpoint = "", limit: Annotated[int, typer.Option()] = 500,
    json: Json = False,
) -> None:  # fmt: skip
    """List snapshots."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint))
    found = _node_first(ways, "snapshots", limit=limit)
    rows = found if found is not None else ways.direct("survey")["snapshots"][:limit]
    if json:
        say_json(rows)
    else:
        for line in _snapshots(rows):
            say(line)


def _node_first(ways: Ways, method: str, **arguments: Any) -> Any:
    """Ask the node; none where none runs, or an address is given."""
    from pacstui.errors import NotRunning

    try:
        return ways.ask(method, "", **arguments) if not ways.by_address else None
    except NotRunning:
        return None


@app.command("show", help="Show what is known of one target.")
def show(context: typer.Context, target: Target = "", json: Json = False) -> None:
    """Show one target."""
    from pacstui.api import plain
    from pacstui.cli.out import fields

    ways = Ways(door(context), Where(target))
    name, view = ways.name(), plain.call(door(context).data_dir(), "backups", "show")
    row = next((row for row in view["targets"] if row["name"] == name), None)
    if row is None:
        raise BadRequest(f"there is no target {name}", "pacstui backup targets lists them")
    if json:
        say_json(row)
    else:
        for line in fields(row):
            say(line)
    raise typer.Exit(0 if row["state"] == "good" else 1)


@app.command("studies", help=_help("studies"))
def studies(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest",
    search: Annotated[str, typer.Option(help="Words in name, ID, description, accession number.")] = "",
    limit: Annotated[int, typer.Option()] = 100,
    after: Annotated[int, typer.Option(help="Go on here: next of the page before.")] = 0,
    url: Url = "", identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    json: Json = False,
) -> None:  # fmt: skip
    """Browse a snapshot."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint))
    page = ways.ask("studies", "studies", snapshot=snapshot, search=search, limit=limit, after=after)
    if json:
        say_json(page)
        return
    for line in table(
        ["date", "patient", "ID", "mod", "description", "images", "here", "study"],
        (
            [day(row["date"]), person(row["patient_name"]), row["patient_id"] or "-", "/".join(row["modalities"]),
             row["description"], count(row["instances"]), count(row["here"]), row["study"]]
            for row in page["rows"]
        ),
        empty="no such study in it",
    ):  # fmt: skip
        say(line)
    say(f"{plural(page['total'], 'study', 'studies')} in {page['snapshot']}")
    if page["next"] is not None:
        say(f"more: --after {page['next']}")


@app.command("compare", help=_help("compare"))
def compare(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="The earlier snapshot.", show_default=False)],
    after: Annotated[str, typer.Argument(help="The later one.")] = "latest",
    target: Target = "", url: Url = "", identity_file: Identity = "", passphrase_file: Passphrase = "",
    endpoint: Endpoint = "", json: Json = False,
) -> None:  # fmt: skip
    """Compare two snapshots."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint))
    found = ways.ask("compare", "compare", before=before, after=after)
    if json:
        say_json(found)
        return
    added, removed, changed = (count(found[key]) for key in ("added", "removed", "changed"))
    say(f"{found['before']} to {found['after']}: {added} instances more, {removed} less, {changed} other")
    for line in table(
        ["what", "date", "patient", "description", "before", "after", "study"],
        (
            [row["what"], row["date"] or "-", person(row["patient_name"]), row["description"], count(row["before"]),
             count(row["after"]), row["study"]]
            for row in found["studies"]
        ),
    ):  # fmt: skip
        say(line)


@app.command("run", help=_help("run", "Exit 0 when everything is safe, 1 when something is not."))
def run(context: typer.Context, target: Target = "", no_wait: NoWait = False, json: Json = False) -> None:
    """Take a snapshot."""
    _end(Ways(door(context), Where(target)).begin("run", "backup", wait=not no_wait), json)


@app.command("verify", help=_help("verify", "Exit 0 when nothing is wrong."))
def verify(
    context: typer.Context, target: Target = "",
    full: Annotated[bool, typer.Option("--full", help="Read every byte.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Only names and sizes.")] = False,
    percent: Annotated[float, typer.Option(help="Without both: read so much of it.")] = 5.0,
    url: Url = "", identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    no_wait: NoWait = False, json: Json = False,
) -> None:  # fmt: skip
    """Verify a target."""
    if full and quick:
        raise BadRequest("--full and --quick cannot be had at once")
    depth = "full" if full else "quick" if quick else "sample"
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint))
    _end(ways.begin("verify", "verify", wait=not no_wait, depth=depth, percent=percent), json)


@app.command("drill", help=_help("drill", "Exit 0 when all came back as it was."))
def drill(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest",
    instances: Annotated[int, typer.Option(help="At least so many.")] = 200, url: Url = "",
    identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    no_wait: NoWait = False, json: Json = False,
) -> None:  # fmt: skip
    """Rehearse a restore."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint))
    _end(ways.begin("drill", "drill", wait=not no_wait, snapshot=snapshot, instances=instances), json)


def _what(patient: str, study: str, instance: str, index_only: bool) -> tuple[str, str]:
    given = [(what, key) for what, key in (("patient", patient), ("study", study), ("instance", instance)) if key]
    if len(given) + index_only > 1:
        raise BadRequest("one of --patient, --study, --instance and --index-only at a time")
    return given[0] if given else ("index", "") if index_only else ("all", "")


Patient = Annotated[str, typer.Option(metavar="ID", help="Only this patient, back into the running archive.")]
Study = Annotated[str, typer.Option(metavar="UID", help="Only this study, back into the running archive.")]
Instance = Annotated[str, typer.Option(metavar="UID", help="Only this instance, back into the running archive.")]
IndexOnly = Annotated[bool, typer.Option("--index-only", help="Only the index.")]
Lacking = Annotated[
    bool, typer.Option("--lacking", help="All that the running archive lacks, or has damaged, back into it.")
]
To = Annotated[str, typer.Option(metavar="DIR", help="A new folder for the whole archive.")]


def _see_that_it_goes(what: str, place: str, lacking: bool, in_place: bool | None = None) -> None:
    """See that it is said where to, and once. ``in_place`` is none where that cannot be asked for."""
    if lacking and (place or in_place or what != "all"):
        raise BadRequest("--lacking brings back into the running archive what it lacks", "leave the others out")
    if what in ("all", "index") and not place and not in_place and not lacking:
        swap = "" if in_place is None else "; --in-place for the archive of a stopped node"
        raise BadRequest("where to?", f"--to DIR for a new folder; --lacking for what the running archive lacks{swap}")
    if place and what not in ("all", "index"):
        raise BadRequest("a patient, study or instance goes back into the running archive", "leave out --to")


def _plan_lines(plan: dict[str, Any]) -> list[str]:
    whole = "the whole archive" if plan["to"] else "all that is lacking"
    what = {"all": whole, "index": "the index"}.get(plan["what"], f"one {plan['what']}")
    place = f"into {plan['to']}" if plan["to"] else "into the running archive"
    lines = [
        f"snapshot {plan['snapshot']} of {moment(plan['at'])}: {what} {place}",
        f"{plural(plan['instances'], 'instance')} of {plural(plan['studies'], 'study', 'studies')}, "
        f"{size(plan['bytes'])}; {count(plan['there'])} are there already",
    ]
    if plan["seconds"]:
        lines.append(f"in about {duration(plan['seconds'])}, by the last drill")
    return lines + [f"it cannot be done: {problem}" for problem in plan["problems"]]


@app.command("plan", help=_help("plan"))
def plan(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest", to: To = "", patient: Patient = "",
    study: Study = "", instance: Instance = "", index_only: IndexOnly = False, lacking: Lacking = False, url: Url = "",
    identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "", json: Json = False,
) -> None:  # fmt: skip
    """Show what a restore would do."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint))
    what, key = _what(patient, study, instance, index_only)
    _see_that_it_goes(what, _absolute(to), lacking)
    found = ways.ask("plan", "plan", snapshot=snapshot, what=what, key=key, to=_absolute(to))
    if json:
        say_json(found)
    else:
        for line in _plan_lines(found):
            say(line)
    raise typer.Exit(1 if found["problems"] else 0)


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path else ""


@app.command("restore", help=_help("restore", "Nothing is ever written over; an interrupted one goes on."))
def restore(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest", to: To = "",
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Put it in place of the archive of a stopped node; the old one stays.")
    ] = False,
    lacking: Lacking = False,
    patient: Patient = "", study: Study = "", instance: Instance = "", index_only: IndexOnly = False, url: Url = "",
    identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    no_wait: NoWait = False, json: Json = False, yes: Yes = False,
) -> None:  # fmt: skip
    """Restore."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint))
    what, key = _what(patient, study, instance, index_only)
    place = _absolute(to)
    _see_that_it_goes(what, place, lacking, in_place)
    if in_place:
        _in_place(ways, snapshot, what, place, yes, json)
    if not yes:
        if sys.stdin.isatty():
            for line in _plan_lines(ways.ask("plan", "plan", snapshot=snapshot, what=what, key=key, to=place)):
                say(line)
        confirm(_action("restore"), {"target": url or ways.name()})
    if place:
        row = _whole(ways, snapshot, place, what, no_wait)
    else:
        from pacstui.api import plain

        row = plain.call(
            ways.data_dir, "backups", "restore", timeout=70.0, target=ways.name(), snapshot=snapshot, what=what, key=key
        )
        row = row if no_wait else ways.follow(row)
    _end(row, json)


def _whole(ways: Ways, snapshot: str, place: str, what: str, no_wait: bool) -> dict[str, Any]:
    from pacstui.errors import NotRunning, PacsError

    if not ways.by_address:
        try:
            row = ways.ask("restore", "", snapshot=snapshot, what=what, to=place)
            return dict(row) if no_wait else ways.follow(row)
        except NotRunning:
            pass
    try:
        found = ways.direct("restore", snapshot=snapshot, to=place, index_only=what == "index")
    except PacsError as error:
        return {"state": "failed", "text": error.message, "hint": error.hint}
    return {"state": "warning" if found["warning"] else "done", **found}


def _in_place(ways: Ways, snapshot: str, what: str, place: str, yes: bool, as_json: bool) -> None:
    from pacstui.archive.lock import DataLock
    from pacstui.errors import PacsError

    if what != "all" or place:
        raise BadRequest("--in-place brings back the whole archive", "leave the others out")
    if not yes:
        confirm(_action("restore"), {"target": str(ways.data_dir)})
    lock = DataLock.take(ways.data_dir) if ways.data_dir.is_dir() else None
    try:
        found = ways.direct("swap", snapshot=snapshot)
        row = {"state": "warning" if found["warning"] else "done", **found}
    except PacsError as error:
        row = {"state": "failed", "text": error.message, "hint": error.hint}
    finally:
        if lock is not None:
            lock.release()
    _end(row, as_json)


@app.command("prune-plan", help=_help("prune_plan"))
def prune_plan(context: typer.Context, target: Target = "", json: Json = False) -> None:
    """Show what would go."""
    _show_prune(Ways(door(context), Where(target)), json)


def _show_prune(ways: Ways, as_json: bool) -> dict[str, Any]:
    found = dict(ways.ask("prune_plan", "prune_plan"))
    if as_json:
        say_json(found)
        return found
    say(f"rules: {found['rules']}; {plural(len(found['keep']), 'snapshot')} stay")
    for line in _snapshots(found["remove"]) if found["remove"] else ["nothing is to be removed"]:
        say(line)
    if found["remove"]:
        say(f"{size(found['bytes'])} in packs that only these need")
    return found


@app.command("prune", help=_help("prune"))
def prune(
    context: typer.Context, target: Target = "", no_wait: NoWait = False, json: Json = False, yes: Yes = False
) -> None:
    """Remove what no rule keeps."""
    ways = Ways(door(context), Where(target))
    if not yes:
        if sys.stdin.isatty() and not _show_prune(ways, as_json=False)["remove"]:
            raise typer.Exit(0)
        confirm(_action("prune"), {"target": ways.name()})
    _end(ways.begin("prune", "prune", wait=not no_wait), json)


@app.command("lock", help=_help("lock"))
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


@app.command("unlock", help=_help("unlock"))
def unlock(context: typer.Context, target: Target = "", json: Json = False, yes: Yes = False) -> None:
    """Remove a stale lock."""
    ways = Ways(door(context), Where(target))
    if not yes:
        confirm(_action("unlock"), {"target": ways.name()})
    ways.ask("unlock", "unlock")
    say_json(None) if json else say("done")
