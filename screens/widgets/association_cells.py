"""How an association is written in a row, on the dashboard and in the list alike."""

from __future__ import annotations

from pacstui.contract.associations import AssociationRow, RefusalRow
from pacstui.text import safe

STATES = {
    "open": ("open", "good"),
    "released": ("released", "dim"),
    "aborted": ("! aborted", "warn"),
    "lost": ("! lost", "warn"),
    "refused": ("x refused", "fail"),
}


def who(row: AssociationRow) -> str:
    """Return the name that we know a caller by, else the AE title that it gave."""
    return safe(row.peer or row.calling or "(no AE title)", 64)


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
