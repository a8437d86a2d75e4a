"""``pacstui corrections``: what was put right, and putting it right: shown first, then asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.actions import call_confirmed, group
from pacstui.cli.doors import door
from pacstui.cli.out import moment, say, say_json, table
from pacstui.contract import Corrections, actions_of
from pacstui.errors import BadRequest, Stale
from pacstui.text import person, plural

_ASKS = {name: f"{action.label}; asks, then does it." for name, action in actions_of(Corrections).items()}
_STATES = {"on": "= on", "undone": "- undone"}


def _list(value: dict[str, Any]) -> Iterator[str]:
    yield from table(
        ["id", "when", "state", "by", "what", "images", "patient", "to tell", "sentence"],
        (
            [r["id"], moment(r["at"])[:16], _STATES.get(r["state"], r["state"]), r["by"], r["kind"],
             f"{r['instances']:,}", f"{person(r['patient_name'])} ({r['patient_id'] or 'no ID'})",
             _untold(r), r["sentence"]]
            for r in value["rows"]
        ),
        empty="nothing was corrected yet; a study's page (c) does it, or: pacstui corrections assign",
    )  # fmt: skip
    if value["next"]:
        yield f"older ones: --before {value['next']}"


def _untold(row: dict[str, Any]) -> str:
    return ", ".join(each["destination"] for each in row["downstream"] if not each["told"]) or "-"


def _row(value: dict[str, Any]) -> Iterator[str]:
    yield f"correction {value['id']}: {value['sentence']}"
    yield f"  {value['state']}, by {value['by']} at {moment(value['at'])}: {value['why']}"
    if value["undone"]:
        yield f"  undone by {value['undone_by']} at {moment(value['undone'])}"
    if value["irreversible"] and value["state"] == "on":
        yield f"  cannot be undone now: {value['irreversible']}"
    for each in value["downstream"]:
        yield f"  {each['destination']} had {plural(each['instances'], 'wrong copy', 'wrong copies')}: " + (
            each["told"] or f"not told yet (pacstui corrections tell {value['id']})"
        )


def shown(value: dict[str, Any]) -> Iterator[str]:
    """Yield what a preview says, for a person."""
    yield value["sentence"]
    for told in value["since"]:
        yield f"~ since the last preview: {told}"
    if value["changes"]:
        yield ""
    yield from (
        table(
            ["level", "attribute", "is", "will be"],
            ([c["level"], c["attribute"], c["old"] or "(none)", c["new"] or "(none)"] for c in value["changes"]),
            empty="",
        )
        if value["changes"]
        else ()
    )
    if value["already"]:
        same = ", ".join(f"{each['attribute']} {each['new']}" for each in value["already"])
        yield f"already so: {same}"
    if value["new_uids"]:
        yield "copies get new SOP Instance UIDs"
    for each in value["downstream"]:
        last = f", last {moment(each['last'])}" if each["last"] else ""
        yield f"{each['destination']} got it as it is now: {plural(each['instances'], 'image')}{last}"
    for doubt in value["doubts"]:
        yield f"! {doubt}"


def _renewed(value: dict[str, Any]) -> Iterator[str]:
    yield from shown(value)
    yield f"to do it: pacstui corrections apply {value['token']} WHY"


app = group(
    "corrections",
    "Studies put right: assigned, edited, split, merged, moved, rejected; each can be undone.",
    {"list_all": _list, "renew": _renewed, "apply": _row, "undo": _row, "tell": _row},
    words={
        "study": "Study Instance UID.", "before": "Below this number.", "limit": "At most so many.",
        "token": "Of a preview (--json).", "why": "A few words, without names of patients; they are kept.",
        "id": "The number of the correction.", "destinations": "Only these. May be given several times.",
    },
    leave_out=("assign", "edit", "split", "merge", "move", "reject"),
)  # fmt: skip

_Study = Annotated[str, typer.Argument(help="Study Instance UID.", show_default=False)]
_Series = Annotated[list[str], typer.Option("--series", help="Series Instance UID; may be given several times.")]
_Images = Annotated[list[str], typer.Option("--image", help="SOP Instance UID; may be given several times.")]
_Order = Annotated[int, typer.Option("--order", help="Number of an order; 0 for none.")]
_Why = Annotated[str, typer.Option("--why", help="A few words, without names of patients; they are kept.")]
_Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
_Json = Annotated[bool, typer.Option("--json", help="Print as JSON: the preview, or with --yes what was done.")]


def _go(context: typer.Context, method: str, why: str, yes: bool, as_json: bool, **arguments: Any) -> None:
    """Show what would be done, ask, and do it."""
    data_dir = door(context).data_dir()
    if yes and not why.strip():
        raise BadRequest("why?", "--yes takes --why: a few words, without names of patients")
    found = plain.call(data_dir, "corrections", method, **arguments)
    if as_json and not yes:
        say_json(found)
        return
    if not as_json:
        for line in shown(found):
            say(line)
    if not yes:
        if not sys.stdin.isatty():
            say("nothing was done: --yes --why TEXT does it")
            return
        why = why or typer.prompt("Why", default="", show_default=False)
    row = _done(data_dir, found, why, yes)
    if as_json:
        say_json(row)
    else:
        for line in _row(row):
            say(line)


def _done(data_dir: Path, found: dict[str, Any], why: str, yes: bool) -> Any:
    """Ask, and do what was shown; where somebody changed something meanwhile, show it as it is now and ask again."""
    while True:
        if not yes and not typer.confirm("Do it?", default=False):
            raise typer.Exit(1)
        try:
            return call_confirmed(data_dir, "apply", "corrections", token=found["token"], why=why)
        except Stale:
            if yes:
                raise
            found = plain.call(data_dir, "corrections", "renew", token=found["token"])
            for line in shown(found):
                say(line)


@app.command("assign", help=_ASKS["assign"])
def assign(
    context: typer.Context, study: _Study, order: _Order = 0,
    patient_id: Annotated[str, typer.Option("--patient-id", help="Patient ID, where there is no order.")] = "",
    issuer: Annotated[str, typer.Option("--issuer", help="Issuer of that ID, where several have it.")] = "",
    why: _Why = "", yes: _Yes = False, json: _Json = False,
) -> None:  # fmt: skip
    """Give a study to an order or patient."""
    _go(context, "assign", why, yes, json, study=study, order=order, patient_id=patient_id, issuer=issuer)


@app.command("edit", help=_ASKS["edit"])
def edit(
    context: typer.Context, study: _Study,
    changes: Annotated[list[str], typer.Argument(help="KEYWORD=VALUE, as PatientName=DOE^JANE.", show_default=False)],
    series: _Series = [], image: _Images = [], why: _Why = "", yes: _Yes = False, json: _Json = False,  # noqa: B006
) -> None:  # fmt: skip
    """Change attributes."""
    given = {}
    for each in changes:
        keyword, sign, value = each.partition("=")
        if not sign:
            raise BadRequest(f"{each} is no change", "write KEYWORD=VALUE, as PatientName=DOE^JANE")
        given[keyword.strip()] = value
    _go(context, "edit", why, yes, json, study=study, changes=given, series=series, images=image)


@app.command("split", help=_ASKS["split"])
def split(
    context: typer.Context, study: _Study, series: _Series = [], order: _Order = 0,  # noqa: B006
    why: _Why = "", yes: _Yes = False, json: _Json = False,
) -> None:  # fmt: skip
    """Split a study."""
    _go(context, "split", why, yes, json, study=study, series=series, order=order)


@app.command("merge", help=_ASKS["merge"])
def merge(
    context: typer.Context, study: _Study,
    into: Annotated[str, typer.Argument(help="Study Instance UID of the other.", show_default=False)],
    why: _Why = "", yes: _Yes = False, json: _Json = False,
) -> None:  # fmt: skip
    """Merge studies."""
    _go(context, "merge", why, yes, json, study=study, into=into)


@app.command("move", help=_ASKS["move"])
def move(
    context: typer.Context, study: _Study,
    into: Annotated[str, typer.Argument(help="Study Instance UID of the other.", show_default=False)],
    series: _Series = [], why: _Why = "", yes: _Yes = False, json: _Json = False,  # noqa: B006
) -> None:  # fmt: skip
    """Move series."""
    _go(context, "move", why, yes, json, study=study, series=series, into=into)


@app.command("reject", help=_ASKS["reject"])
def reject(
    context: typer.Context, study: _Study,
    reason: Annotated[str, typer.Argument(
        help="quality (113001), safety (113037), worklist (113038) or expired (113039).", show_default=False)],
    series: _Series = [], image: _Images = [], why: _Why = "", yes: _Yes = False, json: _Json = False,  # noqa: B006
) -> None:  # fmt: skip
    """Reject."""
    _go(context, "reject", why, yes, json, study=study, reason=reason, series=series, images=image)
