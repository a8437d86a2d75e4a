"""Jobs in the console."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from pacstui.errors import PacsError
from screens.job_cells import Day, day_lines, last, when
from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import START, SteppedClient, job_row, run_row


async def opened(console: Driven, *keys: str) -> str:
    console.app.now = lambda: START  # type: ignore[method-assign]
    await console.press("6")
    await console.shows("audit-verify")
    return await console.press(*keys) if keys else console.text


async def choose(console: Driven, name: str) -> None:
    console.app.screen.query_one(RowTable).cursor = name


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_what_runs_and_what_went_wrong_is_seen_at_once(size: tuple[int, int]) -> None:
    async with driven(SteppedClient(), size) as console:
        text = await opened(console)
        for words in (
            "41%", "8,112 of 19,840 objects", "31.0 MB/s", "left 3:07", "now: objects/1", "x 1 failed", "x 1 broken",
            "! 1 late", "x failed 55 min", "> running", ". waiting", "- disabled", "now",
        ):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text
        await choose(console, "database")
        await console.press("down", "up")
        text = await console.shows("x the database is damaged")
        assert "> restore it" in text
        if size[0] > 100:
            assert "20:00-06:00" in text


async def test_what_comes_next_is_told_with_retries_and_small_jobs() -> None:
    client = SteppedClient()
    soon = START + timedelta(minutes=4)
    client.job_runs = []
    client.job_rows = [
        job_row("audit-verify", next_run=soon + timedelta(hours=2)),
        job_row("echo-sweep", quiet=True, next_run=soon),
        job_row("backup", "waiting", next_run=soon + timedelta(hours=1), waits="its next try at 15:07"),
    ]  # fmt: skip
    async with driven(client) as console:
        await opened(console)
        told = await console.shows("Nothing runs now. Next: echo-sweep ")
        assert ", then backup again 15:07" in told
        client.paused = "op1"
        client.job_rows[2] = replace(client.job_rows[2], waits="that jobs are resumed")
        console.app.screen._asked = -100.0  # type: ignore[attr-defined]
        await console.step()
        assert "p resumes; 1 waits" in await console.shows("! paused by op1")


async def test_a_day_by_job_where_there_is_room() -> None:
    async with driven(SteppedClient(), (160, 48)) as console:
        text = await opened(console)
        row = next(line for line in text.split("\n")[::-1] if "\u2502 database " in line)
        assert "x" in row.partition("database")[2]


async def test_nothing_breaks_in_the_smallest_window() -> None:
    async with driven(SteppedClient(), (1, 1)) as console:
        await console.press("6", "enter", "escape", "h", "escape", "e", "escape", "c", "escape")
        assert not console.app.crash


async def test_a_job_opens_with_its_runs_and_a_log_that_grows() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await choose(console, "integrity")
        await console.press("enter")
        text = await console.shows("object 1.2.6 differs")
        assert "percent 2" in text
        assert "made by the node" in text
        console.app.screen._asked = -100.0  # type: ignore[attr-defined]
        steps = client.steps + 1
        await console.step()
        await console.shows(f"step {steps}")
        await console.press("l", "tab", "escape")
        await console.shows("Running")


async def test_the_runs_of_all_jobs_and_the_log_of_the_chosen_one() -> None:
    client = SteppedClient()
    async with driven(client, (140, 40)) as console:
        await opened(console, "h")
        await console.shows("Log of run 6")
        await console.press("down", "down", "down")
        text = await console.shows("Log of run 3")
        assert "4:00:00 after its time" in text
        await console.press("c")
        await console.shows("run 3 does not run now")


async def test_older_runs_come_as_one_scrolls() -> None:
    client = SteppedClient()
    client.job_runs = [run_row(n, "database") for n in range(1, 451)]
    async with driven(client) as console:
        await opened(console, "h")
        await console.shows("Log of run 450")
        table = console.app.screen.query_one(RowTable)
        await console.until(lambda: len(table.held) == 200, "a page")
        await console.press("end")
        await console.until(lambda: len(table.held) == 450, "all of them")
        console.app.screen._asked = -100.0  # type: ignore[attr-defined]
        await console.step()
        assert len(table.held) == 450


async def test_run_cancel_and_pause() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console, "r")
        await console.shows("audit-verify is started")
        assert ("jobs.start", "audit-verify") in client.calls
        await choose(console, "integrity")
        await console.press("c")
        await console.shows("far: 8,112 of 19,840")
        await console.press("enter")  # the safe button has the focus
        assert ("jobs.cancel", 6) not in client.calls
        await console.press("c", "right", "enter")
        await console.until(lambda: ("jobs.cancel", 6) in client.calls, "the cancel")
        await console.press("p", "right", "enter")
        await console.shows("paused by op1")
        await console.press("p")
        await console.until(lambda: not client.paused, "resumed")


async def test_what_the_node_refuses_is_told() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await choose(console, "[/]\x1b[2J")
        await console.press("r")
        await console.shows("cannot begin: there is no kind of job")


async def test_disable_enable_and_delete() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console, "d")
        await console.shows("It runs Sunday at 04:00.")
        await console.press("right", "enter")
        await console.until(lambda: ("jobs.disable", "audit-verify") in client.calls, "disabled")
        await console.shows("audit-verify is disabled")
        await console.until(lambda: "- disabled" in console.lines[7], "the list anew")
        await console.press("d")
        await console.until(lambda: ("jobs.enable", "audit-verify") in client.calls, "enabled")
        await console.press("D")
        await console.shows("was made by the node")
        await choose(console, "old-one")
        await console.press("D", *"old", "enter")
        await console.shows("type old-one to do it")
        await console.press(*"-one", "enter")
        await console.until(lambda: ("jobs.delete", "old-one") in client.calls, "deleted")


async def test_the_form_shows_the_next_times_while_one_types() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await choose(console, "integrity")
        await console.press("e")
        await console.shows("next here: Wed 25 Nov")
        await console.press("ctrl+u", "9")
        await console.shows("is no schedule: write daily 02:00")
        await console.press("ctrl+u", *"hourly", "enter")
        edited = ("jobs.edit", ("integrity", {"schedule": "hourly"}))
        await console.until(lambda: edited in client.calls, "only what was changed")
        await console.press("e", "tab", "tab", "tab", "ctrl+u", "5", "enter")
        edited = ("jobs.edit", ("integrity", {"parameters": {"percent": "5"}}))
        await console.until(lambda: edited in client.calls, "its parameter")


async def test_a_new_job_is_asked_for_in_two_steps_and_a_mistake_keeps_what_was_typed() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console, "n")
        await console.shows("A new job")
        await console.press("tab", "enter")
        await console.shows("no other job has")
        await console.press(*"my job", "enter")
        await console.shows("read objects back")
        await console.press(*"daily 03:00", "enter")
        await console.shows("cannot be the name of a job")
        assert "daily 03:00" in console.text
        await console.press("escape", "n", "tab", *"mine", "enter")
        await console.shows("mine: read objects back")
        await console.press(*"daily 03:00", "enter")
        await console.until(lambda: any(name == "jobs.create" and told[0] == "mine"  # type: ignore[index]
                                        for name, told in client.calls), "made")  # fmt: skip


async def test_empty_lists_teach() -> None:
    client = SteppedClient()
    client.job_rows, client.job_runs = [], []
    async with driven(client) as console:
        await console.press("6")
        text = await console.shows("n makes one")
        assert "nothing comes by itself" in text
        await console.press("h")
        await console.shows("No job ran yet")


async def test_who_may_only_look_is_told_what_it_takes() -> None:
    client = SteppedClient()
    client.os_account = "view1"
    async with driven(client) as console:
        await opened(console, "r")
        await console.shows("takes the permission jobs.run")
        await console.press("e")
        await console.shows("takes the permission jobs.edit")


async def test_a_node_that_does_not_answer_is_asked_again() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        client.denied = PacsError("the database is locked")
        await console.press("6")
        await console.shows("is asked again")
        client.denied = None
        console.app.screen._asked = -100.0  # type: ignore[attr-defined]
        await console.step()
        await console.shows("backup-nas")


def test_times_as_people_say_them() -> None:
    assert when(START + timedelta(hours=2), START) == "today 16:03"
    assert when(START + timedelta(hours=12), START) == "Thu 02:03"
    assert when(START - timedelta(days=3), START) == "Sun 14:03"
    assert when(START + timedelta(days=30), START) == "25 Dec 14:03"
    assert when(START + timedelta(days=400), START).startswith("2027-12")
    assert last(run_row(1, "x", "failed"), START) == ("x failed 55 min", "fail-text")


async def test_the_gravest_of_an_hour_is_the_one_that_is_seen() -> None:
    client = SteppedClient()
    client.job_runs = [run_row(1, "database", "failed"), run_row(2, "database"), run_row(3, "audit-verify", "warning")]
    client.job_rows = [job_row("database"), job_row("audit-verify")]
    view = await client.jobs.list()
    day = Day(view, START, 24)
    marks = day.marks(view.jobs).text
    assert len(marks) == 24
    assert marks.count("x") == 1
    assert "=" not in marks
    assert marks[day.at_now] == "\u2502"
    quiet = replace(client.job_rows[0], quiet=True)
    assert "x" not in day_lines(replace(view, jobs=(quiet,)), START, 50, 2)[0].text
    for width in (1, 3, 40, 200):
        for height in (1, 2, 9):
            assert all(line.width <= max(width, 26) for line in day_lines(view, START, width, height))
