"""``pacstui jobs``: what the node does by itself, when, and how it went."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.actions import confirm, group
from pacstui.cli.doors import door
from pacstui.cli.out import moment, say, say_json, table
from pacstui.contract import NOUNS, actions_of
from pacstui.errors import BadRequest, NotFound
from pacstui.text import count, duration, plural, safe, size

_PACE_S = 0.5
_MARKS = {
    "done": "= done", "warning": "! warning", "failed": "x failed", "cancelled": "- cancelled",
    "interrupted": "! interrupted", "running": "> running", "waiting": ". waiting", "idle": "idle",
    "disabled": "- disabled", "broken": "x broken",
}  # fmt: skip
_OPEN = ("running", "waiting")
_OVERLAPS = {"queue": "a new run waits for the one before", "cancel-old": "a new run takes the place of the one before"}


def _state(text: str) -> str:
    return _MARKS.get(text, text)


def _local(text: str | None) -> str:
    """Return a time without seconds, ``-`` for none."""
    return moment(text)[:16] if text else "-"


def _outcome(run: Mapping[str, Any] | None) -> str:
    return "never ran" if run is None else f"{_state(run['state'])} {_local(run['ended'] or run['started'])}"


def _took(run: Mapping[str, Any]) -> str:
    if not run["ended"]:
        return "-"
    return duration((datetime.fromisoformat(run["ended"]) - datetime.fromisoformat(run["started"])).total_seconds())


def _done(run: Mapping[str, Any]) -> str:
    """Return how far a run is: ``8,112 of 19,840 objects, 41 %, 31 MB/s, 3:02 left``."""
    told = []
    if run["total"]:
        told.append(f"{count(run['done'])} of {count(run['total'])} {run['unit']}".rstrip())
        told.append(f"{100 * run['done'] // run['total']} %")
    elif run["done"]:
        told.append(f"{count(run['done'])} {run['unit']}".rstrip())
    if run["done_bytes"]:
        told.append(size(run["done_bytes"]) + (f" of {size(run['total_bytes'])}" if run["total_bytes"] else ""))
    if run["bytes_per_s"]:
        told.append(f"{size(run['bytes_per_s'])}/s")
    elif run["per_s"]:
        told.append(f"{run['per_s']:g}/s")
    if run["left_s"] is not None:
        told.append(f"{duration(run['left_s'])} left")
    if run["errors"]:
        told.append(plural(run["errors"], "error"))
    return ", ".join(told)


def _list(view: dict[str, Any]) -> Iterator[str]:
    if view["paused"]:
        yield f"PAUSED by {view['paused_by']}: no job begins by its schedule; pacstui jobs resume"
    yield from table(
        ["job", "state", "runs", "next", "last", "what it came to"],
        (
            [r["name"], _state(r["state"]), r["schedule_text"], _local(r["next_run"]), _outcome(r["last"]),
             r["problem"] or r["waits"] or (r["last"] or {}).get("text") or "-"]
            for r in view["jobs"]
        ),
        empty="no jobs; pacstui jobs create makes one, pacstui jobs kinds lists what there is",
    )  # fmt: skip
    for run in view["running"]:
        yield f"{_state(run['state'])}: {run['job']} (run {run['id']}, by {run['started_by']})  {_done(run)}".rstrip()


def _history(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["run", "job", "state", "by", "started", "late", "took", "errors", "what it came to"],
        (
            [r["id"], r["job"], _state(r["state"]), r["started_by"], moment(r["started"]),
             duration(r["late_s"]) if r["late_s"] >= 60 else "-", _took(r), r["errors"], r["text"] or _done(r) or "-"]
            for r in rows
        ),
        empty="no runs",
    )  # fmt: skip


def _run(run: dict[str, Any]) -> Iterator[str]:
    yield f"run {run['id']} of {run['job']}: {_state(run['state'])}"
    if run["text"]:
        yield run["text"]
    if run["hint"]:
        yield f"  {run['hint']}"
    yield f"started  {moment(run['started'])} by {run['started_by']}" + (
        f", {duration(run['late_s'])} late" if run["late_s"] >= 60 else ""
    )
    if run["ended"]:
        yield f"ended    {moment(run['ended'])}, after {_took(run)}"
    if _done(run):
        yield f"done     {_done(run)}"
    if run["now"]:
        yield f"now      {run['now']}"
    if run["attempt"] > 1:
        yield f"attempt  {run['attempt']}"


def _log(lines: list[dict[str, Any]]) -> Iterator[str]:
    marks = {"warn": "!", "fail": "x"}
    for line in lines:
        yield f"{moment(line['at'])} {marks.get(line['level'], ' ')} {line['text']}"
    if not lines:
        yield "nothing was written down"


def _kinds(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield f"{row['name']}: {row['text']}"
        for each in row["parameters"]:
            choices = f" ({', '.join(each['choices'])})" if each["choices"] else ""
            usual = f" [{each['default']}]" if each["default"] else ""
            yield f"  {each['name']}{usual}  {each['text']}{choices}"


def _job(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield what a job is in sentences: what it does, when, and what else was said of it."""
    told = ", ".join(f"{name} {value}" for name, value in row["parameters"].items())
    yield f"{row['name']}: {row['label']}" + (f" ({told})" if told else "")
    zone = f" ({row['zone']})" if row["zone"] else ""
    hours = f", begins only in {row['window']}" if row["window"] else ""
    yield f"runs     {row['schedule_text']}{zone}{hours}"
    if row["problem"]:
        yield f"BROKEN   {row['problem']}"
    elif not row["enabled"]:
        yield f"next     never: it is disabled; pacstui jobs enable {row['name']}"
    else:
        by_hand = f"by hand: pacstui jobs start {row['name']}"
        yield f"next     {_local(row['next_run']) if row['next_run'] else by_hand}"
    if row["retries"]:
        yield f"retries  {plural(row['retries'], 'more try', 'more tries')}, {duration(row['retry_s'])} apart"
    if row["timeout_s"]:
        yield f"limit    ended after {duration(row['timeout_s'])}"
    if row["overlap"] != "skip":
        yield f"overlap  {_OVERLAPS.get(row['overlap'], row['overlap'])}"


WORDS = {
    "job": "The job's name, as pacstui jobs list shows it.",
    "id": "The run's number, as pacstui jobs history shows it.",
    "limit": "At most so many.",
    "before": "Only runs with lower numbers.",
    "after": "Only lines with higher numbers.",
    "state": "Only runs that ended so: done, warning, failed, cancelled, interrupted.",
    "schedule": 'As "daily 02:00", "weekdays 22:30", "mon,thu 04:15", "monthly 1 03:00", "hourly", "every 15 min", '
    '"every 4 h", "every 2 days" or five fields of cron; several are joined with ;',
    "window": "Hours in which it may begin, as 20:00-06:00 or sat,sun.",
    "zone": "Time zone, as Europe/Berlin; else the machine's.",
    "count": "How many times.",
}
app = group(
    "jobs",
    "What the node does by itself, when, and how it went.",
    {
        "list": _list, "history": _history, "run": _run, "log": _log, "kinds": _kinds,
        "preview": lambda times: [moment(each) for each in times] or ["never by itself"],
    },
    words=WORDS,
    leave_out=("start", "create", "edit", "cancel"),
)  # fmt: skip

_JSON = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
_NAME = Annotated[str, typer.Argument(help=WORDS["job"], show_default=False)]
_SET = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="A parameter of its kind; may be given again.")
]
_AFTER = Annotated[str | None, typer.Option("--after", help="Job that it follows, once that one is done.")]
_RETRIES = Annotated[int | None, typer.Option("--retries", help="How often a failed run is tried again.")]
_RETRY_S = Annotated[float | None, typer.Option("--retry-s", help="Seconds until it is tried again.")]
_TIMEOUT_S = Annotated[float | None, typer.Option("--timeout-s", help="Seconds until a run is ended, 0 for never.")]
_OVERLAP = Annotated[
    str | None, typer.Option("--overlap", help="When the run before is not at its end: skip, queue or cancel-old.")
]
_SCHEDULE = Annotated[str | None, typer.Option("--schedule", help=WORDS["schedule"])]
_WINDOW = Annotated[str | None, typer.Option("--window", help=WORDS["window"])]
_ZONE = Annotated[str | None, typer.Option("--zone", help=WORDS["zone"])]


@app.command("start", help="Start a job now. With --wait: exit 0 when it is done, 1 for everything else.")
def start(
    context: typer.Context,
    job: _NAME,
    set_: _SET = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow it to its end.")] = False,
    json: _JSON = False,
) -> None:
    """Start a run, and follow it if asked; Ctrl+C leaves it running."""
    data_dir = door(context).data_dir()
    given: dict[str, Any] = {"parameters": dict(_pair(each) for each in set_)} if set_ else {}
    run: dict[str, Any] = plain.call(data_dir, "jobs", "start", job=job, **given)
    live = wait and sys.stderr.isatty() and not json
    try:
        while wait and run["state"] in _OPEN:
            time.sleep(_PACE_S)
            run = plain.call(data_dir, "jobs", "run", id=run["id"])
            if live:
                sys.stderr.write(f"\x1b[K{safe(_following(run), 200)}\r")
                sys.stderr.flush()
    except KeyboardInterrupt:
        say(f"run {run['id']} goes on; pacstui jobs cancel {run['id']} ends it")
        raise
    finally:
        if live:
            sys.stderr.write("\x1b[K")
    if json:
        say_json(run)
    elif wait:
        for line in _run(run):
            say(line)
    else:
        say(f"run {run['id']} of {job}: {_state(run['state'])}; pacstui jobs run {run['id']} shows how far it is")
    if wait and run["state"] != "done":
        raise typer.Exit(1)


def _following(run: Mapping[str, Any]) -> str:
    told = _done(run) or run["now"]
    if run["total"]:
        filled = 20 * min(run["done"], run["total"]) // run["total"]
        told = f"[{'#' * filled}{'.' * (20 - filled)}] {told}"
    return f"{run['job']}: {told or run['state']}"


_CANCEL = actions_of(NOUNS["jobs"])["cancel"]


@app.command("cancel", help=f"{_CANCEL.label}.")
def cancel(
    context: typer.Context,
    which: Annotated[str, typer.Argument(help="The job's name, or the run's number.", show_default=False)],
    json: _JSON = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Cancel a run by its number, or that of a job by its name."""
    data_dir = door(context).data_dir()
    if not yes:
        confirm(_CANCEL, {"which": which})
    number = int(which) if which.isascii() and which.isdigit() and len(which) < 19 else _under_way(data_dir, which)
    plain.call(data_dir, "jobs", "cancel", id=number)
    if json:
        say_json(None)
    else:
        say(f"run {number} is to end at its next safe point; pacstui jobs run {number} shows how far it is")


def _under_way(data_dir: Path, job: str) -> int:
    """Return the number of a job's run. Raises NotFound where none is under way."""
    view: dict[str, Any] = plain.call(data_dir, "jobs", "list")
    numbers = [run["id"] for run in view["running"] if run["job"] == job]
    if len(numbers) > 1:
        told = ", ".join(str(number) for number in numbers)
        raise BadRequest(f"{job} has {len(numbers)} runs under way: {told}", "say which by its number")
    if numbers:
        return int(numbers[0])
    if any(row["name"] == job for row in view["jobs"]):
        raise NotFound(f"{job} does not run now", f"its runs: pacstui jobs history --job {job}")
    under_way = ", ".join(sorted({run["job"] for run in view["running"]})) or "nothing"
    raise NotFound(f'there is no job "{safe(job, 64)}"', f"under way is: {under_way}; pacstui jobs list shows all")


@app.command("create", help="Make a job.")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Its name: letters, digits and . _ -", show_default=False)],
    kind: Annotated[str, typer.Argument(help="What it does; pacstui jobs kinds lists them.", show_default=False)],
    schedule: _SCHEDULE = None,
    set_: _SET = None,
    window: _WINDOW = None,
    zone: _ZONE = None,
    after: _AFTER = None,
    retries: _RETRIES = None,
    retry_s: _RETRY_S = None,
    timeout_s: _TIMEOUT_S = None,
    overlap: _OVERLAP = None,
    json: _JSON = False,
) -> None:
    """Make a job."""
    _send(context, json, "create", {"name": name, "kind": kind}, set_, schedule=schedule, window=window, zone=zone,
          after=after, retries=retries, retry_s=retry_s, timeout_s=timeout_s, overlap=overlap)  # fmt: skip


@app.command("edit", help="Change when and how a job runs; what is not given stays.")
def edit(
    context: typer.Context,
    job: _NAME,
    schedule: _SCHEDULE = None,
    set_: _SET = None,
    window: _WINDOW = None,
    zone: _ZONE = None,
    after: _AFTER = None,
    retries: _RETRIES = None,
    retry_s: _RETRY_S = None,
    timeout_s: _TIMEOUT_S = None,
    overlap: _OVERLAP = None,
    json: _JSON = False,
) -> None:
    """Change a job."""
    _send(context, json, "edit", {"job": job}, set_, schedule=schedule, window=window, zone=zone, after=after,
          retries=retries, retry_s=retry_s, timeout_s=timeout_s, overlap=overlap)  # fmt: skip


def _send(
    context: typer.Context, as_json: bool, method: str, named: dict[str, Any], pairs: list[str] | None, **more: Any
) -> None:
    given = named | {name: value for name, value in more.items() if value is not None}
    if pairs:
        given["parameters"] = dict(_pair(each) for each in pairs)
    row = plain.call(door(context).data_dir(), "jobs", method, **given)
    if as_json:
        say_json(row)
    else:
        for line in _job(row):
            say(line)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise BadRequest(f"{text} is no parameter", "write --set NAME=VALUE")
    return name.strip(), value.strip()
