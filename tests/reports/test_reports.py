"""Reports: what is counted, which days they are about, and how they are written and kept."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from pacstui import events
from pacstui.archive import Archive
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.contract.backups import BackupsView, Loss
from pacstui.contract.node import ArchivePart
from pacstui.contract.reports import CallerRow, UsageReport
from pacstui.contract.storage import StorageView
from pacstui.errors import BadRequest, PacsError, Unavailable
from pacstui.reports import numbers, pages, shelf
from pacstui.reports.period import period_of
from pacstui.reports.room import ReportsRoom, Surroundings
from pacstui.reports.tally import OTHERS, Tally
from pacstui.settings import ReportsSettings
from tests.archive.conftest import OPTIONS, send
from tests.archive.objects import Object
from tests.space.conftest import OneRun

TODAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "first", "last", "word"),
    [
        ("day", "2026-03-09", "2026-03-09", "2026-03-09"),
        ("week", "2026-03-02", "2026-03-08", "2026-W10"),
        ("month", "2026-02-01", "2026-02-28", "2026-02"),
        ("30", "2026-02-08", "2026-03-09", "30d-2026-03-09"),
        ("30 days", "2026-02-08", "2026-03-09", "30d-2026-03-09"),
        ("2025-12", "2025-12-01", "2025-12-31", "2025-12"),
        ("2026-03-10", "2026-03-10", "2026-03-10", "2026-03-10"),
        ("2026-01-01..2026-01-07", "2026-01-01", "2026-01-07", "2026-01-01_2026-01-07"),
    ],
)
def test_periods(text: str, first: str, last: str, word: str) -> None:
    found = period_of(text, TODAY)
    assert (found.first.isoformat(), found.last.isoformat(), found.word) == (first, last, word)


@pytest.mark.parametrize("text", ["", "0", "year", "2026-13", "2026-04", "2026-03-02..2026-03-01", "../x", "9999"])
def test_what_is_no_period(text: str) -> None:
    with pytest.raises(BadRequest, match="no period"):
        period_of(text, TODAY)


@given(some.text(max_size=30))
def test_any_text_is_a_period_or_a_mistake(text: str) -> None:
    try:
        found = period_of(text, TODAY)
    except BadRequest:
        return
    assert found.first <= found.last
    assert "/" not in found.word


class Reports:
    """An archive of which reports are made, at noon of a day."""

    def __init__(self, archive: Archive, bus: Bus, clock: FakeClock, folder: Path) -> None:
        self.archive = archive
        self.bus = bus
        self.clock = clock
        self.folder = folder
        self.settings = ReportsSettings(folder=str(folder), formats=("txt", "csv", "json", "html"))
        self.room = self.make()

    def make(self) -> ReportsRoom:
        async def storage() -> StorageView:
            return StorageView("/data", 1000, 400, 600, 0, 0, 0.0, None, 0, 0, True, "", ())

        async def backups() -> BackupsView:
            return BackupsView((), Loss(0, 0, 0, None, "", None, 0.0, None))

        around = Surroundings(lambda: "PACS", lambda: ArchivePart(1, 2, 3, 4, 600, 400, 0), storage, backups)
        return ReportsRoom(self.archive.db, self.bus, self.clock, self.settings, self.folder, around)

    async def write(self, **parameters: str) -> str:
        run = OneRun(**{"period": "day", "formats": "", **parameters})
        outcome = await self.room.kinds()[0].work(run)
        return outcome.text


@pytest.fixture
async def reports(tmp_path: Path) -> AsyncIterator[Reports]:
    clock, bus = FakeClock(NOON - timedelta(days=1)), Bus()
    archive = await Archive.open(tmp_path / "data", OPTIONS, bus, clock=clock, busy_s=0.3)
    try:
        yield Reports(archive, bus, clock, tmp_path / "reports")
    finally:
        await archive.close()


def closed(at: datetime, calling: str, how: str) -> events.AssociationClosed:
    return events.AssociationClosed(at, 1, calling, "10.0.0.1", how, "", 3, 0, 100, 1.0)


async def test_a_report_has_what_came_by_day_modality_and_sender_and_what_went_wrong(reports: Reports) -> None:
    first = Object(modality="CT")
    for thing, calling in ((first, "CT1"), (first.beside(), "CT1"), (Object(modality="MR"), "MR2")):
        await send(reports.archive, thing, calling=calling)
    at = reports.clock.now()
    for event in (
        events.AssociationOpened(at, 1, "CT1", "PACS", "10.0.0.1", 3), closed(at, "CT1", "released"),
        events.AssociationOpened(at, 2, "CT1", "PACS", "10.0.0.1", 3), closed(at, "CT1", "lost"),
        events.AssociationRefused(at, 3, "", "X", "10.0.0.9", 1, 1, 7, "unknown", ""),
        events.InstanceRefused(at, 1, "CT1", "1.2", 0xA700, "no room"),
        events.Retrieved(at, 4, "WS", "C-MOVE", "WS", 5, 1, 2, 0, "gone", ""),
        events.StudyFetched(at, "VNA", "1.2", "C-GET", 7, 0, "", ""),
    ):  # fmt: skip
        reports.bus.publish(event)
    reports.clock.advance(86400)
    await send(reports.archive, Object(), calling="LATE")  # of another day
    report = await reports.room.show("day")
    assert (report.studies, report.instances, len(report.days)) == (2, 3, 1)
    assert [(row.name, row.studies, row.instances) for row in report.modalities] == [("CT", 1, 2), ("MR", 1, 1)]
    assert [(row.name, row.instances) for row in report.senders] == [("CT1", 2), ("MR2", 1)]
    assert sum(row.bytes for row in report.senders) == report.bytes == report.days[0].bytes
    assert set(report.callers) == {
        CallerRow("CT1", associations=2, broken=1, not_stored=1), CallerRow("10.0.0.9", refused=1),
        CallerRow("WS", sent=6, not_sent=2), CallerRow("VNA", fetched=7),
    }  # fmt: skip
    assert (await reports.room.show("2026-03-10")).senders[0].name == "LATE"


async def test_counts_survive_a_restart_and_a_database_that_is_busy(
    reports: Reports, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = reports.clock.now()
    reports.bus.publish(events.AssociationOpened(at, 1, "CT1", "PACS", "10.0.0.1", 3))

    async def busy(_: object) -> None:
        raise Unavailable("the database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(reports.archive.db, "write", busy)
        with pytest.raises(Unavailable):
            await reports.room.tick()
    await reports.room.tick()
    await reports.room.tick()
    again = Reports(reports.archive, Bus(), reports.clock, reports.folder)
    assert (await again.room.show("2026-03-09")).callers == (CallerRow("CT1", associations=1),)


async def test_callers_by_the_thousand_are_not_told_apart(reports: Reports) -> None:
    bus = Bus()
    tally = Tally(reports.archive.db, bus)
    for number in range(1500):
        bus.publish(events.AssociationRefused(NOON, number, f"X{number}", "", "10.0.0.9", 1, 1, 3, "unknown", ""))
    await tally.flush()
    rows = await numbers.callers(reports.archive.db, period_of("2026-03-10", TODAY))
    assert len(rows) == 1001
    assert rows[0] == CallerRow(OTHERS, refused=500)


async def test_the_job_writes_each_format_and_says_where(reports: Reports) -> None:
    await send(reports.archive, Object(), calling="CT1")
    reports.clock.advance(86400)
    told = await reports.write()
    assert told.startswith("2026-03-09 to 2026-03-09: 1 study, 1 instance, ")
    assert "usage-2026-03-09.txt and .csv, .json, .html" in told
    names = sorted(os.listdir(reports.folder))
    assert names == [f"usage-2026-03-09.{each}" for each in ("csv", "html", "json", "txt")]
    assert json.loads((reports.folder / names[2]).read_text())["senders"][0]["name"] == "CT1"
    rows = list(csv.reader(io.StringIO((reports.folder / names[0]).read_text())))
    assert ["CT1", "1", "1"] in [row[:3] for row in rows]
    assert "<td >CT1</td>" in (reports.folder / names[1]).read_text()
    assert "there is no backup target" in (reports.folder / names[3]).read_text()
    await reports.write(formats="csv")  # the same period again takes its place
    assert len(await reports.room.files()) == 4


def report_of(name: str) -> UsageReport:
    callers = (CallerRow(name, associations=1),)
    return UsageReport(
        "PACS", "day", TODAY, TODAY, NOON, 0, 0, 0, (), (), (), callers, 0, 0, 0, 0, 0, 0.0, None, (), ()
    )


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A1", "+1", "@x", "-1"])
def test_a_cell_is_never_a_formula(name: str) -> None:
    rows = list(csv.reader(io.StringIO(pages.comma_separated(report_of(name)))))
    assert ["'" + name, "1"] in [row[:2] for row in rows]


@given(some.text(max_size=40))
def test_a_name_is_never_markup_nor_another_row(name: str) -> None:
    report = report_of(name)
    page = pages.html(report)
    assert page.count("<td ") == 10
    assert page.count("<table>") == 2
    lines = pages.text(report).splitlines()
    assert len(lines) == len(pages.text(report_of("CT1")).splitlines())
    assert len(list(csv.reader(io.StringIO(pages.comma_separated(report), newline="")))) == 28
    assert json.loads(pages.as_json(report))["callers"][0]["name"] == name


async def test_old_reports_go_and_nothing_else(reports: Reports) -> None:
    reports.folder.mkdir()
    old = (reports.clock.now() - timedelta(days=1200)).timestamp()
    for name in ("usage-2022-01.csv", "usage-2022-01.csv.bak", "budget.xlsx", "usage-2026-02.csv"):
        (reports.folder / name).write_text("x")
        if "2026" not in name:
            os.utime(reports.folder / name, (old, old))
    (reports.folder / "usage-2022-02.csv").symlink_to(reports.folder / "budget.xlsx")
    assert "1 old report removed" in await reports.write(formats="txt")
    assert sorted(os.listdir(reports.folder)) == [
        "budget.xlsx", "usage-2022-01.csv.bak", "usage-2022-02.csv", "usage-2026-02.csv", "usage-2026-03-08.txt",
    ]  # fmt: skip


def test_a_folder_that_cannot_be_written_says_so_and_keeps_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unavailable, match="No such file") as caught:
        shelf.write(tmp_path / "not" / "mounted", "2026-02", {"txt": "x"})
    assert "[reports] folder" in caught.value.hint
    shelf.write(tmp_path, "2026-02", {"txt": "whole"})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(PacsError, match="No space left") as caught:
        shelf.write(tmp_path, "2026-02", {"txt": "x" * 9})
    assert caught.value.code == "storage-full"
    assert (tmp_path / "usage-2026-02.txt").read_text() == "whole"
