"""The archive as a backup reads it: a consistent copy of the index, then the files that the copy names."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from pacstui.archive import part10, paths
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, NotFound, PacsError, Unavailable

NO_HEAD: Final = bytes(32)
_PIECE: Final = 1 << 20
_STEP_PAGES: Final = -1


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be saved: its place below the data directory, what it must be (`layout.Member` tells of keys), its size
    and the length of what stands before the data set, and when it came (seconds since 1970)."""

    path: str
    key: bytes
    size: int
    head: int
    modified: int


@dataclass(frozen=True, slots=True)
class Counts:
    """What a copy of the index holds."""

    patients: int
    studies: int
    instances: int
    bytes: int
    last_row: int
    revision: str
    archive: str


def index_of(data_dir: Path) -> Path:
    """Return the index of an archive; raises NotFound where there is none."""
    index = data_dir / paths.DATABASE
    if not index.is_file():
        raise NotFound(f"there is no archive in {data_dir}", "check [node] data_dir")
    return index


def copy_index(data_dir: Path, target: Path) -> None:
    """Copy the index as it is at one moment; the node goes on writing meanwhile.

    All pages are copied in one read transaction of the write-ahead log, so that writers neither wait nor make the copy
    begin anew.

    Raises
    ------
    Unavailable, Corrupt
        When the index cannot be read, or the copy not be written.
    """
    index = index_of(data_dir)
    for end in ("", "-wal", "-shm", "-journal"):
        Path(f"{target}{end}").unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"file:{index}?mode=ro", uri=True, timeout=30)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.execute("SELECT count(*) FROM sqlite_master").fetchone()
            target.chmod(0o600)
            source.backup(copy, pages=_STEP_PAGES)
            copy.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorname", "")
        if code in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
            raise Corrupt(f"the index is damaged: {error}", "docs/operations.md: the index is damaged") from None
        raise Unavailable(f"the index cannot be copied: {error}", "is there room for a copy of it?") from None


def connect(index: Path) -> sqlite3.Connection:
    """Open a copy of an index for reading."""
    db = sqlite3.connect(f"file:{index}?mode=ro&immutable=1", uri=True, check_same_thread=False)
    db.execute("PRAGMA trusted_schema=OFF")
    return db


def counts(db: sqlite3.Connection, schema: str = "main") -> Counts:
    """Count what a copy of the index holds."""

    def one(sql: str) -> list[int]:
        return [int(each) for each in db.execute(sql.replace("@", schema)).fetchone()]

    instances, size, last = one(
        "SELECT count(*), coalesce(sum(data_offset + size), 0), coalesce(max(id), 0) FROM @.instances"
    )
    (patients,) = one("SELECT count(DISTINCT patient) FROM @.studies")
    (studies,) = one("SELECT count(*) FROM @.studies")
    revision = db.execute(f"SELECT version_num FROM {schema}.alembic_version").fetchone()  # noqa: S608
    archive = db.execute(f"SELECT value FROM {schema}.state WHERE name='archive_id'").fetchone()  # noqa: S608
    return Counts(patients, studies, instances, size, last, str(revision[0]) if revision else "",
                  str(archive[0]) if archive else "")  # fmt: skip


def read(data_dir: Path, source: Source) -> bytes:
    """Return a file, compared with what it must be.

    Raises
    ------
    NotFound, Corrupt, Unavailable
        When it is not there, differs, or the disk does not give it.
    """
    try:
        with open(data_dir / source.path, "rb") as file:
            data = file.read(source.size + 1)
    except FileNotFoundError:
        raise NotFound(f"{source.path} is not there", "") from None
    except OSError as error:
        raise Unavailable(f"{source.path} cannot be read: {error.strerror}", "check the disk of the archive") from None
    whole = len(data) == source.size
    if whole and source.key[32:] != NO_HEAD:
        whole = sha256(memoryview(data)[: source.head]).digest() == source.key[32:]
    head = source.head if source.key[32:] != NO_HEAD else 0
    if not whole or sha256(memoryview(data)[head:]).digest() != source.key[:32]:
        raise Corrupt(f"{source.path} differs from what was stored", "")
    return data


def pieces(data_dir: Path, source: Source, watch: Watch) -> Iterator[bytes]:
    """Yield a large file in pieces; raises `NotFound` or `Unavailable`."""
    try:
        with open(data_dir / source.path, "rb") as file:
            while piece := file.read(_PIECE):
                watch.check()
                yield piece
    except FileNotFoundError:
        raise NotFound(f"{source.path} is not there", "") from None
    except OSError as error:
        raise Unavailable(f"{source.path} cannot be read: {error.strerror}", "check the disk of the archive") from None


def set_aside(db: sqlite3.Connection, data_dir: Path, schema: str = "main") -> Iterator[Source]:
    """Yield the files in quarantine. One of ours has its digests from its own head, another is read for one."""
    sql = f"SELECT path, received, digest FROM {schema}.quarantine WHERE path != '' ORDER BY id"  # noqa: S608
    for path, received, digest in db.execute(sql):
        try:
            yield _set_aside(data_dir, str(path), int(received) // 1_000_000, bytes(digest))
        except (OSError, PacsError):
            continue  # somebody looked at it and threw it away


def _set_aside(data_dir: Path, path: str, received: int, digest: bytes) -> Source:
    with open(data_dir / path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(min(size, part10.HEAD_LIMIT))
        try:
            head = part10.parse(start, size == len(start))
            if head.digest == digest:
                return Source(path, digest + sha256(start[: head.offset]).digest(), size, head.offset, received)
        except (part10.NeedMore, part10.NotDicom):
            pass
        whole = sha256(start)
        while piece := file.read(_PIECE):
            whole.update(piece)
    return Source(path, whole.digest() + NO_HEAD, size, 0, received)


def elsewhere(data_dir: Path, source: Source) -> str:
    """Return where an object is now that was replaced (it was set aside) or deleted (it is in the trash) while the
    backup ran; empty if nowhere."""
    try:
        with closing(sqlite3.connect(f"file:{data_dir / paths.DATABASE}?mode=ro", uri=True, timeout=30)) as live:
            row = live.execute(
                "SELECT path FROM quarantine WHERE digest=? ORDER BY id DESC LIMIT 1", (source.key[:32],)
            ).fetchone()
            if row is not None:
                return str(row[0])
            row = live.execute(
                "SELECT t.folder, d.path FROM trashed d JOIN trash t ON t.id = d.trash"
                " WHERE d.digest=? AND d.meta_digest=? ORDER BY d.id DESC LIMIT 1", (source.key[:32], source.key[32:]),
            ).fetchone()  # fmt: skip
    except sqlite3.Error:
        return ""
    return f"{paths.TRASH}/{row[0]}/{str(row[1]).rpartition('/')[2]}" if row is not None else ""
