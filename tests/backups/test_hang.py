"""Places that do not answer: a run ends by itself in words, and at once when it is cancelled."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive
from pacstui.backups import layout
from pacstui.backups.folder import FolderStore
from pacstui.backups.request import Request
from pacstui.backups.target import Target
from pacstui.errors import PacsError, Unavailable
from tests.backups.conftest import Place, fill
from tests.backups.test_hostile import ask, bent

HANGING = """
import os, threading
from pacstui.backups import folder, patience, worker
patience.LIMIT_S, patience.GRACE_S, patience.LOOK_S = {limit}, 0.5, 0.05
real = folder.FolderStore._place
def place(self, temporary, name):
    if name.startswith("packs/"):
        print("now it hangs", flush=True)
        threading.Event().wait()
    real(self, temporary, name)
folder.FolderStore._place = place
os._exit(worker.main())
"""


def hanging(place: Place, limit: float) -> subprocess.Popen[bytes]:
    """Start a backup whose target stops answering when the first pack is written."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", HANGING.format(limit=limit)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdin is not None
    request = Request("backup", place.spec, str(place.data_dir), "PACS", "tester")
    process.stdin.write(request.encode().encode() + b"\n")
    process.stdin.flush()
    return process


def last(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    assert process.stdin is not None
    lines = process.stdout.read().splitlines()
    process.wait(20)
    process.stdin.close()
    process.stdout.close()
    return dict(json.loads(lines[-1])["error"])


async def test_a_folder_that_hangs_ends_the_run_in_words(archive: Archive, place: Place) -> None:
    await fill(archive, 2)
    told = last(hanging(place, 0.5))
    assert told["code"] == "unavailable"
    assert "has not answered" in told["message"]
    assert str(place.folder) in told["message"]
    assert place.manifests() == []
    assert place.take().manifest.instances == 2


async def test_a_run_that_hangs_can_be_cancelled(archive: Archive, place: Place) -> None:
    await fill(archive, 2)
    process = hanging(place, 300)
    assert process.stdin is not None
    process.stdin.write(b"stop\n")
    process.stdin.flush()
    assert last(process)["code"] == "cancelled"


@pytest.fixture
def silent() -> Iterator[int]:
    """Yield a port that takes connections and never says anything, as a server that is stopped."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(20)
        yield int(sock.getsockname()[1])


def test_a_bucket_that_hangs_ends_the_run_in_words(
    silent: int, tmp_path: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacstui.backups.bucket.TIMEOUT_S", 0.3)
    monkeypatch.setattr("pacstui.backups.bucket.RETRIES", 0)
    secret = tmp_path / "secret"
    secret.write_text("synthetic")
    spec = replace(
        place.spec, url="s3://b/x", endpoint=f"http://127.0.0.1:{silent}", region="r", access_key="a",
        secret_key_file=str(secret),
    )  # fmt: skip
    target = Target(spec, tmp_path / "work")
    with pytest.raises(Unavailable, match="cannot be reached"):
        target.open()
    target.close()


async def test_two_that_begin_one_target_at_once_do_not_share_it(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "phrase"
    secret.write_text("correct horse battery")
    spec = replace(place.spec, passphrase_file=str(secret))
    mine, other = Target(spec, tmp_path / "mine"), Target(spec, tmp_path / "other")
    real, begun = FolderStore.create, []

    def create(self: FolderStore, name: str, data: bytes) -> bool:
        if name == layout.IDENTITY and not begun:
            begun.append(name)
            other.begin("b" * 32, "THEM")
        return real(self, name, data)

    monkeypatch.setattr(FolderStore, "create", create)
    with pytest.raises(Unavailable, match="another archive"):
        mine.begin("a" * 32, "US")
    monkeypatch.undo()
    again = Target(spec, tmp_path / "again")
    again.open()
    assert again.marker["archive"] == "b" * 32
    assert again.keys.own_recipient() == other.keys.own_recipient() == other.marker["recipients"][0]
    for each in (mine, other, again):
        each.close()


def test_clearing_does_not_disturb_who_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, waiting = FolderStore(tmp_path / "t"), FolderStore(tmp_path / "t")
    holder.open(make=True)
    waiting.open(make=False)
    real, cleared = os.link, []

    def link(*names: Any, **more: Any) -> None:
        if not cleared:
            cleared.append(1)
            holder.clear()
        real(*names, **more)

    monkeypatch.setattr(os, "link", link)
    assert waiting.create("lock.json", b"x")
    holder.clear()
    (waiting.spool() / "mine").write_bytes(b"y")
    waiting.put_file("a/b", waiting.spool() / "mine")
    assert holder.get("a/b") == b"y"
    holder.close()
    waiting.close()


def test_a_folder_that_becomes_a_link_meanwhile_leads_nowhere(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "t")
    store.open(make=True)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x").write_bytes(b"mine")
    end = threading.Event()

    def flip() -> None:
        place, aside = tmp_path / "t" / "packs", tmp_path / "t" / "aside"
        while not end.is_set():
            with suppress(OSError):
                place.rename(aside)
                place.symlink_to(elsewhere)
                place.unlink()
                aside.rename(place)

    store.put("packs/x", b"theirs")
    thread = threading.Thread(target=flip)
    thread.start()
    for number in range(400):
        with suppress(PacsError):
            store.put(f"packs/{number}", b"data")
        with suppress(PacsError):
            assert store.get("packs/x") != b"mine"
        with suppress(PacsError):
            store.delete("packs/x")
    end.set()
    thread.join()
    store.close()
    assert [path.name for path in elsewhere.iterdir()] == ["x"]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE instances RENAME TO real_instances; CREATE VIEW instances AS WITH RECURSIVE t(id) AS"
        " (SELECT 1 UNION ALL SELECT id + 1 FROM t) SELECT id, 'objects/x' path, x'00' digest, x'00' meta_digest,"
        " 1 data_offset, 1 size, 1 received, '1' sop_instance, 'A' calling, 1 series, 0 missing FROM t;",
        "ALTER TABLE studies ADD COLUMN heavy AS (hex(zeroblob(1000000)));",
    ],
)  # fmt: skip
async def test_an_index_that_computes_is_refused(archive: Archive, place: Place, sql: str) -> None:
    await fill(archive, 1)
    place.take()
    for path in (place.data_dir / "backup.signers", place.data_dir / "backup.key"):
        path.unlink()  # else it would not even be looked at
    bent(place, sql)
    for op, given in (
        ("studies", {"snapshot": "latest", "search": "", "limit": 5, "after": 0}),
        ("restore", {"snapshot": "latest", "to": str(place.folder.with_name("back"))}),
    ):
        with pytest.raises(PacsError, match=r"no plain table|not trusted"):
            ask(place, op, **given)
    assert not ask(place, "verify", depth="full", percent=5.0)["ok"]


async def test_what_is_kept_here_of_snapshots_that_went_goes_too(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    place.take()
    ask(place, "survey")
    assert len(list(place.data_dir.glob("backups/*/manifests/*.json"))) == 2
    ask(replace_keep(place), "prune")
    ask(place, "survey")
    assert len(list(place.data_dir.glob("backups/*/manifests/*.json"))) == 1


def replace_keep(place: Place) -> Place:
    return Place(replace(place.spec, keep={"last": 1}), place.data_dir)
