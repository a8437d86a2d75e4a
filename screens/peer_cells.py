"""How peers look in a line: whether they answer, how much of the time, how quickly."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from pacstui.contract.peers import Negotiated, PeerRow
from pacstui.text import ago, safe
from screens.widgets.columns import Cell
from screens.widgets.line import Line
from screens.widgets.panel import words

SOON_DAYS = 30


def answers(row: PeerRow, now: datetime) -> tuple[str, str]:
    """Return in words whether a peer answers: a word first, then since when or why not."""
    if row.failed is not None and row.echo != "failed":
        why = row.failed_detail.partition("): ")[2] or row.failed_detail  # what we did there stands on the peer's page
        return f"x failed {ago(row.failed, now)}: {safe(why, 200)}", "fail"
    if row.echo == "never":
        if row.called is not None:
            return f"ok, called {ago(row.called, now)}", "text"
        return ("not tried: e", "dim") if row.probe else ("not asked", "dim")
    when = ago(row.echo_at, now) if row.echo_at else ""
    if row.echo == "ok":
        return f"ok {when}", "good"
    since = ago(row.silent_since, now).removesuffix(" ago") if row.silent_since else ""
    return f"x silent {since}: {safe(row.echo_detail, 200) or 'failed'}", "fail"


def flaws(row: PeerRow) -> list[str]:
    """Return what is wrong with a peer beside that it does not answer, which stands elsewhere."""
    return [flaw for flaw in row.flaws if row.echo != "failed" or "has not answered since" not in flaw]


def percent(part: float | None) -> tuple[str, str]:
    """Return a part of the time; what is not known is a dash."""
    if part is None:
        return "-", "dim"
    text = "100 %" if part >= 0.9995 else f"{100 * part:.1f} %"
    return text, "text" if part >= 0.99 else "warn-text" if part >= 0.9 else "fail-text"


def quick(milliseconds: float | None) -> Cell:
    """Return a round trip."""
    if milliseconds is None:
        return "-", "dim"
    return f"{milliseconds:.1f}" if milliseconds < 100 else f"{milliseconds:,.0f}"


def expiry(row: PeerRow, now: datetime) -> Cell:
    """Return how a peer is called over TLS, and how long its certificate is valid."""
    if row.tls == "off":
        return "off", "dim"
    if row.tls_until is None:
        return f"on ({row.tls})" if row.tls != "on" else "on"
    days = (row.tls_until - now).days
    role = "fail-text" if days < 0 else "warn-text" if days < SOON_DAYS else "text"
    return (f"x expired {-days} d" if days < 0 else f"{days} d left"), role


def seen(at: datetime | None, now: datetime) -> Cell:
    """Return when something was last."""
    return ago(at, now) if at is not None else ("never", "dim")


def negotiated(contexts: Iterable[Negotiated], width: int) -> list[Line]:
    """Return SOP classes, those together that are negotiated alike."""
    alike: dict[tuple[str, bool], list[str]] = {}
    for each in contexts:
        told = ", ".join(each.accepted) if each.accepted else each.refused
        alike.setdefault((told, bool(each.accepted)), []).append(_short(each.name))
    lines: list[Line] = []
    for (how, good), names in alike.items():
        mark = Line("in " if good else "x  ", "good" if good else "fail-text")
        lines.extend(words(safe(how, 400), width, "strong" if good else "fail-text", 3, mark))
        lines.extend(words(safe(", ".join(names), 4000), width, "text", 3, Line("   ")))
    return lines


def _short(name: str) -> str:
    for tail in (" Storage", " SOP Class", " Information Model - FIND", " Information Model - MOVE"):
        if name.endswith(tail):
            return name.removesuffix(tail) + (tail[-5:] if tail.endswith(("FIND", "MOVE")) else "")
    return safe(name, 64)
