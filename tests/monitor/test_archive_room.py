"""What the archive's room tells of objects without file and of studies with objects of two patients."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.contract.node import Problem
from pacstui.monitor.archive import ArchiveRoom, StudiesRoom
from pacstui.monitor.problems import Problems
from pacstui.settings import ArchiveSettings
from tests.archive.conftest import send
from tests.archive.objects import Object


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path / "data", ArchiveSettings(reserve_bytes=0, journal_bytes=0), Bus())
    try:
        yield opened
    finally:
        await opened.close()


async def _lose(archive: Archive, *objects: Object) -> None:
    for each in objects:
        known = await archive.index.instance(each.sop)
        assert known is not None
        archive.path_of(known.path).unlink()
    await archive.reconcile()


async def _problems(archive: Archive) -> tuple[ArchiveRoom, dict[str, Problem]]:
    problems = Problems(FakeClock())
    room = ArchiveRoom(archive, problems, Bus(), FakeClock())
    await room.refresh()
    return room, {told.name: told for told in problems.now()}


async def test_objects_without_file_are_listed_all_of_them_or_those_of_a_study(archive: Archive) -> None:
    first, other = Object(), Object()
    second, whole = first.beside(), first.beside()
    for each in (first, second, whole, other):
        await send(archive, each)
    await _lose(archive, first, second, other)
    room, problems = await _problems(archive)
    told = problems["objects-missing"]
    assert (told.level, told.text) == ("fail", "3 objects of the index without file, or with a damaged one")
    assert told.screen == "studies:missing"
    assert "pacstui storage missing" in told.hint
    assert [row.sop_instance for row in await room.missing()] == [other.sop, second.sop, first.sop]
    assert [row.sop_instance for row in await room.missing(study=first.study)] == [second.sop, first.sop]
    assert [row.sop_instance for row in await room.missing(limit=1, study=first.study)] == [second.sop]
    assert await room.missing(study="1.2.3") == ()
    (row,) = await room.missing(study=other.study)
    assert (row.study, row.calling) == (other.study, "SENDER")
    assert not archive.path_of(row.path).exists()
    assert (await StudiesRoom(archive).show(first.study)).missing == 2
    page = await StudiesRoom(archive).list(only="missing")
    assert [each.study for each in page.rows] == [other.study, first.study]


async def test_a_study_of_two_patients_is_told_and_listed(archive: Archive) -> None:
    first = Object(patient="P1")
    await send(archive, first)
    await send(archive, first.beside(patient="P2"))
    await send(archive, Object())
    _, problems = await _problems(archive)
    told = problems["conflicts"]
    assert (told.level, told.text) == ("note", "1 study with objects of two patients")
    assert told.screen == "studies:conflicts"
    assert "pacstui studies list --only conflicts" in told.hint
    (row,) = (await StudiesRoom(archive).list(only="conflicts")).rows
    assert (row.study, row.conflict) == (first.study, "objects of patient P2 came under a study of P1")


async def test_nothing_is_told_of_an_archive_in_order(archive: Archive) -> None:
    await send(archive, Object())
    room, problems = await _problems(archive)
    assert problems == {}
    assert await room.missing() == ()
