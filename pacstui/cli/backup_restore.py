"""``pacstui backup plan|restore``: bringing things back."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer

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
)
from pacstui.cli.backup_ways import Ways, Where
from pacstui.cli.doors import door
from pacstui.cli.out import moment, say, say_json
from pacstui.errors import BadRequest
from pacstui.text import count, duration, plural, size


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
AnySigner = Annotated[
    bool, typer.Option("--any-signer", help="Also a snapshot that may be somebody else's; only whole, never into one.")
]


def _see_that_it_goes(
    what: str, place: str, lacking: bool, in_place: bool | None = None, any_signer: bool = False
) -> None:
    """See that it is said where to, and once. ``in_place`` is none where that cannot be asked for."""
    if any_signer and not place:
        raise BadRequest("--any-signer goes into a new folder only", "--to DIR; look at what came before you use it")
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
        plan["signature"],
    ]
    if plan["seconds"]:
        lines.append(f"in about {duration(plan['seconds'])}, by the last drill")
    return lines + [f"it cannot be done: {problem}" for problem in plan["problems"]]


@app.command("plan", help=help_of("plan"))
def plan(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest", to: To = "", patient: Patient = "",
    study: Study = "", instance: Instance = "", index_only: IndexOnly = False, lacking: Lacking = False,
    any_signer: AnySigner = False, url: Url = "",
    identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    signed_by: SignedBy = "", json: Json = False,
) -> None:  # fmt: skip
    """Show what a restore would do."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint, signed_by))
    what, key = _what(patient, study, instance, index_only)
    _see_that_it_goes(what, _absolute(to), lacking, any_signer=any_signer)
    found = _plan(ways, any_signer, snapshot=snapshot, what=what, key=key, to=_absolute(to))
    if json:
        say_json(found)
    else:
        for line in _plan_lines(found):
            say(line)
    raise typer.Exit(1 if found["problems"] else 0)


def _plan(ways: Ways, any_signer: bool, **asked: str) -> dict[str, Any]:
    """Return the plan; where keys are named here, or nobody's signature is asked for, the node is not asked."""
    if any_signer or ways.signers:
        return ways.direct("plan", any_signer=any_signer, **asked)
    return dict(ways.ask("plan", "plan", **asked))


def _absolute(path: str) -> str:
    return os.path.abspath(os.path.expanduser(path)) if path else ""


@app.command("restore", help=help_of("restore", "Nothing is ever written over; an interrupted one goes on."))
def restore(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest", to: To = "",
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Put it in place of the archive of a stopped node; the old one stays.")
    ] = False,
    lacking: Lacking = False, any_signer: AnySigner = False,
    patient: Patient = "", study: Study = "", instance: Instance = "", index_only: IndexOnly = False, url: Url = "",
    identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    signed_by: SignedBy = "",
    no_wait: NoWait = False, json: Json = False, yes: Yes = False,
) -> None:  # fmt: skip
    """Restore."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint, signed_by))
    what, key = _what(patient, study, instance, index_only)
    place = _absolute(to)
    _see_that_it_goes(what, place, lacking, in_place, any_signer)
    if in_place:
        _in_place(ways, snapshot, what, place, yes, json)
    if not yes:
        if sys.stdin.isatty():
            for line in _plan_lines(_plan(ways, any_signer, snapshot=snapshot, what=what, key=key, to=place)):
                say(line)
        confirm(action("restore"), {"target": url or ways.name()})
    if place:
        row = _whole(ways, snapshot, place, what, no_wait, any_signer)
    else:
        from pacstui.api import plain

        row = plain.call(
            ways.data_dir, "backups", "restore", timeout=70.0, target=ways.name(), snapshot=snapshot, what=what, key=key
        )
        row = row if no_wait else ways.follow(row)
    end(row, json)


def _whole(ways: Ways, snapshot: str, place: str, what: str, no_wait: bool, any_signer: bool) -> dict[str, Any]:
    from pacstui.errors import NotRunning, PacsError

    if not (ways.by_address or any_signer or ways.signers):
        try:
            row = ways.ask("restore", "", snapshot=snapshot, what=what, to=place)
            return dict(row) if no_wait else ways.follow(row)
        except NotRunning:
            pass
    try:
        found = ways.direct("restore", snapshot=snapshot, to=place, index_only=what == "index", any_signer=any_signer)
    except PacsError as error:
        return {"state": "failed", "text": error.message, "hint": error.hint}
    return {"state": "warning" if found["warning"] else "done", **found}


def _in_place(ways: Ways, snapshot: str, what: str, place: str, yes: bool, as_json: bool) -> None:
    from pacstui.archive.lock import DataLock
    from pacstui.errors import PacsError

    if what != "all" or place:
        raise BadRequest("--in-place brings back the whole archive", "leave the others out")
    if not yes:
        confirm(action("restore"), {"target": str(ways.data_dir)})
    lock = DataLock.take(ways.data_dir) if ways.data_dir.is_dir() else None
    try:
        found = ways.direct("swap", snapshot=snapshot)
        row = {"state": "warning" if found["warning"] else "done", **found}
    except PacsError as error:
        row = {"state": "failed", "text": error.message, "hint": error.hint}
    finally:
        if lock is not None:
            lock.release()
    end(row, as_json)
