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
from pacstui.backups.store import Refused
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt
from pacstui.text import plural, size


@dataclass(frozen=True, slots=True)
class Pruned:
    """What a run removed, and how many files it was not allowed to."""

    snapshots: int
    packs: int
    bytes: int
    text: str
    refused: int = 0


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


class _Removing:
    """Removes files; what may not be removed stays, is counted, and harms nothing."""

    def __init__(self, target: Target, watch: Watch) -> None:
        self._target = target
        self._watch = watch
        self.refused = self.packs = self.freed = 0
        self.why = ""

    def _gone(self, name: str) -> bool:
        self._watch.check()
        try:
            self._target.store.delete(name)
        except Refused as error:
            self.refused += 1
            self.why = self.why or f"{error.message}: {error.hint}"
            return False
        return True

    def snapshots(self, going: list[Manifest]) -> list[Manifest]:
        """Remove the manifests of snapshots; return those that may not be removed, and so stay."""
        left = []
        self._watch.tell(total=len(going), unit="snapshots")
        for each in going:
            self._watch.tell(now=each.id)
            if self._gone(layout.manifest_name(each.id)):
                self._watch.note(f"snapshot {each.id} is removed")
            else:
                left.append(each)
            self._watch.add(done=1)
        return left

    def rest(self, alive: set[str]) -> None:
        """Remove files of snapshots that went, and of runs that were interrupted."""
        for name, _ in list(self._target.store.list(layout.SNAPSHOTS)):
            if name.removeprefix(layout.SNAPSHOTS).partition("/")[0] not in alive:
                self._gone(name)

    def unneeded(self, needed: set[str]) -> None:
        """Remove packs that no snapshot needs. The list goes first: what has none is not counted on."""
        known = self._target.known
        for name, length in list(self._target.store.list(layout.PACKS)):
            digest = layout.pack_of(name) or layout.list_of(name) or layout.damaged_of(name)
            if not digest or digest in needed:
                continue
            pack = bool(layout.pack_of(name))
            if pack and not self._gone(layout.list_name(digest)):
                continue
            if self._gone(name) and pack:
                self.packs += 1
                self.freed += length
            row = known.db.execute("SELECT id FROM packs WHERE name=?", (digest,)).fetchone()
            if row is not None:
                known.drop([int(row[0])])


def _remove(target: Target, staying: list[Manifest], going: list[Manifest], watch: Watch) -> Pruned:
    removing = _Removing(target, watch)
    left = removing.snapshots(going)
    staying = [*staying, *left]
    removing.rest({each.id for each in staying})
    if not target.known.about("unfinished") and staying:  # packs without a snapshot: an interrupted run goes on there
        removing.unneeded({pack.name for each in staying for pack in each.packs})
    removed = len(going) - len(left)
    text = f"{plural(removed, 'snapshot')} and {plural(removing.packs, 'pack')} removed, {size(removing.freed)} freed"
    if removing.refused:
        text += f"; {plural(removing.refused, 'file')} may not be removed yet: {removing.why}"
    elif target.lock is not None:
        text += "; the bucket keeps what is locked until its time has passed"
    return Pruned(removed, removing.packs, removing.freed, text, removing.refused)
