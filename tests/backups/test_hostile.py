"""A target that somebody else can write to: what lies there is read with suspicion, and never leads elsewhere."""

from __future__ import annotations

import gzip
import json
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyrage
import pytest

from pacstui.archive import Archive
from pacstui.backups import layout, ops
from pacstui.backups.layout import FileRef, Manifest, PackRef
from pacstui.backups.request import Request
from pacstui.errors import PacsError, Unavailable
from tests.backups.conftest import Place, contents, fill


def ask(place: Place, op: str, **arguments: Any) -> dict[str, Any]:
    request = Request(op, place.spec, str(place.data_dir), "PACS", "tester", arguments=arguments)
    return ops.perform(request, place.watch())


def newest(place: Place) -> tuple[Path, Manifest]:
    found = [
        (layout.manifest_from(path.read_bytes(), f"snapshots/{path.parent.name}/manifest.json"), path)
        for path in place.folder.glob("snapshots/*/manifest.json")
    ]
    manifest, path = max(found, key=lambda pair: pair[0].moment)
    return path, manifest


def forget(place: Place) -> None:
    """Let this machine not remember manifests and indexes that it read before."""
    for path in place.data_dir.glob("backups/*/manifests/*"):
        path.unlink()
    for path in place.data_dir.glob("backups/*/indexes/*"):
        path.unlink()


def forged(place: Place, **changes: Any) -> None:
    path, manifest = newest(place)
    path.write_bytes(layout.encode_manifest(replace(manifest, **changes)))
    forget(place)


@pytest.mark.parametrize("folder", ["snapshots", "checks"])
async def test_a_link_in_a_target_leads_nowhere(archive: Archive, place: Place, folder: str) -> None:
    await fill(archive, 4)
    place.take()
    place.verify()
    (place.folder / folder).rename(place.folder.with_name("away"))
    elsewhere = place.folder.with_name("elsewhere")
    for number in range(405):
        (elsewhere / f"{number:04}").mkdir(parents=True)
        (elsewhere / f"{number:04}" / "letter.txt").write_text("mine")
    (place.folder / folder).symlink_to(elsewhere)
    for op, arguments in (("prune", {}), ("verify", {"depth": "quick", "percent": 5.0}), ("survey", {})):
        with suppress(PacsError):
            ask(place, op, **arguments)
    with pytest.raises(PacsError, match="link"):
        ask(place, "survey")
    assert len(list(elsewhere.rglob("letter.txt"))) == 405


async def test_nothing_is_written_or_read_through_links(archive: Archive, place: Place) -> None:
    await fill(archive, 2)
    place.take()
    elsewhere = place.folder.with_name("elsewhere")
    elsewhere.mkdir()
    (place.folder / "tmp").rmdir()
    (place.folder / "tmp").symlink_to(elsewhere)
    await fill(archive, 2)
    with pytest.raises(PacsError, match="link"):
        place.take()
    assert not any(elsewhere.iterdir())
    (place.folder / "tmp").unlink()
    place.take()
    marker = place.folder / layout.MARKER
    marker.unlink()
    marker.symlink_to("/dev/zero")
    with pytest.raises(PacsError, match="link"):
        ask(place, "survey")
    marker.unlink()
    os.mkfifo(marker)
    with pytest.raises(PacsError, match="no ordinary file"):
        ask(place, "survey")


async def test_a_lock_that_is_a_link_to_nothing_is_told(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    (place.folder / layout.LOCK).symlink_to("nowhere")
    with pytest.raises(PacsError, match="link"):
        place.take()


@pytest.mark.parametrize(
    "text",
    ['{"host": 1}', "[" * 100_000, "7", '"x"', "null", "\xff", "",
     json.dumps({"host": "h", "place": "", "pid": 1, "started": "", "what": "w", "by": "b", "since": 5, "seen": 5,
                 "token": ""}),
     json.dumps({"host": "h", "place": "", "pid": "x" * 100, "started": "", "what": "w", "by": "b",
                 "since": "2026-01-01", "seen": "2026-01-01", "token": ""})],
)  # fmt: skip
async def test_a_lock_full_of_nonsense_is_told_and_can_be_removed(archive: Archive, place: Place, text: str) -> None:
    await fill(archive, 1)
    place.take()
    (place.folder / layout.LOCK).write_text(text, "latin-1")
    assert ask(place, "lock")["lock"]["stale"]
    with pytest.raises(Unavailable, match="in use"):
        ask(place, "prune")
    ask(place, "unlock")
    place.take()


@pytest.mark.usefixtures("cheap_passphrases")
async def test_a_target_cannot_say_for_whom_it_is_encrypted(archive: Archive, place: Place, tmp_path: Path) -> None:
    secret = tmp_path / "phrase"
    secret.write_text("correct horse battery")
    place.spec = replace(place.spec, passphrase_file=str(secret))
    await fill(archive, 2)
    place.take()
    thief = pyrage.x25519.Identity.generate()
    marker = place.folder / layout.MARKER
    good = layout.opened(marker.read_bytes(), "marker")
    for change in (
        {"recipients": [str(thief.to_public())]}, {"recipients": [*good["recipients"], str(thief.to_public())]},
        {"recipients": []}, {"passphrase": False}, {"passphrase": False, "recipients": []},
    ):  # fmt: skip
        for known in (True, False):
            if not known:
                for path in place.data_dir.glob("backups/*/known.db*"):
                    path.unlink()
            marker.write_bytes(layout.sealed({**good, **change}))
            before = set(place.files())
            await fill(archive, 1)
            with suppress(PacsError):
                place.take()
            for path in set(place.files(".age")) - before:
                data = path.read_bytes()
                assert data.startswith(b"age-encryption.org/"), (change, path)
                with pytest.raises(pyrage.DecryptError):
                    pyrage.decrypt(data, [thief])


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "../../../evil"}, {"id": 5}, {"at": 5}, {"at": "yesterday"}, {"at": "2026-01-01"},
        {"packs": ((1, 2, 3),)},
        {"packs": (PackRef("../../../../evil", 10, "0" * 64),)}, {"packs": (PackRef("a" * 64, -1, "0" * 64),)},
        {"index": FileRef("../../../evil", 5, "0" * 64)}, {"extra": FileRef("../../evil", 5, "0" * 64)},
        {"last_row": "x"}, {"last_row": 1 << 80}, {"bytes": None}, {"node": ["x"]}, {"missing_total": "many"},
        {"seconds": "x"}, {"revision": 7}, {"missing": (1, 2)}, {"index_size": 1.5}, {"encrypted": "no"},
    ],
)  # fmt: skip
async def test_a_manifest_that_says_nonsense_is_not_believed(
    archive: Archive, place: Place, changes: dict[str, Any]
) -> None:
    await fill(archive, 2)
    place.take()
    before = {p for p in place.folder.parent.rglob("*") if "backups" not in p.parts and place.folder not in p.parents}
    path, _ = newest(place)
    if isinstance(changes.get("packs", ((),))[0], tuple) and changes.get("packs"):
        value = layout.opened(path.read_bytes(), "x")
        path.write_bytes(layout.sealed({**value, "packs": [list(each) for each in changes["packs"]]}))
        forget(place)
    else:
        forged(place, **changes)
    assert ask(place, "survey")["snapshots"] == []
    found = ask(place, "verify", depth="full", percent=5.0)
    assert not found["ok"]
    with pytest.raises(PacsError):
        ask(place, "studies", snapshot="latest", search="", limit=10, after=0)
    with pytest.raises(PacsError):
        ask(place, "prune")
    after = {p for p in place.folder.parent.rglob("*") if "backups" not in p.parts and place.folder not in p.parents}
    assert after == before
    assert contents(place.data_dir)


def bent(place: Place, sql: str) -> None:
    """Put another index into the newest snapshot, as somebody would who knows the form."""
    path, manifest = newest(place)
    file = path.with_name(manifest.index.name)
    plain = place.folder.with_name("bent.db")
    plain.write_bytes(gzip.decompress(file.read_bytes()))
    with closing(sqlite3.connect(plain)) as db:
        db.executescript(sql)
        db.execute("VACUUM")
    data = plain.read_bytes()
    packed = gzip.compress(data)
    file.write_bytes(packed)
    forged(
        place, index=FileRef(manifest.index.name, len(packed), sha256(packed).hexdigest()),
        index_sha256=sha256(data).hexdigest(), index_size=len(data),
    )  # fmt: skip


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE instances SET path = '../../evil'", "UPDATE instances SET path = '/tmp/evil-of-a-target'",
        "UPDATE instances SET path = 'x' || char(0) || 'y'", "UPDATE instances SET path = x'00ff'",
        "DROP TABLE instances",
        "UPDATE instances SET path = 'objects/../../evil'", "UPDATE instances SET path = 'index.db'",
        "UPDATE instances SET path = 'restore.json'", "UPDATE instances SET path = ''",
        "UPDATE instances SET path = 'objects'", "UPDATE instances SET path = 'session'",
    ],
)  # fmt: skip
async def test_an_index_that_leads_elsewhere_is_refused_in_words(
    archive: Archive, place: Place, tmp_path: Path, sql: str
) -> None:
    await fill(archive, 2)
    place.take()
    bent(place, sql)
    study = "1.2.3"
    to = tmp_path / "to" / "here"
    with pytest.raises(PacsError):
        ask(place, "restore", snapshot="latest", to=str(to))
    assert not (tmp_path / "to" / "evil").exists()
    assert not (tmp_path / "evil").exists()
    assert not Path("/tmp/evil-of-a-target").exists()
    for op, given in (
        ("drill", {"snapshot": "latest", "instances": 2}), ("studies", {"snapshot": "latest", "search": "", "limit": 5,
         "after": 0}), ("plan", {"snapshot": "latest", "what": "study", "key": study, "to": ""}),
        ("verify", {"depth": "full", "percent": 5.0}),
    ):  # fmt: skip
        if op == "drill" and "DROP" not in sql:
            continue
        with suppress(PacsError):
            ask(place, op, **given)


async def test_a_digest_that_is_a_number_takes_no_memory(archive: Archive, place: Place) -> None:
    things = await fill(archive, 2)
    place.take()
    bent(place, "UPDATE instances SET digest = 100000000000")
    with pytest.raises(PacsError):
        ask(place, "extract", snapshot="latest", what="instance", key=things[0].sop, to=str(place.folder.parent / "x"))


async def test_an_index_that_grows_when_it_is_unpacked_is_given_up(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    path, manifest = newest(place)
    file = path.with_name(manifest.index.name)
    bomb = gzip.compress(bytes(200 << 20), 1)
    file.write_bytes(bomb)
    forged(place, index=FileRef(file.name, len(bomb), sha256(bomb).hexdigest()))
    with pytest.raises(PacsError, match="differs"):
        ask(place, "studies", snapshot="latest", search="", limit=5, after=0)
    assert not list(place.data_dir.glob("backups/*/indexes/*"))


async def test_a_list_that_lies_about_places_is_not_believed(archive: Archive, place: Place) -> None:
    await fill(archive, 3)
    place.take()
    for path in place.files(".list"):
        members = list(layout.decode_list(path.read_bytes(), "x", 1 << 40))
        bent_ones = [replace(members[0], offset=1 << 63), replace(members[1], size=1 << 60), *members[2:]]
        path.write_bytes(layout.encode_list(bent_ones))
    for path in place.data_dir.glob("backups/*/known.db*"):
        path.unlink()
    place.take()
    place.restore(place.folder.with_name("back"))
    assert contents(place.folder.with_name("back")) == contents(place.data_dir)
