"""What the node does by itself to stay sound, run as jobs on a real archive."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pacstui import events
from pacstui.archive import Archive
from pacstui.audit.room import AuditRoom
from pacstui.audit.trail import Trail
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.contract.jobs import RunRow
from pacstui.contract.peers import EchoResult, EchoStep, PeerRow
from pacstui.errors import BadRequest, NotFound
from pacstui.jobs.room import JobsRoom
from pacstui.settings import ArchiveSettings
from pacstui.upkeep import kinds as upkeep
from tests.archive.conftest import send
from tests.archive.objects import Object


@dataclass
class Peers:
    """Peers that answer, or do not."""

    silent: dict[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ("CT1", "MR2", "TELERAD")
    asked: list[str] = field(default_factory=list)

    async def list(self) -> tuple[PeerRow, ...]:
        return tuple(PeerRow(name, name, "h", 104, "", None, 0, "never", None, 0.0, "") for name in self.names)

    async def echo(self, name: str, *, quiet: bool = False) -> EchoResult:
        assert quiet
        self.asked.append(name)
        if name not in self.names:
            raise NotFound(f"there is no peer {name}")
        why = self.silent.get(name)
        return EchoResult(name, why is None, 1.0, (EchoStep("TCP", why is None, 1.0, why or ""),), "")


@dataclass
class Node:
    archive: Archive
    jobs: JobsRoom
    peers: Peers
    trail: Trail
    told: list[events.Event]

    async def run(self, job: str, **parameters: str) -> RunRow:
        """Run a job to its end."""
        if parameters:
            await self.jobs.edit(job, parameters=parameters)
        run = await self.jobs.start(job)
        for _ in range(1000):
            run = await self.jobs.run(run.id)
            if run.ended is not None:
                return run
            await asyncio.sleep(0.005)
        raise AssertionError(f"{job} did not end")

    async def lines(self, run: RunRow) -> list[str]:
        return [line.text for line in await self.jobs.log(run.id)]

    def file(self, thing: Object) -> Path:
        with sqlite3.connect(self.archive.data_dir / "index.db") as index:
            row = index.execute("SELECT path FROM instances WHERE sop_instance=?", (thing.sop,)).fetchone()
        return self.archive.data_dir / str(row[0])

    def missing(self, thing: Object) -> int:
        with sqlite3.connect(self.archive.data_dir / "index.db") as index:
            sql = "SELECT missing FROM instances WHERE sop_instance=?"
            return int(index.execute(sql, (thing.sop,)).fetchone()[0])


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    bus, clock, peers = Bus(), FakeClock(), Peers()
    told: list[events.Event] = []
    bus.subscribe(events.Event, told.append)
    archive = await Archive.open(tmp_path / "data", ArchiveSettings(reserve_bytes=0, journal_bytes=0), bus)
    trail = Trail(archive.db, tmp_path / "data", None, clock)
    await trail.open()
    jobs = JobsRoom(archive.db, bus, clock)
    audit = AuditRoom(trail, archive.db, bus, clock, 0, 900.0)
    for kind in upkeep.kinds(archive, peers, audit, bus, clock):  # type: ignore[arg-type]
        jobs.register(kind)
    await jobs.open()
    await jobs.want(upkeep.wanted(any_peers=True), of=upkeep.KINDS)
    try:
        yield Node(archive, jobs, peers, trail, told)
    finally:
        await jobs.close()
        await trail.close()
        await archive.close()


async def stored(node: Node, count: int) -> list[Object]:
    things = [Object()]
    things += [things[0].beside() for _ in range(count - 1)]
    for thing in things:
        await send(node.archive, thing)
    return things


async def test_jobs_that_a_node_makes_by_itself(node: Node) -> None:
    rows = {row.name: row for row in (await node.jobs.list()).jobs}
    assert set(rows) == set(upkeep.KINDS)
    assert all(row.builtin and row.enabled and not row.problem for row in rows.values())
    assert rows["echo-sweep"].quiet
    assert rows["integrity"].schedule_text == "every day at 01:30"
    await node.jobs.want(upkeep.wanted(any_peers=False), of=upkeep.KINDS)
    assert "echo-sweep" not in {row.name for row in (await node.jobs.list()).jobs}


async def test_peers_that_do_not_answer_are_named(node: Node) -> None:
    run = await node.run("echo-sweep")
    assert (run.state, run.text, run.done, run.total) == ("done", "3 peers answered", 3, 3)
    node.peers.silent["TELERAD"] = "connection refused"
    run = await node.run("echo-sweep")
    assert (run.state, run.errors) == ("warning", 1)
    assert run.text == "2 of 3 peers answered; silent: TELERAD (TCP: connection refused)"
    node.peers.asked.clear()
    run = await node.run("echo-sweep", peers="CT1, NOBODY")
    assert sorted(node.peers.asked) == ["CT1", "NOBODY"]
    assert "NOBODY (there is no peer NOBODY)" in run.text


async def test_objects_are_read_back_a_part_each_time_until_all_were(node: Node) -> None:
    things = await stored(node, 10)
    run = await node.run("integrity", percent="30", rate="0")
    assert run.text.startswith("3 objects read back, ")
    assert run.text.endswith("all as they were stored; the whole archive in 4 runs")
    assert run.done_bytes > 0
    node.file(things[4]).write_bytes(b"")  # in the second part
    assert (await node.run("integrity")).state == "warning"
    assert node.missing(things[4])
    for _ in range(2):
        run = await node.run("integrity")
    assert any("has been read once since" in line for line in await node.lines(run))


async def test_damaged_and_missing_objects_are_marked_named_and_told(node: Node) -> None:
    things = await stored(node, 5)
    damaged, gone = node.file(things[1]), node.file(things[3])
    whole = damaged.read_bytes()
    os.chmod(damaged, 0o600)
    damaged.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    gone.rename(gone.with_suffix(".away"))
    run = await node.run("integrity", percent="100")
    assert (run.state, run.errors, run.done) == ("warning", 2, 5)
    assert ": 1 damaged, 1 missing" in run.text
    lines = await node.lines(run)
    assert any(things[1].sop in line and "differs" in line for line in lines)
    assert any(things[3].sop in line and "is not there" in line for line in lines)
    assert [node.missing(thing) for thing in things] == [0, 2, 0, 1, 0]
    assert len([event for event in node.told if isinstance(event, events.InstanceUnreadable)]) == 2
    gone.with_suffix(".away").rename(gone)
    await node.archive.reconcile()  # it looks at lengths only: the damaged one stays marked
    assert [node.missing(things[at]) for at in (1, 3)] == [2, 0]
    damaged.write_bytes(whole)
    run = await node.run("integrity")
    assert (run.state, "1 of them marked as missing or damaged before" in run.text) == ("done", True)
    assert [node.missing(thing) for thing in things] == [0] * 5


async def test_a_damaged_object_that_is_sent_again_is_made_good(node: Node) -> None:
    (thing,) = await stored(node, 1)
    path = node.file(thing)
    data = path.read_bytes()
    os.chmod(path, 0o600)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    await node.run("integrity", percent="100")
    assert node.missing(thing) == 2
    await send(node.archive, thing)
    run = await node.run("integrity")
    assert (run.state, node.missing(thing)) == ("done", 0)


async def test_a_volume_that_is_gone_does_not_mark_the_whole_archive(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacstui.upkeep.integrity._IN_A_ROW", 3)
    things = await stored(node, 6)
    (node.archive.data_dir / "objects").rename(node.archive.data_dir / "elsewhere")
    run = await node.run("integrity", percent="100")
    assert run.state == "failed"
    assert "3 objects one after the other cannot be read" in run.text
    assert [node.missing(thing) for thing in things] == [0] * 6
    (node.archive.data_dir / "elsewhere").rename(node.archive.data_dir / "objects")


async def test_reading_back_keeps_to_its_rate_and_can_be_cancelled(node: Node) -> None:
    await stored(node, 120)
    await node.jobs.edit("integrity", parameters={"percent": "100", "rate": "0.001"})
    run = await node.jobs.start("integrity")
    for _ in range(400):
        if (await node.jobs.run(run.id)).done:
            break
        await asyncio.sleep(0.005)
    await node.jobs.cancel(run.id)
    for _ in range(400):
        run = await node.jobs.run(run.id)
        if run.ended:
            break
        await asyncio.sleep(0.005)
    assert (run.state, run.done) == ("cancelled", 50)
    (job,) = [entry.job for entry in node.jobs._runner.entries.values() if entry.job.name == "integrity"]
    assert json.loads(job.kept)["after"] == 50
    for wrong in ("0", "101", "many"):
        with pytest.raises(BadRequest, match="percent cannot be"):
            await node.jobs.edit("integrity", parameters={"percent": wrong})


async def test_database_audit_trail_index_and_files(node: Node) -> None:
    things = await stored(node, 3)
    for check in ("quick", "full"):
        run = await node.run("database", check=check)
        assert (run.state, run.text[:7]) == ("done", "sound; ")
    await node.trail.note("action", "ok", "op1", action="x")
    await node.trail.seal()
    run = await node.run("audit-verify")
    assert run.text.endswith("as they were written")
    run = await node.run("reindex")
    assert (run.text, run.done, run.total) == ("3 objects read into the index", 3, 3)
    node.file(things[0]).unlink()
    run = await node.run("reconcile")
    assert (run.state, run.text) == ("warning", "2 files compared: 1 missing")
    run = await node.run("reindex")
    assert (run.state, run.text) == ("warning", "3 objects read into the index, 1 could not be read")


async def test_an_audit_trail_that_has_just_begun_is_sound_and_one_whose_head_is_taken_is_not(node: Node) -> None:
    await node.trail.record("node", "ok", "node")
    run = await node.run("audit-verify")
    assert (run.state, run.text) == ("done", "1 entry as they were written")
    node.trail.head_path.unlink()
    assert (await node.run("audit-verify")).state == "failed"


async def test_a_broken_audit_trail_is_a_failed_job(node: Node) -> None:
    await node.trail.note("action", "ok", "op1", action="x")
    await node.trail.seal()
    with sqlite3.connect(node.archive.data_dir / "index.db") as index:
        index.execute("DROP TRIGGER audit_stays")
        index.execute("UPDATE audit SET who='somebody'")
    run = await node.run("audit-verify")
    assert (run.state, run.hint.partition(";")[0]) == ("failed", "pacstui audit verify tells where")
    (problem,) = node.jobs.problems()
    assert problem[2].startswith("the job audit-verify failed: the audit trail is not as it was written")
