"""Whose a snapshot is: signed, checked by OpenSSH's own tool, and what somebody else lays down is not believed."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.archive import Archive
from pacstui.backups import checks, layout, ops, prune, signing
from pacstui.backups.request import Request
from pacstui.backups.signing import Signer, Trust, author, own, publics
from pacstui.errors import BadRequest, SettingsError, Unavailable
from tests.backups.conftest import Place, contents, fill
from tests.backups.test_hostile import ask, forged, forget, newest


def judged(place: Place, **changes: Any) -> str:
    target = place.target(**changes)
    target.open()
    try:
        return target.seal(target.snapshots()[0]).state
    finally:
        target.close()


def said(*words: object, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([str(word) for word in words], input=given, capture_output=True, check=False)


def unsign(manifest: Path) -> None:
    manifest.with_name("manifest.json.sig").unlink()


def as_somebody_else(place: Place, tmp_path: Path) -> None:
    """Sign the newest snapshot with a key of one's own."""
    other = own(_made(tmp_path / "other"))
    path, _ = newest(place)
    path.with_name("manifest.json.sig").write_bytes(other.sign(path.read_bytes(), signing.MANIFEST))


def _made(path: Path) -> Path:
    path.mkdir(exist_ok=True)
    return path


async def test_a_snapshot_is_signed_and_openssh_says_so(archive: Archive, place: Place) -> None:
    await fill(archive, 2)
    place.take()
    assert judged(place) == "signed"
    path, _ = newest(place)
    words = ("ssh-keygen", "-Y", "verify", "-f", archive.data_dir / "backup.signers", "-I", "pacstui", "-n",
             "pacstui-backup", "-s", f"{path}.sig")  # fmt: skip
    done = said(*words, given=path.read_bytes())
    assert done.returncode == 0, done.stderr
    assert own(archive.data_dir).public.fingerprint in done.stdout.decode()
    assert said(*words, given=path.read_bytes().replace(b"PACS", b"PACZ")).returncode


def test_what_openssh_signs_is_understood(tmp_path: Path) -> None:
    signer = own(tmp_path)
    (tmp_path / "letter").write_bytes(b"content")
    said("ssh-keygen", "-Y", "sign", "-f", tmp_path / "backup.key", "-n", "pacstui-backup", tmp_path / "letter")
    signature = (tmp_path / "letter.sig").read_bytes()
    assert author(b"content", signature, "pacstui-backup") == signer.public
    assert signer.sign(b"content", "pacstui-backup") == signature
    with pytest.raises(ValueError):
        author(b"content", signature, "pacstui-check")


@given(st.binary(max_size=400), st.integers(0, 300), st.integers(0, 7))
def test_nothing_else_is_a_signature(noise: bytes, at: int, bit: int) -> None:
    signer = _SIGNER
    good = signer.sign(b"content", "pacstui-backup")
    bent = bytearray(good)
    bent[at % len(bent)] ^= 1 << bit
    for each in (noise, bytes(bent), good[:at], good + noise[:3], good.replace(b"\n", noise[:2], 2)):
        try:
            found = author(b"content", each, "pacstui-backup")
        except ValueError:
            continue
        assert found == signer.public  # what differs does not matter


def _signer() -> Signer:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Signer(Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


_SIGNER = _signer()


async def test_a_forged_snapshot_is_found_refused_and_never_the_latest(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    await fill(archive, 2)
    good = place.take().manifest
    await fill(archive, 2)
    place.take()
    forged(place, by="thief")
    assert judged(place) == "wrong"
    path, bad = newest(place)
    for make in (
        lambda: None,
        lambda: as_somebody_else(place, tmp_path),
        lambda: path.with_name("manifest.json.sig").unlink(),
    ):
        make()
        found = ask(place, "verify", depth="quick", percent=5.0)
        assert not found["ok"]
        assert "somebody else" in found["text"]
        with pytest.raises(Unavailable, match="not trusted"):
            ask(place, "restore", snapshot=bad.id, to=str(tmp_path / "back"))
        with pytest.raises(Unavailable, match="not trusted"):
            ask(place, "extract", snapshot=bad.id, what="all", key="", to=str(tmp_path / "out"))
        assert ask(place, "plan", snapshot=bad.id, what="all", key="", to=str(tmp_path / "back"))["problems"]
        assert ask(place, "held", keys=[])["snapshot"] == good.id
    assert not (tmp_path / "back").exists()
    found = ask(place, "restore", snapshot="latest", to=str(tmp_path / "good"))
    assert found["objects"] == 2
    ask(place, "restore", snapshot=bad.id, to=str(tmp_path / "bad"), any_signer=True)
    assert "not signed" in " ".join(place.notes)
    assert contents(tmp_path / "bad") == contents(archive.data_dir)


async def test_forged_snapshots_do_not_push_true_ones_out(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    true = place.take().manifest.id
    for _ in range(3):
        place.take()
        unsign(newest(place)[0])
    target = place.target(keep={"last": 1})
    target.open()
    assert prune.prune(target, "tester", place.watch()).snapshots == 0
    assert true in target.snapshot_names()


async def test_snapshots_from_before_there_was_a_key_are_used_with_a_word(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    path, manifest = newest(place)
    before = replace(manifest, id="20200101T000000Z-12345678", at="2020-01-01T00:00:00+00:00")
    path.parent.rename(path.parent.with_name(before.id))
    path = path.parent.with_name(before.id) / "manifest.json"
    path.write_bytes(layout.encode_manifest(before))
    unsign(path)
    forget(place)
    assert judged(place) == "early"
    assert ask(place, "verify", depth="quick", percent=5.0)["ok"]


async def test_on_another_machine_the_fingerprint_tells(archive: Archive, place: Place, tmp_path: Path) -> None:
    await fill(archive, 1)
    place.take()
    mine = own(archive.data_dir).public
    assert judged(place, fresh=True) == "unknown"
    assert judged(place, fresh=True, signers=(mine.fingerprint,)) == "signed"
    assert judged(place, fresh=True, signers=(mine.line,)) == "signed"
    assert judged(place, fresh=True, signers=(str(archive.data_dir / "backup.signers"),)) == "signed"
    assert judged(place, fresh=True, signers=(own(_made(tmp_path / "x")).public.line,)) == "foreign"
    with pytest.raises(BadRequest, match="names no key"):
        Trust(None, ["nonsense"])


async def test_a_restored_archive_knows_who_signed_and_only_an_encrypted_one_can_sign(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    await fill(archive, 1)
    place.take()
    mine = own(archive.data_dir).public
    place.restore(tmp_path / "back")
    assert mine in publics((tmp_path / "back" / "backup.signers").read_text())
    assert not (tmp_path / "back" / "backup.key").exists()
    assert mine != own(tmp_path / "back").public
    assert mine in publics((tmp_path / "back" / "backup.signers").read_text())
    secret = tmp_path / "phrase"
    secret.write_text("correct horse battery")
    place.spec = replace(place.spec, name="safe", url=str(tmp_path / "safe"), passphrase_file=str(secret))
    place.take()
    place.restore(tmp_path / "again")
    assert own(tmp_path / "again").public == mine


async def test_good_news_of_somebody_else_is_not_believed(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    ask(place, "verify", depth="quick", percent=5.0)
    later = (datetime.now(UTC) + timedelta(minutes=5)).isoformat(timespec="seconds")
    forged_check = checks.Check("verify", later, "full", "", True, "all is well, really", "thief", 1, 1, 1, 0)
    path = place.folder / "checks" / f"{layout.stamp(forged_check.moment)}-00000000.json"
    fields = {name: getattr(forged_check, name) for name in checks.Check.__dataclass_fields__}
    path.write_bytes(layout.sealed(fields))
    assert ask(place, "survey")["check"]["by"] == "tester"
    path.write_bytes(layout.sealed({**fields, "ok": False, "text": "a fault"}))
    assert ask(place, "survey")["check"]["text"] == "a fault"


async def test_who_writes_there_cannot_let_objects_be_taken_for_saved(
    archive: Archive, place: Place, tmp_path: Path
) -> None:
    await fill(archive, 1)
    place.take()
    await fill(archive, 2)
    with closing(sqlite3.connect(archive.data_dir / "index.db")) as db:
        keys = [bytes(a) + bytes(b) for a, b in db.execute("SELECT digest, meta_digest FROM instances")]
    pack = b"nothing of it" * 1000
    name = sha256(pack).hexdigest()
    for place_of, data in (
        (layout.pack_name(name, False), pack),
        (layout.list_name(name), layout.encode_list(layout.Member(key, 0, 10, 5) for key in keys)),
    ):
        (place.folder / place_of).parent.mkdir(exist_ok=True)
        (place.folder / place_of).write_bytes(data)
    for fresh in (False, True):
        if fresh:
            for path in place.data_dir.glob("backups/*/known.db*"):
                path.unlink()
        taken = place.take().manifest
        assert name not in {each.name for each in taken.packs}
    place.restore(tmp_path / "back")
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_a_snapshot_that_somebody_removed_is_missed(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    last = place.take().manifest.id
    assert ask(place, "survey")["gone"] == ""
    shutil.rmtree(place.folder / "snapshots" / last)
    assert ask(place, "survey")["gone"] == last


async def test_nothing_but_keys_is_put_into_an_archive(archive: Archive, place: Place, tmp_path: Path) -> None:
    import io
    import tarfile

    from pacstui.backups import extra

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("archive/index.db", "archive/restore.json", "archive/audit.key"):
            info = tarfile.TarInfo(name)
            info.size = 4
            tar.addfile(info, io.BytesIO(b"evil"))
    extra.lay_down(out.getvalue(), _made(tmp_path / "to"))
    assert sorted(path.name for path in (tmp_path / "to").iterdir()) == ["audit.key", "restored-configuration"]


def test_a_damaged_key_is_told(tmp_path: Path) -> None:
    (tmp_path / "backup.key").write_text("nonsense")
    with pytest.raises(SettingsError, match="cannot be used") as told:
        own(tmp_path)
    assert told.value.hint


async def test_what_was_not_signed_yet_protects_nothing_from_the_purge(archive: Archive, place: Place) -> None:
    await fill(archive, 1)
    place.take()
    unsign(newest(place)[0])
    request = Request("held", place.spec, str(place.data_dir), arguments={"keys": []})
    with pytest.raises(Unavailable, match="not trusted"):
        ops.perform(request, place.watch())


async def test_the_first_snapshot_is_not_from_before_the_key(
    archive: Archive, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(archive, 1)
    real, at = signing.own, []

    def own_later(data_dir: Path) -> Signer:
        at.append(datetime.now(UTC))
        return real(data_dir)

    monkeypatch.setattr(signing, "own", own_later)
    assert place.take().manifest.moment >= at[0]
