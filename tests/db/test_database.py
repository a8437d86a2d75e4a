"""One writer lane, readers beside it, errors that say what to do."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pacstui.db import Database
from pacstui.errors import Corrupt, StorageFull, Unavailable


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    opened = await Database.open(tmp_path / "index.db", busy_s=0.3)
    try:
        yield opened
    finally:
        await opened.close()


def _note(connection: sqlite3.Connection, day: str) -> int:
    return connection.execute("INSERT INTO daily (day) VALUES (?)", (day,)).rowcount


def _days(connection: sqlite3.Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT day FROM daily ORDER BY day")]


async def test_a_write_is_one_transaction(db: Database) -> None:
    assert await db.write(lambda c: _note(c, "a")) == 1

    def half(connection: sqlite3.Connection) -> None:
        _note(connection, "b")
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        await db.write(half)
    assert await db.read(_days) == ["a"]


async def test_every_commit_is_synced_in_wal_mode(db: Database) -> None:
    def pragmas(connection: sqlite3.Connection) -> tuple[str, int, int]:
        return tuple(  # type: ignore[return-value]
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys")
        )

    assert await db._lane.call(pragmas).future == ("wal", 2, 1)
    assert stat.S_IMODE(db.path.stat().st_mode) == 0o600


async def test_readers_cannot_write(db: Database) -> None:
    with pytest.raises(Exception, match="readonly"):
        await db.read(lambda c: _note(c, "a"))


async def test_reads_do_not_wait_for_a_write(db: Database) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        _note(connection, "a")
        entered.set()
        leave.wait(10)

    writing = asyncio.ensure_future(db.write(slow))
    await asyncio.to_thread(entered.wait, 10)
    assert await db.read(_days) == []
    leave.set()
    await writing
    assert await db.read(_days) == ["a"]


async def test_many_reads_share_few_readers(db: Database) -> None:
    results = await asyncio.gather(
        *(db.read(lambda c, n=n: c.execute("SELECT ?", (n,)).fetchone()[0]) for n in range(50))
    )
    assert results == list(range(50))
    assert len(db._idle) == 2


@pytest.mark.parametrize("between", [False, True], ids=["while it runs", "before its statement"])
async def test_a_cancelled_read_is_interrupted(db: Database, between: bool) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    started, go_on = threading.Event(), threading.Event()

    def query(connection: sqlite3.Connection) -> None:
        started.set()
        if between:
            assert go_on.wait(10)
        connection.execute(endless).fetchone()

    reading = asyncio.ensure_future(db.read(query))
    await asyncio.to_thread(started.wait, 10)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    go_on.set()
    results = await asyncio.gather(*(db.read(_days) for _ in range(4)))
    assert results == [[]] * 4


async def test_case_120_locked_by_another_program(db: Database) -> None:
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(Unavailable, match="locked"):
        await db.write(lambda c: _note(c, "a"))
    assert 0.25 < time.monotonic() - started < 3
    other.execute("ROLLBACK")
    other.close()
    await db.write(lambda c: _note(c, "b"))
    assert await db.read(_days) == ["b"]


async def test_case_124_full(db: Database) -> None:
    def fill(connection: sqlite3.Connection) -> None:
        connection.execute("CREATE TABLE filler (x BLOB)")
        connection.execute("INSERT INTO filler VALUES (zeroblob(20000000))")

    await db._lane.call(lambda c: c.execute("PRAGMA max_page_count=2000").fetchone()).future
    with pytest.raises(StorageFull) as caught:
        await db.write(fill)
    assert caught.value.hint
    await db.write(lambda c: _note(c, "a"))
    assert await db.read(_days) == ["a"]


async def test_closing_does_not_sit_out_a_lock(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "index.db", busy_s=60)
    other = sqlite3.connect(db.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(db.write(lambda c: _note(c, "a")))
    await asyncio.sleep(0)
    started = time.monotonic()
    await db.close()
    assert time.monotonic() - started < 5
    with pytest.raises(Unavailable):
        await writing
    other.close()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "index.db").write_bytes(b"no database" * 1000)
    with pytest.raises(Corrupt):
        await Database.open(tmp_path / "index.db")


async def test_the_log_is_folded_in_at_close(tmp_path: Path) -> None:
    db = await Database.open(tmp_path / "index.db")
    await db.write(lambda c: _note(c, "a"))
    await db.close()
    await db.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.db"]
    db = await Database.open(tmp_path / "index.db")
    assert await db.read(_days) == ["a"]
    await db.close()
