"""``pacstui status``: one page of truth. Quick: it imports neither the schema nor the contract."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.doors import door, new_app
from pacstui.cli.out import say, say_json
from pacstui.errors import Denied, PacsError
from pacstui.text import count, duration, plural, size

app = new_app()
EXITS = {"ok": 0, "degraded": 1, "down": 2}
_MARKS = {"fail": "x", "warn": "!", "note": "-"}
_ANSWER_S = 10.0
_PARTS = {  # as in the contract, whose import would take as long as the rest of this command
    "node": ("version", "pid", "uptime_s", "ae_title", "dicom", "data_dir", "user"),
    "associations": ("active", "accepted_total", "rejected_total", "limit"),
    "archive": ("patients", "studies", "series", "instances", "bytes", "free_bytes", "quarantined"),
    "queue": ("pending", "sending", "failed", "sent_total"),
    "jobs": ("total", "running", "failed", "late", "paused"),
    "backups": ("targets", "late", "failed", "unsaved", "age_s", "running"),
    "hl7": ("port", "tls_port", "connections", "today", "failed", "per_second", "out_waiting", "out_failed"),
    "exceptions": ("conflicting", "unmatched", "probable"),
    "worklist": ("today", "to_come", "in_progress", "late"),
}


def page(value: dict[str, Any]) -> Iterator[str]:
    """Return the status as lines for a person."""
    node, archive, queue = value["node"], value["archive"], value["queue"]
    if value["health"] == "down" and node.get("pid") is None:
        for alert in value["alerts"]:
            yield f"down: {alert['text']}"
            yield f"  {alert['hint']}"
        return
    yield f"{node['ae_title']} on {node['dicom']}: {value['health']}"
    up = duration(node["uptime_s"])
    yield f"node          version {node['version']}, pid {node['pid']}, up {up}, {node['data_dir']}"
    calls = value["associations"]
    yield (
        f"associations  {count(calls['active'])} open of at most {count(calls['limit'])}; since start"
        f" {count(calls['accepted_total'])} accepted, {count(calls['rejected_total'])} refused"
    )
    yield (
        f"archive       {count(archive['patients'])} patients, {count(archive['studies'])} studies,"
        f" {count(archive['series'])} series, {count(archive['instances'])} instances"
    )
    yield f"              {size(archive['bytes'])} stored, {size(archive['free_bytes'])} free" + (
        f", {count(archive['quarantined'])} set aside" if archive.get("quarantined") else ""
    )
    yield (
        f"queue         {count(queue['pending'])} waiting, {count(queue['sending'])} sending,"
        f" {count(queue['failed'])} failed, {count(queue['sent_total'])} sent"
    )
    hl7 = value.get("hl7")
    if hl7:
        ports = [f"port {hl7['port']}"] if hl7["port"] else []
        ports += [f"port {hl7['tls_port']} (TLS)"] if hl7["tls_port"] else []
        yield (
            f"HL7           {' and '.join(ports) or 'NOT TAKEN'}; {count(hl7['connections'])} connected,"
            f" {count(hl7['today'])} messages today, {count(hl7['failed'])} to be looked at"
        )
        if hl7.get("out_waiting") or hl7.get("out_failed"):
            failed = f"{count(hl7['out_failed'])} could not be sent"
            yield f"              going out: {count(hl7['out_waiting'])} wait, {failed}"
    misfits = value.get("exceptions") or {}
    if any(misfits.values()):
        fits_not = ", ".join(f"{count(number)} {state}" for state, number in misfits.items() if number)
        yield f"exceptions    {fits_not}: pacstui exceptions list"
    listed = value.get("worklist")
    if listed and listed["today"]:
        yield (
            f"worklist      {plural(listed['today'], 'step')} today, {count(listed['to_come'])} to come,"
            f" {count(listed['in_progress'])} in progress, {count(listed['late'])} late"
        )
    jobs = value["jobs"]
    if jobs:
        told = [f"{count(jobs[name])} {name}" for name in ("running", "failed", "late") if jobs[name] or name != "late"]
        yield f"jobs          {count(jobs['total'])}, {', '.join(told)}{', PAUSED' if jobs['paused'] else ''}"
    saved = value["backups"]
    if saved.get("targets"):
        age = "none yet" if saved["age_s"] < 0 else f"newest {duration(saved['age_s'])} old"
        yield f"backups       {plural(saved['targets'], 'target')}, {age}, {count(saved['unsaved'])} instances unsaved"
    for alert in value["alerts"]:
        yield f"{_MARKS.get(alert['level'], '!')} {alert['text']}"
        if alert["hint"]:
            yield f"    {alert['hint']}"


def down(data_dir: Path, fault: PacsError) -> dict[str, Any]:
    """Return a status for a node that does not answer: the usual keys, null where nothing is known."""
    value: dict[str, Any] = {"health": "down"} | {name: dict.fromkeys(keys) for name, keys in _PARTS.items()}
    value["node"]["data_dir"] = str(data_dir)
    now = datetime.now(UTC).isoformat()
    alert = {"name": fault.code, "text": fault.message, "hint": fault.hint, "since": now, "screen": "", "level": "fail"}
    return value | {"alerts": [alert]}


def ask(data_dir: Path) -> dict[str, Any]:
    """Return the node's status, or one that says it is down and why; raises Denied where it is there and does not
    tell."""
    try:
        value: dict[str, Any] = plain.call(data_dir, "node", "status", timeout=_ANSWER_S)
    except Denied:
        raise
    except PacsError as fault:
        return down(data_dir, fault)
    return value


@app.command()
def status(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Again and again until Ctrl+C.")] = False,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.2, max=3600)] = 2.0,
) -> None:
    """Show the state of the node. Exit 0 healthy, 1 degraded, 2 down."""
    data_dir = door(context).data_dir()
    while True:
        value = ask(data_dir)
        if json:
            say_json(value, line=watch)
        else:
            if watch and sys.stdout.isatty():
                sys.stdout.write("\x1b[H\x1b[2J")
            for text in page(value):
                say(text)
            sys.stdout.flush()
        if not watch:
            raise typer.Exit(EXITS.get(value["health"], 2))
        time.sleep(interval)
