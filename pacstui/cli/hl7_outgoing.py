"""``pacstui hl7 receivers`` and ``pacstui hl7 outgoing``: what HL7 messages go out, and what is done about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from pacstui.cli.actions import View
from pacstui.cli.out import moment, table
from pacstui.text import count, duration, plural, size

STATES: Final = {
    "waiting": ". waiting", "sent": "= sent", "failed": "x failed", "held": "- held", "cancelled": "- cancelled",
}  # fmt: skip
_STANDS: Final = {
    "idle": "= idle", "sending": "> sending", "waiting": "! waiting", "down": "x down", "stuck": "x stuck",
    "held": "- held", "closed": "- closed", "off": "- off", "unknown": "x unknown",
}  # fmt: skip


def _since(text: str | None) -> str:
    return duration((datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()) if text else "-"


def _stand(row: Mapping[str, Any]) -> str:
    if row["failed"] and row["status"] in ("idle", "sending", "closed"):
        return "! failed"
    return _STANDS.get(str(row["status"]), str(row["status"]))


def receivers(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Say how each receiver stands."""
    yield from table(
        ["state", "receiver", "address", "wait", "failed", "held", "sent", "oldest", "last sent", "what is happening"],
        (
            [_stand(r), r["name"], r["address"] or "-", count(r["waiting"]),
             count(r["failed"]), count(r["held"]), count(r["sent"]), _since(r["oldest"]),
             moment(r["last_sent"]) if r["last_sent"] else "never", r["why"]]
            for r in rows
        ),
        empty="no receivers: [[hl7.receivers]] and [[hl7.forward]] in the configuration make some",
    )  # fmt: skip
    for row in rows:
        if row["hint"]:
            yield f"{row['name']}: {row['hint']}"


def page(value: Mapping[str, Any]) -> Iterator[str]:
    """List messages."""
    yield from table(
        ["id", "queued", "state", "receiver", "kind", "what", "control", "tries", "next try", "answer", "patient",
         "accession", "its words, or what went wrong"],
        (
            [r["id"], moment(r["at"]), STATES.get(r["state"], r["state"]), r["destination"], r["kind"], r["what"],
             r["control"], r["attempts"], moment(r["next_try"]) if r["next_try"] else "-", r["answer"] or "-",
             r["patient_id"] or "-", r["accession"] or "-", r["text"] or "-"]
            for r in value["rows"]
        ),
        empty="nothing",
    )  # fmt: skip
    if value["next"]:
        yield ""
        yield f"older ones: --before {value['rows'][-1]['id']}"


def message(value: Mapping[str, Any]) -> Iterator[str]:
    """Show one message and its answer."""
    row = value["row"]
    yield f"outgoing message {row['id']} to {row['origin']}: {STATES.get(row['state'], row['state'])}"
    yield f"{row['kind']}, control ID {row['control']}, queued {moment(row['at'])}, {size(row['size'])}"
    if row["answer"] or row["text"]:
        yield f"answered {row['answer'] or 'nothing that counts'}" + (f": {row['text']}" if row["text"] else "")
    if row["hint"]:
        yield f"  {row['hint']}"
    if value["original"]:
        yield f"forwarded from message {value['original']}"
    yield ""
    yield from value["raw"].split("\n")
    if value["reply"]:
        yield ""
        yield "the answer"
        yield from (f"  {line}" for line in value["reply"].split("\n"))


def preview(rows: list[dict[str, Any]]) -> Iterator[str]:
    """Show what a notification would say."""
    for number, row in enumerate(rows):
        if number:
            yield ""
        yield f"{row['notification']} to {row['receiver']}: {row['kind']} (nothing is sent)"
        yield from (f"  {line}" for line in row["text"].split("\n"))


def _done(did: str) -> Callable[[int], Iterator[str]]:
    def view(number: int) -> Iterator[str]:
        yield f"{did}: {plural(number, 'message')}" if number else "nothing to do"

    return view


VIEWS: Final[dict[str, View]] = {
    "receivers": receivers, "outgoing": page, "outgoing_message": message, "preview": preview,
    "send_again": _done("sent again now"), "drop": _done("cancelled"), "hold": _done("held"),
    "release": _done("released"),
}  # fmt: skip
WORDS: Final = {
    "destination": "Name of a receiver, as pacstui hl7 receivers shows it.",
    "notification": "Name of one of [[hl7.notifications]].",
    "study": "Study Instance UID; none: the newest study.",
    "order": "The order's number; none: the newest order.",
    "text": "The whole message, a segment on each line.",
}  # fmt: skip
POSITIONAL: Final = tuple(f"{method}.ids" for method in ("send_again", "drop", "hold", "release"))
GROUPS: Final = {"outgoing": "HL7 messages that go out."}
