"""What a snapshot is made of, and that it comes back."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import tarfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from pacstui.archive import Archive
from pacstui.archive.trash_rows import Which
from pacstui.backups import packs, selection, take
from pacstui.backups.keys import NoKey
from pacstui.errors import BadRequest, Corrupt, NotFound, SettingsError, StorageFull, Unavailable
from pacstui.jobs.kinds import Cancelled
from tests.archive.conftest import send
from tests.archive.objects import Object
from tests.backups.conftest import Place, contents, fill


async def test_a_restored_archive_is_the_saved_one(archive: Archive, place: Place, tmp_path: Path) -> None:
    await fill(archive, 7)
    study = await fill(archive, 3)
    await send(archive, study[0].copy(pixels=b"other content"))  # is set aside
    before = contents(archive.data_dir)
    taken = place.take()
    assert (taken.manifest.instances, taken.manifest.new_instances, taken.manifest.missing_total) == (10, 11, 0)
    restored = place.restore(tmp_path / "back")
    assert restored.failed_total == 0
    assert contents(tmp_path / "back") == before
    assert not (tmp_path / "back" / "restore.json").exists()
    with closing(sqlite3.connect(tmp_path / "back" / "index.db")) as index:
        assert index.execute("SELECT count(*) FROM instances").fetchone() == (10,)


async def test_a_restored_archive_opens_and_has_nothing_to_mend(archive: Archive, place: Place, tmp_path: Path) -> None:
    things = await fill(archive, 4)
    place.take()
    shutil.move(place.data_dir, tmp_path / "gone")
    place.restore(tmp_path / "back")
    opened = await Archive.open(tmp_path / "back")
    try:
        counts = await opened.index.counts()
        assert (counts.studies, counts.instances) == (1, 4)
        assert not await opened.index.missing(10)
        assert [each.sop_instance for each in await opened.index.instances(things[0].study)] == [t.sop for t in things]
    finally:
        await opened.close()
        shutil.move(tmp_path / "gone", place.data_dir)


async def test_only_what_is_new_travels(archive: Archive, place: Place) -> None:
    await fill(archive, 5)
    assert place.take().manifest.new_instances == 5
    packs_before = place.packs()
    again = place.take()
    assert again.manifest.new_instances == 0
    assert place.packs() == packs_before
    await fill(archive, 2)
    assert place.take().manifest.new_instances == 2
    assert len(place.packs()) == 2


async def test_what_is_known_here_is_only_a_cache(archive: Archive, place: Place) -> None:
    await fill(archive, 5)
    place.take()
    known = place.target().folder / "known.db"
    known.write_bytes(b"no database")
    for extra in place.target().folder.glob("known.db-*"):
        extra.unlink()
    assert place.take().manifest.new_instances == 0


async def test_a_pack_that_is_gone_from_the_target_travels_again(archive: Archive, place: Place) -> None:
    await fill(archive, 5)
    place.take()
    place.packs()[0].unlink()
    taken = place.take()
    assert taken.manifest.new_instances == 5
    assert any("gone" in note for note in place.notes)
    assert place.verify().ok


async def test_an_object_that_cannot_be_read_is_named_and_the_rest_is_saved(archive: Archive, place: Place) -> None:
    await fill(archive, 5)
    victim = sorted(contents(archive.data_dir))[2]
    path = archive.data_dir / victim
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    taken = place.take()
    assert taken.warning
    assert victim in taken.text
    assert taken.manifest.missing == (victim,)
    assert (taken.manifest.instances, taken.manifest.missing_total) == (4, 1)


async def test_an_object_that_was_damaged_after_it_was_saved_keeps_its_good_copy(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    await fill(archive, 3)
    before = contents(archive.data_dir)
    place.take()
    (archive.data_dir / min(before)).write_bytes(b"rot")
    taken = place.take()
    assert not taken.warning
    assert place.restore(tmp_path / "back").failed_total == 0
    assert contents(tmp_path / "back") == before


@pytest.mark.parametrize("limit", [1000, 40_000])
async def test_large_and_small_objects_go_in_packs(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", limit)
    monkeypatch.setattr("pacstui.backups.reading._IN_MEMORY", 30_000)
    await fill(archive, 6)
    await fill(archive, 2, pixels=100_000)
    place.take()
    assert len(place.packs()) > 2
    assert place.verify(fresh=True).ok
    assert place.restore(tmp_path / "back").failed_total == 0
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_tar_alone_gets_the_objects_back(archive: Archive, place: Place, tmp_path: Path) -> None:
    await fill(archive, 6)
    place.take()
    for pack in place.packs():
        subprocess.run(["tar", "-xf", pack, "-C", tmp_path], check=True)  # noqa: ASYNC221
    assert contents(tmp_path) == contents(archive.data_dir)


def key(tmp_path: Path) -> tuple[str, str]:
    """Return a recipient and the file of its identity."""
    identity = pyrage.x25519.Identity.generate()
    path = tmp_path / "identity.txt"
    path.write_text(f"# made for a test\n{identity}\n")
    return str(identity.to_public()), str(path)


async def test_an_encrypted_target_is_opened_by_the_identity_alone(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 40_000)
    recipient, identity = key(tmp_path)
    await fill(archive, 4, name="SECRET^PATIENT")
    await fill(archive, 1, pixels=90_000, name="SECRET^PATIENT")
    place.take(encrypt_to=(recipient,))
    assert place.take(encrypt_to=(recipient,)).manifest.new_instances == 0
    assert not any(b"SECRET" in path.read_bytes() or b"DICM" in path.read_bytes() for path in place.files())
    with pytest.raises(NoKey):
        place.restore(tmp_path / "none")
    (tmp_path / "x").mkdir()
    _, wrong = key(tmp_path / "x")
    with pytest.raises(NoKey):
        place.restore(tmp_path / "none2", identity_file=wrong)
    place.restore(tmp_path / "back", identity_file=identity)
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_the_stock_tools_open_an_encrypted_target(archive: Archive, place: Place, tmp_path: Path) -> None:
    age = shutil.which("age")
    if age is None:
        pytest.skip("age is not installed")
    recipient, identity = key(tmp_path)
    await fill(archive, 4)
    place.take(encrypt_to=(recipient,))
    for pack in place.files(".tar.age"):
        told = [age, "-d", "-i", identity, str(pack)]
        plain = subprocess.run(told, check=True, capture_output=True).stdout  # noqa: ASYNC221
        (tmp_path / "plain.tar").write_bytes(plain)
        with tarfile.open(tmp_path / "plain.tar") as tar:
            tar.extractall(tmp_path / "out", filter="data")
    assert contents(tmp_path / "out") == contents(archive.data_dir)


@pytest.mark.usefixtures("cheap_passphrases")
async def test_a_passphrase_protects_the_targets_own_identity(archive: Archive, place: Place, tmp_path: Path) -> None:
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("correct horse battery staple\n")
    wrong.write_text("incorrect horse battery\n")
    await fill(archive, 3)
    place.take(passphrase_file=str(right))
    assert place.take(passphrase_file=str(right)).manifest.new_instances == 0
    place.restore(tmp_path / "back", passphrase_file=str(right))
    assert contents(tmp_path / "back") == contents(archive.data_dir)
    with pytest.raises(Unavailable, match="passphrase"):
        place.restore(tmp_path / "none", passphrase_file=str(wrong))


async def test_a_passphrase_is_dear_to_guess(archive: Archive, place: Place, tmp_path: Path) -> None:
    (tmp_path / "phrase").write_text("correct horse battery staple\n")
    await fill(archive, 1)
    place.take(passphrase_file=str(tmp_path / "phrase"))
    _, recipient, _ = (place.folder / "keys" / "identity.age").read_bytes().split(b"\n", 2)
    kind, _, cost = recipient.removeprefix(b"-> ").split()
    assert kind == b"scrypt"
    assert int(cost) >= 14  # 2 ** 14 rounds of 128 KiB and more: some tenths of a second on a slow machine


async def test_encryption_cannot_be_changed_by_the_settings_alone(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    recipient, _ = key(tmp_path)
    await fill(archive, 1)
    place.take()
    with pytest.raises(SettingsError, match="without encryption"):
        place.take(encrypt_to=(recipient,))


async def test_configuration_comes_along_and_secrets_only_encrypted(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    (archive.data_dir / "audit.key").write_bytes(b"the key of the trail")
    secret = tmp_path / "tls.key"
    secret.write_bytes(b"a private key")
    await fill(archive, 1)
    with pytest.raises(SettingsError, match="not encrypted"):
        place.take(include=("secrets",))
    recipient, identity = key(tmp_path)
    place.spec = replace(place.spec, name="safe", url=str(tmp_path / "safe"), encrypt_to=(recipient,))
    target = place.target(include=("secrets",))
    take.Taking(target, place.data_dir, "PACS", "tester", place.watch(), None, [secret]).run()
    place.restore(tmp_path / "back", identity_file=identity)
    assert (tmp_path / "back" / "audit.key").read_bytes() == b"the key of the trail"
    assert (tmp_path / "back" / "restored-configuration" / "tls.key").read_bytes() == b"a private key"


async def test_every_flipped_bit_is_found(archive: Archive, place: Place) -> None:
    await fill(archive, 4)
    place.take()
    files = [path for path in place.files() if path.relative_to(place.folder).parts[0] not in ("checks", "tmp")]
    assert {path.suffix for path in files} >= {".tar", ".list", ".json", ".gz"}
    rng = random.Random(7)
    for path in files:
        whole = path.read_bytes()
        for _ in range(6):
            at = rng.randrange(len(whole) * 8)
            data = bytearray(whole)
            data[at // 8] ^= 1 << at % 8
            path.write_bytes(data)
            try:
                wrong = not place.verify(fresh=True).ok
            except (Corrupt, NotFound, Unavailable):
                wrong = True  # the marker itself, or the only manifest
            assert wrong, f"{path.name}, bit {at}"
            path.write_bytes(whole)
            for mark in place.files(".damaged"):
                mark.unlink()
    assert place.verify(fresh=True).ok


async def test_what_was_found_damaged_travels_again_and_every_snapshot_is_whole_then(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    await fill(archive, 4)
    place.take()
    pack = place.packs()[0]
    data = bytearray(pack.read_bytes())
    data[len(data) // 2] ^= 4
    pack.write_bytes(data)
    verdict = place.verify()
    assert not verdict.ok
    assert pack.name in verdict.text
    assert "back up now" in verdict.hint
    assert place.take().manifest.new_instances == 4
    assert place.verify(fresh=True).findings == ()
    oldest = sorted(p.parent.name for p in place.manifests())[0]
    assert place.restore(tmp_path / "back", oldest).failed_total == 0
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_a_quick_look_finds_what_is_gone_or_cut(archive: Archive, place: Place) -> None:
    await fill(archive, 4)
    place.take()
    assert place.verify("quick").ok
    index = place.files("index.db.gz")[0]
    index.write_bytes(index.read_bytes()[:-1])
    assert "instead of" in place.verify("quick").text


async def test_samples_read_everything_in_time(archive: Archive, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 2000)
    await fill(archive, 12)
    place.take()
    target = place.target()
    now = iter(range(1000, 9000))
    monkeypatch.setattr("pacstui.backups.verify.time.time", lambda: next(now))
    total = len(place.packs())
    assert total >= 4
    for _ in range(total):
        place.verify("sample", 100 / total - 1)
    with closing(sqlite3.connect(target.folder / "known.db")) as db:
        assert db.execute("SELECT count(*) FROM packs WHERE verified = 0").fetchone() == (0,)


async def test_a_cancelled_run_leaves_no_snapshot_and_the_next_goes_on(
    archive: Archive, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 2000)
    await fill(archive, 20)
    watch = place.watch()
    sent: list[str] = []
    put = packs.Finished.put

    def counting(self: packs.Finished, *arguments: Any) -> None:
        put(self, *arguments)
        sent.append(self.digest)
        if len(sent) == 3:
            watch.stop()

    monkeypatch.setattr(packs.Finished, "put", counting)
    with pytest.raises(Cancelled):
        place.take(watch)
    assert place.manifests() == []
    assert place.files("lock") == []
    before = len(sent)
    taken = place.take()
    assert taken.manifest.instances == 20
    assert len(set(sent)) == len(sent)
    assert len(sent) > before
    assert place.verify(fresh=True).ok


async def test_a_restore_goes_on_where_it_ended(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 2000)
    await fill(archive, 12)
    place.take()
    watch = place.watch()
    add = watch.add

    def counting(**more: Any) -> None:
        add(**more)
        if watch.state["done"] >= 5:
            watch.stop()

    monkeypatch.setattr(watch, "add", counting)
    back = tmp_path / "back"
    with pytest.raises(Cancelled):
        place.restore(back, watch=watch)
    assert (back / "restore.json").exists()
    (back / min(contents(back))).write_bytes(b"half")
    done = place.restore(back)
    assert done.there > 0
    assert done.objects + done.there == 12
    assert contents(back) == contents(archive.data_dir)


async def test_nothing_is_restored_over_something(archive: Archive, place: Place, tmp_path: Path) -> None:
    await fill(archive, 1)
    place.take()
    with pytest.raises(BadRequest, match="not empty"):
        place.restore(archive.data_dir)
    place.restore(tmp_path / "back")
    with pytest.raises(BadRequest, match="not empty"):
        place.restore(tmp_path / "back")


async def test_a_restore_that_has_no_room_is_not_begun(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(archive, 1)
    place.take()
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr("pacstui.backups.restore.shutil.disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(StorageFull, match="takes"):
        place.restore(tmp_path / "back")
    assert not (tmp_path / "back").exists()


async def test_a_snapshot_of_a_later_version_is_refused_with_advice(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(archive, 1)
    place.take()
    monkeypatch.setattr("pacstui.backups.restore.schema.HEAD", "0001")
    with pytest.raises(Unavailable, match="install"):
        place.restore(tmp_path / "back")


async def test_a_target_that_is_not_mounted_is_refused(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    place.folder.rename(place.folder.with_name("elsewhere"))
    with pytest.raises(Unavailable, match="mounted"):
        place.verify()
    place.folder.mkdir()  # the mount point without its disk
    with pytest.raises(Unavailable, match="had some"):
        place.take()
    assert list(place.folder.iterdir()) == []


async def test_a_mount_is_asked_for_by_setting(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    with pytest.raises(Unavailable, match="nothing is mounted"):
        place.take(mounted=True)
    assert place.files() == []


async def test_another_archives_folder_is_refused(archive: Archive, place: Place, tmp_path: Path) -> None:
    await fill(archive, 1)
    place.take()
    await archive.db.write(lambda db: db.execute("UPDATE state SET value='other' WHERE name='archive_id'"))
    with pytest.raises(Unavailable, match="another archive"):
        place.take()
    busy = tmp_path / "busy"
    busy.mkdir()
    (busy / "holiday.jpg").write_bytes(b"")
    with pytest.raises(Unavailable, match="not empty"):
        Place(replace(place.spec, name="other", url=str(busy)), place.data_dir).take()


async def test_an_object_that_is_replaced_meanwhile_is_saved_as_the_index_has_it(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.lane.duplicates = "overwrite"
    first = Object()
    await send(archive, first)
    old = contents(archive.data_dir)
    index = tmp_path / "copy" / "index.db"
    index.parent.mkdir()
    copy = take.source.copy_index

    copy(archive.data_dir, index)
    await send(archive, first.copy(pixels=b"newer content"))
    monkeypatch.setattr(take.source, "copy_index", lambda _, to: shutil.copy(index, to))
    taken = place.take()
    assert taken.manifest.missing_total == 0
    place.restore(tmp_path / "back")
    assert contents(tmp_path / "back") == old


async def test_a_study_that_is_deleted_meanwhile_is_saved_from_the_trash(
    archive: Archive, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    things = await fill(archive, 3)
    old = contents(archive.data_dir)
    index = tmp_path / "copy" / "index.db"
    index.parent.mkdir()
    take.source.copy_index(archive.data_dir, index)
    await archive.trash.delete(Which(things[0].study))
    monkeypatch.setattr(take.source, "copy_index", lambda _, to: shutil.copy(index, to))
    taken = place.take()
    assert (taken.manifest.missing_total, taken.warning) == (0, False)
    place.restore(tmp_path / "back")
    assert contents(tmp_path / "back") == old


async def test_files_that_vanished_unknown_to_the_index_are_no_longer_taken_to_be_there(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    things = await fill(archive, 3)
    place.take()
    next(p for p in (archive.data_dir / "objects").rglob("*") if p.is_file() and things[1].sop in p.name).unlink()
    target = place.target()
    target.open()
    manifest = target.find("latest")
    wanted = selection.select(target, manifest, "study", things[0].study, place.data_dir, place.watch())
    assert (len(wanted), selection.here(place.data_dir, wanted)) == (3, 2)
    lacking = selection.select(target, manifest, "all", "", place.data_dir, place.watch())
    assert [each.sop_instance for each in lacking] == [things[1].sop]
    target.close()
