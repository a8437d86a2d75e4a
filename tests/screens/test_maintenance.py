"""Maintenance in the console."""

from __future__ import annotations

import pytest

from pacstui.contract.node import Problem
from tests.screens.conftest import driven
from tests.screens.fake_client import SteppedClient


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_how_the_node_stands_and_what_is_planned(size: tuple[int, int]) -> None:
    async with driven(SteppedClient(), size) as console:
        await console.press("M")
        text = await console.shows("> running")
        for words in ("= serves everybody", "7 associations run; d drains", "2 to come or on", "new tube", "CT1",
                      "Next two weeks", "= over"):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text


async def test_drain_asks_why_and_says_when_it_is_safe_to_stop() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await console.press("M")
        await console.shows("= serves everybody")
        await console.press("d", *"raid", "enter")
        text = await console.shows("! drained")
        assert ("maintenance.drain", ("raid", "drain", 0)) in client.calls
        assert "new associations are rejected and nothing is sent: raid" in text
        assert "7 associations and 3 objects on the way: do not stop the node yet" in text
        await console.press("r")
        await console.shows("= serves everybody")


@pytest.mark.parametrize("size", [(80, 24), (60, 15)])
async def test_every_screen_says_that_the_node_is_drained(size: tuple[int, int]) -> None:
    client = SteppedClient()
    told = Problem("drained", "new associations are rejected", "r serves everybody again", client.at, "maintenance")
    client._problems = (*client._problems, told)
    async with driven(client, size) as console:
        await console.press("5")
        await console.shows("! DRAINED")
        assert "! DRAINED" in console.lines[0]


async def test_a_window_is_planned_changed_and_ended() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await console.press("M")
        await console.shows("> running")
        await console.press("n", *"disks", "enter")
        await console.until(lambda: any(name == "maintenance.plan" for name, _ in client.calls))
        (said,) = [what for name, what in client.calls if name == "maintenance.plan"]
        assert said == {
            "reason": "disks", "start": "22:00", "end": "+1 h", "owner": "", "effect": "announce", "peers": (),
        }  # fmt: skip
        await console.press("c")
        text = await console.shows("End this maintenance?")
        assert "\u25b8[ leave it ]" in text
        await console.press("right", "enter")
        await console.until(lambda: ("maintenance.cancel", 1) in client.calls)


async def test_changes_are_fetched_as_one_scrolls() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await console.press("M", "h")
        text = await console.shows("[dicom] key450")
        assert "200+" in text
        await console.press("end")
        await console.shows("Changes  400+")
        await console.press("enter")
        await console.shows("file of [/], reloaded")


async def test_nothing_breaks_in_the_smallest_window() -> None:
    async with driven(SteppedClient(), (1, 1)) as console:
        await console.press("M", "d", "escape", "n", "escape", "e", "escape", "c", "escape", "h", "enter", "escape")
        assert not console.app.crash
