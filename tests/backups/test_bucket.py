"""Targets in a bucket, with a server that speaks S3."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from pacstui.archive import Archive
from pacstui.backups import packs, prune
from pacstui.backups.bucket import BucketStore
from pacstui.backups.spec import Spec
from pacstui.backups.target import Target
from pacstui.errors import NotFound, Unavailable
from tests.backups.conftest import Place, contents, fill
from tests.running import free_port


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
    client(server).create_bucket(Bucket=name)
    return name


def client(server: str) -> Any:
    return boto3.client(
        "s3", endpoint_url=server, aws_access_key_id="synthetic", aws_secret_access_key="synthetic",
        region_name="us-east-1",
    )  # fmt: skip


def spec(server: str, bucket: str, tmp_path: Path) -> Spec:
    secret = tmp_path / "secret.txt"
    secret.write_text("synthetic\n")
    return Spec(
        "cloud", f"s3://{bucket}/radnode1", endpoint=server, region="us-east-1", access_key="synthetic",
        secret_key_file=str(secret),
    )  # fmt: skip


@pytest.fixture
def cloud(server: str, bucket: str, archive: Archive, tmp_path: Path) -> Place:
    return Place(spec(server, bucket, tmp_path), archive.data_dir)


def test_a_bucket_keeps_what_it_is_given(server: str, bucket: str, tmp_path: Path) -> None:
    config = {
        "endpoint": server, "region": "us-east-1", "access_key_id": "synthetic", "secret_access_key": "synthetic",
    }  # fmt: skip
    store = BucketStore(f"s3://{bucket}/below", config, tmp_path / "spool")
    store.open(make=False)
    store.put("a/b", b"first")
    store.put("a/b", b"second")
    assert store.get("a/b") == b"second"
    assert store.part("a/b", 2, 3) == b"con"
    assert b"".join(store.pieces("a/b")) == b"second"
    assert store.create("a/x", b"1")
    assert not store.create("a/x", b"2")
    large = store.spool() / "large"
    large.write_bytes(bytes(70 << 20))
    store.put_file("large", large)
    assert dict(store.list("")) == {"a/b": 6, "a/x": 1, "large": 70 << 20}
    assert dict(store.list("a/")) == {"a/b": 6, "a/x": 1}
    store.delete("a/x")
    store.delete("a/x")
    with pytest.raises(NotFound):
        store.get("a/x")
    assert store.free() is None


async def test_an_archive_goes_to_a_bucket_and_comes_back(
    cloud: Place, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 20_000)
    await fill(archive, 6)
    await fill(archive, 1, pixels=60_000)
    assert cloud.take().manifest.instances == 7
    assert cloud.take().manifest.new_instances == 0
    assert cloud.verify(fresh=True).ok
    assert cloud.restore(tmp_path / "back").failed_total == 0
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_a_bit_that_flips_in_a_bucket_is_found(cloud: Place, archive: Archive, server: str, bucket: str) -> None:
    await fill(archive, 3)
    cloud.take()
    s3 = client(server)
    names = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    pack = next(name for name in names if name.endswith(".tar"))
    data = bytearray(s3.get_object(Bucket=bucket, Key=pack)["Body"].read())
    data[700] ^= 1
    s3.put_object(Bucket=bucket, Key=pack, Body=bytes(data))
    verdict = cloud.verify(fresh=True)
    assert not verdict.ok
    assert "differs" in verdict.text


async def test_pruning_a_bucket_leaves_what_is_needed(cloud: Place, archive: Archive) -> None:
    await fill(archive, 3)
    for _ in range(3):
        cloud.take()
    target = cloud.target(keep={"last": 1})
    target.open()
    assert prune.prune(target, "tester", cloud.watch()).snapshots == 2
    assert cloud.verify(fresh=True).ok


async def test_a_bucket_that_is_not_there_is_told(cloud: Place, archive: Archive) -> None:
    await fill(archive, 1)
    cloud.spec = replace(cloud.spec, url="s3://no-such-bucket-here/x")
    with pytest.raises(Unavailable, match="no-such-bucket-here") as told:
        cloud.take()
    assert told.value.hint


async def test_a_server_that_is_not_there_is_told(
    cloud: Place, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacstui.backups.bucket.RETRIES", 0)
    await fill(archive, 1)
    cloud.spec = replace(cloud.spec, endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable, match="cannot be reached"):
        Target(cloud.spec, archive.data_dir / "work").open()
