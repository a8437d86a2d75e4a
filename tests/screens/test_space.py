"""Deleting from the lists, the trash on the storage page, and what the rules would purge."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from pacstui.contract.overview import View
from pacstui.errors import NotFound
from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import SteppedClient


async def storage(console: Driven) -> str:
    """Open the storage page by the problems' way: the dashboard's panel."""
    from screens.storage import StorageScreen

    console.app.go(StorageScreen())
    await console.shows("Trash  ")
    return console.text


def called(console: Driven, name: str) -> list[object]:
    return [argument for called, argument in console.client.calls if called == name]


async def test_a_study_goes_to_the_trash_only_after_its_accession_number_was_typed():
    client = SteppedClient(studies=40)
    async with driven(client) as console:
        await console.press("4")
        await console.until(lambda: bool(console.app.screen.query_one(RowTable).held), "the list")
        await console.press("D")
        text = await console.shows("type A00040")
        assert "can be brought back" in " ".join(text.split())
        await console.press(*"wrong", "enter")
        await console.shows("type A00040 to do it")
        assert not client.space.deleted
        await console.press("escape")
        assert not client.space.deleted
        await console.press("D")
        await console.shows("type A00040")
        await console.press(*"A00040", "tab", *"wrong patient", "enter")
        await console.shows("is in the trash: Storage, u")
        assert client.space.deleted == [("1.2.826.0.1.3680043.8.498.40", "", "wrong patient")]


async def test_while_patients_are_hidden_the_end_of_the_uid_is_typed():
    client = SteppedClient(studies=40)
    async with driven(client) as console:
        await console.press("4")
        await console.until(lambda: bool(console.app.screen.query_one(RowTable).held), "the list")
        await console.press("P", "D")
        text = await console.shows("type 8.498.40")
        assert "A00040" not in text


async def test_p_pins_a_study_and_takes_the_pin_off_again():
    client = SteppedClient(studies=40)
    async with driven(client) as console:
        await console.press("4")
        await console.until(lambda: bool(console.app.screen.query_one(RowTable).held), "the list")
        await console.press("p")
        await console.shows("No rule purges a pinned study")
        await console.press(*"teaching file [/]", "enter")
        await console.shows("the study is pinned: no rule purges it")
        assert called(console, "space.pin") == [("1.2.826.0.1.3680043.8.498.40", "teaching file [/]")]
        await console.shows(" ^ ")
        await console.press("enter")
        await console.shows("^ pinned by op1: teaching file [/]; no rule purges it, p")
        await console.press("p")
        await console.shows("Without the pin rules")
        await console.press("escape")
        assert client.space.pinned
        await console.press("p", "right", "enter")
        await console.shows("the pin is off")
        assert not client.space.pinned


async def test_on_the_study_page_a_series_or_the_study_goes():
    client = SteppedClient(studies=40)
    async with driven(client) as console:
        await console.press("4")
        await console.until(lambda: bool(console.app.screen.query_one(RowTable).held), "the list")
        await console.press("enter")
        await console.shows("Series  ")
        await console.press("D")
        text = await console.shows("What goes to the trash?")
        assert "[ leave it ]" in text
        await console.press("enter")
        assert not client.space.deleted
        await console.press("D")
        await console.shows("What goes to the trash?")
        await console.press("right", "enter")
        text = await console.shows("Delete series")
        word = text.split("type ")[1].split()[0]
        await console.press(*word, "enter")
        await console.shows("series of")
        assert client.space.deleted[0][1].endswith(word)


async def test_the_storage_page_tells_of_room_trash_and_rules_and_nothing_is_markup():
    client = SteppedClient()
    async with driven(client, size=(80, 50)) as console:
        text = await storage(console)
        flat = " ".join(text.split())
        assert "88% in use" in text
        assert "from 90% the trash is emptied early" in flat.replace("\u2502 \u2502 ", "")
        assert "2 objects missing or damaged: m gets them" in text
        assert "[/] wrong patient" in text
        assert "rule old ultrasound [/bold]" in text
        assert "old ultrasound: received more than 1,826 days ago" in text
        assert "now 3 studies" in text
        assert "\x1b[2J" not in text


async def test_u_brings_the_chosen_entry_back():
    client = SteppedClient()
    async with driven(client) as console:
        await storage(console)
        await console.press("u")
        await console.shows("412 images brought back")
        assert called(console, "space.undo") == [1]
        await console.until(lambda: [row.id for row in client.space.trash_rows] == [2], "one entry left")


async def test_emptying_asks_for_the_number_or_all():
    client = SteppedClient()
    async with driven(client) as console:
        await storage(console)
        await console.press("E")
        text = await console.shows("gone for good")
        assert "Type 1 for the chosen one" in " ".join(text.split())
        await console.press("2", "enter")
        await console.shows("neither its number nor all")
        await console.press("ctrl+u", *"all", "enter")
        await console.shows("2 entries gone for good")
        assert called(console, "space.empty") == ["all"]


async def test_the_plan_says_what_goes_and_why_and_purging_takes_the_word():
    client = SteppedClient()
    async with driven(client) as console:
        await storage(console)
        await console.press("v")
        text = await console.shows("Would go  3")
        assert "received 1,900 days ago" in text
        await console.press("end")
        await console.shows("not in 2 backups yet")
        await console.press("p")
        await console.shows("Type all")
        await console.press("enter")
        assert called(console, "space.purge") == []
        await console.press(*"all", "enter")
        await console.shows("the purge has begun")
        assert called(console, "space.purge") == ["all"]


async def test_repair_asks_first():
    client = SteppedClient()
    async with driven(client) as console:
        await storage(console)
        await console.press("m")
        await console.shows("Repair objects?")
        await console.press("enter")
        assert called(console, "space.repair") == []
        await console.press("m")
        await console.shows("Repair objects?")
        await console.press("right", "enter")
        await console.shows("the repair has begun")


@pytest.mark.parametrize("key", ["D", "u", "E", "p", "m"])
async def test_read_only_holds_all_of_it_back(key: str):
    client = SteppedClient(studies=40)
    async with driven(client) as console:
        if key == "D":
            await console.press("4")
            await console.until(lambda: bool(console.app.screen.query_one(RowTable).held), "the list")
        else:
            await storage(console)
        await console.press("R", key)
        await console.shows("read-only")
        assert not [name for name, _ in client.calls if name in (
            "space.delete", "space.undo", "space.empty", "space.purge", "space.repair")]  # fmt: skip


async def test_the_pages_stand_any_window():
    for size in ((1, 1), (20, 5), (80, 24), (160, 48)):
        async with driven(SteppedClient(), size=size) as console:
            from screens.storage import StorageScreen

            console.app.go(StorageScreen())
            await console.press("down", "down", "v", "down", "escape", "E", "escape")


async def test_the_page_of_a_deleted_study_says_that_it_is_gone():
    client = SteppedClient(studies=40)
    async with driven(client) as console:
        await console.press("4")
        await console.until(lambda: bool(console.app.screen.query_one(RowTable).held), "the list")
        await console.press("enter")
        await console.shows("Series  ")

        async def show(study: str) -> None:
            raise NotFound(f"there is no study {study}", "it may be in the trash")

        await console.press("D")
        await console.shows("What goes to the trash?")
        await console.press("right", "right", "enter")
        await console.shows("type A00040")
        client.studies.show = show  # type: ignore[method-assign]
        await console.press(*"A00040", "enter")
        await console.shows("it may be in the trash")


@pytest.mark.parametrize(
    ("size", "told"), [((80, 24), "trash  12.0 GB until 4 Dec"), ((160, 48), "12.0 GB, from 4 Dec on it goes")]
)
async def test_the_dashboard_tells_what_the_trash_holds(size: tuple[int, int], told: str):
    client = SteppedClient()
    shown = replace(client.storage_view(), trash_entries=3, trash_bytes=12_000_000_000, trash_until=date(2026, 12, 4))
    client.storage_view = lambda: replace(shown, full_on=None)
    async with driven(client, size) as console:
        text = await console.shows(told)
        assert "not within 10 years" in text


async def test_notes_are_no_count_of_good_things():
    client = SteppedClient(problems=2)
    whole = client.view

    def view(after: int = 0) -> View:
        shown = whole(after)
        return replace(shown, status=replace(shown.status, health="ok"))

    client.view = view
    async with driven(client) as console:
        await console.until(lambda: "ok, 2 notes" in console.lines[0], "notes in the head line")


async def test_what_is_chosen_in_a_menu_is_seen_without_colour():
    from screens.modals.choose import Choose, Way

    ways = [Way("a", "one way", "costs little"), Way("b", "another way", "costs more")]
    async with driven(SteppedClient()) as console:
        console.app.push_screen(Choose("How?", [], ways, lambda chosen: None))
        await console.shows("\u25b8  one way")
        await console.press("down")
        text = await console.shows("\u25b8  another way")
        assert "\u25b8  one way" not in text
