"""What a target has, kept on this machine so that a run need not ask for all of it: a cache, never the truth."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from pacstui.backups import layout
from pacstui.backups.layout import Member
from pacstui.backups.store import Store
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, NotFound

_SCHEMA = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS packs (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, size INTEGER NOT NULL, list TEXT NOT NULL,
    held INTEGER NOT NULL, verified INTEGER NOT NULL DEFAULT 0, locked INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS members (
    key BLOB NOT NULL, pack INTEGER NOT NULL, offset INTEGER NOT NULL, size INTEGER NOT NULL, head INTEGER NOT NULL,
    PRIMARY KEY (key, pack)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS members_pack ON members (pack);
"""
_FORM: Final = 2
"""Of the tables; what has another form is read anew from the target."""


def remove(path: Path) -> None:
    """Remove a database with all that belongs to it."""
    for end in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            Path(f"{path}{end}").unlink()


class Known:
    """The packs of a target and what is in them."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self.db = self._connect(path)
        except sqlite3.DatabaseError:
            remove(path)
            self.db = self._connect(path)

    @staticmethod
    def _connect(path: Path) -> sqlite3.Connection:
        db = sqlite3.connect(f"file:{path}?mode=rwc", uri=True, isolation_level=None, check_same_thread=False)
        db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA trusted_schema=OFF;")
        if db.execute("PRAGMA user_version").fetchone()[0] != _FORM:
            db.executescript("DROP TABLE IF EXISTS members; DROP TABLE IF EXISTS packs;")
        db.executescript(f"{_SCHEMA} PRAGMA user_version={_FORM};")
        path.chmod(0o600)
        return db

    @contextmanager
    def beside(self, index: Path) -> Iterator[None]:
        """Attach the copy of an index as ``ix`` meanwhile."""
        self.db.execute("ATTACH DATABASE ? AS ix", (f"file:{index}?mode=ro&immutable=1",))
        try:
            yield
        finally:
            self.db.execute("DETACH DATABASE ix")

    def close(self) -> None:
        """Close the file."""
        self.db.close()

    def about(self, name: str) -> str:
        """Return what is remembered under a name, empty if nothing is."""
        row = self.db.execute("SELECT value FROM about WHERE name=?", (name,)).fetchone()
        return "" if row is None else str(row[0])

    def remember(self, name: str, value: str) -> None:
        """Remember something."""
        self.db.execute("INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)", (name, value))

    def learn(self, store: Store, watch: Watch, named: Callable[[], Mapping[str, str]]) -> tuple[int, int]:
        """Bring what is known up to what the target has.

        A list that says what is in a pack is believed when a snapshot that is believed names it, by its SHA-256, as
        ``named`` returns them by pack: else who can write there could let objects be taken for saved that are not.

        Returns
        -------
        tuple
            How many packs are gone that were known, and how many lie there without a list that can be believed.
        """
        packs: dict[str, int] = {}
        lists: set[str] = set()
        damaged: set[str] = set()
        for name, size in store.list(layout.PACKS):
            digest = layout.pack_of(name)
            if digest:
                packs[digest] = size
            elif digest := layout.list_of(name):
                lists.add(digest)
            elif digest := layout.damaged_of(name):
                damaged.add(digest)
        lists -= damaged
        known = {name: (row, size) for row, name, size in self.db.execute("SELECT id, name, size FROM packs")}
        lost = [row for name, (row, size) in known.items() if packs.get(name) != size or name not in lists]
        for row in lost:
            self.drop([row])
        doubtful = 0
        lists_of: Mapping[str, str] | None = None
        for name, size in packs.items():
            if name in known and known[name][0] not in lost:
                continue
            if name not in lists:
                doubtful += name not in damaged
                continue
            watch.check()
            try:
                lists_of = named() if lists_of is None else lists_of
                data = store.get(layout.list_name(name))
                if sha256(data).hexdigest() != lists_of.get(name):
                    doubtful += 1
                    continue
                self.add(name, size, data, list(layout.decode_list(data, layout.list_name(name), size)))
            except (Corrupt, NotFound) as error:
                watch.note(str(error), "warn")
                doubtful += 1
        return len(lost), doubtful

    def add(self, name: str, size: int, data: bytes, members: Sequence[Member]) -> None:
        """Note a pack that is whole in the target; ``data`` is its list."""
        with self.db:
            self.db.execute("BEGIN")
            (row,) = self.db.execute(
                "INSERT INTO packs (name, size, list, held) VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE"
                " SET size = excluded.size, list = excluded.list, held = excluded.held RETURNING id",
                (name, size, sha256(data).hexdigest(), sum(m.size for m in members)),
            ).fetchone()
            self.db.executemany(
                "INSERT OR IGNORE INTO members (key, pack, offset, size, head) VALUES (?, ?, ?, ?, ?)",
                ((m.key, row, m.offset, m.size, m.head) for m in members),
            )

    def drop(self, rows: Iterable[int]) -> None:
        """Forget packs."""
        with self.db:
            self.db.execute("BEGIN")
            for row in rows:
                self.db.execute("DELETE FROM members WHERE pack=?", (row,))
                self.db.execute("DELETE FROM packs WHERE id=?", (row,))

    def has(self, key: bytes) -> bool:
        """Return whether an object is in the target."""
        return self.db.execute("SELECT 1 FROM members WHERE key=?", (key,)).fetchone() is not None

    def locked(self, name: str) -> int:
        """Return until when a pack is locked as far as is known (seconds since 1970)."""
        row = self.db.execute("SELECT locked FROM packs WHERE name=?", (name,)).fetchone()
        return int(row[0]) if row is not None else 0

    def lock(self, name: str, until: int) -> None:
        """Note until when a pack is locked."""
        self.db.execute("UPDATE packs SET locked=? WHERE name=?", (until, name))

    def packs_with(self, key: bytes) -> set[int]:
        """Return the rows of the packs that have an object."""
        return {int(row) for (row,) in self.db.execute("SELECT pack FROM members WHERE key=?", (key,))}
