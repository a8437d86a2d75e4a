"""kill -9 at any moment of a backup, a prune or a restore harms nothing, and the next run goes on."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive
from pacstui.backups.request import Request
from tests.backups.conftest import Place, contents, fill

ROUNDS = 12
WORKER = (
    "from pacstui.backups import packs, worker\n"
    "packs.PACK_BYTES = 20_000\n"
    "import os; os._exit(worker.main())\n"
)  # fmt: skip


def begin(place: Place, op: str, **arguments: Any) -> subprocess.Popen[bytes]:
    """Start a worker on something; its standard input stays open."""
    request = Request(op, place.spec, str(place.data_dir), "PACS", "tester", arguments=arguments)
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    process.stdin.write(request.encode().encode() + b"\n")
    process.stdin.flush()
    return process


def end(process: subprocess.Popen[bytes]) -> bytes:
    """Wait for the end; return the last line of the answer."""
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    process.wait(60)
    assert process.stdin is not None
    process.stdin.close()
    process.stdout.close()
    return lines[-1] if lines else b""


def length(place: Place, op: str, **arguments: Any) -> float:
    """Return how long work takes that is not disturbed."""
    began = time.monotonic()
    assert b'"result"' in end(begin(place, op, **arguments))
    return time.monotonic() - began


async def kill(process: subprocess.Popen[bytes], after: float) -> None:
    await asyncio.sleep(after)
    process.kill()
    end(process)


@pytest.mark.parametrize("seed", [1])
async def test_a_backup_that_is_killed(archive: Archive, place: Place, tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    await fill(archive, 100)
    whole = await asyncio.to_thread(length, place, "backup")
    for number in range(ROUNDS):
        await fill(archive, 40)
        await kill(begin(place, "backup"), rng.uniform(0.3, 1.0) * whole)
        if number % 4 == 0:
            verdict = await asyncio.to_thread(place.verify, "full", 5.0, True)
            assert verdict.ok, verdict.text
    taken = await asyncio.to_thread(place.take)
    assert taken.manifest.instances == 100 + ROUNDS * 40
    assert (await asyncio.to_thread(place.verify, "full", 5.0, True)).ok
    await asyncio.to_thread(place.restore, tmp_path / "back")
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_a_prune_that_is_killed(archive: Archive, place: Place, tmp_path: Path) -> None:
    rng = random.Random(2)
    for _ in range(12):
        things = await fill(archive, 3)
        await asyncio.to_thread(place.take)
        study = things[0].study
        await archive.db.write(
            lambda db, study=study: db.execute(  # type: ignore[misc]
                "DELETE FROM instances WHERE series IN (SELECT e.id FROM series e JOIN studies s ON s.id = e.study"
                " WHERE s.study = ?)", (study,),
            )
        )  # fmt: skip
    place.spec = type(place.spec)("disk", place.spec.url, keep={"last": 1})
    for _ in range(8):
        await kill(begin(place, "prune"), rng.uniform(0.25, 0.6))
        verdict = await asyncio.to_thread(place.verify, "full", 5.0, True)
        assert verdict.ok, verdict.text
    assert b'"result"' in await asyncio.to_thread(end, begin(place, "prune"))
    assert len(place.manifests()) == len(place.packs()) == 1
    assert (await asyncio.to_thread(place.restore, tmp_path / "back")).failed_total == 0


async def test_a_restore_that_is_killed(archive: Archive, place: Place, tmp_path: Path) -> None:
    rng = random.Random(3)
    await fill(archive, 400)
    await asyncio.to_thread(end, begin(place, "backup"))
    back = tmp_path / "back"
    arguments = {"snapshot": "latest", "to": str(back)}
    for _ in range(8):
        await kill(begin(place, "restore", **arguments), rng.uniform(0.25, 0.7))
        if back.exists() and not (back / "restore.json").exists():
            break  # it was quicker
    if (back / "restore.json").exists() or not back.exists():
        assert b'"result"' in await asyncio.to_thread(end, begin(place, "restore", **arguments))
    assert contents(back) == contents(archive.data_dir)


async def test_a_worker_ends_when_who_asked_is_gone(archive: Archive, place: Place) -> None:
    await fill(archive, 50)
    process = begin(place, "backup")
    assert process.stdin is not None
    process.stdin.close()
    assert process.stdout is not None
    last = await asyncio.to_thread(process.stdout.read)
    await asyncio.to_thread(process.wait, 30)
    process.stdout.close()
    assert b"cancelled" in last or b'"result"' in last
    assert place.files("lock.json") == []
