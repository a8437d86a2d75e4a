"""The way back: a whole archive into a new place, or single patients, studies and instances.

A restore that was interrupted goes on: what is there is compared with its digests, the rest is fetched.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pacstui.archive import paths
from pacstui.backups import extra, source
from pacstui.backups.layout import Manifest, Member
from pacstui.backups.reading import Packs, check_index, fetch_index, read_extra
from pacstui.backups.source import NO_HEAD, Source
from pacstui.backups.spec import local_path
from pacstui.backups.store import translate
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.db import schema
from pacstui.errors import BadRequest, Corrupt, PacsError, StorageFull, Unavailable
from pacstui.text import plural, safe, size

MARK: Final = "restore.json"
_TOLD: Final = 100
_OBJECTS: Final = (paths.OBJECTS, paths.QUARANTINE)
_SPARE: Final = 64 << 20
_CHOOSE: Final = """
UPDATE temp.wanted SET pack = (
    SELECT m.pack FROM members m WHERE m.key = wanted.key
    ORDER BY m.pack IN (SELECT pack FROM temp.named) DESC, m.pack LIMIT 1
)
"""
"""Of several packs that have an object, one that the snapshot names."""


@dataclass(frozen=True, slots=True)
class Restored:
    """How a restore ended: objects and bytes that are there now, those that were there before, those that are not."""

    objects: int
    bytes: int
    there: int
    failed: tuple[tuple[str, str], ...]
    failed_total: int
    seconds: float
    text: str
    hint: str

    @property
    def warning(self) -> bool:
        """Whether something could not be brought back."""
        return bool(self.failed_total)


def fits(manifest: Manifest) -> None:
    """See that this version can use a snapshot's index.

    Raises
    ------
    Unavailable
        When a later version made it.
    """
    if manifest.revision > schema.HEAD:
        raise Unavailable(
            f"snapshot {manifest.id} was made by pacstui {manifest.version}, whose index this version does not know",
            f"install {manifest.version} or later, then restore",
        )


def needed_bytes(manifest: Manifest, index_only: bool = False) -> int:
    """Return what a restore of all takes on the disk."""
    return manifest.index_size * 2 + (0 if index_only else manifest.bytes)


def see_place(to: Path, target: Target, manifest: Manifest, index_only: bool) -> bool:
    """See that a folder can take a restore; return whether an interrupted one of this snapshot goes on there.

    Raises
    ------
    BadRequest, Unavailable, StorageFull
        When it cannot; says why and what to do.
    """
    fits(manifest)
    told = str(to)
    if not to.is_absolute() or "\0" in told or len(told) > 3000:
        raise BadRequest(f"{safe(told, 200)} cannot be restored to", "name a folder from the root: /srv/pacs-restored")
    there = local_path(target.spec.url)
    for above in to.resolve().parents:
        archive = (above / paths.DATABASE).exists() and (above / paths.OBJECTS).is_dir()
        if archive or (there is not None and above == there.resolve()):
            raise BadRequest(f"{to} lies in {above}, which is in use", "choose a folder elsewhere")
    try:
        entries = set(os.listdir(to)) if to.is_dir() else set()
        if to.exists() and not to.is_dir():
            raise BadRequest(f"{to} is no folder", "choose a new folder")
    except OSError as error:
        raise Unavailable(f"{to} cannot be used: {error.strerror}", "choose another folder") from None
    goes_on = False
    if MARK in entries:
        try:
            mark = json.loads((to / MARK).read_text("utf-8"))
        except (OSError, ValueError):
            mark = {}
        mark = mark if isinstance(mark, dict) else {}
        goes_on = mark.get("snapshot") == manifest.id and mark.get("target") == target.marker.get("id")
        if not goes_on:
            raise BadRequest(
                f"another restore was begun in {to} ({mark.get('snapshot', '?')})",
                "finish that one, or use another folder",
            )
    elif entries:
        raise BadRequest(f"{to} is not empty", "restore into a new folder; nothing is ever written over")
    place = next(each for each in (to, *to.parents) if each.exists())
    free = shutil.disk_usage(place).free
    need = needed_bytes(manifest, index_only) + _SPARE
    if not goes_on and free < need:
        raise StorageFull(f"{place} has {size(free)} free, the restore takes {size(need)}", "choose a larger disk")
    return goes_on


class Restore:
    """Brings a whole snapshot into a new folder, which is a data directory then."""

    def __init__(self, target: Target, manifest: Manifest, to: Path, watch: Watch, index_only: bool = False) -> None:
        self._target = target
        self._manifest = manifest
        self._to = to
        self._watch = watch
        self._index_only = index_only
        self._failed: dict[str, str] = {}
        self._objects = self._bytes = self._there = 0
        self._extra = b""
        self._folders: set[str] = set()

    def run(self) -> Restored:
        """Restore.

        Raises
        ------
        Cancelled
            When it was told to end; it may go on later.
        PacsError
            When place or target cannot be used.
        """
        began = time.monotonic()
        goes_on = see_place(self._to, self._target, self._manifest, self._index_only)
        try:
            return self._run(began, goes_on)
        except OSError as error:
            raise translate(error, str(self._to)) from error

    def _run(self, began: float, goes_on: bool) -> Restored:
        to, manifest = self._to, self._manifest
        to.mkdir(parents=True, exist_ok=True, mode=0o700)
        to.chmod(0o700)
        mark = {"snapshot": manifest.id, "target": self._target.marker.get("id", "")}
        (to / MARK).write_text(json.dumps(mark), "utf-8")
        index = to / paths.DATABASE
        if not (goes_on and index.is_file() and _digest(index) == manifest.index_sha256):
            fetch_index(self._target, manifest, index, self._watch)
        problem = check_index(index, self._watch)
        if problem:
            raise Corrupt(f"the index in snapshot {manifest.id} is damaged: {problem}", "restore an earlier snapshot")
        self._extra = read_extra(self._target, manifest)
        if not self._index_only:
            self._objects_of(index, goes_on)
        extra.lay_down(self._extra, to)
        self._watch.tell(now="making it durable")
        os.sync()
        (to / MARK).unlink()
        _sync(to)
        return self._result(time.monotonic() - began)

    def _objects_of(self, index: Path, goes_on: bool) -> None:
        known, watch = self._target.known, self._watch
        watch.tell(now="asking what the target has")
        self._target.learn(watch)
        db = known.db
        with known.beside(index):
            db.executescript(
                "DROP TABLE IF EXISTS temp.wanted; CREATE TEMP TABLE wanted (key BLOB, path TEXT, pack INTEGER);"
                "DROP TABLE IF EXISTS temp.named; CREATE TEMP TABLE named (pack INTEGER PRIMARY KEY);"
            )
            db.execute(
                "INSERT INTO temp.wanted SELECT CAST(digest || meta_digest AS BLOB), path, NULL FROM ix.instances"
            )
            self._want_set_aside(db)
            db.executemany(
                "INSERT OR IGNORE INTO temp.named SELECT id FROM packs WHERE name = ? AND size = ? AND list = ?",
                ((pack.name, pack.size, pack.list) for pack in self._manifest.packs),
            )
            db.execute(_CHOOSE)
            db.execute("CREATE INDEX temp.wanted_pack ON wanted (pack)")
            total, total_bytes = db.execute(
                "SELECT count(*), coalesce(sum(m.size), 0) FROM temp.wanted w"
                " JOIN members m ON m.key = w.key AND m.pack = w.pack"
            ).fetchone()
            watch.tell(total=total, total_bytes=total_bytes, unit="objects")
            for (path,) in db.execute("SELECT path FROM temp.wanted WHERE pack IS NULL"):
                self._fail(str(path), "the target has no good copy of it")
            packs = Packs(self._target, self._to, watch)
            for row, name, length in db.execute(
                "SELECT id, name, size FROM packs WHERE id IN (SELECT pack FROM temp.wanted) ORDER BY id"
            ).fetchall():
                watch.check()
                self._pack(db, packs, int(row), str(name), int(length), goes_on)

    def _want_set_aside(self, db: sqlite3.Connection) -> None:
        pairs = extra.set_aside_in(self._extra)
        db.executemany("INSERT INTO temp.wanted VALUES (?, ?, NULL)", [(key, path) for path, key in pairs])

    def _pack(self, db: sqlite3.Connection, packs: Packs, row: int, name: str, length: int, goes_on: bool) -> None:
        wanted: dict[bytes, Member] = {}
        places: dict[bytes, list[str]] = {}
        for key, offset, each_size, head, path in db.execute(
            "SELECT m.key, m.offset, m.size, m.head, w.path FROM temp.wanted w JOIN members m ON m.key = w.key"
            " AND m.pack = w.pack WHERE w.pack = ?", (row,),
        ):  # fmt: skip
            member = Member(bytes(key), int(offset), int(each_size), int(head))
            if goes_on and self._is_there(str(path), member):
                self._there += 1
                self._watch.add(done=1, done_bytes=member.size)
                continue
            wanted[member.key] = member
            places.setdefault(member.key, []).append(str(path))
        if not wanted:
            return

        def put(member: Member, pieces: Iterator[bytes]) -> None:
            first, *others = places[member.key]
            self._put(first, pieces)
            for other in others:
                shutil.copyfile(self._to / first, self._made(other))
            self._objects += len(others) + 1
            self._bytes += member.size * (len(others) + 1)
            self._watch.add(done=len(others) + 1, done_bytes=member.size)

        self._watch.tell(now=next(iter(places.values()))[0])
        for member, why in packs.objects(name, length, wanted.values(), put):
            for path in places[member.key]:
                self._fail(path, why.message)

    def _is_there(self, path: str, member: Member) -> bool:
        head = member.head if member.key[32:] != NO_HEAD else 0
        try:
            source.read(self._to, Source(path, member.key, member.size, head, 0))
        except PacsError:
            return False
        return True

    def _made(self, path: str) -> str:
        """Return the place of a file, its folder made; nothing outside of the folder that is restored to."""
        folder = path.rpartition("/")[0]
        if folder not in self._folders:
            if folder.partition("/")[0] not in _OBJECTS or ".." in folder.split("/"):
                raise Corrupt(f"the index names a place that objects never have: {path}", "do not trust this snapshot")
            os.makedirs(self._to / folder, mode=0o700, exist_ok=True)
            self._folders.add(folder)
        if path.endswith("/..") or "\0" in path:
            raise Corrupt(f"the index names a place that objects never have: {path}", "do not trust this snapshot")
        return f"{self._to}/{path}"

    def _put(self, path: str, pieces: Iterator[bytes]) -> None:
        """Write a file under its name at once: until the mark is gone nobody takes this for an archive, and a restore
        that goes on compares it."""
        fd = os.open(self._made(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            for piece in pieces:
                view = memoryview(piece)
                while view:
                    view = view[os.write(fd, view) :]
        finally:
            os.close(fd)

    def _fail(self, path: str, why: str) -> None:
        self._failed[path] = why
        if len(self._failed) <= _TOLD:
            self._watch.note(f"{path}: {why}", "fail")
        self._watch.add(errors=1)

    def _result(self, seconds: float) -> Restored:
        manifest, missing = self._manifest, len(self._failed)
        what = "the index" if self._index_only else plural(self._objects + self._there, "object")
        text = f"{what} of {manifest.moment.astimezone():%Y-%m-%d %H:%M} in {self._to}"
        if self._bytes and seconds > 1:
            text += f", {size(self._bytes / seconds)}/s"
        hint = f'start a node on it: [node] data_dir = "{self._to}"'
        if missing:
            first = next(iter(self._failed.items()))
            text = f"{plural(missing, 'object')} could not be brought back ({first[0]}: {first[1]}); {text}"
        return Restored(
            self._objects, self._bytes, self._there, tuple(list(self._failed.items())[:_TOLD]), missing,
            round(seconds, 1), text, hint,
        )  # fmt: skip


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = sha256()
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest.hexdigest()


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def swap(data_dir: Path, restored: Path, stamp: str) -> Path:
    """Put a restored archive in place of the old one, which is kept beside; return where.

    Raises
    ------
    Unavailable
        When the folders cannot change places; both are as they were then.
    """
    before = data_dir.with_name(f"{data_dir.name}.before-{stamp}")
    try:
        os.rename(data_dir, before)
    except OSError as error:
        raise Unavailable(
            f"{data_dir} cannot be moved aside: {error.strerror}",
            f"is it a mount point? Then set [node] data_dir to {restored}, where all of it is",
        ) from None
    try:
        os.rename(restored, data_dir)
    except OSError as error:
        os.rename(before, data_dir)
        raise Unavailable(f"{restored} cannot be moved: {error.strerror}", "it is left where it is") from None
    _sync(data_dir.parent)
    return before
