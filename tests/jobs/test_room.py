"""Jobs by the clock: due, late, missed, held back; and what becomes of their runs."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pacstui import events
from pacstui.clock import FakeClock
from pacstui.errors import BadRequest, NotFound, PacsError, StorageFull, Unavailable
from pacstui.jobs.kinds import Outcome, Wanted
from pacstui.jobs.schedule import Plan, plan_of
from tests.jobs.running import START, Works, room


async def test_a_job_runs_at_its_time_and_not_before(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("nightly", "short", "daily 02:00", zone="Europe/Berlin")
        await it.at("2026-06-01 23:59:59")
        assert await it.states() == []
        await it.tick()
        (run,) = await it.runs()
        assert (run.state, run.started_by, run.text) == ("done", "schedule", "all is well")
        assert run.planned == datetime(2026, 6, 2, 0, 0, tzinfo=UTC)
        assert run.late_s < 2
        await it.tick()
        assert len(await it.runs()) == 1
        assert (await it.job("nightly")).next_run == datetime(2026, 6, 3, 0, 0, tzinfo=UTC)
        assert it.sentences == ["info nightly: all is well, after 0:00"]


@pytest.mark.parametrize(
    ("day", "zone", "text", "runs"),
    [
        ("2025-10-26", "Europe/Berlin", "daily 02:30", 1), ("2025-10-26", "Europe/Berlin", "*:30", 25),
        ("2026-03-29", "Europe/Berlin", "daily 02:30", 1), ("2026-03-29", "Europe/Berlin", "*:30", 23),
        ("2022-03-13", "US/Pacific", "daily 00:00", 1), ("2018-11-04", "America/Sao_Paulo", "daily 00:00", 1),
    ],
)  # fmt: skip
async def test_over_the_nights_in_which_the_clock_is_turned(
    tmp_path: Path, day: str, zone: str, text: str, runs: int
) -> None:
    from zoneinfo import ZoneInfo

    begin = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC) - timedelta(seconds=30)
    end = (datetime.fromisoformat(day) + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    async with room(tmp_path, clock=FakeClock(begin)) as it:
        await it.room.create("it", "quiet", text, zone=zone)
        while it.clock.now() < end - timedelta(minutes=10):
            it.clock.advance(600)
            await it.room.tick()
            await it.until(lambda: not it.room.part()["running"])
        found = await it.runs()
        assert len(found) == runs
        assert all(run.late_s < 600 for run in found)


async def test_a_clock_that_jumps_ahead_makes_one_late_run(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("hourly", "short", "hourly", zone="UTC")
        await it.tick()
        it.clock.jump(5 * 3600 + 1200)
        await it.tick()
        (run,) = await it.runs()
        assert run.planned == START + timedelta(hours=5)
        assert 1190 < run.late_s < 1210
        assert (await it.job("hourly")).missed == 5
        assert it.room.part()["late"] == 1
        assert "warn hourly: late by 20 minutes: one run for 5 times that passed without" in it.sentences
        await it.at("2026-06-01 18:00:00")
        assert (await it.job("hourly")).missed == 0  # the next one is in time again
        assert len(await it.runs()) == 2


async def test_a_clock_that_is_set_back_makes_none_twice(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        await it.at("2026-06-01 14:00:05")
        it.clock.jump(-3600)
        for _ in range(8):
            await it.tick(600)
        assert len(await it.runs()) == 1
        await it.at("2026-06-02 14:00:05")
        assert len(await it.runs()) == 2


async def test_a_clock_that_was_years_ahead_is_not_waited_for(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        it.clock.jump(400 * 86400)
        await it.tick()
        it.clock.jump(-400 * 86400)
        await it.tick()
        await it.at("2026-06-01 14:00:05")
        assert len(await it.runs()) == 2


async def test_a_time_that_fell_into_a_time_without_node_is_made_up_for_once(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("backup", "short", "daily 02:00", zone="UTC")
    later = FakeClock(datetime(2026, 6, 4, 6, 0, tzinfo=UTC))
    async with room(tmp_path, clock=later) as it:
        await it.tick()
        (run,) = await it.runs()
        assert 4 * 3600 <= run.late_s < 4 * 3600 + 5
        assert (await it.job("backup")).missed == 3
        assert it.sentences[0] == "warn backup: late by 4 hours: one run for 3 times that passed without"
        for _ in range(3):
            await it.tick()
        assert len(await it.runs()) == 1


async def test_a_window_holds_a_run_back(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("heavy", "short", "daily 13:00", window="20:00-06:00", zone="UTC")
        await it.at("2026-06-01 13:00:01")
        assert await it.states() == []
        assert (await it.job("heavy")).next_run == datetime(2026, 6, 1, 20, 0, tzinfo=UTC)
        await it.at("2026-06-01 20:00:00")
        assert await it.states() == ["done"]


async def test_a_run_that_was_missed_waits_for_its_window(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("heavy", "short", "daily 22:00", window="20:00-06:00", zone="UTC")
    async with room(tmp_path, clock=FakeClock(datetime(2026, 6, 2, 9, 0, tzinfo=UTC))) as it:
        await it.tick()
        row = await it.job("heavy")
        assert (row.state, row.waits) == ("waiting", "its hours, 20:00-06:00")
        await it.at("2026-06-02 20:00:00")
        assert await it.states() == ["done"]


async def test_pause_holds_all_and_survives_a_restart(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        it.room.caller = lambda: "op1"
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        await it.room.pause()
        await it.at("2026-06-01 14:10:00")
        assert await it.states() == []
        clock = it.clock
    async with room(tmp_path, clock=clock) as it:
        await it.tick()
        view = await it.room.list()
        assert (view.paused, view.paused_by, view.jobs[0].waits) == (True, "op1", "that jobs are resumed")
        assert it.room.part()["paused"] == 1
        row = await it.room.start("nightly")  # by hand it runs all the same
        await it.until(lambda: not it.room.part()["running"])
        assert (await it.room.run(row.id)).started_by == "somebody"
        await it.room.resume()
        await it.tick()
        assert await it.states() == ["done", "done"]
        (late,) = [row for row in it.feed.after(0, 100) if "late by" in row.text]
        assert (late.level, late.hint) == ("info", "jobs were paused")


async def test_a_disabled_job_drops_its_times(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        await it.room.disable("nightly")
        assert (await it.job("nightly")).state == "disabled"
        await it.at("2026-06-01 15:00:00")
        await it.room.enable("nightly")
        await it.tick()
        assert await it.states() == []
        await it.at("2026-06-02 14:00:00")
        assert await it.states() == ["done"]


# what a run can come to


async def test_a_failure_is_a_problem_until_it_is_made_good(tmp_path: Path) -> None:
    works = Works(fault=PacsError("the tape is full", "put another one in"))
    async with room(tmp_path, works) as it:
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        await it.at("2026-06-01 14:00:00")
        (problem,) = it.room.problems()
        assert problem[1:] == (
            "warn", "the job nightly failed: the tape is full",
            "put another one in; then r on the screen Jobs runs it again", "jobs",
        )  # fmt: skip
        assert it.room.part()["failed"] == 1
        assert "fail nightly: failed: the tape is full, after 0:00" in it.sentences
        await it.room.disable("nightly")
        assert not list(it.room.problems())
        await it.room.enable("nightly")
        assert list(it.room.problems())
        works.fault = None
        await it.room.start("nightly")
        await it.settle()
        assert not list(it.room.problems())


async def test_a_fault_of_ours_ends_the_run_and_nothing_else(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with room(tmp_path, Works(fault=ZeroDivisionError("x"))) as it:
        await it.room.create("nightly", "short", "every 15 min")
        await it.tick(900)
        (run,) = await it.runs()
        assert (run.state, run.hint) == ("failed", "the node's log says where")
        assert "ZeroDivisionError" in run.text
        assert "Traceback" in caplog.text
        await it.tick(900)
        assert await it.states() == ["failed", "failed"]


async def test_a_failed_run_is_tried_again(tmp_path: Path) -> None:
    works = Works(fault=PacsError("no"))
    async with room(tmp_path, works) as it:
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC", retries=2, retry_s=60)
        await it.at("2026-06-01 14:00:00")
        assert (await it.job("nightly")).waits.startswith("its next try at ")
        assert "it tries again at" in next(iter(it.room.problems()))[2]
        await it.tick(61)
        await it.tick(61)
        await it.tick(61)
        assert [(run.state, run.attempt) for run in await it.runs()] == [("failed", 1), ("failed", 2), ("failed", 3)]
        assert (await it.job("nightly")).state == "idle"
        works.fault = None
        await it.at("2026-06-02 14:00:00")
        assert (await it.runs())[-1].attempt == 1


async def test_a_warning_is_no_problem_but_told(tmp_path: Path) -> None:
    async with room(tmp_path, Works(outcome=Outcome("2 of 3 answered", True, "look at peers"))) as it:
        await it.room.create("sweep", "quiet", "every 15 min")
        for _ in range(3):
            await it.tick(900)
        assert await it.states() == ["warning"] * 3
        assert not list(it.room.problems())
        assert it.sentences == ["warn sweep: 2 of 3 answered, after 0:00"]  # the same again is not news
        it.works.outcome = Outcome("all answered")
        await it.tick(900)
        assert len(it.sentences) == 1


async def test_cancel_and_its_log(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        it.room.caller = lambda: "op1"
        await it.room.create("big", "long")
        row = await it.room.start("big")
        await it.settle()
        assert (row.state, row.started_by) == ("running", "op1")
        assert (await it.job("big")).state == "running"
        assert [line.text for line in await it.room.log(row.id)] == ["begins at the beginning"]
        await it.room.cancel(row.id)
        await it.settle()
        ended = await it.room.run(row.id)
        assert (ended.state, ended.text) == ("cancelled", "cancelled by op1")
        with pytest.raises(BadRequest, match="has ended already: cancelled"):
            await it.room.cancel(row.id)
        with pytest.raises(NotFound):
            await it.room.cancel(99)


async def test_too_long_is_ended_and_the_deaf_are_cut_off(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("big", "long", timeout_s=600)
        await it.room.create("deaf", "deaf", timeout_s=600)
        await it.room.start("big")
        await it.room.start("deaf")
        await it.tick(601)
        assert (await it.states("big"), await it.states("deaf")) == (["failed"], ["running"])
        assert (await it.runs("big"))[0].text == "it took longer than its 0:10:00 and was ended"
        await it.tick(31)
        assert await it.states("deaf") == ["failed"]


async def test_progress_costs_nothing_and_is_told_with_rate_and_what_is_left(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("big", "long")
        row = await it.room.start("big")
        await it.settle()
        run = it.works.ran[0]
        run.tell(total=1000, unit="objects", done=0)
        for second in range(1, 31):
            for n in range(10):
                run.tell(done=second * 10 + n - 9, now=f"object \x1b[2J{n}")
            await it.tick()
        now = await it.room.run(row.id)
        assert (now.total, now.unit, now.per_s) == (1000, "objects", 10.0)
        assert now.left_s == pytest.approx(70, abs=1)
        assert "\x1b" not in now.now
        record = await it.room._runner.store.run(row.id)
        assert record is not None
        assert record.done >= 250  # written down now and then
        it.works.go.set()


async def test_a_log_is_bounded(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("big", "long")
        row = await it.room.start("big")
        await it.settle()
        for n in range(5000):
            it.works.ran[0].note(f"line {n}")
        it.works.ran[0].note("disk on fire", "fail")
        it.works.go.set()
        await it.settle()
        lines = await it.room.log(row.id, limit=5000)
        assert len(lines) < 2100
        assert lines[-2].text == "disk on fire"
        assert lines[-1].text == "4,001 further lines left out"
        page = await it.room.log(row.id, after=lines[4].id, limit=2)
        assert [line.id for line in page] == [lines[5].id, lines[6].id]


# more than one


async def test_two_that_need_the_same_wait_for_each_other(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        for name, disk in (("one", "a"), ("two", "a"), ("three", "b")):
            await it.room.create(name, "long", parameters={"disk": disk})
        for name in ("one", "two", "three"):
            await it.room.start(name)
        await it.tick()
        assert [await it.states(name) for name in ("one", "two", "three")] == [["running"], ["waiting"], ["running"]]
        row = await it.job("two")
        assert (row.state, row.waits) == ("waiting", "its turn: one is at it")
        await it.room.cancel((await it.runs("one"))[0].id)
        await it.settle()
        await it.tick()
        assert await it.states("two") == ["running"]


@pytest.mark.parametrize(
    ("overlap", "states"),
    [("skip", ["running"]), ("queue", ["running", "waiting"]), ("cancel-old", ["cancelled", "running"])],
)
async def test_what_becomes_of_a_run_that_meets_the_one_before(tmp_path: Path, overlap: str, states: list[str]) -> None:
    async with room(tmp_path) as it:
        await it.room.create("big", "long", "every 15 min", overlap=overlap)
        await it.tick(900)
        await it.tick(900)
        await it.tick()
        await it.tick()
        assert await it.states() == states
        if overlap == "skip":
            assert any("left out" in told for told in it.sentences)
            with pytest.raises(Unavailable, match="is at it already"):
                await it.room.start("big")
        if overlap == "queue":
            await it.tick(900)
            assert await it.states() == states  # one waits, not a row of them


async def test_two_people_who_start_the_same_at_once_start_one(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("big", "long")
        both = await asyncio.gather(it.room.start("big"), it.room.start("big"), return_exceptions=True)
        assert sorted(type(each).__name__ for each in both) == ["RunRow", "Unavailable"]
        assert await it.states() == ["running"]


async def test_a_change_while_a_run_begins_does_not_begin_it_twice(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        it.clock.advance(2 * 3600)
        await asyncio.gather(it.room.tick(), it.room.edit("nightly", retries=3))
        await it.settle()
        await it.tick()
        assert await it.states() == ["done"]
        assert (await it.job("nightly")).retries == 3


async def test_a_job_that_follows_another(tmp_path: Path) -> None:
    works = Works()
    async with room(tmp_path, works) as it:
        await it.room.create("first", "short")
        await it.room.create("second", "quiet", after="first")
        await it.room.start("first")
        await it.settle()
        await it.tick()
        assert [run.started_by for run in await it.runs("second")] == ["first"]
        works.fault = PacsError("no")
        await it.room.start("first")
        await it.settle()
        await it.tick()
        assert len(await it.runs("second")) == 1
        with pytest.raises(BadRequest, match="would follow itself"):
            await it.room.edit("first", after="second")
        with pytest.raises(BadRequest, match="second would follow nobody"):
            await it.room.delete("first")


async def test_one_that_follows_and_waits_for_its_hours_outlives_the_node(tmp_path: Path) -> None:
    async with room(tmp_path, close=False) as it:
        await it.room.create("first", "short")
        await it.room.create("second", "short", after="first", window="20:00-22:00", zone="UTC")
        await it.room.start("first")
        await it.settle()
        await it.tick()
        row = await it.job("second")
        assert (row.state, row.waits) == ("waiting", "its hours, 20:00-22:00")
    async with room(tmp_path, close=False) as it:
        assert (await it.job("second")).state == "waiting"
        await it.at("2026-06-01 20:00:01")
        assert [(run.state, run.started_by) for run in await it.runs("second")] == [("done", "first")]
    async with room(tmp_path) as it:
        await it.tick()
        assert len(await it.runs("second")) == 1  # it is owed no more


async def test_one_that_follows_is_owed_nothing_once_it_is_disabled(tmp_path: Path) -> None:
    async with room(tmp_path, close=False) as it:
        await it.room.create("first", "short")
        await it.room.create("second", "short", after="first", window="20:00-22:00", zone="UTC")
        await it.room.start("first")
        await it.settle()
        await it.room.disable("second")
        await it.room.enable("second")
    async with room(tmp_path) as it:
        await it.at("2026-06-01 20:00:01")
        assert await it.runs("second") == []


# kill -9 and stop


async def test_what_a_run_was_told_holds_when_it_goes_on_or_is_tried_again(tmp_path: Path) -> None:
    async with room(tmp_path, close=False) as it:
        await it.room.create("big", "long")
        await it.room.create("other", "once", parameters={"disk": "b"})
        await it.room.create("small", "short", retries=1, retry_s=60)
        await it.room.start("big", {"disk": "b"})
        await it.room.start("other")  # waits for its turn
        it.works.fault = PacsError("no")
        await it.room.start("small", {"how": "badly"})
        await it.settle()
    async with room(tmp_path, close=False) as it:
        await it.room.pause()
        await it.tick()
    async with room(tmp_path) as it:  # the node died again before it could go on
        await it.room.resume()
        await it.tick(61)
        await it.tick()
        told = {(run.parameters.get("disk"), run.parameters.get("how")) for run in it.works.ran}
        assert told == {("b", None), (None, "badly")}
        assert [row.state for row in (await it.room.list()).running] == ["running", "waiting"]


async def test_a_database_without_room_delays_what_is_kept_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with room(tmp_path, close=False) as it:
        await it.room.create("first", "short")
        await it.room.create("second", "short", after="first", window="20:00-22:00", zone="UTC")
        await it.room.create("nightly", "short", "daily 13:00", zone="UTC")
        store = it.room._runner.store
        write = store._db.write
        full = False

        async def refuse(body: Callable[..., Any]) -> Any:
            if full:
                raise StorageFull("the database has no room", "make room")
            return await write(body)

        monkeypatch.setattr(store._db, "write", refuse)
        await it.room.start("first")
        full = True
        await it.settle()
        await it.at("2026-06-01 13:00:01")
        assert await it.states("nightly") == []
        full = False
        await it.tick()
        assert await it.states("nightly") == ["done"]
        assert await it.states("first") == ["done"]
    async with room(tmp_path) as it:
        assert (await it.job("second")).waits == "its hours, 20:00-22:00"
        assert await it.states() == ["done", "done"]


async def test_one_that_cannot_go_on_as_it_was_told_holds_up_nobody(tmp_path: Path) -> None:
    async with room(tmp_path, close=False) as it:
        await it.room.create("big", "long")
        await it.room.create("fine", "short", "daily 12:01", zone="UTC")
        await it.room.start("big", {"disk": "b"})
        await it.settle()
    works = Works()
    kinds = works.kinds()
    disk = replace(kinds[2].parameters[0], choices=("a",))
    works.kinds = lambda: (kinds[0], replace(kinds[2], parameters=(disk,)))  # type: ignore[method-assign]
    async with room(tmp_path, works) as it:
        await it.at("2026-06-01 12:01:00")
        assert await it.states("fine") == ["done"]
        assert await it.states("big") == ["interrupted"]
        assert 'warn big: not begun again: disk cannot be "b"' in it.sentences


async def test_a_run_that_a_kill_cut_off_goes_on_if_its_kind_can(tmp_path: Path) -> None:
    async with room(tmp_path, close=False) as it:
        await it.room.create("big", "long")
        await it.room.create("other", "once", parameters={"disk": "b"})
        await it.room.start("big")
        await it.room.start("other")
        await it.settle()
        await it.works.ran[0].keep("page 7")
        await it.tick(6)
    async with room(tmp_path) as it:
        await it.tick()
        runs = await it.runs("big")
        assert [(run.state, run.started_by) for run in runs] == [("interrupted", "somebody"), ("running", "restart")]
        assert runs[0].text == "the node ended in the middle of it"
        assert it.works.ran[0].kept == "page 7"
        assert await it.states("other") == ["interrupted"]
        assert any(told.startswith("warn other: interrupted") for told in it.sentences)


async def test_a_run_that_kills_the_node_again_and_again_is_left_alone(tmp_path: Path) -> None:
    async with room(tmp_path, close=False) as it:
        await it.room.create("big", "long")
        await it.room.start("big")
        await it.settle()
    for _ in range(5):
        async with room(tmp_path, close=False) as it:
            await it.tick()
    async with room(tmp_path) as it:
        await it.tick()
        assert await it.states("big") == ["interrupted"] * 4
        assert "3 times" in (await it.runs("big"))[-1].hint


async def test_a_stop_ends_runs_soon_and_they_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacstui.jobs.runner._STOP_S", 0.05)
    async with room(tmp_path) as it:
        await it.room.create("big", "long")
        await it.room.create("deaf", "deaf")
        await it.room.create("waits", "long")
        for name in ("big", "deaf", "waits"):
            await it.room.start(name)
        await it.settle()
        await asyncio.wait_for(it.room.close(), 5)
    async with room(tmp_path) as it:
        await it.tick()
        assert await it.states("big") == ["interrupted", "running"]
        assert await it.states("deaf") == ["interrupted"]
        assert await it.states("waits") == ["interrupted", "waiting"]


# broken, wanted, refused


async def test_broken_jobs_are_shown_and_harm_nobody(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("gone", "short", "daily 14:00", zone="UTC")
        await it.room.create("odd", "short", "daily 14:00", zone="UTC")
        await it.room.create("fine", "short", "daily 14:00", zone="UTC")
        write = it.room._runner.store._db.write
        await write(lambda c: c.execute("UPDATE jobs SET kind='no-more' WHERE name='gone'"))
        await write(lambda c: c.execute("UPDATE jobs SET schedule='[/]\x1b' WHERE name='odd'"))
    async with room(tmp_path) as it:
        await it.at("2026-06-01 14:00:00")
        assert [row.state for row in (await it.room.list()).jobs] == ["idle", "broken", "broken"]
        assert await it.states() == ["done"]
        texts = [told[2] for told in it.room.problems()]
        assert 'the job gone cannot run: there is no kind of job "no-more" (any more)' in texts
        assert any(told.startswith('the job odd cannot run by its schedule: "') for told in texts)
        with pytest.raises(Unavailable, match="cannot run"):
            await it.room.start("gone")
        await it.room.start("odd")  # by hand it needs no schedule
        await it.settle()
        assert await it.states("odd") == ["done"]
        await it.room.edit("odd", schedule="daily 15:00")
        await it.room.delete("gone")
        assert not list(it.room.problems())


async def test_wanted_jobs_come_change_and_go(tmp_path: Path) -> None:
    nightly = Wanted("nightly", "short", {}, "daily 02:00")
    weekly = Wanted("weekly", "short", {}, "sun 02:00")
    async with room(tmp_path, wanted=(nightly, weekly)) as it:
        assert [row.name for row in (await it.room.list()).jobs] == ["nightly", "weekly"]
        await it.room.edit("weekly", schedule="sat 03:00")
        with pytest.raises(BadRequest, match="was made by the node") as told:
            await it.room.delete("nightly")
        assert "jobs disable nightly" in told.value.hint
    async with room(tmp_path, wanted=(Wanted("nightly", "short", {}, "daily 03:00"), weekly)) as it:
        assert (await it.job("nightly")).schedule == "daily 03:00"
        assert (await it.job("weekly")).schedule == "sat 03:00"  # somebody's own choice
        await it.room.want((), of=("other",))
        assert len((await it.room.list()).jobs) == 2
        await it.room.want((), of=("short",))
        (left,) = (await it.room.list()).jobs
        assert (left.name, left.builtin) == ("weekly", False)
        await it.room.delete("weekly")
        assert await it.room.list()


@pytest.mark.parametrize(
    ("named", "why"),
    [
        ({"name": "../x"}, "cannot be the name"), ({"kind": "nothing"}, "no kind of job"),
        ({"schedule": "now and then"}, "not understood"), ({"window": "night"}, "not understood"),
        ({"zone": "Mars"}, "no time zone"), ({"parameters": {"how": "so so"}}, "how cannot be"),
        ({"parameters": {"who": "me"}}, "no parameter"), ({"retries": 99}, "from 0 to 20"),
        ({"overlap": "both"}, "overlap cannot be"), ({"after": "nobody"}, "to follow"), ({"name": "there"}, "already"),
    ],
)  # fmt: skip
async def test_what_does_not_fit_is_refused_with_a_reason(tmp_path: Path, named: dict[str, object], why: str) -> None:
    async with room(tmp_path) as it:
        await it.room.create("there", "short")
        with pytest.raises(BadRequest, match=why):
            await it.room.create(**{"name": "new", "kind": "short", **named})  # type: ignore[arg-type]
        assert len((await it.room.list()).jobs) == 1


async def test_runs_are_forgotten_in_the_end_but_not_too_soon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacstui.jobs.store.RUNS_KEPT", 5)
    async with room(tmp_path) as it:
        await it.room.create("often", "short", "every 1 min")
        for _ in range(9):
            await it.tick(60)
        runs = await it.runs()
        assert len(runs) == 5
        assert runs[-1].id == 9
        with pytest.raises(NotFound, match="no run 1"):
            await it.room.run(1)
        await it.room.delete("often")
        assert len(await it.room.history("often")) == 5  # its history stays
        with pytest.raises(NotFound, match="no job"):
            await it.room.history("never")


async def test_what_comes_and_what_was(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        await it.room.create("often", "short", "every 15 min")
        view = await it.room.list()
        assert sum(row.job == "often" for row in view.planned) == 96
        assert [row.at for row in view.planned if row.job == "nightly"] == [START + timedelta(hours=2)]
        assert list(view.planned) == sorted(view.planned, key=lambda row: row.at)
        assert await it.room.preview("daily 13:00", zone="UTC", count=2) == (
            START + timedelta(hours=1), START + timedelta(hours=25),
        )  # fmt: skip
        assert [kind.name for kind in await it.room.kinds()] == ["deaf", "long", "once", "quiet", "short"]


async def test_runs_are_dressed_as_the_schedule(tmp_path: Path) -> None:
    from contextvars import ContextVar

    who: ContextVar[str] = ContextVar("who", default="op1")
    async with room(tmp_path) as it:
        it.room.dress = lambda: who.set("schedule") and None
        seen: list[str] = []
        it.bus.subscribe(events.JobEnded, lambda event: seen.append(who.get()))
        await it.room.create("nightly", "short", "daily 14:00", zone="UTC")
        await it.room.start("nightly")
        await it.settle()
        assert (seen, who.get()) == (["schedule"], "op1")
        began = [event for event in it.told if isinstance(event, events.JobBegan)]
        assert [event.by_hand for event in began] == [True]


async def test_a_costly_schedule_does_not_stop_the_node_and_is_worked_out_once_an_hour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[threading.Thread] = []
    work_out = Plan.preview

    def preview(*given: object, **more: object) -> object:
        asked.append(threading.current_thread())
        return work_out(*given, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Plan, "preview", preview)
    async with room(tmp_path) as it:
        await it.room.create("often", "quiet", "every 1 min")
        await it.room.create("rarely", "quiet", "0 0 29 2 *")
        for _ in range(3):
            assert len((await it.room.list()).planned) == 100
        assert len(asked) == 2
        await it.room.edit("often", schedule="every 30 min")
        assert len((await it.room.list()).planned) == 48
        it.clock.advance(3700)
        assert len((await it.room.list()).planned) == 48
        assert len(asked) == 5
        await it.room.preview("* * * * *", count=20)
        await it.tick()
        assert threading.main_thread() not in asked


async def test_jobs_that_come_often_do_not_hide_the_one_at_night(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        for number in range(5):
            await it.room.create(f"often{number}", "quiet", "every 1 min")
        await it.room.create("nightly", "quiet", "daily 02:00", zone="UTC")
        planned = (await it.room.list()).planned
        assert len(planned) == 300
        assert planned[-1].job == "nightly"


def test_a_schedule_that_takes_long_is_not_followed_to_its_end() -> None:
    plan = plan_of("; ".join(f"{minute}-59/2 * * * *" for minute in range(12)), "sun 00:00-00:01", "Europe/Berlin")
    began = time.monotonic()
    assert plan.preview(START, 10_000, within_s=0.05)
    assert time.monotonic() - began < 2
