"""Packs: tar files of objects, so that many small ones travel as one, and ``tar`` alone gets them back."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Final

from pacstui.backups import layout
from pacstui.backups.keys import Keys, sealed_file
from pacstui.backups.layout import Member
from pacstui.backups.patience import asked
from pacstui.backups.source import Source
from pacstui.backups.store import Store
from pacstui.errors import Corrupt

PACK_BYTES: Final = 32 << 20
_BLOCK: Final = tarfile.BLOCKSIZE
_PIECE: Final = 1 << 20
_END: Final = bytes(2 * _BLOCK)


def header(name: str, size: int, modified: int) -> bytes:
    """Return what stands before a file in a tar: ustar, or pax for what that has no room for (POSIX.1-2001)."""
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, modified, 0o600
    try:
        return info.tobuf(tarfile.USTAR_FORMAT)
    except ValueError:
        return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


class Finished:
    """A pack that is ready to go: the SHA-256 of its file, its size, its content or its temporary file, its list."""

    def __init__(self, data: bytes, path: Path | None, members: list[Member]) -> None:
        self.data = data
        self.path = path
        self.members = members
        self.listing = layout.encode_list(members)
        self.size, self.digest = (len(data), sha256(data).hexdigest()) if path is None else _digest_of(path)

    def put(self, store: Store, encrypted: bool) -> None:
        """Write the pack, then its list: with the list it counts."""
        name = layout.pack_name(self.digest, encrypted)
        if self.path is None:
            store.put(name, self.data)
        else:
            store.put_file(name, self.path)
        store.put(layout.list_name(self.digest), self.listing)
        store.delete(layout.damaged_name(self.digest))  # it may stand for one of the same content that was damaged

    def discard(self) -> None:
        """Remove the temporary file, if it is still there."""
        if self.path is not None:
            with suppress(FileNotFoundError):
                self.path.unlink()


def _digest_of(path: Path) -> tuple[int, str]:
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
        return file.tell(), digest.hexdigest()


class Packing:
    """A pack in the making, in memory."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0
        self.members: list[Member] = []

    def add(self, name: str, data: bytes, key: bytes, head: int, modified: int) -> None:
        """Add an object."""
        top = header(name, len(data), modified)
        self._at += len(top)
        self.members.append(Member(key, self._at, len(data), head))
        padding = _padding(len(data))
        self._parts += (top, data, padding)
        self._at += len(data) + len(padding)

    def finish(self, keys: Keys) -> Finished:
        """Return the pack, encrypted if that is wanted."""
        data = b"".join((*self._parts, _END))
        self._parts = []
        return Finished(keys.seal(data), None, self.members)


def pack_file(plain: Path, spool: Path, keys: Keys, source: Source, pieces: Iterator[bytes]) -> Finished:
    """Make a pack of one large object, on disk: below ``plain``, encrypted below ``spool``.

    Raises
    ------
    Corrupt
        When the pieces are not what the source says.
    OSError
        When a temporary file cannot be written.
    """
    path = plain / token_hex(8)
    size, key, head = source.size, source.key, source.head
    try:
        top = header(source.path, size, source.modified)
        first, second, seen = sha256(), sha256(), 0
        with path.open("xb") as file:
            file.write(top)
            for piece in pieces:
                cut = max(0, min(len(piece), head - seen))
                second.update(piece[:cut])
                first.update(piece[cut:])
                seen += len(piece)
                with asked(str(plain)):
                    file.write(piece)
            file.write(_padding(size) + _END)
        if seen != size or first.digest() != key[:32] or (any(key[32:]) and second.digest() != key[32:]):
            raise Corrupt(f"{source.path} differs from what was stored", "restore it from an earlier backup")
        path = sealed_file(keys, path, spool)
        return Finished(b"", path, [Member(key, len(top), size, head)])
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise


def good(data: bytes | memoryview, member: Member) -> bool:
    """Return whether bytes are the object that a list names."""
    head = member.head if any(member.key[32:]) else 0
    return (
        len(data) == member.size
        and sha256(data[head:]).digest() == member.key[:32]
        and (not any(member.key[32:]) or sha256(data[:head]).digest() == member.key[32:])
    )
