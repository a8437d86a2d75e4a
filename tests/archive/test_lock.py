"""One node to a data directory, and an orderly end."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pacstui.archive import Archive
from pacstui.archive.lock import DataLock
from pacstui.errors import AlreadyRunning, Unavailable

from .conftest import OPTIONS, send
from .objects import Object


async def test_a_second_archive_on_the_folder_is_refused(archive: Archive) -> None:
    with pytest.raises(AlreadyRunning, match=str(os.getpid())):
        await Archive.open(archive.data_dir, OPTIONS)
    assert (await send(archive, Object())).new


async def test_the_folder_is_free_after_close(tmp_path: Path) -> None:
    for _ in range(2):
        archive = await Archive.open(tmp_path, OPTIONS)
        await archive.close()
        await archive.close()
    lock = DataLock.take(tmp_path)
    lock.release()
    lock.release()


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used"):
        await Archive.open(tmp_path / "file" / "data", OPTIONS)


async def test_case_122_no_thread_stays_behind(tmp_path: Path) -> None:
    before = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    archive = await Archive.open(tmp_path / "data", OPTIONS)
    await send(archive, Object(pixels=bytes(3 << 20)))
    await archive.close()
    assert {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")} == before
    assert not (tmp_path / "data" / "index.db-wal").exists()


async def test_case_122_a_database_that_cannot_be_opened_leaves_no_thread_and_no_lock(tmp_path: Path) -> None:
    before = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    (tmp_path / "index.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(Exception, match="database"):
        await Archive.open(tmp_path, OPTIONS)
    assert {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")} == before
    DataLock.take(tmp_path).release()


async def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    import asyncio

    archive = await Archive.open(tmp_path / "data", OPTIONS)
    things = [Object() for _ in range(20)]
    sending = [asyncio.ensure_future(send(archive, thing)) for thing in things]
    await asyncio.sleep(0)
    await archive.close()
    assert all(stored.new for stored in await asyncio.gather(*sending))
