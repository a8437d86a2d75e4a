"""How an association is written in a row, on the dashboard and in the list alike."""

from __future__ import annotations

from pacstui.contract.associations import AssociationRow, RefusalRow
from pacstui.text import safe

TO = "\u2192 "
"""Stands before the name of a peer that this node calls."""

STATES = {
    "open": ("open", "good"),
    "released": ("released", "dim"),
    "aborted": ("! aborted", "warn"),
    "lost": ("! lost", "warn"),
    "refused": ("x refused", "fail"),
    "failed": ("x failed", "fail"),
}


def who(row: AssociationRow) -> str:
    """Return the name that we know the other side by, else the AE title that it gave; an arrow goes to whom we call."""
    return TO * row.outgoing + safe(row.peer or row.calling or "(no AE title)", 64)


def moved(row: AssociationRow) -> int:
    """Return the bytes of the direction that more went in."""
    return max(row.received_bytes, row.sent_bytes)


def state(row: AssociationRow) -> tuple[str, str]:
    """Return the state as a word and its role."""
    if row.state in STATES:
        return STATES[row.state]
    word = "aborted" if row.state.startswith("aborted") else "timeout" if "timed out" in row.state else safe(row.state)
    return f"! {word}", "warn"


def rate(value: float) -> str:
    """Return instances per second; small rates keep a digit after the point."""
    if value < 0.05:
        return "-"
    return f"{value:.0f}/s" if value >= 9.95 else f"{value:.1f}/s"


def refusal(row: RefusalRow) -> str:
    """Return a refusal in one sentence."""
    host = row.address.rpartition(":")[0] or row.address
    calling = safe(row.calling, 32) or "a caller without name"
    return f"{calling} ({safe(host, 46)}) {safe(row.text, 300)}"
