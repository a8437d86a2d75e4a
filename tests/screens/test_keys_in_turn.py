"""Keys that come in one piece, as from a quick hand over a slow line."""

from __future__ import annotations

import pytest
from textual import events
from textual.widgets import Input

from tests.screens.conftest import Driven, driven

NAMES = {"/": "slash", ":": "colon"}


def at_once(console: Driven, text: str) -> None:
    for each in text:
        console.app.post_message(events.Key(NAMES.get(each, each), each))


def typed(console: Driven) -> str:
    box = console.app.screen.focused
    return box.value if isinstance(box, Input) else ""


@pytest.mark.parametrize("mode", ["1", "2", "4", "0"])
async def test_what_follows_a_slash_is_what_is_looked_for(mode: str) -> None:
    async with driven() as console:
        await console.press(mode)
        at_once(console, "/DPLqueen")
        await console.until(lambda: typed(console) == "DPLqueen", "all of it in the filter")
        assert not console.app.privacy.on
        assert console.app.is_running


async def test_a_filter_is_opened_again_with_what_follows() -> None:
    async with driven() as console:
        await console.press("2")
        at_once(console, "/ct")
        await console.until(lambda: typed(console) == "ct", "the filter")
        await console.press("escape")
        at_once(console, "/mr")
        await console.until(lambda: typed(console) == "mr", "the filter again")


async def test_what_follows_a_colon_is_what_is_wanted() -> None:
    async with driven() as console:
        at_once(console, ":backups")
        await console.until(lambda: typed(console) == "backups", "all of it in the palette")


async def test_a_mode_and_its_filter_may_be_typed_at_once() -> None:
    async with driven() as console:
        at_once(console, "2/ct")
        await console.until(
            lambda: console.app.current_mode == "associations" and typed(console) == "ct", "the filter of 2"
        )


async def test_what_follows_the_key_of_a_form_goes_into_its_first_field() -> None:
    async with driven() as console:
        await console.press("5")
        await console.shows("CT1")
        at_once(console, "aLPR")
        await console.shows("LPR")
        assert not console.app.privacy.on
        assert not console.app.read_only


async def test_keys_go_on_without_what_handled_the_last() -> None:
    async with driven() as console:
        at_once(console, "?")
        await console.press("escape")
        at_once(console, "20")
        await console.until(lambda: console.app.current_mode == "events", "the last of them")
