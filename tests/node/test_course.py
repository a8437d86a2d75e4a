"""How a node ends and what it does in rounds: in order, and each room gets its chance."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pacstui.errors import PacsError
from pacstui.node.course import Course, Moment
from pacstui.settings import Settings


def _noted(told: list[str], word: str, fault: Exception | None = None) -> Callable[[], Awaitable[None]]:
    async def work() -> None:
        told.append(word)
        if fault is not None:
            raise fault

    return work


async def test_rooms_end_by_moment_whatever_the_order_in_which_they_were_opened() -> None:
    course, told = Course(), list[str]()
    for moment in (Moment.ARCHIVE, Moment.LISTENER, Moment.JOBS, Moment.CONSOLES, Moment.TRAIL):
        course.at_end(moment, _noted(told, moment.name))
    course.at_end(Moment.JOBS, _noted(told, "backups"))
    await course.end()
    assert told == ["JOBS", "backups", "LISTENER", "CONSOLES", "TRAIL", "ARCHIVE"]


async def test_a_room_that_fails_to_end_keeps_no_other_from_it(caplog: pytest.LogCaptureFixture) -> None:
    course, told = Course(), list[str]()
    course.at_end(Moment.JOBS, _noted(told, "jobs", ValueError("no")))
    course.at_end(Moment.SENDING, _noted(told, "queue", PacsError("disk full", "")))
    course.at_end(Moment.ARCHIVE, _noted(told, "archive"))
    await course.end()
    assert told == ["jobs", "queue", "archive"]
    assert "disk full" in caplog.text


async def test_what_is_sent_ends_beside_the_rest_and_before_the_archive() -> None:
    course, told = Course(), list[str]()
    listener_ended = asyncio.Event()

    async def send() -> None:
        await listener_ended.wait()
        told.append("sent")

    async def listener() -> None:
        told.append("listener")
        listener_ended.set()

    course.at_end(Moment.ARCHIVE, _noted(told, "archive"))
    course.at_end(Moment.SENDING, send)
    course.at_end(Moment.LISTENER, listener)
    await asyncio.wait_for(course.end(), 10)
    assert told == ["listener", "sent", "archive"]


async def test_a_round_that_fails_is_tried_again() -> None:
    course, tried, again = Course(), list[str](), asyncio.Event()

    async def work() -> None:
        tried.append("")
        if len(tried) == 1:
            raise ValueError("a fault of ours")
        again.set()

    course.every(0.001, work, "work")
    course.begin()
    await asyncio.wait_for(again.wait(), 10)
    await course.end()


async def test_a_round_that_waits_first_does_not_run_in_a_node_that_stops_before() -> None:
    course, told = Course(), list[str]()
    course.after_each(lambda: 3600.0, _noted(told, "looked"), "directory")
    course.begin()
    await asyncio.sleep(0)
    await course.end()
    assert not told


async def test_a_reload_is_taken_in_the_order_of_opening() -> None:
    course, told = Course(), list[str]()

    async def later(settings: Settings) -> None:
        told.append("jobs")

    course.at_reload(lambda settings: told.append("peers"))
    course.at_reload(later)
    await course.reload(Settings())
    assert told == ["peers", "jobs"]
