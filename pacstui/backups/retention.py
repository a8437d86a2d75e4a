"""Which snapshots stay: the rules of retention."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from pacstui.backups.layout import Manifest

RULES: Final = ("last", "daily", "weekly", "monthly", "yearly")
_AHEAD: Final = timedelta(hours=1)
_PERIODS: Final[dict[str, Callable[[datetime], object]]] = {
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}


def kept(
    manifests: Sequence[Manifest],
    keep: Mapping[str, int],
    zone: tzinfo | None = None,
    now: datetime | None = None,
    doubted: Collection[str] = (),
) -> dict[str, list[str]]:
    """Return which rules keep which snapshot, by its id; one that none keeps has an empty list.

    Parameters
    ----------
    manifests
        All snapshots, in any order.
    keep
        How many of each rule: ``last``, and the newest of so many days, weeks (ISO 8601), months and years that have
        any. The newest snapshot stays in any case, and so does the newest that has everything.
    zone
        Whose days count; the machine's if None.
    now
        The time; the machine's if None. Snapshots of later times, from when a clock was wrong, stay and count for no
        rule: else they would take the place of each new one.
    doubted
        Snapshots that may be somebody else's. They stay and count for no rule, for the same reason.
    """
    newest = sorted(manifests, key=lambda each: (each.at, each.id), reverse=True)
    found: dict[str, list[str]] = {each.id: [] for each in newest}
    limit = (now or datetime.now(UTC)) + _AHEAD
    for each in newest:
        if each.moment > limit:
            found[each.id].append("future")
        elif each.id in doubted:
            found[each.id].append("not trusted")
    newest = [each for each in newest if each.moment <= limit and each.id not in doubted]
    for each in newest[: max(1, keep.get("last", 1))]:
        found[each.id].append("last")
    whole = next((each for each in newest if not each.missing_total), None)
    if whole is not None and not found[whole.id]:
        found[whole.id].append("complete")
    for rule, period in _PERIODS.items():
        seen: set[object] = set()
        for each in newest:
            this = period(each.moment.astimezone(zone))
            if this not in seen and len(seen) < keep.get(rule, 0):
                seen.add(this)
                found[each.id].append(rule)
    return found


def rules_told(keep: Mapping[str, int]) -> str:
    """Return the rules in words."""
    words = [f"{keep[rule]} {rule}" for rule in RULES if keep.get(rule, 0)]
    return ", ".join(words) or "only the newest"


def only_needed_by(going: Sequence[Manifest], staying: Sequence[Manifest]) -> int:
    """Return the bytes in packs that only the snapshots which go need."""
    held = {pack.name for manifest in staying for pack in manifest.packs}
    free = {pack.name: pack.size for manifest in going for pack in manifest.packs if pack.name not in held}
    return sum(free.values())
