"""``pacstui associations``: who is connected and doing what, and who was refused and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pacstui.cli.actions import group
from pacstui.cli.out import moment, table
from pacstui.text import duration, plural, size

_RESULTS = ("accepted", "refused by user", "refused", "unknown service", "no transfer syntax of ours")


def _with(row: dict[str, Any]) -> str:
    return ("to " if row["outgoing"] else "") + str(row["peer"] or row["calling"])


def _list(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "with", "called", "address", "state", "doing", "images", "failed", "per s", "bytes", "for"],
        (
            [
                r["id"],
                _with(r),
                r["called"],
                r["address"],
                r["state"],
                r["doing"],
                f"{r['stored']:,}",
                f"{r['failed']:,}",
                f"{r['rate']:.0f}",
                size(max(r["received_bytes"], r["sent_bytes"])),
                duration(r["seconds"]),
            ]
            for r in rows
        ),
        empty="nobody is connected",
    )


def _show(detail: dict[str, Any]) -> Iterator[str]:
    row = detail["row"]
    yield f"association {row['id']}: {detail['title']}"
    yield f"{row['calling']} ({row['address']}) called {row['called']}, {moment(row['opened'])}, {row['state']}"
    if detail["answer"]:
        yield detail["answer"]
    for remedy in detail["remedies"]:
        yield f"  what mends it: {remedy}"
    kinds = ", ".join(f"{count:,} {name}" for name, count in detail["messages"].items())
    stored = plural(row["stored"], "instance")
    moved = f"{size(row['received_bytes'])} received, {size(row['sent_bytes'])} sent"
    yield f"{moved}, {stored} stored; {kinds or 'no messages'}"
    yield ""
    yield from table(
        ["id", "result", "service", "transfer syntax"],
        (
            [
                c["id"],
                _RESULTS[c["result"]] if c["result"] in range(5) else "not judged",
                c["abstract_name"] or c["abstract_syntax"],
                c["accepted"] or ", ".join(c["proposed"]),
            ]
            for c in detail["contexts"]
        ),
        empty="no presentation contexts",
    )
    for query in detail["queries"]:
        yield ""
        level = f", level {query['level']}" if query["level"] else ""
        yield f"{moment(query['at'])}  asked {query['model']}{level}: {_answers(query)}"
        for key in query["keys"]:
            yield f"    {key['keyword']} = {key['value'] or key['patient']}"
        if not query["keys"]:
            yield "    no key with a value: everything"
    yield ""
    for step in detail["timeline"]:
        yield f"{moment(step['at'])}  {step['text']}"


def _answers(query: dict[str, Any]) -> str:
    told = plural(query["answers"], "answer")
    return told if query["outcome"] == "done" else f"{told}, {query['outcome'] or 'goes on'}"


def _refusals(rows: list[dict[str, Any]]) -> Iterator[str]:
    if not rows:
        yield "nobody was refused"
    for r in rows:
        times = "once" if r["count"] == 1 else f"{r['count']:,} times"
        yield f"{moment(r['last'])}  {r['calling'] or '(no name)'} from {r['address']}, {times}: {r['text']}"
        if r["hint"]:
            yield f"    what mends it: {r['hint']}"


app = group(
    "associations",
    "Who is connected, and who was refused.",
    {"list": _list, "show": _show, "refusals": _refusals},
    words={"id": "The association's number, as the list shows it.", "ended": "Ended ones too."},
)
