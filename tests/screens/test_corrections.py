"""Corrections in the console: shown before they are done, from the study's page; listed, undone, told."""

from __future__ import annotations

import pytest

from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import SteppedClient
from tests.screens.fake_corrections import Corrections

SIZES = [(80, 24), (160, 48)]


def made(many: int = 0) -> tuple[SteppedClient, Corrections]:
    client = SteppedClient()
    corrections = Corrections(client, many)
    client.corrections = corrections  # type: ignore[attr-defined]
    return client, corrections


async def page(console: Driven) -> None:
    """Go to the page of the first study."""
    await console.press("4")
    await console.until(lambda: "DOE" in console.text or "TEST" in console.text)
    await console.press("enter")
    await console.shows("a assign")


@pytest.mark.parametrize("size", SIZES)
async def test_what_it_would_do_is_shown_and_leaving_it_is_what_enter_does(size: tuple[int, int]) -> None:
    client, corrections = made()
    async with driven(client, size) as console:
        await page(console)
        await console.press("e", "ctrl+u", *"ROE^R", "enter")
        text = await console.shows("What this would do")
        for words in ("2 series, 4 images", "≠ name", "+ sex", "- accession", "! the sex differs",
                      "WS1 (4 images), WS2 (3 images)", "new SOP Instance UIDs", "▸[ leave it ]"):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text
        await console.press("enter")
        await console.until(lambda: "What this would do" not in console.text)
        assert [name for name, _ in corrections.asked] == ["edit"]


async def test_it_is_done_with_a_reason_only_and_a_fault_of_the_node_stays_to_be_read() -> None:
    client, corrections = made()
    async with driven(client, (80, 24)) as console:
        await page(console)
        await console.press("a", *"17", "enter")
        await console.shows("What this would do")
        assert corrections.asked[0][1]["order"] == 17
        await console.press("tab", "enter")
        await console.shows("x say why")
        corrections.fault = "something has changed since the preview"
        await console.press(*"typo", "enter")
        await console.shows("something has changed")
        corrections.fault = ""
        await console.press("enter")
        await console.shows("correction 3 is done")
        assert corrections.asked[-1] == ("apply", {"token": "token", "why": "typo"})


@pytest.mark.parametrize("size", SIZES)
async def test_what_somebody_changed_meanwhile_is_shown_in_place_and_the_reason_stays(size: tuple[int, int]) -> None:
    client, corrections = made(30)
    corrections.stale = True
    async with driven(client, size) as console:
        await page(console)
        await console.press("x", "enter")
        await console.shows("What this would do")
        await console.press(*"typo of CT2", "enter", "enter")
        text = await console.shows("Changed since you looked")
        for words in ("~ op2 did correction 9 at 14:03", "why  typo of CT2", "! the sex differs", "▸[ leave it ]"):
            assert words in text, words
        assert "\x1b" not in text
        await console.press("enter", "enter")
        await console.until(lambda: "What this would do" not in console.text)
        assert corrections.asked[-1] == ("apply", {"token": "newer", "why": "typo of CT2"})


async def test_what_is_so_already_is_not_left_out() -> None:
    client, _ = made()
    async with driven(client, (80, 24)) as console:
        await page(console)
        await console.press("a", *"17", "enter")
        text = await console.shows("already so")
        assert "= patient ID" in text and "P1  already so" in text


async def test_many_changes_scroll_and_what_speaks_against_it_stays_in_sight() -> None:
    client, _ = made(40)
    async with driven(client, (80, 24)) as console:
        await page(console)
        await console.press("x", "enter")
        text = await console.shows("What this would do")
        assert "! the sex differs" in text
        assert "of 44" in text
        await console.press("pagedown", "pagedown", "pagedown", "pagedown", "pagedown")
        await console.shows("Attribute39")
        assert "▸[ leave it ]" in console.text


async def test_series_are_picked_with_space() -> None:
    client, corrections = made()
    async with driven(client, (80, 24)) as console:
        await page(console)
        await console.press("t")
        await console.shows("pick the series")
        await console.press("space")
        await console.shows("1 picked")
        await console.press("t", "enter")
        await console.shows("What this would do")
        name, given = corrections.asked[-1]
        assert name == "split" and len(given["series"]) == 1 and given["order"] == 0


@pytest.mark.parametrize("size", SIZES)
async def test_the_list_says_who_did_what_and_undoes_and_tells(size: tuple[int, int]) -> None:
    client, corrections = made()
    async with driven(client, size) as console:
        await console.press("C")
        text = await console.shows("not told, n does it")
        assert "= on" in text and "by op1" in text and "\x1b" not in text
        await console.press("n")
        await console.shows("▸[ leave it ]")
        await console.press("right", "enter")
        await console.until(lambda: ("tell", {"id": 2, "destinations": ("WS1",)}) in corrections.asked)
        await console.press("down", "z")
        await console.shows("undone first")
        await console.press("up", "z", *"no", "enter")
        await console.shows("- undone")
        assert ("undo", {"id": 2, "why": "no"}) in corrections.asked


async def test_privacy_hides_who_it_is_in_the_preview_too() -> None:
    client, _ = made()
    async with driven(client, (80, 24)) as console:
        await page(console)
        await console.press("P", "x", "enter")
        text = await console.shows("What this would do")
        assert "ANNA" not in text
        assert "BAD" not in text
