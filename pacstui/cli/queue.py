"""``pacstui queue``: what arrives, what waits to go out, and what is done about it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pacstui.api import plain
from pacstui.cli.actions import group
from pacstui.cli.doors import door
from pacstui.cli.out import Live, day, live, moment, say, say_json, table
from pacstui.contract.sheets import sendings_csv, sendings_json, status_word
from pacstui.errors import BadRequest, PacsError
from pacstui.text import ago, count, duration, person, plural, size

_PAGE: Final = 500
_PACE_S: Final = 0.5
_STATUS: Final = {
    "down": "x down", "unknown": "x unknown", "paused": "! paused", "held up": "! held up", "sending": "> sending",
    "waiting": ". waiting", "closed": "- closed", "idle": "= idle",
}  # fmt: skip
_STATES: Final = {
    "gathering": ". gathering", "waiting": ". waiting", "sending": "> sending", "retrying": "! retrying",
    "held": "- held", "failed": "x failed", "warning": "! warning", "filtered": "! kept back",
    "cancelled": "- cancelled", "sent": "= sent",
}  # fmt: skip


def _status(row: Mapping[str, Any]) -> str:
    failed = row["failed"] and row["status"] in ("idle", "waiting")
    return "! failed" if failed else _STATUS.get(row["status"], row["status"])


def _age(text: str | None) -> str:
    if not text:
        return "-"
    return duration((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds())


def _list(value: dict[str, Any]) -> Iterator[str]:
    yield f"arriving; {plural(value['writing'], 'object')} on the way to the disk"
    yield from table(
        ["from", "patient", "mod", "description", "images", "size", "per s", "last", "state"],
        (
            [r["calling"], person(r["patient_name"]), r["modality"], r["description"], f"{r['instances']:,}",
             size(r["bytes"]), f"{r['rate']:.0f}", moment(r["last"]), r["state"]]
            for r in value["receiving"]
        ),
        empty="  nothing",
    )  # fmt: skip
    yield ""
    yield "going out"
    yield from table(
        ["state", "destination", "wait", "held", "failed", "sent", "oldest", "per s", "what is happening"],
        (
            [_status(r), r["destination"], f"{r['waiting']:,}", f"{r['held']:,}", f"{r['failed']:,}", f"{r['sent']:,}",
             _age(r["oldest"]), f"{r['rate']:.0f}", r["state"]]
            for r in value["outgoing"]
        ),
        empty="  nothing",
    )  # fmt: skip
    for row in value["outgoing"]:
        if row["hint"]:
            yield f"{row['destination']}: {row['hint']}"


def _objects(row: Mapping[str, Any]) -> int:
    return sum(int(row[name]) for name in ("waiting", "sent", "warning", "failed", "cancelled", "filtered"))


def _due(row: Mapping[str, Any], name: str = "due") -> str:
    return moment(row[name])[:16] if row[name] else "now" if row["waiting"] else "-"


def _page(value: dict[str, Any]) -> Iterator[str]:
    rows = value["rows"]
    yield from table(
        ["id", "state", "destination", "patient", "mod", "description", "sent", "of", "age", "tries", "next try",
         "status", "what happened", "study"],
        (
            [r["id"], _STATES.get(r["state"], r["state"]), r["destination"], person(r["patient_name"]),
             r["modalities"] or "-", r["description"], f"{r['sent'] + r['warning']:,}", f"{_objects(r):,}",
             _age(r["queued"]), r["attempts"], _due(r), status_word(r["status"]) or "-", r["error"] or "-", r["study"]]
            for r in rows
        ),
        empty="nothing",
    )  # fmt: skip
    if value["more"]:
        yield ""
        yield f"{plural(len(rows), 'line')}; older ones: --before {rows[-1]['id']}; all of it: pacstui queue export"


def _counted(row: Mapping[str, Any]) -> str:
    parts = [f"{count(row['sent'] + row['warning'])} of {plural(_objects(row), 'object')} sent"]
    for name, word in (("waiting", "wait"), ("failed", "failed"), ("warning", "with a warning"),
                       ("filtered", "kept back"), ("cancelled", "cancelled")):  # fmt: skip
        if row[name]:
            parts.append(f"{count(row[name])} {word}")
    return ", ".join(parts)


def _sending(row: Mapping[str, Any]) -> Iterator[str]:
    yield f"sending {row['id']} to {row['destination']}: {_STATES.get(row['state'], row['state'])}"
    yield f"{person(row['patient_name'])}  {row['patient_id'] or '(no ID)'}"
    yield f"{day(row['date'])} {row['description'] or '(no description)'}, {row['modalities'] or '-'}"
    yield f"study {row['study']}" + (f", series {row['series']}" if row["series"] else "")
    yield f"{_counted(row)}; {size(row['bytes_sent'])} sent, {size(row['bytes_waiting'])} to go"
    by = f"route {row['route']}" if row["route"] else f"asked for by {row['asked_by'] or 'somebody'}"
    through = f", through {row['transform']}" if row["transform"] else ""
    yield f"{by}{through}, {row['priority']} priority, queued {moment(row['queued'])}"
    if row["waiting"]:
        yield f"next try {_due(row)}, {plural(row['attempts'], 'try', 'tries')} failed"
    if row["error"]:
        word = status_word(row["status"])
        yield row["error"] + (f" ({word})" if word and word not in row["error"] else "")
        if row["hint"]:
            yield f"  {row['hint']}"


def _show(value: dict[str, Any]) -> Iterator[str]:
    yield from _sending(value["row"])
    if value["commitment"]:
        yield f"storage commitment: {value['commitment']} ({moment(value['commitment_at'])})"
    yield ""
    yield from table(
        ["state", "size", "tries", "next try", "status", "what was answered", "SOP instance"],
        (
            [_STATES.get(r["state"], r["state"]), size(r["size"]), r["attempts"],
             moment(r["next_try"])[:16] if r["next_try"] else "-", status_word(r["status"]) or "-", r["error"] or "-",
             r["sop_instance"]]
            for r in value["objects"]
        ),
    )  # fmt: skip
    if _objects(value["row"]) > len(value["objects"]):
        yield f"and {count(_objects(value['row']) - len(value['objects']))} more"


def _errors(rows: list[dict[str, Any]]) -> Iterator[str]:
    now = datetime.now(UTC)
    yield from table(
        ["failed", "retrying", "sendings", "latest", "status", "destination", "error"],
        (
            [f"{r['failed']:,}", f"{r['waiting']:,}", f"{r['sendings']:,}",
             ago(datetime.fromisoformat(r["latest"]), now), status_word(r["status"]) or "-", r["destination"],
             r["error"]]
            for r in rows
        ),
        empty="nothing failed, and nothing is tried again",
    )  # fmt: skip
    yield from dict.fromkeys(f"{r['destination']}: {r['hint']}" for r in rows if r["hint"])


def _changed(did: str) -> Any:
    def view(value: Mapping[str, Any]) -> Iterator[str]:
        objects, sendings = value["objects"], value["sendings"]
        yield f"{did}: {plural(objects, 'object')} of {plural(sendings, 'sending')}" if sendings else "nothing to do"

    return view


def _amount(data_dir: Path, given: Mapping[str, Any]) -> str:
    """Say how much waits or failed of what somebody names."""
    if given.get("ids"):
        return plural(len(given["ids"]), "sending")
    if given.get("error"):
        errors = plain.call(data_dir, "queue", "errors", destination=given["destination"])
        number = sum(row["failed"] + row["waiting"] for row in errors if row["error"] == given["error"])
    else:
        rows = plain.call(data_dir, "queue", "list")["outgoing"]
        number = sum(r["waiting"] + r["failed"] for r in rows if r["destination"] == given.get("destination"))
    return plural(number, "object")


WORDS = {
    "destination": "All of this destination; with a command that lists, only that.",
    "state": "unsent, open, waiting, held, trouble, failed, warning, filtered, cancelled, sent or all.",
    "search": "Words in patient, ID, accession number, description, error or route.",
    "study": "Study Instance UID.",
    "series": "Only this series: its Series Instance UID.",
    "instance": "Only this object: its SOP Instance UID.",
    "before": "Go on after the page that ended with this id.",
    "limit": "At most so many, up to 500.",
    "id": "The sending's id, as pacstui queue sendings shows it.",
    "ids": "Ids of sendings, as pacstui queue sendings shows them; none with --destination.",
    "error": "Of the destination only what has exactly this error, as pacstui queue errors shows it.",
    "to": "Name of the destination; pacstui routes destinations lists them.",
    "value": "high, medium or low.",
    "priority": "high, medium or low.",
    "transform": "Name of the transformation that the copy goes through.",
    "why": "The reason, for whoever looks next.",
}
app = group(
    "queue",
    "What is arriving and what waits to go out.",
    {
        "list": _list, "sendings": _page, "sending": _show, "errors": _errors, "retry": _changed("tried again now"),
        "hold": _changed("held until released"), "release": _changed("released"), "cancel": _changed("cancelled"),
        "priority": _changed("changed"), "redirect": _changed("redirected"),
    },
    words=WORDS,
    leave_out=("send",),
    positional=[f"{method}.ids" for method in ("retry", "hold", "release", "cancel", "priority", "redirect")],
    amounts={"cancel": _amount, "redirect": _amount},
)  # fmt: skip


@app.command(
    "send", help="Send a study, a series or an instance to a destination. With --wait: exit 0 when it arrived."
)
def send(
    context: typer.Context,
    study: Annotated[str, typer.Argument(help=WORDS["study"], show_default=False)],
    to: Annotated[str, typer.Argument(help=WORDS["to"], show_default=False)],
    series: Annotated[str, typer.Option("--series", help=WORDS["series"])] = "",
    instance: Annotated[str, typer.Option("--instance", help=WORDS["instance"])] = "",
    priority: Annotated[str, typer.Option("--priority", help=WORDS["priority"])] = "medium",
    transform: Annotated[str, typer.Option("--transform", help=WORDS["transform"])] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Follow it until nothing of it waits any more.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Queue it, and follow it if asked; Ctrl+C leaves it in the queue."""
    data_dir = door(context).data_dir()
    row: dict[str, Any] = plain.call(
        data_dir, "queue", "send", study=study, to=to, series=series, instance=instance, priority=priority,
        transform=transform,
    )  # fmt: skip
    try:
        with live() as line:
            while wait and row["waiting"] and row["state"] != "held":
                line.now(f"{to}: {_counted(row)}" + (f"; {row['error']}" if row["error"] else ""))
                time.sleep(_PACE_S)
                row = plain.call(data_dir, "queue", "sending", id=row["id"])["row"]
    except KeyboardInterrupt:
        say(f"sending {row['id']} goes on; pacstui queue cancel {row['id']} ends it")
        raise
    if json:
        say_json(row)
    elif wait:
        for text in _sending(row):
            say(text)
    else:
        say(f"{plural(row['waiting'], 'object')} queued for {to}; pacstui queue show {row['id']} follows them")
    if wait and row["sent"] + row["warning"] < _objects(row):
        raise typer.Exit(1)


@app.command("export", help="Write the list of what goes out and went out to a file or to standard output.")
def export(
    context: typer.Context,
    file: Annotated[
        Path | None, typer.Argument(help="A new file, .csv or .json; none: standard output.", show_default=False)
    ] = None,
    destination: Annotated[str, typer.Option("--destination", help="Only this destination.")] = "",
    state: Annotated[str, typer.Option("--state", help=WORDS["state"])] = "",
    search: Annotated[str, typer.Option("--search", help=WORDS["search"])] = "",
    json: Annotated[bool, typer.Option("--json", help="JSON, not CSV.")] = False,
) -> None:
    """Page through the whole list, and write it."""
    if file is not None and file.exists():
        raise BadRequest(f"{file} is there already", "choose another name; nothing is overwritten")
    with live() as line:
        rows = list(_all(door(context).data_dir(), line, destination=destination, state=state, search=search))
    as_json = json or (file is not None and file.suffix.lower() == ".json")
    text = sendings_json(rows) if as_json else sendings_csv(rows)
    if file is None:
        typer.echo(text, nl=False)
        return
    try:
        with file.open("x", encoding="utf-8", newline="") as out:
            file.chmod(0o600)
            out.write(text)
    except OSError as fault:
        raise PacsError(f"{file} cannot be written: {fault.strerror}", "choose another place") from fault
    say(f"{plural(len(rows), 'line')} written to {file}")


def _all(data_dir: Path, line: Live, **wanted: Any) -> Iterator[dict[str, Any]]:
    before, number, more = 0, 0, True
    while more:
        page = plain.call(data_dir, "queue", "sendings", before=before, limit=_PAGE, **wanted)
        yield from page["rows"]
        number += len(page["rows"])
        line.now(f"{count(number)} lines so far")
        more = page["more"] and bool(page["rows"])
        before = page["rows"][-1]["id"] if page["rows"] else 0
