"""Which snapshots stay, and removing the others with what only they need.

A manifest goes before its files, and files before the packs: at no moment does a snapshot name what is not there. No
pack goes that a snapshot which stays needs, and none at all while a manifest cannot be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from pacstui.backups import layout
from pacstui.backups.layout import Manifest
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt
from pacstui.text import plural, size

RULES: Final = ("last", "daily", "weekly", "monthly", "yearly")
_AHEAD: Final = timedelta(hours=1)
_PERIODS: Final[dict[str, Callable[[datetime], object]]] = {
    "daily": lambda at: at.date(),
    "weekly": lambda at: at.isocalendar()[:2],
    "monthly": lambda at: (at.year, at.month),
    "yearly": lambda at: at.year,
}


def kept(
    manifests: Sequence[Manifest], keep: Mapping[str, int], zone: tzinfo | None = None, now: datetime | None = None
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
    """
    newest = sorted(manifests, key=lambda each: (each.at, each.id), reverse=True)
    found: dict[str, list[str]] = {each.id: [] for each in newest}
    limit = (now or datetime.now(UTC)) + _AHEAD
    for each in newest:
        if each.moment > limit:
            found[each.id].append("future")
    newest = [each for each in newest if each.moment <= limit]
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


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a run removed."""

    snapshots: int
    packs: int
    bytes: int
    text: str


def only_needed_by(going: Sequence[Manifest], staying: Sequence[Manifest]) -> int:
    """Return the bytes in packs that only the snapshots which go need."""
    held = {pack.name for manifest in staying for pack in manifest.packs}
    free = {pack.name: pack.size for manifest in going for pack in manifest.packs if pack.name not in held}
    return sum(free.values())


def prune(target: Target, by: str, watch: Watch, zone: tzinfo | None = None) -> Pruned:
    """Remove what no rule keeps.

    Raises
    ------
    Corrupt
        When a manifest cannot be read: nobody knows then what its snapshot needs.
    Cancelled
        When it was told to end; what was removed is removed whole.
    """
    with target.writing("prune", by, watch):
        manifests = []
        for name in target.snapshot_names():
            data = target.store.get(layout.manifest_name(name))
            try:
                manifests.append(layout.manifest_from(data, layout.manifest_name(name)))
            except Corrupt as error:
                raise Corrupt(
                    f"{error.message}: nothing is removed while nobody knows what that snapshot needs",
                    f"look at it; if it is lost, remove {layout.manifest_name(name)} by hand",
                ) from None
        rules = kept(manifests, target.spec.keep, zone)
        staying = [each for each in manifests if rules[each.id]]
        going = [each for each in manifests if not rules[each.id]]
        return _remove(target, staying, going, watch)


def _remove(target: Target, staying: list[Manifest], going: list[Manifest], watch: Watch) -> Pruned:
    store = target.store
    watch.tell(total=len(going), unit="snapshots")
    for each in going:
        watch.check()
        watch.tell(now=each.id)
        store.delete(layout.manifest_name(each.id))
        watch.note(f"snapshot {each.id} is removed")
        watch.add(done=1)
    alive = {each.id for each in staying}
    for name, _ in list(store.list(layout.SNAPSHOTS)):
        snapshot = name.removeprefix(layout.SNAPSHOTS).partition("/")[0]
        if snapshot not in alive:  # of those that went, and of runs that were interrupted
            store.delete(name)
    needed = {pack.name for each in staying for pack in each.packs}
    removed = freed = 0
    if target.known.about("unfinished") or not staying:
        return _told(len(going), 0, 0)  # packs without a snapshot are what an interrupted run goes on from
    for name, length in list(store.list(layout.PACKS)):
        digest = layout.pack_of(name) or layout.list_of(name) or layout.damaged_of(name)
        if not digest or digest in needed:
            continue
        watch.check()
        if layout.pack_of(name):
            store.delete(layout.list_name(digest))  # what has no list is not counted on
            removed += 1
            freed += length
        store.delete(name)
        row = target.known.db.execute("SELECT id FROM packs WHERE name=?", (digest,)).fetchone()
        if row is not None:
            target.known.drop([int(row[0])])
    return _told(len(going), removed, freed)


def _told(snapshots: int, packs: int, freed: int) -> Pruned:
    text = f"{plural(snapshots, 'snapshot')} and {plural(packs, 'pack')} removed, {size(freed)} freed"
    return Pruned(snapshots, packs, freed, text)
