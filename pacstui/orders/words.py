"""What happened to orders, in words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from pacstui.orders.rows import CANCELLED, Order, Step


def later(date: str, time: str, minutes: int) -> tuple[str, str]:
    """Return date and time so many minutes later."""
    if not minutes:
        return date, time
    moment = datetime.strptime(date + time, "%Y%m%d%H%M%S") + timedelta(minutes=minutes)  # noqa: DTZ007 - as it stands
    return moment.strftime("%Y%m%d"), moment.strftime("%H%M%S")


def sentence(order: Order, made: Sequence[Step], how: str) -> str:
    """Return what became of an order, in words: ``how`` is new, changed or as it was."""
    first = next((step for step in made if step.state != CANCELLED), made[0]) if made else None
    where = f" for {first.station_ae or first.modality} at {_clock(first)}" if first is not None else ""
    return f"{how} order {order.shown}{where}" if how != "as it was" else f"order {order.shown} as it was"


def _clock(step: Step) -> str:
    return f"{step.date[:4]}-{step.date[4:6]}-{step.date[6:]} {step.time[:2]}:{step.time[2:4]}"


def difference(old: Order, new: Order, before: Sequence[Step], after: Sequence[Step]) -> str:
    """Return what changed, in words."""
    parts = [
        f"{label} {getattr(old, name) or 'none'} to {getattr(new, name) or 'none'}"
        for name, label in (("accession", "Accession Number"), ("description", "procedure"), ("priority", "priority"),
                            ("study", "study"), ("placer", "placer's number"), ("filler", "filler's number"))
        if getattr(old, name) != getattr(new, name)
    ]  # fmt: skip
    if before and after and _clock(before[0]) != _clock(after[0]):
        parts.append(f"time {_clock(before[0])} to {_clock(after[0])}")
    if before and after and before[0].modality != after[0].modality:
        parts.append(f"modality {before[0].modality} to {after[0].modality}")
    if len(before) != len(after):
        parts.append(f"{len(before)} to {len(after)} steps")
    return "changed: " + ("; ".join(parts) or "details")
