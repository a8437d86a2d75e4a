"""``pacstui hl7``: messages that came in, what became of each, and putting failed ones right; a sender for tests."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pacstui.api import plain
from pacstui.cli import hl7_outgoing
from pacstui.cli.actions import call_confirmed, group
from pacstui.cli.doors import door
from pacstui.cli.out import moment, say, say_json, table
from pacstui.errors import BadRequest, PacsError
from pacstui.text import count, plural, safe

STATES: Final = {
    "done": "= done", "failed": "x failed", "repeated": "~ repeated", "resolved": "= resolved", "ignored": "- ignored",
}  # fmt: skip


def _show(value: Mapping[str, Any]) -> Iterator[str]:
    where = value["listening"] or f"NOT TAKEN: {value['why']}"
    yield f"HL7 over MLLP  {where}"
    yield (
        f"today          {plural(value['today'], 'message')}, {count(value['repeated_today'])} repeated, "
        f"{plural(value['refused_today'], 'connection')} refused; {value['per_second']:.1f} a second now"
    )
    failed = value["failed_open"]
    hint = "; pacstui hl7 list --state failed" if failed else ""
    yield f"errors         {plural(failed, 'message')} to be looked at{hint}"
    yield ""
    yield from table(
        ["sender", "facility", "from", "open", "24 h", "failed", "per min", "last"],
        (
            [r["sender"] or "-", r["facility"] or "-", r["origin"], r["connected"], count(r["messages"]),
             count(r["failed"]), f"{r['per_minute']:.1f}", moment(r["last"]) if r["last"] else "-"]
            for r in value["senders"]
        ),
        empty="nobody has sent a message within the last day",
    )  # fmt: skip


def _rows(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "when", "state", "answer", "kind", "sender", "control", "patient", "accession", "what happened"],
        (
            [r["id"], moment(r["at"]), STATES.get(r["state"], r["state"]), r["answer"] or "-", r["kind"] or "?",
             r["sender"] or "-", r["control"] or "-", r["patient_id"] or "-", r["accession"] or "-",
             r["text"] + (f" - {r['by']}" if r["by"] else "")]
            for r in rows
        ),
        empty="no messages",
    )  # fmt: skip


def _page(value: Mapping[str, Any]) -> Iterator[str]:
    yield from _rows(value["rows"])
    if value["next"]:
        yield ""
        yield f"older ones: --before {value['next']}"


def _message(value: Mapping[str, Any]) -> Iterator[str]:
    row = value["row"]
    yield f"message {row['id']}  {row['kind'] or '(no type)'}  control ID {row['control'] or '(none)'}"
    origin = f"{row['sender'] or '-'} of {row['facility'] or '-'} at {row['origin']}"
    yield f"{moment(row['at'])} from {origin}, {plural(row['size'], 'byte')}, {value['charset'] or 'ASCII'}"
    by = f" by {row['by']}" if row["by"] else ""
    yield f"{STATES.get(row['state'], row['state'])}{by}, answered {row['answer'] or '-'}: {row['text'] or '-'}"
    if row["hint"]:
        yield f"  {row['hint']}"
    if value["original"]:
        yield f"made from, or the same as, message {value['original']}"
    if value["later"]:
        yield f"acted on again as message {', '.join(map(str, value['later']))}"
    for segment in value["segments"]:
        yield ""
        wrong = f"   x wrong: {', '.join(segment['wrong'])}" if segment["wrong"] else ""
        yield f"{segment['name']}  {segment['title']}{wrong}"
        for each in segment["fields"]:
            mark = "x" if each["place"] in segment["wrong"] else " "
            yield f" {mark} {each['place']:<8} {each['name']:<30.30} {each['value']}"
    yield ""
    yield "answer"
    for line in value["reply"].split("\n"):
        yield f"  {line}"


app = group(
    "hl7",
    "HL7 messages: what came in, what became of each, and putting failed ones right.",
    {
        "show": _show, "messages": _page, "message": _message, "replay": _rows, **hl7_outgoing.VIEWS,
        "ignore": lambda value: [f"{plural(value, 'message')} taken off the list of errors"],
    },
    words={
        "search": "A patient ID, accession number, order number or control ID; else words in the text.",
        "state": "done, failed, repeated, resolved or ignored.", "kind": "ADT, or ADT^A08.",
        "before": "Go on after the page that ended here.", "limit": "At most so many, up to 1000.",
        "id": "The number of the message.", "ids": "Numbers of messages.", "why": "The reason, for whoever looks next.",
        **hl7_outgoing.WORDS,
    },
    leave_out=("resubmit", "trial"),
    positional=hl7_outgoing.POSITIONAL,
    groups=hl7_outgoing.GROUPS,
)  # fmt: skip


@app.command("edit", help="Edit an HL7 message and act on it. Opens $EDITOR; with --file the text of a file is taken.")
def edit(
    context: typer.Context,
    id: Annotated[int, typer.Argument(help="The number of the message.", show_default=False)],
    file: Annotated[Path | None, typer.Option("--file", help="The edited text; - for standard input.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Take the text as it was sent, let it be edited, and act on it."""
    data_dir = door(context).data_dir()
    if file is not None:
        text = _text(file)
    else:
        before = plain.call(data_dir, "hl7", "message", id=id)["raw"]
        text = _edited(before)
        if text == before:
            say("nothing was changed; pacstui hl7 replay acts on it as it is")
            raise typer.Exit(1)
    row = call_confirmed(data_dir, "resubmit", "hl7", id=id, text=text)
    if json:
        say_json(row)
    else:
        for line in _rows([row]):
            say(line)
    if row["state"] != "done":
        raise typer.Exit(1)


@app.command("try", help="Say what an HL7 message would do with another text; nothing is kept.")
def try_(
    context: typer.Context,
    id: Annotated[int, typer.Argument(help="The number of the message.", show_default=False)],
    file: Annotated[Path, typer.Argument(help="The text; - for standard input.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Ask the node; exit 1 where it would fail."""
    row = plain.call(door(context).data_dir(), "hl7", "trial", id=id, text=_text(file))
    if json:
        say_json(row)
    else:
        would = "would do" if row["state"] == "done" else f"would be answered {row['answer']}"
        say(f"{would}: {row['text'] or 'nothing changes'}")
        if row["hint"]:
            say(f"  {row['hint']}")
    if row["state"] != "done":
        raise typer.Exit(1)


def _text(file: Path) -> str:
    text = _bytes(file).decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _edited(text: str) -> str:
    import os
    import shlex

    if not sys.stdin.isatty():
        raise BadRequest("nobody is there to edit", "give the text with --file")
    command = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    with tempfile.NamedTemporaryFile("w+", encoding="utf-8", suffix=".hl7") as scratch:
        scratch.write(text + "\n")
        scratch.flush()
        subprocess.run([*command, scratch.name], check=False)
        with open(scratch.name, encoding="utf-8") as again:  # an editor may have put a new file in its place
            return again.read().rstrip("\n")


def _bytes(file: Path) -> bytes:
    try:
        return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
    except OSError as fault:
        raise PacsError(f"{file} cannot be read: {fault.strerror}") from fault


@app.command("send", help="Send the messages of a file over MLLP, one after the other, and show each answer.")
def send(
    file: Annotated[Path, typer.Argument(help="Messages, or a batch; - for standard input.", show_default=False)],
    to: Annotated[str, typer.Option("--to", metavar="HOST:PORT", help="Where to.")] = "127.0.0.1:2575",
    seconds: Annotated[float, typer.Option("--seconds", help="How long to wait for an answer.")] = 30.0,
    whole: Annotated[bool, typer.Option("--whole", help="The file as one block, as it is.")] = False,
) -> None:
    """Act as a sender; exit 1 unless every message was taken."""
    from pacstui.hl7v2.client import send_all

    host, _, port = to.rpartition(":")
    if not port.isdigit():
        raise BadRequest(f"{safe(to, 64)} is no address", "such as 127.0.0.1:2575")
    good = True
    for told in send_all(_bytes(file), host.strip("[]") or "127.0.0.1", int(port), seconds, whole=whole):
        good &= told.good
        say(f"{told.control or '(no control ID)'}: {told.code or 'no answer'}{' ' + told.text if told.text else ''}")
    if not good:
        raise typer.Exit(1)
