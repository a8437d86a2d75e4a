"""Reading a target back: the index of a snapshot, and objects out of packs. Nothing is handed out that differs."""

from __future__ import annotations

import gzip
import os
import shutil
import sqlite3
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final

from pacstui import text
from pacstui.backups import layout
from pacstui.backups.layout import FileRef, Manifest, Member
from pacstui.backups.packs import good
from pacstui.backups.source import connect
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, NotFound, PacsError, StorageFull, Unavailable

_PIECE: Final = 1 << 20
_IN_MEMORY: Final = 96 << 20
_SPARE: Final = 64 << 20
_KEPT: Final = 3
_STEPS: Final = 100_000
_TABLES: Final = ("instances", "series", "studies", "quarantine", "state", "alembic_version")
_VERIFY: Final = "what else is damaged: pacstui backup verify --full"


def see_room(folder: Path, needed: int) -> None:
    """See that the disk does not fill up: it may be the archive's, where images are stored meanwhile."""
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE:
        told = f"{folder} has {text.size(free)} free, {text.size(needed + _SPARE)} are needed"
        raise StorageFull(told, "make room there")


def fetch(target: Target, name: str, to: Path, watch: Watch, length: int, digest: str = "") -> None:
    """Copy a file of the target, which has ``length`` bytes; raises `Corrupt` when it has more, or is not what
    ``digest`` (SHA-256) says."""
    seen, total = sha256(), 0
    see_room(to.parent, length)
    with to.open("wb") as file:
        for piece in target.store.pieces(name):
            total += len(piece)
            if total > length:
                raise Corrupt(f"{name} in the target is longer than what was written", _VERIFY)
            watch.pace(len(piece))
            watch.check()
            seen.update(piece)
            file.write(piece)
    if digest and seen.hexdigest() != digest:
        raise Corrupt(f"{name} in the target differs from what was written", _VERIFY)


def fetch_index(target: Target, manifest: Manifest, to: Path, watch: Watch) -> None:
    """Write the index of a snapshot to ``to``, whole or not at all.

    Raises
    ------
    Corrupt
        When it is not as it was.
    NoKey
        When it is encrypted and no key is here.
    """
    name = f"{layout.SNAPSHOTS}{manifest.id}/{manifest.index.name}"
    spool = to.with_name(f"{to.name}.{token_hex(4)}")
    plain = spool.with_name(spool.name + ".db")
    try:
        watch.tell(now="fetching the index")
        see_room(to.parent, manifest.index.size * 2 + manifest.index_size)
        fetch(target, name, spool, watch, manifest.index.size, manifest.index.sha256)
        if manifest.encrypted:
            target.keys.unseal_file(spool, plain, name)
            os.replace(plain, spool)
        seen = sha256()
        with gzip.open(spool, "rb") as read, plain.open("wb") as write:
            plain.chmod(0o600)
            while piece := read.read(_PIECE):
                watch.check()
                seen.update(piece)
                write.write(piece)
                if write.tell() > manifest.index_size:
                    raise Corrupt(f"{name} in the target differs from what was written", _VERIFY)
            write.flush()
            os.fsync(write.fileno())
        if seen.hexdigest() != manifest.index_sha256:
            raise Corrupt(f"{name} in the target differs from what was written", _VERIFY)
        see_tables(plain, name)
        os.replace(plain, to)
    except (gzip.BadGzipFile, EOFError, zlib.error):
        raise Corrupt(f"{name} in the target is damaged", _VERIFY) from None
    finally:
        for each in (spool, plain):
            with suppress(FileNotFoundError):
                each.unlink()


def kept_index(target: Target, manifest: Manifest, watch: Watch) -> Path:
    """Return the index of a snapshot on this machine, fetched if it is not there; the last few are kept."""
    folder = target.folder / "indexes"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{manifest.id}.db"
    if not path.exists():
        try:
            fetch_index(target, manifest, path, watch)
        except OSError as error:
            raise Unavailable(f"the index cannot be kept here: {error.strerror}", "make room in the archive") from None
    os.utime(path)
    others = sorted((each for each in folder.iterdir() if each != path), key=lambda each: each.stat().st_mtime)
    for each in others[: -(_KEPT - 1)]:
        with suppress(FileNotFoundError):
            each.unlink()
    return path


class Packs:
    """Hands out objects of packs, each compared with its digests."""

    def __init__(self, target: Target, scratch: Path, watch: Watch) -> None:
        self._target = target
        self._scratch = scratch
        self._watch = watch
        self._held: tuple[str, bytes] = ("", b"")
        self._raw: tuple[str, bytes] = ("", b"")

    def _name(self, pack: str) -> str:
        return layout.pack_name(pack, self._target.encrypted)

    def digest(self, pack: str, size: int) -> str:
        """Return the SHA-256 of a pack as it lies there; one that is not large is kept for `objects`."""
        name = self._name(pack)
        if size <= _IN_MEMORY:
            self._watch.pace(size)
            data = self._target.store.get(name)
            self._raw = (pack, data)
            return sha256(data).hexdigest()
        seen = sha256()
        for piece in self._target.store.pieces(name):
            self._watch.pace(len(piece))
            self._watch.check()
            seen.update(piece)
        return seen.hexdigest()

    def objects(
        self, pack: str, size: int, wanted: Iterable[Member], each: Callable[[Member, Iterator[bytes]], None]
    ) -> list[tuple[Member, PacsError]]:
        """Give each wanted object of a pack to ``each``, in pieces; return those that cannot be given, and why.

        A large pack is read through a temporary file, a small one in memory.

        Raises
        ------
        Unavailable
            When the target is away.
        """
        members = sorted(wanted, key=lambda member: member.offset)
        try:
            if size > _IN_MEMORY:
                return self._from_file(pack, size, members, each)
            whole = self._whole(pack, size, members)
        except (Corrupt, NotFound) as error:
            return [(member, error) for member in members]
        failed: list[tuple[Member, PacsError]] = []
        for member in members:
            data = whole(member)
            if good(data, member):
                each(member, iter((bytes(data),)))
            else:
                failed.append((member, Corrupt(f"it is damaged in the pack {pack[:16]}", _VERIFY)))
        return failed

    def _whole(self, pack: str, size: int, members: list[Member]) -> Callable[[Member], bytes | memoryview]:
        store, name = self._target.store, self._name(pack)
        needed = sum(member.size for member in members)
        if not self._target.encrypted and needed * 2 < size and self._raw[0] != pack:
            return lambda member: store.part(name, member.offset, member.size)
        if self._held[0] != pack:
            if self._raw[0] == pack:
                data = self._raw[1]
            else:
                self._watch.pace(size)
                data = store.get(name)
            self._raw = ("", b"")
            self._held = (pack, self._target.keys.unseal(data, name) if self._target.encrypted else data)
        view = memoryview(self._held[1])
        return lambda member: view[member.offset : member.offset + member.size]

    def _from_file(
        self, pack: str, size: int, members: list[Member], each: Callable[[Member, Iterator[bytes]], None]
    ) -> list[tuple[Member, PacsError]]:
        name, path = self._name(pack), self._scratch / token_hex(8)
        plain = path
        failed: list[tuple[Member, PacsError]] = []
        try:
            see_room(self._scratch, size * (2 if self._target.encrypted else 1))
            fetch(self._target, name, path, self._watch, size)
            if self._target.encrypted:
                plain = path.with_name(path.name + ".tar")
                self._target.keys.unseal_file(path, plain, name)
            for member in members:
                if not _good_in(plain, member):
                    failed.append((member, Corrupt(f"it is damaged in the pack {pack[:16]}", _VERIFY)))
                    continue
                each(member, _cut(plain, member))
            return failed
        finally:
            for old in {path, plain}:
                with suppress(FileNotFoundError):
                    old.unlink()


def _cut(path: Path, member: Member) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(member.offset)
        left = member.size
        while left and (piece := file.read(min(_PIECE, left))):
            left -= len(piece)
            yield piece


def _good_in(path: Path, member: Member) -> bool:
    head = member.head if any(member.key[32:]) else 0
    first, second, seen = sha256(), sha256(), 0
    for piece in _cut(path, member):
        cut = max(0, min(len(piece), head - seen))
        second.update(piece[:cut])
        first.update(piece[cut:])
        seen += len(piece)
    return (
        seen == member.size and first.digest() == member.key[:32]
        and (not any(member.key[32:]) or second.digest() == member.key[32:])
    )  # fmt: skip


def check_index(path: Path, watch: Watch) -> str:
    """Return what is wrong inside an index, empty if nothing is; raises `Cancelled`."""
    try:
        with closing(connect(path)) as db:
            db.set_progress_handler(lambda: int(watch.stopping), _STEPS)
            found = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
            return "" if found == "ok" else found
    except sqlite3.Error as error:
        watch.check()
        return str(error)


def see_tables(path: Path, name: str) -> None:
    """See that what is read of an index are plain tables: a view, or a column that is computed, is a program of
    whoever wrote it, and may never end.

    Raises
    ------
    Corrupt
        When they are not.
    """
    with suppress(sqlite3.Error), closing(connect(path)) as db:
        kinds = dict(db.execute("SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"))
        for table in _TABLES:
            plain = kinds.get(table, "table") == "table"
            if plain and all(row[6] < 2 for row in db.execute(f"PRAGMA table_xinfo({table})")):
                continue
            raise Corrupt(f"{table} in {name} is no plain table", "do not trust this snapshot")


def read_extra(target: Target, manifest: Manifest) -> bytes:
    """Return the tar with configuration and secrets, empty if there is none; raises `Corrupt` or `NoKey`."""
    extra: FileRef | None = manifest.extra
    if extra is None:
        return b""
    name = f"{layout.SNAPSHOTS}{manifest.id}/{extra.name}"
    data = target.store.get(name)
    if sha256(data).hexdigest() != extra.sha256:
        raise Corrupt(f"{name} in the target differs from what was written", _VERIFY)
    return target.keys.unseal(data, name) if manifest.encrypted else data
