"""``pacstui backup targets|list|show|studies|compare|key``: looking at targets and what they have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pacstui.cli.backup_options import (
    Endpoint,
    Identity,
    Json,
    Passphrase,
    SignedBy,
    Snapshot,
    Target,
    Url,
    app,
    help_of,
    snapshot_lines,
)
from pacstui.cli.backup_ways import Ways, Where
from pacstui.cli.doors import door
from pacstui.cli.out import day, moment, say, say_json, table
from pacstui.errors import BadRequest
from pacstui.text import ago, count, duration, person, plural, safe, size


@app.command("targets", help=help_of("show"))
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


@app.command("list", help=help_of("snapshots"))
def snapshots(
    context: typer.Context, target: Target = "", url: Url = "", identity_file: Identity = "",
    passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    signed_by: SignedBy = "", limit: Annotated[int, typer.Option()] = 500,
    json: Json = False,
) -> None:  # fmt: skip
    """List snapshots."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint, signed_by))
    found = _node_first(ways, "snapshots", limit=limit)
    rows = found if found is not None else ways.direct("survey")["snapshots"][:limit]
    if json:
        say_json(rows)
    else:
        for line in snapshot_lines(rows, kept=not ways.by_address):
            say(line)
        for row in rows:
            if row["signed"] != "signed":
                say(f"{row['id']}: {row['signature']}")


@app.command("key", help="Show the key that signs this archive's snapshots: write its fingerprint down elsewhere.")
def key(context: typer.Context, json: Json = False) -> None:
    """Show who signs."""
    from pacstui.backups import signing, source

    data_dir = door(context).data_dir()
    source.index_of(data_dir)
    public = signing.own(data_dir).public
    signers = str(data_dir / signing.SIGNERS)
    if json:
        say_json({"key": public.line, "fingerprint": public.fingerprint, "signers": signers})
        return
    for line in (
        public.line, public.fingerprint,
        "Keep the fingerprint where you keep what opens the backups. On another machine it tells whose a snapshot is:",
        f"pacstui backup list --url ADDRESS --signed-by {public.fingerprint}",
        f"whose snapshots this archive takes for its own: {signers}",
    ):  # fmt: skip
        say(line)


def _node_first(ways: Ways, method: str, **arguments: Any) -> Any:
    """Ask the node; none where none runs, or an address is given."""
    from pacstui.errors import NotRunning

    try:
        return ways.ask(method, "", **arguments) if not (ways.by_address or ways.signers) else None
    except NotRunning:
        return None


@app.command("show", help="Show what is known of one target.")
def show(context: typer.Context, target: Target = "", json: Json = False) -> None:
    """Show one target."""
    from pacstui.api import plain

    ways = Ways(door(context), Where(target))
    name, view = ways.name(), plain.call(door(context).data_dir(), "backups", "show")
    row = next((row for row in view["targets"] if row["name"] == name), None)
    if row is None:
        raise BadRequest(f"there is no target {name}", "pacstui backup targets lists them")
    if json:
        say_json(row)
    else:
        for name, told in _facts(row):
            say(f"{name:<10} {safe(told, 1000)}")
    raise typer.Exit(0 if row["state"] == "good" else 1)


def _facts(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is known of a target: what it is, and that in words."""
    yield "target", row["name"]
    yield "state", row["state"]
    if row["problem"]:
        yield "problem", row["problem"]
        yield "to do", row["hint"]
    yield "address", f"{row['url']} ({row['kind']}, {'encrypted' if row['encrypted'] else 'not encrypted'})"
    yield "last good", f"{moment(row['last_good'])}, at least every {row['objective_h']:g} h is wanted"
    yield "not saved", f"{plural(row['unsaved'], 'instance')}, {size(row['unsaved_bytes'])}"
    yield "holds", f"{size(row['bytes'])} in {plural(row['snapshots'], 'snapshot')}; kept: {row['kept']}"
    grows = f"{size(row['growth_bytes_per_day'])} a day" if row["growth_bytes_per_day"] else "nothing of late"
    free = "not told by the target" if row["free_bytes"] is None else size(row["free_bytes"])
    yield "free", f"{free}; grows by {grows}"
    for name, told, at in (("verified", row["checked"], row["checked_at"]), ("drill", row["drill"], row["drill_at"])):
        yield name, f"{moment(at)}: {told}" if told else "not yet"
    yield "next run", moment(row["next_run"]) if row["next_run"] else "by hand only"
    if row["run"]:
        yield "runs now", f"pacstui jobs run {row['run']}"


@app.command("studies", help=help_of("studies"))
def studies(
    context: typer.Context, target: Target = "", snapshot: Snapshot = "latest",
    search: Annotated[str, typer.Option(help="Words in name, ID, description, accession number.")] = "",
    limit: Annotated[int, typer.Option()] = 100,
    after: Annotated[int, typer.Option(help="Go on here: next of the page before.")] = 0,
    url: Url = "", identity_file: Identity = "", passphrase_file: Passphrase = "", endpoint: Endpoint = "",
    signed_by: SignedBy = "",
    json: Json = False,
) -> None:  # fmt: skip
    """Browse a snapshot."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint, signed_by))
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


@app.command("compare", help=help_of("compare"))
def compare(
    context: typer.Context,
    before: Annotated[str, typer.Argument(help="The earlier snapshot.", show_default=False)],
    after: Annotated[str, typer.Argument(help="The later one.")] = "latest",
    target: Target = "", url: Url = "", identity_file: Identity = "", passphrase_file: Passphrase = "",
    endpoint: Endpoint = "",
    signed_by: SignedBy = "", json: Json = False,
) -> None:  # fmt: skip
    """Compare two snapshots."""
    ways = Ways(door(context), Where(target, url, identity_file, passphrase_file, endpoint, signed_by))
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
