"""Storing objects: what is on disk and in the index when success is said."""

from __future__ import annotations

import asyncio
import hashlib
import stat
from pathlib import Path

import pydicom
import pytest

from pacstui.archive import Archive, Refused, Stored
from pacstui.archive.work import Job
from pacstui.db import Writer
from pacstui.events import Event, InstanceStored

from .conftest import OPTIONS, files, send
from .objects import Object


async def test_a_stored_object_is_a_dicom_file_with_the_bytes_as_received(archive: Archive) -> None:
    thing = Object()
    stored = await send(archive, thing)
    assert (stored.new, stored.status, stored.comment) == (True, 0, "")
    known = await archive.index.instance(thing.sop)
    assert known is not None
    raw = archive.path_of(known.path).read_bytes()
    assert raw[known.data_offset :] == thing.encode()
    assert known.size == len(thing.encode())
    assert known.digest == hashlib.sha256(thing.encode()).digest() == stored.digest
    assert known.meta_digest == hashlib.sha256(raw[: known.data_offset]).digest()
    assert (known.study, known.series, known.calling) == (thing.study, thing.series, "SENDER")
    read = pydicom.dcmread(archive.path_of(known.path))
    assert read.file_meta.MediaStorageSOPInstanceUID == thing.sop == read.SOPInstanceUID
    assert read.file_meta.SourceApplicationEntityTitle == "SENDER"
    assert read.file_meta.PrivateInformation == known.digest


async def test_counts_and_page_follow_the_write(archive: Archive) -> None:
    first = Object()
    for thing in (first, first.beside(), Object(patient="P2", name="ROE^RICHARD")):
        await send(archive, thing)
    counts = await archive.index.counts()
    assert (counts.patients, counts.studies, counts.series, counts.instances) == (2, 2, 2, 3)
    page = await archive.index.studies()
    assert [(row.patient_id, row.instances) for row in page.rows] == [("P2", 1), ("P1", 2)]
    assert page.total == 2
    assert page.next is None


async def test_an_event_tells_of_the_object(archive: Archive, heard: list[Event]) -> None:
    thing = Object(modality="CT")
    await send(archive, thing, association=7)
    await asyncio.sleep(0)  # the sender is answered first
    (event,) = heard
    assert isinstance(event, InstanceStored)
    assert (event.association, event.sop_instance, event.modality, event.new) == (7, thing.sop, "CT", True)


async def test_folders_and_files_are_for_the_owner_only(archive: Archive) -> None:
    await send(archive, Object())
    paths: list[Path] = [archive.data_dir, *archive.data_dir.rglob("*")]
    for path in paths:
        mode = stat.S_IMODE(path.stat().st_mode)
        if path.name.endswith(("-wal", "-shm")):
            continue  # inside of a folder that nobody else can enter
        assert mode == (0o700 if path.is_dir() else 0o600), path


async def test_nothing_is_left_in_incoming(archive: Archive) -> None:
    await send(archive, Object())
    assert files(archive, "incoming") == []


async def test_what_arrives_together_becomes_durable_together(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []
    do_batch = archive.lane._do_batch

    def watched(batch: list[Job], writer: Writer) -> None:
        batches.append(len(batch))
        do_batch(batch, writer)

    monkeypatch.setattr(archive.lane, "_do_batch", watched)
    await asyncio.gather(*(send(archive, Object()) for _ in range(10)))
    assert batches == [10]
    batches.clear()
    stored = await asyncio.gather(*(send(archive, Object()) for _ in range(200)))
    assert all(each.new for each in stored)
    assert sum(batches) == 200
    assert max(batches) == 64  # nobody waits for ever for who comes later


@pytest.mark.parametrize("rounds", range(8))
async def test_a_large_object_that_comes_while_small_ones_gather_waits_for_nobody(
    archive: Archive, rounds: int
) -> None:
    small = [asyncio.create_task(send(archive, Object())) for _ in range(5)]
    for _ in range(rounds):
        await asyncio.sleep(0)
    large = [asyncio.create_task(send(archive, Object(pixels=bytes(size)))) for size in (100_000, 3 << 20)]
    late = [asyncio.create_task(send(archive, Object())) for _ in range(5)]
    stored = await asyncio.wait_for(asyncio.gather(*small, *large, *late), 20)
    assert all(each.new for each in stored)
    assert archive.lane.writing == 0


@pytest.mark.parametrize("rounds", range(12))
async def test_an_archive_that_is_closed_while_objects_gather_answers_each(tmp_path: Path, rounds: int) -> None:
    archive = await Archive.open(tmp_path / "data", OPTIONS)
    things = [Object(pixels=bytes(size)) for size in (300, 300, 300, 100_000, 300)] * 2
    tasks = [asyncio.create_task(send(archive, each)) for each in things]
    for _ in range(rounds):
        await asyncio.sleep(0)
    await archive.close()
    answers = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    assert all(isinstance(each, Stored | Refused) for each in answers)
    kept = {each.header.sop_instance for each in answers if isinstance(each, Stored)}
    again = await Archive.open(tmp_path / "data", OPTIONS)
    try:
        assert (await again.index.counts()).instances == len(kept)
    finally:
        await again.close()


async def test_many_of_one_uid_that_come_together_are_one_object(archive: Archive) -> None:
    small, large = Object(), Object(pixels=bytes(100_000))
    tasks = [send(archive, each) for _ in range(70) for each in (small, large)]
    stored = await asyncio.wait_for(asyncio.gather(*tasks), 60)
    assert sum(each.new for each in stored) == 2
    assert len(files(archive)) == 2
