"""Objects whose file is damaged or gone come back from a backup; and what a backup has of the archive."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pacstui.archive import Archive
from pacstui.archive.reconcile import DAMAGED
from pacstui.archive.trash_rows import Which
from pacstui.backups.ops import perform
from pacstui.backups.protection import Protection
from pacstui.backups.request import Request
from pacstui.backups.spec import Spec
from pacstui.bus import Bus
from pacstui.clock import SYSTEM
from pacstui.errors import Unavailable
from pacstui.index.queries import Instance
from pacstui.jobs.kinds import Outcome
from pacstui.qc.corrections import CorrectionsRoom
from pacstui.settings import QcSettings
from pacstui.space.repair import Repair
from pacstui.space.studies import instances
from tests.archive.conftest import OPTIONS, files, send
from tests.archive.objects import Object
from tests.backups.conftest import Place, fill, mark
from tests.qc.ward import study_of
from tests.space.conftest import OneRun


@pytest.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    opened = await Archive.open(tmp_path / "data", OPTIONS, busy_s=0.3)
    await mark(opened)
    try:
        yield opened
    finally:
        await opened.close()


class Peers:
    """Peers that send what they have: bytes by name of the peer and SOP Instance UID."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.has: dict[str, dict[str, bytes]] = {}
        self.silent: set[str] = set()
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.places: set[tuple[str, str, str]] = set()

    def names(self) -> tuple[str, ...]:
        return tuple(self.has)

    async def bring(self, name: str, wanted: Sequence[Instance]) -> str:
        self.asked.append((name, tuple(each.sop_instance for each in wanted)))
        self.places |= {(each.study, each.series, each.sop_instance) for each in wanted}
        if name in self.silent:
            raise Unavailable("nothing listens", "is it on?")
        for each in wanted:
            data = self.has[name].get(each.sop_instance)
            if data is not None:
                await send(self.archive, data, sop=each.sop_instance, sop_class=each.sop_class, calling=name.upper())
        return "C-GET"


class Listening(OneRun):
    async def stopped(self) -> None:
        await asyncio.Event().wait()


async def harmed(archive: Archive, thing: Object, harm: Callable[[Path], bytes]) -> tuple[Path, bytes]:
    """Harm an object's file, and mark it as reading back would; return where it is and what is left."""
    path = archive.data_dir / (await archive.index.instance(thing.sop)).path  # type: ignore[union-attr]
    left = harm(path)
    await archive.db.write(
        lambda c: c.execute("UPDATE instances SET missing=? WHERE sop_instance=?", (DAMAGED, thing.sop))
    )
    return path, left


class Targets:
    """Targets in folders, asked without a process of their own."""

    def __init__(self, archive: Archive, tmp_path: Path) -> None:
        self.archive = archive
        self.places = {name: Place(Spec(name, str(tmp_path / name)), archive.data_dir) for name in ("disk", "nas")}
        self.protection = Protection(lambda: list(self.places), self.ask)
        self.peers = Peers(archive)

    async def ask(self, name: str, op: str, **arguments: Any) -> dict[str, Any]:
        place = self.places[name]
        request = Request(op, place.spec, str(self.archive.data_dir), arguments=arguments)
        return await asyncio.to_thread(perform, request, place.watch())

    async def held(self, study: Object, copies: int = 1) -> list[bool]:
        key = await self.archive.db.read(
            lambda c: c.execute("SELECT id FROM studies WHERE study = ?", (study.study,)).fetchone()[0]
        )
        return await self.protection.held(await instances(self.archive.db, key), copies)

    async def repair(self, run: OneRun | None = None) -> Outcome:
        scratch = self.archive.data_dir / "repair" / "7"
        return await Repair(self.archive, self.protection, self.peers, SYSTEM, run or OneRun(), scratch).work()  # type: ignore[arg-type]


@pytest.fixture
def targets(archive: Archive, tmp_path: Path) -> Targets:
    return Targets(archive, tmp_path)


async def test_only_what_the_newest_snapshot_has_is_safe(archive: Archive, targets: Targets) -> None:
    things = await fill(archive, 2)
    await asyncio.to_thread(targets.places["disk"].take)
    with pytest.raises(Unavailable, match="2 copies"):
        await targets.held(things[0], 2)
    assert await targets.held(things[0]) == [True, True]
    await send(archive, things[0].beside())
    assert await targets.held(things[0]) == [True, True, False]
    await asyncio.to_thread(targets.places["nas"].take)
    assert await targets.held(things[0], 2) == [True, True, False]


async def test_what_was_in_the_trash_while_the_snapshot_was_taken_is_not_safe(
    archive: Archive, targets: Targets
) -> None:
    things = await fill(archive, 2)
    await fill(archive, 1)
    entry = await archive.trash.delete(Which(things[0].study))
    await asyncio.to_thread(targets.places["disk"].take)
    await archive.trash.undo(entry.id)
    with pytest.raises(Unavailable):
        await targets.held(things[0], 2)
    assert await targets.held(things[0]) == [False, False]


async def test_an_older_copy_in_a_pack_of_no_snapshot_does_not_count(archive: Archive, targets: Targets) -> None:
    things = await fill(archive, 2)
    other = await fill(archive, 1)
    await asyncio.to_thread(targets.places["disk"].take)
    entry = await archive.trash.delete(Which(things[0].study))
    await asyncio.to_thread(targets.places["disk"].take)
    await archive.trash.undo(entry.id)
    assert await targets.held(things[0]) == [False, False]
    assert await targets.held(other[0]) == [True]


def damage(path: Path) -> bytes:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    return bytes(data)


def cut(path: Path) -> bytes:
    data = path.read_bytes()[:-20]
    path.write_bytes(data)
    return data


def remove(path: Path) -> bytes:
    path.unlink()
    return b""


@pytest.mark.parametrize("harm", [damage, cut, remove])
async def test_a_harmed_object_comes_back_as_it_was(
    archive: Archive, targets: Targets, harm: Callable[[Path], bytes]
) -> None:
    things = await fill(archive, 3)
    await asyncio.to_thread(targets.places["nas"].take)
    before = {path: path.read_bytes() for path in files(archive)}
    path = archive.data_dir / (await archive.index.instance(things[1].sop)).path  # type: ignore[union-attr]
    left = harm(path)
    await archive.db.write(
        lambda c: c.execute("UPDATE instances SET missing=? WHERE sop_instance=?", (DAMAGED, things[1].sop))
    )
    await asyncio.to_thread(targets.places["disk"].take)  # a target that does not have it is asked first
    outcome = await targets.repair()
    assert outcome.text.startswith("1 object repaired")
    assert not outcome.warning
    found = await archive.index.instance(things[1].sop)
    assert found is not None
    assert not found.missing
    assert (archive.data_dir / found.path).read_bytes() == before[path]
    aside = files(archive, "quarantine")
    assert [each.read_bytes() for each in aside] == ([left] if left else [])
    if left:
        assert "1 damaged file set aside" in outcome.text
        (row,) = await archive.index.quarantine()
        assert row.sop_instance == things[1].sop
        assert "damaged" in row.reason
    report = await archive.reconcile()
    assert (report.adopted, report.missing, report.unreadable, report.duplicates) == (0, 0, 0, 0)
    assert not list((archive.data_dir / "repair").glob("*"))


async def test_what_no_backup_has_is_named_and_its_damaged_file_stays(archive: Archive, targets: Targets) -> None:
    things = await fill(archive, 2)
    for place in targets.places.values():
        await asyncio.to_thread(place.take)
    late = things[0].beside()
    await send(archive, late)
    path = archive.data_dir / (await archive.index.instance(late.sop)).path  # type: ignore[union-attr]
    left = damage(path)
    await archive.db.write(
        lambda c: c.execute("UPDATE instances SET missing=? WHERE sop_instance=?", (DAMAGED, late.sop))
    )
    run = OneRun()
    outcome = await targets.repair(run)
    assert outcome.warning
    assert f"1 not: {late.sop}: disk: the target does not have it; nas: the target does not have it" in outcome.text
    assert "modality" in outcome.hint
    assert path.read_bytes() == left
    assert any(late.sop in note for note in run.notes)


async def test_a_file_that_is_whole_again_needs_no_backup(archive: Archive, targets: Targets) -> None:
    things = await fill(archive, 2)
    await archive.db.write(
        lambda c: c.execute("UPDATE instances SET missing=? WHERE sop_instance=?", (DAMAGED, things[0].sop))
    )
    outcome = await targets.repair()
    assert outcome.text == "0 objects repaired, 1 found to be as stored"
    assert (await targets.repair()).text == "no object is known to be missing or damaged"


@pytest.mark.parametrize("harm", [damage, cut, remove])
async def test_what_no_backup_has_comes_from_a_peer_with_the_same_bytes(
    archive: Archive, targets: Targets, harm: Callable[[Path], bytes]
) -> None:
    (thing,) = await fill(archive, 1)
    path, left = await harmed(archive, thing, harm)
    targets.peers.has = {"dead": {}, "ws": {}, "vna": {thing.sop: thing.encode()}}
    targets.peers.silent.add("dead")
    run = Listening()
    outcome = await targets.repair(run)
    assert outcome.text.startswith("1 object repaired (1 from vna by C-GET)")
    assert not outcome.warning
    assert f"{thing.sop}: from vna by C-GET" in run.notes
    found = await archive.index.instance(thing.sop)
    assert found is not None
    assert not found.missing
    assert (archive.data_dir / found.path).read_bytes().endswith(thing.encode())
    assert [each.read_bytes() for each in files(archive, "quarantine")] == ([left] if left else [])
    assert path == archive.data_dir / found.path or not path.exists()
    report = await archive.reconcile()
    assert (report.adopted, report.missing, report.unreadable, report.duplicates) == (0, 0, 0, 0)


async def test_other_bytes_under_the_same_uid_mend_nothing_and_are_told(archive: Archive, targets: Targets) -> None:
    (thing,) = await fill(archive, 1)
    await harmed(archive, thing, remove)
    other = Object(study=thing.study, sop=thing.sop, description="ANOTHER")
    targets.peers.has = {"vna": {thing.sop: other.encode()}}
    outcome = await targets.repair(Listening())
    assert outcome.warning
    assert "other bytes came under its UID and are set aside as quarantine/" in outcome.text
    found = await archive.index.instance(thing.sop)
    assert found is not None
    assert found.missing
    (row,) = await archive.index.quarantine()
    assert (row.sop_instance, row.calling) == (thing.sop, "VNA")


async def test_peers_are_asked_for_what_is_left_only_and_in_the_order_that_is_said(
    archive: Archive, targets: Targets
) -> None:
    things = [*(await fill(archive, 1)), *(await fill(archive, 1))]
    await asyncio.to_thread(targets.places["nas"].take)
    things += await fill(archive, 1)
    for thing in things:
        await harmed(archive, thing, remove)
    targets.peers.has = {"vna": {}, "old": {things[2].sop: things[2].encode()}, "ws": {}}
    run = Listening(peers="old, vna")
    outcome = await targets.repair(run)
    assert targets.peers.asked == [("old", (things[2].sop,))]
    assert outcome.text == "3 objects repaired (2 from a backup, 1 from old by C-GET)"
    await harmed(archive, things[2], remove)
    targets.peers.asked.clear()
    assert (await targets.repair(Listening(peers="none"))).warning
    assert targets.peers.asked == []


@pytest.mark.parametrize("source", ["backup", "peer"])
async def test_what_was_moved_renamed_or_rejected_is_asked_for_as_it_came_and_stays_what_it_is(
    archive: Archive, targets: Targets, source: str
) -> None:
    whole = study_of(series=3, images=2)
    for each in whole:
        await send(archive, each)
    await asyncio.to_thread(targets.places["nas"].take)
    room = CorrectionsRoom(archive, Bus(), SYSTEM, QcSettings, lambda: "x")
    study, moved = whole[0].study, whole[0].series
    for preview in (await room.split(study, (moved,)), await room.reject(study, "quality", (whole[2].series,))):
        await room.apply(preview.token, "x")
    await room.apply((await room.reject(study, "quality", images=(whole[4].sop,))).token, "x")
    rows = "SELECT sop_instance, series, missing FROM instances ORDER BY id"
    before = await archive.db.read(lambda c: c.execute(rows).fetchall())
    for each in whole:
        await harmed(archive, each, remove)
    await archive.db.write(lambda c: c.execute("UPDATE instances SET missing=1"))
    if source == "peer":
        targets.places.clear()
        targets.peers.has = {"vna": {each.sop: each.encode() for each in whole}}
    outcome = await targets.repair(Listening())
    assert outcome.text.startswith("6 objects repaired")
    assert not outcome.warning
    assert await archive.db.read(lambda c: c.execute(rows).fetchall()) == before
    if source == "peer":
        (asked,) = targets.peers.asked
        assert set(asked[1]) == {each.sop for each in whole}
        assert targets.peers.places == {(each.study, each.series, each.sop) for each in whole}


async def test_a_peer_that_does_not_answer_is_named(archive: Archive, targets: Targets) -> None:
    (thing,) = await fill(archive, 1)
    await harmed(archive, thing, remove)
    targets.peers.has = {"vna": {}, "old": {}}
    targets.peers.silent.add("vna")
    run = Listening()
    outcome = await targets.repair(run)
    assert "vna: nothing listens; old does not have it" in outcome.text
