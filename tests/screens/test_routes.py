"""Routes in the console."""

from __future__ import annotations

import pytest

from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import START, FakeClient, SteppedClient


async def opened(console: Driven, name: str = "everything") -> str:
    console.app.now = lambda: START  # type: ignore[method-assign]
    await console.press("O")
    await console.shows("Routes  3")
    console.app.screen.query_one(RowTable).cursor = name
    await console.press()
    return console.text


def called(client: FakeClient, name: str) -> list[object]:
    return [what for call, what in client.calls if call == name]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_routes_are_listed_with_what_is_wrong(size: tuple[int, int]) -> None:
    async with driven(SteppedClient(), size) as console:
        text = await opened(console)
        for words in ("x 1 broken", "= on", "everything", "VNA", "CT, coming", "x broken",
                      "in the configuration file"):  # fmt: skip
            assert words in text, words
        await console.press("end")
        text = await console.shows("x sends nothing: there is no destination GONE [/]")
        assert "> add it as a peer or to [[destinations]]" in text


async def test_a_dry_run_study_by_study() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("t")
        text = await console.shows("everything  210 objects of 7 of the 40 studies")
        assert "30 of 40" in text
        assert "\x1b" not in text
        await console.press("w")
        await console.shows("the last 7 days")
        await console.press("W", "W")
        await console.shows("the last hour \u2500")
        await console.press("W")
        await console.shows("the last hour is the shortest")
        assert called(client, "routes.trial") == [
            ("everything", 24.0), ("everything", 168.0), ("everything", 24.0), ("everything", 1.0)
        ]  # fmt: skip
        await console.press("enter")
        await console.shows("Study")


async def test_a_new_route_says_while_one_types_what_it_would_have_sent() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("n")
        await console.shows("A new route")
        await console.press(*"ct", "tab", *"VNA, TELERAD", "tab", *"CT")
        text = await console.shows("now: of the 40 studies of the last day it would have sent")
        assert "210" in text
        await console.press("ctrl+t")
        await console.shows("ct  210 objects of 7")
        await console.press("escape", "tab", "tab", "tab", "tab", *"BodyPart = X")
        await console.shows("x BodyPart is no keyword of the standard")
        await console.press("ctrl+u", *"NumberOfFrames > 1; AccessionNumber present", "enter")
        await console.shows("ct is made: what comes from now on is sent")
        await console.until(lambda: console.app.screen.query_one("#routes").selected.name == "ct", "it is chosen")
        (given,) = called(client, "routes.create")
        assert isinstance(given, dict)
        assert given["to"] == ("VNA", "TELERAD")
        assert given["modality"] == ("CT",)
        assert given["where"] == ("NumberOfFrames > 1", "AccessionNumber present")
        assert (given["send"], given["stable_s"], given["last"], given["transform"]) == ("instance", 60.0, False, "")
        await console.shows("Routes  4")


async def test_only_what_was_changed_is_sent() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console, "night")
        await console.press("e")
        await console.shows("a route keeps its name")
        await console.press("tab", "tab", "end", *", MR", "enter")
        await console.shows("night is changed")
        assert called(client, "routes.edit") == [("night", {"modality": ("CT", "MR")})]


async def test_one_of_the_configuration_is_only_switched() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("e")
        await console.shows("everything stands in the configuration file: change it there")
        await console.press("D")
        await console.shows("remove it there")
        await console.press("d")
        await console.shows("312 objects that it queued")
        await console.press("enter")  # the safe button has the focus
        assert called(client, "routes.disable") == []
        await console.press("d", "right", "enter")
        await console.shows("- off")
        await console.press("d")
        await console.until(lambda: called(client, "routes.enable") == ["everything"], "on again")


async def test_a_route_is_deleted_after_a_question() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console, "odd")
        await console.press("D", "right", "enter")
        await console.shows("Routes  2")
        assert called(client, "routes.delete") == ["odd"]


async def test_routes_are_found_in_the_palette() -> None:
    async with driven(SteppedClient()) as console:
        await console.press("colon", *"where studies are sent", "enter")
        await console.shows("Routes  3")


async def test_who_may_not_change_routes_may_look() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        client.sign_ins["t"] = "view1"
        client.token = "t"
        await console.app.door.ask()
        await opened(console, "night")
        await console.press("n")
        await console.shows("routes.edit")
        await console.press("t")
        text = await console.shows("210 objects of 7 of")
        assert "DOE" not in text
