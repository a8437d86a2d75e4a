"""``pacstui merges``: patients that HL7 messages of the RIS made one, and taking them apart again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pacstui.api import plain
from pacstui.cli.actions import group
from pacstui.cli.corrections import shown
from pacstui.cli.out import moment, say, table
from pacstui.text import person


def _who(row: dict[str, Any], which: str) -> str:
    ident, issuer = row[f"{which}_id"], row[f"{which}_issuer"]
    return f"{person(row[f'{which}_name'])} ({ident}{', ' + issuer if issuer else ''})"


def _list(value: dict[str, Any]) -> Iterator[str]:
    yield from table(
        ["id", "when", "what", "prior", "into", "orders", "studies", "message", "state"],
        (
            [r["id"], moment(r["at"])[:16], r["kind"], _who(r, "prior"), _who(r, "survivor"), f"{r['orders']:,}",
             f"{r['studies']:,}", r["message"] or "-",
             f"- undone by {r['undone_by'] or '?'}" if r["undone"] else "= on"]
            for r in value["rows"]
        ),
        empty="no message of the RIS has merged patients (ADT^A40 does)",
    )  # fmt: skip
    if value["next"]:
        yield f"older ones: --before {value['next']}"


def _row(value: dict[str, Any]) -> Iterator[str]:
    yield f"merge {value['id']} is undone: {_who(value, 'prior')} is apart from {_who(value, 'survivor')}"


def _before(data_dir: Path, arguments: Mapping[str, Any]) -> str:
    """Show what would go back before it is asked."""
    for line in shown(plain.call(data_dir, "merges", "show", id=arguments["id"])):
        say(line)
    return ""


app = group(
    "merges",
    "Patients that HL7 messages of the RIS merged (A40 and the like); taking them apart again.",
    {"list_all": _list, "show": shown, "undo": _row},
    words={
        "study": "Those of the patient of this Study Instance UID.", "message": "Those of this HL7 message.",
        "before": "Below this number.", "limit": "At most so many.", "id": "The number of the merge.",
        "why": "A few words, without names of patients; they are kept.",
        "token": "Of what was shown (show --json): undo only if that still holds.",
    },
    amounts={"undo": _before},
)  # fmt: skip
