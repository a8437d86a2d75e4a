"""Buckets that lock what lies in them, and places that let nothing be removed."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer

from pacstui.archive import Archive
from pacstui.backups import object_lock, prune
from pacstui.backups.object_lock import Login, login_of
from pacstui.errors import SettingsError
from tests.backups.conftest import Place, contents, fill
from tests.backups.test_bucket import client, spec
from tests.backups.test_prune import run, several

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    made = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    made.start()
    try:
        host, port = made.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        made.stop()


@pytest.fixture
def bucket(server: str) -> str:
    name = f"pacs-{uuid4().hex[:12]}"
    client(server).create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


@pytest.fixture
def cloud(server: str, bucket: str, archive: Archive, tmp_path: Path) -> Place:
    return Place(replace(spec(server, bucket, tmp_path), lock_days=10, lock_mode="compliance"), archive.data_dir)


def locked(server: str, bucket: str) -> dict[str, datetime]:
    """Return until when each object is locked that is."""
    s3 = client(server)
    found = {}
    for each in s3.list_objects_v2(Bucket=bucket)["Contents"]:
        head = s3.head_object(Bucket=bucket, Key=each["Key"])
        if "ObjectLockRetainUntilDate" in head:
            found[each["Key"].removeprefix("radnode1/")] = head["ObjectLockRetainUntilDate"]
            assert head["ObjectLockMode"] == "COMPLIANCE"
    return found


async def test_all_that_a_snapshot_needs_is_locked_and_stays_so(
    cloud: Place, archive: Archive, server: str, bucket: str, tmp_path: Path
) -> None:
    await fill(archive, 3)
    first = cloud.take()
    assert "locked for 10 days" in first.text
    names = {
        each["Key"].removeprefix("radnode1/") for each in client(server).list_objects_v2(Bucket=bucket)["Contents"]
    }
    held = locked(server, bucket)
    assert set(held) == names
    assert all(until >= datetime.now(UTC) + 10 * DAY for until in held.values())
    s3 = client(server)
    pack = next(f"radnode1/{name}" for name in held if name.endswith(".tar") and name.startswith("packs/"))
    version = s3.head_object(Bucket=bucket, Key=pack)["VersionId"]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=pack, VersionId=version)
    target = cloud.target()
    target.known.db.execute("UPDATE packs SET locked=?", (int((datetime.now(UTC) + 9 * DAY).timestamp()),))
    target.close()
    cloud.take(lock_days=12)
    later = locked(server, bucket)
    assert all(later[name] > held[name] for name in held if name.startswith("packs/"))
    assert cloud.restore(tmp_path / "back").failed_total == 0
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_pruning_hides_and_the_bucket_keeps(cloud: Place, archive: Archive, server: str, bucket: str) -> None:
    await several(archive, cloud)
    target = cloud.target(keep={"last": 1})
    target.open()
    done = prune.prune(target, "tester", cloud.watch())
    assert (done.snapshots, done.packs, done.refused) == (2, 2, 0)
    assert "keeps what is locked" in done.text
    assert cloud.verify(fresh=True).ok
    versions = client(server).list_object_versions(Bucket=bucket)
    kept = {each["Key"] for each in versions["Versions"] if "/packs/" in each["Key"]}
    assert len(kept) == 6


async def test_a_bucket_without_object_lock_is_told_before_anything_travels(
    cloud: Place, archive: Archive, server: str
) -> None:
    await fill(archive, 1)
    name = f"pacs-{uuid4().hex[:12]}"
    client(server).create_bucket(Bucket=name)
    cloud.spec = replace(cloud.spec, url=f"s3://{name}/x")
    with pytest.raises(SettingsError, match="no object lock"):
        cloud.take()


def test_a_folder_cannot_be_locked(place: Place) -> None:
    with pytest.raises(SettingsError, match="for buckets"):
        place.target(lock_days=3.0)


async def test_what_may_not_be_removed_stays_and_is_told(
    archive: Archive, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await several(archive, place)
    real = os.unlink

    def unlink(path: Any, *, dir_fd: int | None = None) -> None:
        folder = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else ""
        if ids[0] in folder or str(path).endswith(".list"):
            raise PermissionError(errno.EPERM, "Operation not permitted")
        real(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", unlink)
    done = run(place, last=1)
    monkeypatch.undo()
    assert (done.snapshots, done.packs) == (1, 0)
    assert done.refused >= 2
    assert "may not be removed" in done.text
    assert place.verify(fresh=True).ok
    assert run(place, last=1).snapshots == 1
    assert len(place.packs()) == 1
    assert place.verify(fresh=True).ok


def test_keys_come_from_the_settings_or_the_environment() -> None:
    named = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c"}
    assert login_of({"access_key_id": "x", "secret_access_key": "y"}, named) == Login("x", "y")
    assert login_of({}, named) == Login("a", "b", "c")
    with pytest.raises(SettingsError):
        login_of({}, {})


@given(
    st.sampled_from(["GET", "PUT"]), st.text("abcXYZ019-_.~/", min_size=1, max_size=60), st.binary(max_size=99),
    st.sampled_from(["", "a-token+/="]), st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)),
)  # fmt: skip
def test_requests_are_signed_as_amazons_own_library_does(
    method: str, path: str, body: bytes, token: str, at: datetime
) -> None:
    login = Login("synthetic", "synthetic/secret+key", token)
    now = at.replace(tzinfo=UTC)
    mine = object_lock.headers(method, "s3.example.org:9000", f"/b/{path}", "retention=", body, login, "eu-1", now)
    rest = {name: value for name, value in mine.items() if name != "authorization"}
    asked = AWSRequest(method, f"https://s3.example.org:9000/b/{path}?retention=", rest, body)
    asked.context.update(timestamp=rest["x-amz-date"], payload_signing_enabled=True)
    theirs: Any = S3SigV4Auth(Credentials(login.access, login.secret, token or None), "s3", "eu-1")
    canonical = theirs.canonical_request(asked)
    signature = theirs.signature(theirs.string_to_sign(asked, canonical), asked)
    assert mine["authorization"].endswith(f"Signature={signature}")
