"""Patients that the RIS merged, in the console: from the message, from corrections, and taken apart with a preview."""

from __future__ import annotations

import pytest

from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import SteppedClient

SIZES = [(80, 24), (160, 48)]


def made() -> SteppedClient:
    client = SteppedClient()
    client.hl7.busy(6)
    client.hl7.rows = [row if row.id != 4 else client.hl7.row(4, kind="ADT^A40") for row in client.hl7.rows]
    return client


async def message(console: Driven, downs: int) -> None:
    """Open the page of a message."""
    await console.press("H")
    await console.shows("ADT^A4")
    await console.press(*["down"] * downs, "enter")
    await console.shows("control ID")


@pytest.mark.parametrize("size", SIZES)
async def test_the_page_of_the_message_leads_to_what_would_go_back_and_undoes_it(size: tuple[int, int]) -> None:
    client = made()
    async with driven(client, size) as console:
        await message(console, 2)
        text = await console.shows("u undoes it")
        assert "1 order went along" in text and "\x1b" not in text
        await console.press("u")
        await console.shows("Merged patients by message 4")
        await console.press("z")
        text = await console.shows("What this would do")
        for words in ("a patient of its own again", "study CT 20260101", "! the RIS is not told", "▸[ leave it ]"):
            assert words in text, words
        await console.press(*"wrong twin", "enter", "enter")
        await console.shows("- undone")
        assert ("merges.undo", (7, "wrong twin", "token")) in client.calls


async def test_something_else_that_would_go_back_now_is_shown_before_it_is_done() -> None:
    client = made()
    async with driven(client, (80, 24)) as console:
        await console.press("C")
        await console.shows("u merges")
        await console.press("u")
        await console.shows("= on")
        await console.press("z")
        await console.shows("What this would do")
        client.merges.stale = True
        await console.press(*"twin", "enter", "enter")
        await console.shows("Changed since you looked")
        await console.press("enter", "enter")
        await console.shows("- undone")
        assert ("merges.undo", (7, "twin", "newer")) in client.calls


async def test_what_cannot_be_undone_says_why_and_another_message_merged_nobody() -> None:
    client = made()
    async with driven(client, (80, 24)) as console:
        await console.press("C")
        await console.shows("u merges")
        await console.press("u")
        await console.shows("change of ID")
        await console.press("down", "z")
        await console.shows("cannot be undone: a change of ID")
        await console.press("escape", "escape")
        await message(console, 1)
        await console.press("u")
        await console.shows("merged no patients")
