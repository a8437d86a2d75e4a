"""``pacstui remote``: studies at other archives: find, compare, fetch."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.actions import group
from pacstui.cli.doors import door
from pacstui.cli.out import day, moment, say, say_json, table
from pacstui.text import duration, person, plural, safe

_PACE_S = 0.3


def _find(page: dict[str, Any]) -> Iterator[str]:
    yield from table(
        ["date", "patient", "ID", "mod", "description", "accession", "images", "here", "study"],
        (
            [
                day(r["date"]),
                person(r["patient_name"]),
                r["patient_id"] or "-",
                "/".join(r["modalities"]),
                r["description"],
                r["accession"] or "-",
                f"{r['instances']:,}" if r["instances"] else "?",
                f"{r['here']:,}" if r["here"] else "-",
                r["study"],
            ]
            for r in page["rows"]
        ),
        empty=f"{page['peer']} has no such study",
    )
    if page["more"]:
        yield f"{page['peer']} has more: ask for less, or raise --limit"


def _compare(found: dict[str, Any]) -> Iterator[str]:
    yield f"{found['study']}: {found['here']:,} here, {found['there']:,} at {found['peer']}, {found['both']:,} at both"
    for name, uids in (("only here", found["only_here"]), (f"only at {found['peer']}", found["only_there"])):
        if uids:
            yield f"{name}:"
            yield from (f"  {uid}" for uid in uids)
    if found["here"] == found["there"] == found["both"]:
        yield "the same instances at both"


def _pulls(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "started", "from", "by", "state", "images", "failed", "for", "study", "why"],
        (
            [
                r["id"],
                moment(r["started"]),
                r["peer"],
                r["verb"],
                r["state"],
                _progress(r),
                f"{r['failed']:,}",
                duration(r["seconds"]),
                r["study"],
                r["why"],
            ]
            for r in rows
        ),
        empty="nothing is on its way here",
    )


def _progress(row: dict[str, Any]) -> str:
    return f"{row['received']:,} of {row['total']:,}" if row["total"] else f"{row['received']:,}"


app = group(
    "remote",
    "Studies at other archives.",
    {"find": _find, "compare": _compare, "pulls": _pulls},
    words={
        "peer": "The peer's name, as pacstui peers list shows it.",
        "name": "The beginning of the patient's name, or a pattern with * and ?.",
        "id": "Patient ID; for cancel the number in pacstui remote pulls.",
        "accession": "Accession number.",
        "date": "Study date: YYYYMMDD, or a range YYYYMMDD-YYYYMMDD with open ends.",
        "modality": "Modality in the study.",
        "study": "Study Instance UID.",
        "limit": "At most so many.",
    },
    leave_out=("pull",),
)


@app.command("pull", help="Fetch a study from a peer, and wait until it is here. Exit 0 when all of it came.")
def pull(
    context: typer.Context,
    peer: Annotated[str, typer.Argument(help="The peer's name.", show_default=False)],
    study: Annotated[str, typer.Argument(help="Study Instance UID.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Begin to fetch, and follow it; Ctrl+C cancels it."""
    data_dir = door(context).data_dir()
    row = plain.call(data_dir, "remote", "pull", peer=peer, study=study)
    live = sys.stderr.isatty() and not json
    try:
        while row["state"] == "running":
            time.sleep(_PACE_S)
            row = next(r for r in plain.call(data_dir, "remote", "pulls") if r["id"] == row["id"])
            if live:
                sys.stderr.write(f"\x1b[K{safe(row['verb'])} {_progress(row)}\r")
                sys.stderr.flush()
    except KeyboardInterrupt:
        plain.call(data_dir, "remote", "cancel", id=row["id"])
        raise
    finally:
        if live:
            sys.stderr.write("\x1b[K")
    if json:
        say_json(row)
    else:
        failed = f", {row['failed']:,} failed" if row["failed"] else ""
        say(f"{row['state']}: {plural(row['received'], 'image')} by {row['verb']} in {row['seconds']:.1f} s{failed}")
        for text in (row["why"], row["hint"]):
            if text:
                say(text)
    if row["state"] != "done":
        raise typer.Exit(1)
