"""Single patients, studies and instances of a snapshot, on their way back into a running archive."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pacstui.archive import paths
from pacstui.backups import source
from pacstui.backups.layout import Manifest, Member
from pacstui.backups.reading import Packs, kept_index, see_room
from pacstui.backups.source import Source
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import BadRequest, Corrupt, NotFound

_WHAT: Final = {"patient": "s.patient_id", "study": "s.study", "instance": "i.sop_instance"}
_ROWS: Final = (
    "SELECT i.path, i.digest, i.meta_digest, i.data_offset, i.size, i.received, i.sop_instance, i.calling, s.study"
    " FROM instances i JOIN series e ON e.id = i.series JOIN studies s ON s.id = e.study"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An instance of a snapshot that is to come back into the running archive."""

    source: Source
    sop_instance: str
    calling: str
    study: str


def select(
    target: Target, manifest: Manifest, what: str, key: str, data_dir: Path | None, watch: Watch
) -> list[Wanted]:
    """Return the instances of a patient (by Patient ID), a study or one instance, in a snapshot; or all that the
    snapshot has and the archive has not, or only with a damaged file.

    Raises
    ------
    BadRequest, NotFound
        For an unknown kind, or when the snapshot has none.
    """
    column = _WHAT.get(what)
    if what != "all" and (column is None or not key):
        raise BadRequest(f"{what or 'nothing'} cannot be restored so", "patient, study or instance, and which")
    index = kept_index(target, manifest, watch)
    with closing(source.connect(index)) as db:
        if column is None:
            rows = _lacking(db, data_dir)
        else:
            rows = db.execute(f"{_ROWS} WHERE {column} = ? ORDER BY i.id", (key,)).fetchall()
    if not rows and column is not None:
        raise NotFound(f"snapshot {manifest.id} has no such {what}", "look for it: pacstui backup studies")
    return [
        Wanted(
            Source(str(path), _key(digest, meta), offset + length, offset, received // 1_000_000),
            str(uid), str(calling), str(study),
        )
        for path, digest, meta, offset, length, received, uid, calling, study in rows
    ]  # fmt: skip


def _key(digest: Any, meta: Any) -> bytes:
    if not (isinstance(digest, bytes) and isinstance(meta, bytes)):
        raise Corrupt("the index of the snapshot has digests that are none", "do not trust this snapshot")
    return digest + meta


def _lacking(db: sqlite3.Connection, data_dir: Path | None) -> list[tuple[Any, ...]]:
    if data_dir is None or not (data_dir / paths.DATABASE).is_file():
        raise BadRequest("there is no archive here to bring anything back to", "restore into a folder: --to DIR")
    db.execute("ATTACH DATABASE ? AS live", (f"file:{data_dir / paths.DATABASE}?mode=ro",))
    try:
        rows = db.execute(
            _ROWS.replace(" FROM ", ", l.path, l.data_offset + l.size, l.missing FROM ", 1)
            + " LEFT JOIN live.instances l ON l.sop_instance = i.sop_instance ORDER BY i.id"
        )
        return [row[:-3] for row in rows if row[-3] is None or row[-1] or not _whole(data_dir, row[-3], row[-2])]
    finally:
        db.execute("DETACH DATABASE live")


def _whole(data_dir: Path, path: str, size: int) -> bool:
    """Return whether a file is there and has its size: the index may not know yet that it is gone."""
    try:
        return os.stat(data_dir / path).st_size == size
    except (OSError, ValueError):
        return False


def held(target: Target, manifest: Manifest, keys: list[bytes], watch: Watch) -> list[bool]:
    """Return for each key whether a snapshot has that object, whole as far as is known: in a pack of its, whose list
    names it and that no verification found damaged."""
    known = target.known
    target.learn(watch)
    packs = {(pack.name, pack.size, pack.list) for pack in manifest.packs}
    found = []
    for key in keys:
        rows = known.db.execute(
            "SELECT p.name, p.size, p.list FROM members m JOIN packs p ON p.id = m.pack WHERE m.key = ?", (key,)
        )
        found.append(any((str(name), int(size), str(listing)) in packs for name, size, listing in rows))
    return found


def by_digest(target: Target, wanted: list[tuple[bytes, str, str]], watch: Watch) -> tuple[list[Wanted], list[str]]:
    """Return objects that the target has, of whatever snapshot, by the SHA-256 of their data sets.

    Parameters
    ----------
    wanted
        Digest, SOP Instance UID and calling AE title of each.

    Returns
    -------
    tuple
        Those that it has, and the SOP Instance UIDs of those that it has not.
    """
    known = target.known
    target.learn(watch)
    found: list[Wanted] = []
    lacking: list[str] = []
    for digest, uid, calling in wanted:
        row = known.db.execute(
            "SELECT key, size, head FROM members WHERE key BETWEEN ? AND ? AND head > 0 LIMIT 1",
            (digest + bytes(32), digest + b"\xff" * 32),
        ).fetchone()
        if row is None:
            lacking.append(uid)
        else:
            found.append(Wanted(Source("", bytes(row[0]), int(row[1]), int(row[2]), 0), uid, calling, ""))
    return found, lacking


def here(data_dir: Path, wanted: list[Wanted]) -> int:
    """Return how many of these instances the archive has, with this very content and a file of its size."""
    index = data_dir / paths.DATABASE
    if not index.is_file():
        return 0
    found = 0
    with closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True, timeout=30)) as db:
        for each in wanted:
            row = db.execute(
                "SELECT path, data_offset + size FROM instances WHERE sop_instance=? AND digest=? AND missing=0",
                (each.sop_instance, each.source.key[:32]),
            ).fetchone()
            found += row is not None and _whole(data_dir, str(row[0]), int(row[1]))
    return found


def extract(
    target: Target, wanted: list[Wanted], to: Path, watch: Watch
) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Write instances into a folder, to be imported; return each file with its calling AE title, and what failed."""
    see_room(to, sum(each.source.size for each in wanted))
    known = target.known
    target.learn(watch)
    watch.tell(total=len(wanted), total_bytes=sum(each.source.size for each in wanted), unit="instances")
    by_pack: dict[tuple[int, str, int], list[tuple[Member, Wanted]]] = {}
    failed: dict[str, str] = {}
    for each in wanted:
        row = known.db.execute(
            "SELECT p.id, p.name, p.size, m.offset, m.size, m.head FROM members m JOIN packs p ON p.id = m.pack"
            " WHERE m.key = ?", (each.source.key,),
        ).fetchone()  # fmt: skip
        if row is None:
            failed[each.sop_instance] = "the target has no good copy of it"
            continue
        member = Member(each.source.key, int(row[3]), int(row[4]), int(row[5]))
        by_pack.setdefault((int(row[0]), str(row[1]), int(row[2])), []).append((member, each))
    files: list[dict[str, Any]] = []
    packs = Packs(target, to, watch)
    for (_, name, length), pairs in sorted(by_pack.items()):
        watch.check()
        whose = {member.key: each for member, each in pairs}

        def put(member: Member, pieces: Iterator[bytes], whose: dict[bytes, Wanted] = whose) -> None:
            each = whose[member.key]
            path = to / f"{len(files)}.dcm"
            with path.open("xb") as file:
                for piece in pieces:
                    file.write(piece)
            files.append({
                "path": str(path), "calling": each.calling, "sop_instance": each.sop_instance,
                "digest": each.source.key[:32].hex(),
            })  # fmt: skip
            watch.add(done=1, done_bytes=member.size)

        for member, why in packs.objects(name, length, [member for member, _ in pairs], put):
            failed[whose[member.key].sop_instance] = why.message
            watch.add(errors=1)
    return files, failed
