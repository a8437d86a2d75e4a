"""What goes out, in the console: destinations, sendings, errors, and what somebody does about them."""

from __future__ import annotations

import csv
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from screens.destination import DestinationScreen
from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import START, FakeClient, SteppedClient
from tests.screens.fake_queue import REFUSED, sending_row

SIZES = [(80, 24), (160, 48)]


def troubled(number: int = 30, **more: object) -> SteppedClient:
    client = SteppedClient(**more)  # type: ignore[arg-type]
    client.queue.trouble(number)
    return client


async def opened(console: Driven, *keys: str) -> str:
    console.app.now = lambda: START  # type: ignore[method-assign]
    await console.press("3")
    await console.shows("TELERAD")
    return await console.press(*keys) if keys else console.text


async def listed(console: Driven) -> str:
    """Open the page of the first destination and wait for its rows."""
    await opened(console, "enter")
    await console.until(lambda: bool(console.app.screen.query_one("#sendings", RowTable).held), "the sendings")
    return console.text


def called(client: FakeClient, name: str) -> list[object]:
    return [what for call, what in client.calls if call == name]


@pytest.mark.parametrize("size", SIZES)
async def test_a_dead_destination_is_seen_with_what_mends_it(size: tuple[int, int]) -> None:
    async with driven(troubled(), size) as console:
        text = await opened(console)
        for words in (
            "Going out  1,470 wait  24 failed", "x down", "TELERAD", "1,158", "3:12", "! failed", "> sending",
            "x since 11:05: nothing listens at 10.0.9.7:104; asked again in 0:41",
            "> check the port, and that the peer's DICOM service is started",
        ):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text
        await console.press("down")
        assert "> e says why; r tries again all that failed" in console.text


async def test_the_dashboard_names_it_and_leads_there() -> None:
    async with driven(troubled()) as console:
        text = await console.shows("x TELERAD down")
        assert "x down" in text
        assert "x 24 failed" in text
        await console.app.page().lead(("destination", "TELERAD"))  # type: ignore[union-attr]
        await console.shows("Destination TELERAD")
        await console.press("escape")
        await console.shows("Going out")


async def test_a_problem_of_a_destination_leads_to_it() -> None:
    from screens.ways import place, problem

    async with driven(troubled()) as console:
        assert place("queue:TELERAD") == "what waits for TELERAD"
        assert place("routes") == "Routes"
        await problem(console.app, "queue:TELERAD")
        await console.shows("Destination TELERAD")
        await problem(console.app, "routes")
        await console.shows("x 1 broken")


@pytest.mark.parametrize("size", SIZES)
async def test_a_destination_opens_with_what_is_not_sent_yet(size: tuple[int, int]) -> None:
    async with driven(troubled(), size) as console:
        text = await listed(console)
        for words in ("Destination TELERAD", "x down  1,158 wait (580 MB)  12 failed", "Sendings  not sent yet",
                      "x failed", "! retrying", "- held", ". waiting", "DOE, JANE", "0/10"):  # fmt: skip
            assert words in text, words
        assert "= sent" not in text
        await console.press("down", "down", "down")
        await console.shows("free space at the receiver")
        assert "A700H: it has no room or no resources (disk full [/])" in console.text


async def test_states_and_search_are_asked_of_the_node() -> None:
    client = troubled()
    async with driven(client) as console:
        await listed(console)
        await console.press("f", "f")
        await console.shows("Sendings  failed")
        await console.until(lambda: ("TELERAD", "failed", "", 0) in called(client, "queue.sendings"), "asked")
        await console.press("F")
        await console.shows("Sendings  in trouble")
        await console.press("slash", *"P26", "enter")
        await console.until(lambda: ("TELERAD", "trouble", "P26", 0) in called(client, "queue.sendings"), "asked")
        await console.shows("found for P26")
        await console.press("escape")
        await console.until(lambda: "found for" not in console.text, "the search is gone")


async def test_actions_are_about_the_row_that_was_chosen_though_the_list_moves() -> None:
    client = troubled()
    async with driven(client) as console:
        await listed(console)
        table = console.app.screen.query_one("#sendings", RowTable)
        await console.press("down", "down")
        chosen = table.selected
        assert chosen is not None
        client.queue.rows.insert(0, sending_row(client, 99))
        screen = console.app.screen
        assert isinstance(screen, DestinationScreen)
        screen.renew()
        await console.until(lambda: any(row.id == 99 for row in table.held), "the new row")
        await console.press("h")
        await console.shows("held until released")
        assert called(client, "queue.hold") == [((chosen.id,), "", "")]


async def test_marked_rows_are_asked_about_with_their_number() -> None:
    client = troubled()
    async with driven(client) as console:
        await listed(console)
        first, second = (row.id for row in console.app.screen.query_one("#sendings", RowTable).held[:2])
        await console.press("m", "m")
        await console.shows("* 2 marked")
        await console.press("c")
        await console.shows("20 objects of 2 sendings (20 waiting, 0 failed) will not be sent")
        await console.press("enter")  # the safe button has the focus
        assert called(client, "queue.cancel") == []
        await console.press("c", "right", "enter")
        await console.shows("cancelled: 20 objects of 2 sendings")
        assert called(client, "queue.cancel") == [((first, second), "", "")]
        assert "marked" not in console.text


async def test_all_of_a_destination_is_one_call() -> None:
    client = troubled()
    async with driven(client) as console:
        await listed(console)
        await console.press("a")
        await console.shows("* all marked")
        await console.press("r")
        await console.shows("1,170 objects, 12 of which failed: tried again now.")
        await console.press("right", "enter")
        await console.until(lambda: called(client, "queue.retry") == [((), "TELERAD", "")], "one call")


async def test_all_that_a_search_finds_is_marked_by_id() -> None:
    client = troubled(1200)
    async with driven(client) as console:
        await listed(console)
        await console.press("f", "f", "a")
        await console.shows("240 sendings marked")
        await console.press("r")
        await console.shows("2,400 objects of 240 sendings")
        await console.press("right", "enter")
        await console.until(lambda: bool(called(client, "queue.retry")), "retried")
        ids, destination, _ = called(client, "queue.retry")[0]  # type: ignore[misc]
        assert (len(ids), destination) == (240, "")


async def test_priority_redirect_hold_and_release() -> None:
    client = troubled()
    async with driven(client) as console:
        await listed(console)
        chosen = console.app.screen.query_one("#sendings", RowTable).held[0].id
        await console.press("p")
        await console.shows("before everything else that waits")
        await console.press("enter")
        await console.shows("high priority: 10 objects of 1 sending")
        assert called(client, "queue.priority") == [((chosen,), "", "high")]
        await console.press("t")
        text = await console.shows("Redirect to")
        listed_below = text.partition("Redirect to")[2]
        assert "AI-CHEST" in listed_below
        assert "VNA" in listed_below
        assert "TELERAD" not in listed_below.partition("esc back")[0]
        await console.press("down", "enter")
        await console.shows("go to VNA instead")
        await console.press("right", "enter")
        await console.until(lambda: called(client, "queue.redirect") == [((chosen,), "", "VNA")], "redirected")
        await console.press("l")
        await console.shows("nothing of it is held")
        assert called(client, "queue.release") == []


async def test_a_destination_is_paused_with_a_reason_and_resumed() -> None:
    client = troubled()
    async with driven(client) as console:
        await opened(console, "z")
        await console.shows("Nothing is sent to TELERAD until z resumes it")
        await console.press(*"moving", "enter")
        await console.shows("TELERAD is paused")
        assert called(client, "queue.pause") == [("TELERAD", "moving")]
        await console.step()
        await console.shows("paused by op1: moving")
        await console.press("z")
        await console.until(lambda: called(client, "queue.resume") == ["TELERAD"], "resumed")


@pytest.mark.parametrize("size", SIZES)
async def test_errors_with_their_counts_and_all_of_one_again(size: tuple[int, int]) -> None:
    client = troubled()
    async with driven(client, size) as console:
        await opened(console, "e")
        text = await console.shows("r tries all 120 objects of this error again")
        assert "Errors  2" in text
        assert "A700H" in text
        await console.press("r")
        await console.shows("120 objects of 12 sendings, 60 of which failed")
        await console.press("right", "enter")
        await console.until(lambda: called(client, "queue.retry") == [((), "TELERAD", REFUSED)], "of this error")
        await console.press("enter")
        await console.shows("Sendings  in trouble")


async def test_a_sending_with_its_objects() -> None:
    client = troubled()
    async with driven(client) as console:
        await listed(console)
        await console.press("down", "down", "down", "enter")
        text = await console.shows("Objects  10")
        for words in ("To TELERAD  x failed", "DOE, JANE, P26", "10 failed", "mend it", "1.2.3.26.0", "A700H"):
            assert words in text, words
        await console.press("r")
        await console.until(lambda: called(client, "queue.retry") == [((26,), "", "")], "retried")
        client.queue.rows.clear()
        console.app.screen.renew()  # type: ignore[attr-defined]
        await console.shows("there is no sending 26 in the list (any more)")


async def test_a_sending_tells_whether_its_destination_keeps_it() -> None:
    client = troubled()
    client.queue.commitment = ("it does not keep 3 of 10 objects; send the study again", "not committed", None)
    async with driven(client) as console:
        await listed(console)
        await console.press("down", "down", "down", "enter")
        await console.shows("kept there x it does not keep 3 of 10 objects; send the study again")


async def test_a_study_is_sent_from_the_list_and_followed() -> None:
    client = troubled()
    client.routes.changes = ("anonymous",)
    async with driven(client) as console:
        await console.press("4")
        await console.shows("P0")
        await console.press("s")
        text = await console.shows("a copy goes to")
        assert "images" in text
        assert "! failed; 0 wait" in text
        await console.press("right", "right", "tab", "left", "tab", "right", "enter")
        await console.shows("10 objects queued for VNA")
        (study, to, series, priority, transform) = called(client, "queue.send")[0]  # type: ignore[misc]
        assert (to, series, priority, transform) == ("VNA", "", "high", "anonymous")
        assert study == f"1.2.826.0.1.3680043.8.498.{client.total}"
        await console.shows("To VNA  . waiting")


async def test_the_list_is_written_to_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    client = troubled(1200)
    client.queue.rows[0] = replace(client.queue.rows[0], description="=cmd()", waiting=1, state="waiting")
    async with driven(client) as console:
        await listed(console)
        await console.press("x")
        await console.shows("queue-TELERAD-")
        await console.press("home", "ctrl+k", *"q.csv", "enter")
        await console.shows("960 lines written to q.csv")
        await console.press("x")
        await console.shows("queue-TELERAD-")
        await console.press("home", "ctrl+k", *"q.json", "enter")
        await console.shows("960 lines written to q.json")
    rows = list(csv.DictReader((tmp_path / "q.csv").open(newline="")))
    assert len(rows) == 960
    assert rows[0]["description"] == "'=cmd()"
    assert {row["status"] for row in rows} == {"", "A700H"}
    assert len(json.loads((tmp_path / "q.json").read_text())) == 960


async def test_names_are_masked_for_who_may_not_see_them() -> None:
    client = troubled()
    async with driven(client) as console:
        client.sign_ins["t"] = "view1"
        client.token = "t"
        await console.app.door.ask()
        await listed(console)
        assert "DOE" not in console.text
        assert "••••••" in console.text
        await console.press("c")
        await console.shows("queue.change")
        assert called(client, "queue.cancel") == []
        await console.press("enter")
        await console.shows("Objects  10")
        assert "DOE" not in console.text


async def test_a_hundred_thousand_rows_answer_a_key_in_time() -> None:
    client = troubled(0)
    client.queue.rows = [sending_row(client, n, "waiting") for n in range(100_000, 0, -1)]
    async with driven(client) as console:
        await listed(console)
        table = console.app.screen.query_one("#sendings", RowTable)
        took = []
        for _ in range(15):
            began = time.perf_counter()
            table.action_page(1)
            table.draw(78, 11)
            took.append(time.perf_counter() - began)
            await console.pilot.pause()
        assert sorted(took)[len(took) // 2] < 0.02
        await console.press("end")
        await console.shows("there are older ones: End goes on")
        assert 2000 <= len(table.held) < 3000
        assert table.selected is not None
        assert table.selected.id <= 98_000


async def test_end_is_the_end_where_the_list_is_not_long() -> None:
    async with driven(troubled(1200)) as console:
        await listed(console)
        table = console.app.screen.query_one("#sendings", RowTable)
        await console.press("end")
        await console.until(lambda: len(table.held) == 960 and table.cursor == 1, "the last one")


async def test_nothing_breaks_in_the_smallest_window() -> None:
    async with driven(troubled(), (1, 1)) as console:
        await console.press("3", "enter", "m", "a", "escape", "e", "escape", "O", "n", "escape", "escape")
        assert not console.app.crash


async def test_an_empty_queue_says_what_would_be_there() -> None:
    async with driven(SteppedClient()) as console:
        await console.press("3")
        text = await console.shows("Nothing waits to go out")
        assert "O makes routes, which send what comes" in text
