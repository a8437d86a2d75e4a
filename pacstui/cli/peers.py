"""``pacstui peers``: the equipment around us."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import wrap
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.actions import call_confirmed, confirm, group
from pacstui.cli.doors import door
from pacstui.cli.out import live, moment, say, say_json, table
from pacstui.contract import all_actions
from pacstui.errors import BadRequest
from pacstui.text import duration, plural

_PACE_S = 0.2
_MARKS = {"ok": "ok", "warn": "!", "fail": "FAIL", "skipped": "-", "waits": ".", "runs": ">"}
_DONE = ("ok", "warn", "fail")
Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Named = Annotated[str, typer.Argument(help="The peer's name, as the list shows it.", show_default=False)]


def _state(row: dict[str, Any]) -> str:
    if row["failed"] and row["echo"] != "failed":
        return f"FAIL at {moment(row['failed'])[:16]}"
    if row["echo"] == "never":
        return "not tried" if row["probe"] else "not asked"
    if row["echo"] == "ok":
        return f"ok, {row['echo_ms']:.1f} ms"
    return f"FAIL since {moment(row['silent_since'])[:16]}"


def _percent(part: float | None) -> str:
    return "-" if part is None else f"{100 * part:.1f} %" if part < 0.9995 else "100 %"


def _list(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["name", "AE title", "address", "echo", "up 30 d", "called us", "we called", "stored", "may", "TLS", "notes"],
        (
            [
                r["name"],
                r["ae_title"],
                f"{r['host']}:{r['port']}",
                _state(r),
                _percent(r["uptime"]),
                moment(r["seen"])[:16],
                moment(r["called"])[:16],
                f"{r['stored']:,}",
                "all" if r["allow"] is None else ", ".join(r["allow"]) or "nothing",
                r["tls"] + (f", until {r['tls_until'][:10]}" if r["tls_until"] else ""),
                "; ".join([*r["flaws"], r["notes"]] if r["notes"] else r["flaws"]),
            ]
            for r in rows
        ),
        empty="no peers; pacstui peers add NAME AE-TITLE HOST adds one, [[peers]] in the configuration too",
    )


def _one(row: dict[str, Any]) -> list[str]:
    return [f"{row['name']}: {row['ae_title']} at {row['host']}:{row['port']}, in effect now"]


def _contexts(contexts: list[dict[str, Any]]) -> Iterator[str]:
    """Return SOP classes, those together that are negotiated alike."""
    alike: dict[str, list[str]] = {}
    for each in contexts:
        how = f"in {', '.join(each['accepted'])}" if each["accepted"] else f"x {each['refused']}"
        alike.setdefault(how, []).append(each["name"].removesuffix(" Storage"))
    for how, names in alike.items():
        yield f"  {how}:"
        yield from wrap(", ".join(names), 100, initial_indent="    ", subsequent_indent="    ")


def _show(detail: dict[str, Any]) -> Iterator[str]:
    row = detail["row"]
    yield f"{row['name']}: {_state(row)}, up {_percent(row['uptime'])} of the last 30 days"
    for flaw in row["flaws"]:
        yield f"  ! {flaw}"
    told = {**detail["fields"], "kept in": "the configuration" if row["configured"] else "the register"}
    if detail["changed"]:
        told["changed"] = f"{moment(detail['changed'])} by {detail['changed_by']}"
    if detail["tls"]:
        told["shows"] = detail["tls"]
    for name, value in told.items():
        if value and name != "name":
            yield f"{name.replace('_', ' '):<12}{value}"
    for text in detail["routes"]:
        yield f"{'named':<12}{text}"
    for end in detail["ends"]:
        yield ""
        way = "it calls us" if end["way"] == "in" else "we call it"
        yield f"{way}: last {moment(end['last'])}, {plural(end['associations'], 'association')}"
        if end["implementation"]:
            size = f"{end['max_pdu']:,} bytes" if end["max_pdu"] else "any size"
            yield f"  software {end['implementation']}, takes PDUs of {size}"
        yield from _contexts(end["contexts"])
    if detail["faults"]:
        yield ""
        yield "what failed last"
    for fault in detail["faults"]:
        way = "it called" if fault["way"] == "in" else "we called"
        times = f" ({fault['count']} times)" if fault["count"] > 1 else ""
        yield f"  {moment(fault['at'])} {way}: {fault['text']}{times}"


def _history(history: dict[str, Any]) -> Iterator[str]:
    heads = ["", "up", "answered", "down for", "min ms", "median", "max", "called us", "we called"]
    for title, rows, cut in (("month", history["months"], 7), ("day", history["days"], 10)):
        yield from table(
            [title, *heads[1:]],
            (
                [
                    r["day"][:cut],
                    _percent(r["up_s"] / (r["up_s"] + r["down_s"]) if r["up_s"] + r["down_s"] else None),
                    f"{r['answered']} of {r['asked']}",
                    duration(r["down_s"]) if r["down_s"] else "-",
                    *(f"{r[each]:.1f}" for each in ("min_ms", "median_ms", "max_ms")),
                    r["calls_in"],
                    r["calls_out"],
                ]
                for r in rows
            ),
            empty=f"no {title} is known yet: the job echo-sweep asks every 15 minutes",
        )
        yield ""
    for echo in history["echoes"][:10]:
        told = f"ok, {echo['milliseconds']:.1f} ms" if echo["ok"] else f"FAIL: {echo['detail']}"
        yield f"{moment(echo['at'])}  {told}"


def _echo(result: dict[str, Any]) -> Iterator[str]:
    yield f"{result['peer']}: {'answers' if result['ok'] else 'does not answer'}, {result['milliseconds']:.0f} ms"
    yield from table(
        ["", "step", "ms", ""],
        (["ok" if s["ok"] else "fail", s["name"], f"{s['milliseconds']:.1f}", s["detail"]] for s in result["steps"]),
    )
    if result["hint"]:
        yield result["hint"]


def _step(step: dict[str, Any]) -> str:
    took = f"{step['milliseconds']:9.1f} ms" if step["milliseconds"] else " " * 12
    return f"{_MARKS.get(step['state'], step['state']):<5}{step['name']:<19}{took}  {step['detail']}".rstrip()


def _outcome(view: dict[str, Any]) -> Iterator[str]:
    """Return what a test came to, after its steps."""
    if view["takes"]:
        yield ""
        yield f"{view['peer']} accepts"
        yield from _contexts(view["takes"])
    if view["failed"]:
        yield ""
        yield f"fails at {view['failed']}: {view['meaning']}"
        yield ""
        yield from view["letter"].split("\n")


def _tested(view: dict[str, Any]) -> Iterator[str]:
    if view["started"] is None:
        yield f"{view['peer']} was not tested since the node started: pacstui peers test {view['peer']}"
        return
    yield from map(_step, view["steps"])
    yield from _outcome(view)


def _removal(told: dict[str, Any]) -> Iterator[str]:
    yield from (f"breaks: {text}" for text in told["breaks"])
    if not told["breaks"]:
        yield f"nothing names {told['name']}"


def _callers(view: dict[str, Any]) -> Iterator[str]:
    yield from table(
        ["id", "who", "from", "times", "first", "last", "what", "called", "why"],
        (
            [
                r["id"],
                (r["calling"] or "(no AE title)") + (f" {r['titles']:,}" if r["titles"] > 1 else ""),
                r["host"],
                f"{r['count']:,}",
                moment(r["first"])[:16],
                moment(r["last"])[:16],
                ("ignored, " if r["ignored"] else "") + r["what"],
                r["called"],
                r["text"] + (f": {r['hint']}" if r["hint"] else ""),
            ]
            for r in view["rows"]
        ),
        empty="nobody but peers has called, and none of them was refused",
    )
    if view["ignored"]:
        yield f"{plural(view['ignored'], 'caller')} ignored: --ignored shows them"
    if view["dropped"]:
        yield f"{plural(view['dropped'], 'row')} dropped since the node started: too many callers to keep"


app = group(
    "peers",
    "The equipment around us.",
    {
        "list": _list,
        "show": _show,
        "history": _history,
        "echo": _echo,
        "tested": _tested,
        "add": _one,
        "edit": _one,
        "rename": _one,
        "removal": _removal,
        "callers": _callers,
        "export_csv": lambda text: text.rstrip().split("\n"),
    },
    words={
        "name": "The peer's name, as the list shows it.",
        "to": "The name that it gets.",
        "ae_title": "Its AE title; capitals matter.",
        "host": "Host name or IP address.",
        "port": "Its DICOM port.",
        "tls": "How it is called: off, on (as [tls] says), name, certificate or nothing (what is checked).",
        "certificate": "Our certificate for it, a PEM file; empty: that of [tls].",
        "key": "Its key, a PEM file.",
        "ca": "Who signed the peer's certificate, a PEM file; empty: as [tls] says.",
        "roles": "modality, workstation, archive, router, ai, ris, printer, other; with commas between.",
        "allow": "What it may ask for: all, nothing, or echo, store, find, move, get, worklist, commitment, mpps.",
        "probe": "yes or no: whether it is asked by C-ECHO now and then, and missed when silent.",
        "limit": "Associations at once that it may have with us; 0: no limit of its own.",
        "vendor": "Who made it.",
        "model": "Its model.",
        "software": "Its software version.",
        "serial": "Its serial number.",
        "location": "Where it stands.",
        "contact": "Whom to call about it.",
        "notes": "Whatever helps at night.",
        "days": "How many days back.",
        "id": "The caller's number, as the list of callers shows it.",
        "ignored": "Show those too that are ignored.",
    },
    failed=lambda method, value: method == "echo" and not value["ok"],
    leave_out=("test", "test_object", "remove", "preview_import", "import_csv"),
)


@app.command("test", help=f"{all_actions()['peers.test'].label}.")
def begin_test(context: typer.Context, name: Named, as_json: Json = False) -> None:
    _test(context, "test", name, as_json)


@app.command("test-object", help=f"{all_actions()['peers.test_object'].label}.")
def begin_test_object(
    context: typer.Context,
    name: Named,
    as_json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    if not yes:
        confirm(all_actions()["peers.test_object"], {"name": name})
    _test(context, "test_object", name, as_json)


def _test(context: typer.Context, method: str, name: str, as_json: bool) -> None:
    """Begin a test, print each step when it is done, then what it came to; exit 1 where a step failed."""
    data_dir = door(context).data_dir()
    view = call_confirmed(data_dir, method, "peers", name=name)
    told = 0
    with live() as line:
        while True:
            steps = view["steps"]
            while not as_json and told < len(steps) and (steps[told]["state"] in _DONE or not view["running"]):
                line.end()
                say(_step(steps[told]))
                told += 1
            if not view["running"]:
                break
            now = next((step["name"] for step in steps if step["state"] == "runs"), "")
            line.now(f">    {now}")
            time.sleep(_PACE_S)
            view = plain.call(data_dir, "peers", "tested", name=name)
    if as_json:
        say_json(view)
    else:
        for text in _outcome(view):
            say(text)
    if view["failed"]:
        raise typer.Exit(1)


@app.command("remove", help=f"{all_actions()['peers.remove'].label}.")
def remove(
    context: typer.Context,
    name: Named,
    as_json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    data_dir = door(context).data_dir()
    if not yes:
        for text in _removal(plain.call(data_dir, "peers", "removal", name=name)):
            say(text)
        confirm(all_actions()["peers.remove"], {"name": name})
    call_confirmed(data_dir, "remove", "peers", name=name)
    say_json(None) if as_json else say(f"{name} is removed: it may not call any more, and nothing is sent to it")


File = Annotated[Path, typer.Argument(help="CSV file; its first line names the columns.", show_default=False)]


@app.command("import", help=f"{all_actions()['peers.import_csv'].label}: all of it, or nothing.")
def import_csv(
    context: typer.Context,
    file: File,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only what would be done is shown.")] = False,
    as_json: Json = False,
) -> None:
    plan = _import(context, "import_csv" if yes else "preview_import", file, as_json)
    if not yes and not as_json and plan["changes"]:
        say("nothing was done yet: --yes does it")
    if plan["mistakes"]:
        raise typer.Exit(1)


@app.command("preview-import", help=f"{all_actions()['peers.preview_import'].label}.")
def preview_import(context: typer.Context, file: File, as_json: Json = False) -> None:
    _import(context, "preview_import", file, as_json)


def _import(context: typer.Context, method: str, file: Path, as_json: bool) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise BadRequest(f"{file}: {error.strerror}") from None
    except ValueError:
        raise BadRequest(f"{file} is no text in UTF-8", "save it as CSV UTF-8") from None
    plan: dict[str, Any] = call_confirmed(door(context).data_dir(), method, "peers", csv=text)
    if as_json:
        say_json(plan)
        return plan
    for line in table(
        ["line", "name", "what", ""], ([r["line"], r["name"], r["what"], r["text"]] for r in plan["lines"])
    ):
        say(line)
    say(f"{plural(plan['changes'], 'change')}, {plural(plan['mistakes'], 'mistake')}")
    return plan
