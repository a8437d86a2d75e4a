"""Removing snapshots that no rule keeps, with what only they need.

A manifest goes before its files, and files before the packs: at no moment does a snapshot name what is not there. No
pack goes that a snapshot which stays needs, and none at all while a manifest cannot be read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from pacstui.backups import layout
from pacstui.backups.layout import Manifest
from pacstui.backups.retention import kept
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt
from pacstui.text import plural, size


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a run removed."""

    snapshots: int
    packs: int
    bytes: int
    text: str


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
        rules = kept(manifests, target.spec.keep, zone, doubted=target.doubted(manifests))
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
