"""The list of studies, however long it is and whatever numbers its studies have."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import pytest

from pacstui.contract.studies import StudyPage, StudyRow
from screens.widgets import row_table
from screens.widgets.row_table import HELD, RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import SteppedClient, study_row

MILLION = 1_000_000


class Gaps:
    """The noun ``studies`` of an archive in which some keys are not taken."""

    def __init__(self, keys: Sequence[int]) -> None:
        self.keys = sorted(keys)
        self.asked = 0
        self.most = 0

    async def list(
        self, search: str = "", limit: int = 100, before: int | None = None, only: str = "", after: int | None = None
    ) -> StudyPage:
        self.asked += 1
        self.most = max(self.most, limit)
        if after is not None:
            assert not search
            start = bisect_right(self.keys, after)
            above = self.keys[start : start + limit][::-1]
            return StudyPage(tuple(study_row(key, self.keys[-1]) for key in above), start or None, len(self.keys))
        end = len(self.keys) if before is None else bisect_left(self.keys, before)
        keys = self.keys[max(0, end - limit) : end][::-1]
        rows = tuple(study_row(key, self.keys[-1]) for key in keys)
        total = min(end, 1001) if search or only else len(self.keys)
        return StudyPage(rows, keys[-1] if end > limit else None, total)


def table_of(console: Driven) -> RowTable[StudyRow]:
    table: RowTable[StudyRow] = console.app.screen.query_one(RowTable)
    return table


def gappy(keys: Sequence[int]) -> SteppedClient:
    client = SteppedClient(studies=len(keys))
    client.studies = Gaps(keys)  # type: ignore[assignment]
    return client


async def opened(console: Driven) -> RowTable[StudyRow]:
    await console.press("4")
    table = table_of(console)
    await console.until(lambda: bool(table.held), "the first page")
    return table


async def scroll(console: Driven, table: RowTable[StudyRow], key: str, rows: int) -> None:
    """Move by at least ``rows`` in a direction."""
    way = 1 if key == "pagedown" else -1
    place = [each.key for each in table.held].index(table.selected.key) + table.above if table.selected else 0
    for _ in range(rows // table.room + 2):
        await console.press(key)
        await console.until(lambda: not table._asked and not table._asked_before, "the page that was asked for")
    now = [each.key for each in table.held].index(table.selected.key) + table.above if table.selected else 0
    assert (now - place) * way >= rows * 0.9


async def test_end_leaps_to_the_oldest_of_a_million_and_home_back():
    client = SteppedClient(studies=MILLION)
    async with driven(client) as console:
        table = await opened(console)
        before = len(client.calls)
        await console.press("end")
        text = await console.shows("P000001")
        assert "of 1,000,000" in text
        assert table.cursor == "1.2.826.0.1.3680043.8.498.1"
        assert f"{MILLION:,}\u2013" not in text
        assert f"\u2013{MILLION:,} of {MILLION:,}" in text
        assert sum(name == "studies.list" for name, _ in client.calls[before:]) <= 3
        await scroll(console, table, "pageup", 1000)
        keys = [row.key for row in table.held]
        assert keys == list(range(keys[0], 0, -1))
        assert keys[0] >= 1000
        assert table.above == MILLION - len(keys)
        await console.press("home")
        await console.shows("P1000000")
        assert table.above == 0
        assert table.cursor == "1.2.826.0.1.3680043.8.498.1000000"


async def test_what_is_held_is_bounded_and_without_a_hole_both_ways(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(row_table, "HELD", 1000)
    client = SteppedClient(studies=MILLION)
    async with driven(client, size=(80, 200)) as console:
        table = await opened(console)
        await scroll(console, table, "pagedown", 2500)
        keys = [row.key for row in table.held]
        assert len(keys) <= 1000
        assert keys == list(range(keys[0], keys[0] - len(keys), -1))
        assert keys[0] == MILLION - table.above < MILLION
        await scroll(console, table, "pageup", 1900)
        keys = [row.key for row in table.held]
        assert len(keys) <= 1000
        assert keys == list(range(keys[0], keys[0] - len(keys), -1))
        await console.until(lambda: table.held[0].key == MILLION - table.above, "the right number of rows above")


@pytest.mark.parametrize(
    "keys",
    [
        range(5_000_000, 5_004_000),
        [*range(1, 4), *range(90_000, 95_000)],
        [*range(1, 20_000, 5)],
        [*range(1, 6_000), *range(1_000_000, 1_000_100)],
    ],
    ids=["old ones deleted", "a hole", "every fifth", "a late hole"],
)
async def test_end_and_the_way_up_with_keys_that_are_not_taken(keys):
    keys = list(keys)
    client = gappy(keys)
    async with driven(client) as console:
        table = await opened(console)
        await console.press("end")
        await console.until(lambda: table.selected is not None and table.selected.key == keys[0], "the oldest study")
        await scroll(console, table, "pageup", 400)
        held = [row.key for row in table.held]
        assert held == keys[: len(held)][::-1]
        assert len(held) >= 400
        assert client.studies.asked < 60
        assert client.studies.most <= 1000


async def test_the_way_up_ends_at_the_newest():
    keys = list(range(7, 7 * 2500, 7))
    client = gappy(keys)
    async with driven(client, size=(80, 200)) as console:
        table = await opened(console)
        await console.press("end")
        await console.until(lambda: table.selected is not None and table.selected.key == 7, "the oldest study")
        await scroll(console, table, "pageup", len(keys) - 200)
        await console.press(*["pageup"] * 3)
        await console.until(lambda: table.above == 0, "the first of all")
        assert [row.key for row in table.held] == keys[::-1]
        assert table.selected is not None
        assert table.selected.key == keys[-1]


async def test_home_while_a_page_is_on_its_way_keeps_the_first_row():
    client = SteppedClient(studies=MILLION)
    async with driven(client) as console:
        table = await opened(console)
        table.show([study_row(key, MILLION) for key in range(MILLION, MILLION - HELD, -1)], more=True, total=MILLION)
        await console.press("home")
        table.extend([study_row(MILLION - HELD, MILLION)], more=True, total=MILLION)
        assert table.selected is not None
        assert table.selected.key == MILLION
        assert len(table.held) == HELD
        assert table.more


async def test_a_search_tells_that_more_was_found_than_the_node_counts():
    client = gappy(range(1, 3_000))
    async with driven(client) as console:
        table = await opened(console)
        await console.press("slash", *"doe", "enter")
        await console.shows("more than 1,000 found for doe")
        await console.press("end")
        await console.until(lambda: table.selected is not None and table.selected.key == 1, "the last that was found")
        await console.shows("2,999 found for doe")


async def test_d_shows_the_doubtful_studies_and_then_all_again():
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("d")
        text = await console.shows("Studies with objects of two patients  1")
        assert "! " in text
        await console.press("d")
        await console.shows("Studies with objects that have no file")
        assert client.calls[-1] == ("studies.list", ("", 200, None, "missing"))
        await console.press("d")
        await console.shows("Studies that do not fit order or patient")
        assert client.calls[-1] == ("studies.list", ("", 200, None, "exceptions"))
        await console.press("d")
        await console.shows("Studies  10,000")
