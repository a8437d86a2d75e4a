"""What of the archive a target lacks, and which of its packs a snapshot needs: the index joined with what is known.

A pack of which a snapshot would need less than half is thin: what it still needs of it travels anew, into packs of its
own, and the snapshot names those. The thin pack itself is left alone: earlier snapshots need it, and it goes with them.
So no snapshot holds on to more than twice what it is, for ever; nothing is written over, and an interrupted run harms
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from pacstui.backups import source
from pacstui.backups.known import Known
from pacstui.backups.layout import PackRef
from pacstui.backups.source import Source

THIN: Final = 0.5
"""A pack is thin when less than this share of its bytes is needed."""
_AT_ONCE: Final = 0.05
_AT_LEAST: Final = 256 << 20
_JOINED: Final = "ix.instances i JOIN members m ON m.key = CAST(i.digest || i.meta_digest AS BLOB)"
_WELL: Final = (
    "EXISTS (SELECT 1 FROM members w WHERE w.key = CAST(i.digest || i.meta_digest AS BLOB)"
    " AND w.pack NOT IN (SELECT pack FROM temp.thin))"
)
_NEEDED: Final = f"SELECT m.pack, sum(m.size) FROM {_JOINED} GROUP BY m.pack"  # noqa: S608 - all of it stands here
_ONLY_THERE: Final = (
    f"SELECT m.pack, sum(m.size) FROM {_JOINED} WHERE m.pack IN (SELECT pack FROM temp.thin)"  # noqa: S608
    f" AND NOT {_WELL} GROUP BY m.pack"
)
_WANTED: Final = (
    "SELECT i.id, i.path, i.digest, i.meta_digest, i.data_offset, i.size, i.received FROM ix.instances i"  # noqa: S608
    f" WHERE i.id > ? AND NOT {_WELL} ORDER BY i.id LIMIT 2000"
)
_LEFT: Final = f"SELECT count(*), coalesce(sum(i.data_offset + i.size), 0) FROM ix.instances i WHERE NOT {_WELL}"  # noqa: S608
_MISSING: Final = (
    "SELECT count(*) FROM ix.instances i WHERE NOT EXISTS"
    " (SELECT 1 FROM members m WHERE m.key = CAST(i.digest || i.meta_digest AS BLOB))"
)
_THIN_USED: Final = f"SELECT DISTINCT m.pack FROM {_JOINED} WHERE NOT {_WELL}"  # noqa: S608


class Wants:
    """What a snapshot of an index wants of a target: the index is attached as ``ix`` to what is known.

    Parameters
    ----------
    data_dir
        The archive, for what was set aside in it.
    """

    def __init__(self, known: Known, data_dir: Path) -> None:
        self._known = known
        self._db = known.db
        self._data_dir = data_dir
        self._db.executescript("DROP TABLE IF EXISTS temp.thin; CREATE TEMP TABLE thin (pack INTEGER PRIMARY KEY);")
        self._aside = list(source.set_aside(self._db, data_dir, "ix"))
        self._needed = {int(pack): int(size) for pack, size in self._db.execute(_NEEDED)}
        for each in self._aside:
            for pack in known.packs_with(each.key):
                self._needed[pack] = self._needed.get(pack, 0) + each.size
        self.thin = self._leave_thin_ones()

    def _leave_thin_ones(self) -> int:
        """Choose packs that this snapshot is not to need; return how many bytes travel anew for that."""
        held = {int(row): int(size) for row, size in self._db.execute("SELECT id, held FROM packs")}
        thin = {row: size for row, size in self._needed.items() if size < THIN * held.get(row, 0)}
        self._leave(thin)
        if not thin:
            return 0
        moving = {int(pack): int(size) for pack, size in self._db.execute(_ONLY_THERE)}
        most = max(_AT_LEAST, int(_AT_ONCE * sum(self._needed.values())))
        chosen, total = [row for row in thin if row not in moving], 0
        for row in sorted(moving, key=lambda row: thin[row] / held[row]):
            if total + moving[row] <= most:
                chosen.append(row)
                total += moving[row]
        self._leave(chosen)
        return total

    def _leave(self, rows: Iterable[int]) -> None:
        self._db.execute("DELETE FROM temp.thin")
        self._db.executemany("INSERT INTO temp.thin VALUES (?)", ((row,) for row in rows))

    def _lacks(self, key: bytes) -> bool:
        found = self._db.execute(
            "SELECT 1 FROM members WHERE key = ? AND pack NOT IN (SELECT pack FROM temp.thin)", (key,)
        )
        return found.fetchone() is None

    def left(self) -> tuple[int, int]:
        """Return how many objects are to travel, and their bytes."""
        number, size = self._db.execute(_LEFT).fetchone()
        extra = [each for each in self._aside if self._lacks(each.key)]
        return int(number) + len(extra), int(size) + sum(each.size for each in extra)

    def sources(self) -> Iterator[Source]:
        """Yield what is to travel."""
        after = 0
        while rows := self._db.execute(_WANTED, (after,)).fetchall():
            after = int(rows[-1][0])
            for _, path, digest, meta, offset, length, received in rows:
                yield Source(str(path), bytes(digest) + bytes(meta), offset + length, offset, received // 1_000_000)
        seen = set()
        for each in self._aside:
            if each.key not in seen and self._lacks(each.key):
                seen.add(each.key)
                yield each

    def missing(self) -> int:
        """Return of how many instances the target has no copy."""
        return int(self._db.execute(_MISSING).fetchone()[0])

    def packs(self, sent: set[str]) -> tuple[PackRef, ...]:
        """Return the packs that a snapshot needs, ``sent`` those that were written for it."""
        thin = {int(row) for (row,) in self._db.execute("SELECT pack FROM temp.thin")}
        used = set(self._needed) - thin
        if thin:  # of what could not be read once more, the earlier copy
            used |= {int(row) for (row,) in self._db.execute(_THIN_USED)}
        for each in self._aside:
            rows = self._known.packs_with(each.key)
            used |= (rows - thin) or rows
        return tuple(
            PackRef(str(name), int(size), str(listing))
            for row, name, size, listing in self._db.execute("SELECT id, name, size, list FROM packs ORDER BY id")
            if int(row) in used or name in sent
        )
