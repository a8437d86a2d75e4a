"""What a node has kept, read from its disk and not from its answers."""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from tests.running import NodeProcess


@dataclass(frozen=True)
class Kept:
    """One object on the node's disk."""

    instance: str
    syntax: str
    data: bytes
    set_aside: bool
    calling: str

    @property
    def digest(self) -> str:
        return sha256(self.data).hexdigest()


def data_set_of(path: Path) -> bytes:
    """Return what stands after the file meta information (PS3.10 7.1)."""
    whole = path.read_bytes()
    assert whole[128:136] == b"DICM\x02\0\0\0", path
    return whole[144 + int.from_bytes(whole[140:144], "little") :]


def kept(node: NodeProcess) -> list[Kept]:
    """Return every object that the index names, stored or set aside, in the order of arrival."""
    with contextlib.closing(sqlite3.connect(f"file:{node.data_dir / 'index.db'}?mode=ro", uri=True)) as index:
        stored = index.execute(
            "SELECT sop_instance, transfer_syntax, path, 0, calling FROM instances ORDER BY id"
        ).fetchall()
        aside = index.execute("SELECT sop_instance, '', path, 1, calling FROM quarantine ORDER BY id").fetchall()
    return [
        Kept(instance, syntax, data_set_of(node.data_dir / path), bool(set_aside), calling)
        for instance, syntax, path, set_aside, calling in [*stored, *aside]
    ]
