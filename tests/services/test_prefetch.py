"""Earlier studies are fetched of whom a study arrived, and of nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pacstui.archive import Archive
from pacstui.archive.trash_rows import Which
from pacstui.clock import FakeClock
from pacstui.contract.remote import PullRow, RemotePage, RemoteStudy
from pacstui.errors import NotFound, Unavailable
from pacstui.jobs.kinds import Cancelled, Outcome
from pacstui.services.prefetch import prefetch_kind
from tests.archive.conftest import OPTIONS, send
from tests.archive.objects import Object
from tests.space.conftest import OneRun

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def prior(study: str, date: str = "20250101", patient: str = "P1", *, here: int = 0, **more: str) -> RemoteStudy:
    modality, birth = more.get("modality", "CT"), more.get("birth", "")
    return RemoteStudy(study, "DOE^JANE", patient, birth, date, "120000", (modality,), "", "", 1, 10, here)


class Archives:
    """Peers with studies; those in ``silent`` do not answer, studies in ``bad`` cannot be fetched."""

    def __init__(self) -> None:
        self.has: dict[str, list[RemoteStudy]] = {"vna": [], "old": []}
        self.silent: set[str] = set()
        self.bad: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []
        self.pulled: list[tuple[str, str]] = []
        self.hold = asyncio.Event()
        self.begun = asyncio.Event()
        self.hold.set()
        self.cancelled: list[int] = []

    def title_of(self, peer: str) -> str:
        if peer not in self.has:
            raise NotFound(f"there is no peer {peer}")
        return peer.upper()

    async def find(self, peer: str, *, id: str, limit: int) -> RemotePage:
        if peer in self.silent:
            raise Unavailable("nothing listens", "is it on?")
        self.asked.append((peer, id))
        return RemotePage(peer, tuple(row for row in self.has[peer] if row.patient_id.startswith(id)), False)

    async def pull(self, peer: str, study: str) -> PullRow:
        self.pulled.append((peer, study))
        self.begun.set()
        return self._row(len(self.pulled), "running", 0)

    async def ended(self, id: int) -> PullRow:
        await self.hold.wait()
        why = self.bad.get(self.pulled[id - 1][1], "")
        state = "cancelled" if id in self.cancelled else "failed" if why else "done"
        return self._row(id, state, 0 if why else 10, why)

    async def cancel(self, id: int) -> None:
        self.cancelled.append(id)
        self.hold.set()

    def _row(self, id: int, state: str, received: int, why: str = "") -> PullRow:
        peer, study = self.pulled[id - 1]
        return PullRow(id, peer, study, "C-GET", state, 10, received, 0, NOW, 1.0, why, "")

    @property
    def studies(self) -> list[str]:
        return [study for _, study in self.pulled]


class Stopping(OneRun):
    """A run that somebody cancels."""

    async def stopped(self) -> None:
        await asyncio.Event().wait() if not self.stopping else None


class Hospital:
    def __init__(self, archive: Archive, clock: FakeClock) -> None:
        self.archive = archive
        self.clock = clock
        self.archives = Archives()
        self.kind = prefetch_kind(self.archives, archive.db, clock)

    async def prefetch(self, run: OneRun | None = None, **given: str) -> Outcome:
        values = {each.name: each.default for each in self.kind.parameters} | {"peers": "vna"} | given
        run = run or Stopping()
        run.parameters = values
        return await self.kind.work(run)


@pytest.fixture
async def hospital(tmp_path: Path) -> AsyncIterator[Hospital]:
    clock = FakeClock(NOW)
    archive = await Archive.open(tmp_path / "data", OPTIONS, clock=clock, busy_s=0.3)
    try:
        yield Hospital(archive, clock)
    finally:
        await archive.close()


async def test_the_newest_priors_of_arrived_patients_come_once(hospital: Hospital) -> None:
    now = Object(patient="P1")
    await send(hospital.archive, now, calling="CT1")
    await send(hospital.archive, Object(patient="", name="NOBODY"), calling="CT1")
    hospital.archives.has["vna"] = [
        prior(now.study, "20260601"), prior("1.1", "20230101"), prior("1.2", "20250101"), prior("1.3", "20240101"),
        prior("1.4", "20220101"), prior("1.5", "20100101"), prior("1.6", "20250301", here=10),
    ]  # fmt: skip
    outcome = await hospital.prefetch()
    assert hospital.archives.asked == [("vna", "P1")]
    assert hospital.archives.studies == ["1.2", "1.3"]  # with the one that is here: the newest three
    assert outcome.text == "1 patient looked at: 2 studies fetched (20 instances), 1 here already"
    assert not outcome.warning


async def test_another_patients_studies_stay_where_they_are(hospital: Hospital) -> None:
    await send(hospital.archive, Object({0x00100030: ("DA", "19700101")}, patient="P1"), calling="CT1")
    hospital.archives.has["vna"] = [
        prior("1.1", patient="P10"), prior("1.2", birth="19990909"), prior("1.3", birth="19700101"),
    ]  # fmt: skip
    run = Stopping()
    await hospital.prefetch(run)
    assert hospital.archives.studies == ["1.3"]
    assert any("1.2: the birth date there is another one" in note for note in run.notes)
    assert not any("P1" in note for note in run.notes)  # no patients in logs


async def test_what_was_fetched_asks_for_nothing_and_what_was_deleted_stays_away(hospital: Hospital) -> None:
    await send(hospital.archive, Object(patient="P9"), calling="VNA")
    gone = Object(patient="P1")
    await send(hospital.archive, gone, calling="CT1")
    await hospital.archive.trash.delete(Which(gone.study), by="op1")
    await send(hospital.archive, Object(patient="P1"), calling="CT1")
    hospital.archives.has["vna"] = [prior(gone.study), prior("1.2")]
    await hospital.prefetch()
    assert hospital.archives.asked == [("vna", "P1")]
    assert hospital.archives.studies == ["1.2"]


async def test_only_lately_arrived_only_some_modalities_or_a_list(hospital: Hospital) -> None:
    await send(hospital.archive, Object(patient="P1"), calling="CT1")
    hospital.clock.advance(30 * 3600)
    hospital.archives.has["vna"] = [prior("1.1"), prior("1.2", patient="P2"), prior("1.3", patient="P2", modality="US")]
    assert (await hospital.prefetch()).text == "0 patients looked at: 0 studies fetched"
    await hospital.prefetch(patients="P2, P3,P2,P*", modalities="us, mr")
    assert hospital.archives.asked == [("vna", "P2"), ("vna", "P3")]
    assert hospital.archives.studies == ["1.3"]


async def test_no_more_than_allowed_and_the_next_run_goes_on(hospital: Hospital) -> None:
    for number in range(4):
        await send(hospital.archive, Object(patient=f"P{number}"), calling="CT1")
        hospital.archives.has["vna"] += [prior(f"1.{number}.{each}", patient=f"P{number}") for each in range(2)]
    outcome = await hospital.prefetch(most="3")
    assert len(hospital.archives.pulled) == 3
    assert "2 patients left for the next run" in outcome.text


async def test_what_goes_wrong_is_named_and_the_rest_is_fetched(hospital: Hospital) -> None:
    await send(hospital.archive, Object(patient="P1"), calling="CT1")
    hospital.archives.has["vna"] = [prior("1.1"), prior("1.2")]
    hospital.archives.bad["1.1"] = "vna ended with A702H"
    hospital.archives.silent.add("old")
    outcome = await hospital.prefetch(peers="old,vna")
    assert outcome.warning
    assert "1 study fetched" in outcome.text
    assert "1 could not be fetched: 1.1: vna ended with A702H" in outcome.text
    assert "old cannot be asked: nothing listens" in outcome.text
    with pytest.raises(Unavailable, match="none of the archives can be asked: nothing listens"):
        await hospital.prefetch(peers="old")
    with pytest.raises(NotFound, match="no peer nobody"):
        await hospital.prefetch(peers="nobody")


async def test_a_cancelled_run_cancels_what_is_on_its_way(hospital: Hospital) -> None:
    await send(hospital.archive, Object(patient="P1"), calling="CT1")
    hospital.archives.has["vna"] = [prior("1.1"), prior("1.2")]
    hospital.archives.hold.clear()
    stop = asyncio.Event()

    class Cancelling(OneRun):
        async def stopped(self) -> None:
            await stop.wait()

    run = Cancelling()
    task = asyncio.create_task(hospital.prefetch(run))
    await hospital.archives.begun.wait()
    run.stopping = True
    stop.set()
    with pytest.raises(Cancelled):
        await task
    assert (hospital.archives.studies, hospital.archives.cancelled) == (["1.1"], [1])
