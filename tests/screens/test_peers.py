"""The screens of peers, their tests and callers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from screens.widgets.row_table import RowTable
from tests.screens.conftest import driven
from tests.screens.fake_client import SteppedClient
from tests.screens.fake_peers import LETTER


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_who_does_not_answer_comes_first_with_since_when_and_why(size: tuple[int, int]) -> None:
    async with driven(size=size) as console:
        await console.press("5")
        await console.shows(": TCP: conn")
        first = next(line for line in console.lines if "TELERAD" in line)
        assert console.lines.index(first) < next(n for n, line in enumerate(console.lines) if "CT1" in line)
        assert "x 1 does not answer" in console.text
        assert "3 other callers" in console.text
        assert "87.4 %" in first
        if size[0] == 160:
            assert " d left" in first
            assert "the certif" in first


async def test_a_peer_that_failed_since_it_answered_is_not_called_well() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        peers = client.peers
        for at, row in enumerate(peers.rows):
            if row.name == "CT1":
                peers.rows[at] = replace(
                    row, failed=console.app.now(), failed_detail="C-STORE (by route): nobody there"
                )
        await console.press("5")
        await console.shows("x failed")
        row = next(line for line in console.lines if "CT1" in line)
        assert "x failed just now: nobody" in row
        assert "ok" not in row


async def test_a_peer_page_tells_what_it_is_how_it_answers_and_what_failed() -> None:
    async with driven(size=(80, 40)) as console:
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("enter")
        text = await console.shows("Answers to C-ECHO")
        for words in ("tele.example.org:11112", "TLS on", "the route night sends to it", "84 of 96 echoes", "87.5 %",
                      "C-ECHO: TCP: connection refused (4 times)", "never seen since the register began",
                      "valid for 12 days only"):  # fmt: skip
            assert words in text
        assert text.count("has not answered since") == 0, "the title says that already"


async def test_a_peer_page_tells_what_it_asked_last() -> None:
    async with driven(size=(80, 48)) as console:
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("slash", *"CT1", "enter")
        await console.until(lambda: "TELERAD" not in console.text)
        await console.press("enter")
        text = await console.shows("What it asked last")
        assert "0 answers  Modality Worklist FIND" in text and "PatientName TESTA*" in text
        assert ": 2 has it" in text and "\x1b" not in text


async def test_a_test_that_fails_gives_a_text_to_copy() -> None:
    async with driven() as console:
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("t")
        text = await console.shows("x fails at TCP")
        assert "no program listens on that port" in text
        assert "What to ask its administrator" in text
        copied: list[str] = []
        console.app.copy = copied.append  # type: ignore[method-assign]
        await console.press("y")
        assert copied == [LETTER]


async def test_a_test_is_followed_while_it_runs() -> None:
    async with driven() as console:
        console.client.peers.running = True
        await console.press("5")
        await console.shows("CT1")
        await console.press("j", "t")
        await console.shows(">  TCP")
        console.client.peers.running = False
        await console.shows("everything went well")
        await console.shows("CT Image")


async def test_a_test_object_is_stored_only_after_a_question() -> None:
    async with driven() as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("j", "t")
        await console.shows("everything went well")
        await console.press("o")
        text = await console.shows("Store a test object?")
        assert "PACSTUI-TEST" in text
        await console.press("enter")
        assert not [call for call in console.client.calls if call[0] == "peers.test_object"], (
            "the safe answer has the focus"
        )
        await console.press("o")
        await console.shows("Store a test object?")
        await console.press("right", "enter")
        await console.shows("stored, status 0000H")


async def test_a_caller_is_added_with_what_is_known_of_it() -> None:
    async with driven(size=(80, 40)) as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("c")
        text = await console.shows("It proposed")
        assert "refused 3 times" in text
        assert "set the called AE title to RADNODE1 at XRAY9" in text
        await console.press("a")
        text = await console.shows("Add a peer")
        assert text.count("XRAY9") >= 2
        await console.press("enter")
        await console.until(lambda: any(call[0] == "peers.add" for call in console.client.calls), "the peer is added")
        given = next(call[1] for call in console.client.calls if call[0] == "peers.add")
        assert (given["name"], given["ae_title"], given["host"], given["port"]) == ("XRAY9", "XRAY9", "10.0.4.17", 104)


async def test_one_line_for_many_titles_cannot_be_added_but_ignored() -> None:
    async with driven() as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("c")
        await console.shows("812,300 titles")
        await console.press("end", "a")
        await console.shows("stands for many AE titles")
        await console.press("i")
        await console.shows("1 ignored: I")
        assert "10.0.4.66" not in console.text
        await console.press("I")
        await console.shows("ignored")
        await console.press("end", "n")
        await console.until(lambda: ("peers.notice", 3) in console.client.calls, "it is noticed again")


async def test_removing_says_what_breaks_and_keeps_by_default() -> None:
    async with driven() as console:
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("D")
        text = await console.shows("Remove TELERAD?")
        assert "That breaks 1 thing: the route night sends to it" in " ".join(
            line.strip("\u2502 \u2503") for line in text.split("\n")
        )
        await console.press("enter")
        assert not [call for call in console.client.calls if call[0] == "peers.remove"]
        await console.press("D")
        await console.shows("Remove TELERAD?")
        await console.press("right", "enter")
        await console.until(lambda: ("peers.remove", "TELERAD") in console.client.calls, "it is removed")


async def test_a_peer_of_the_configuration_is_not_removed_here() -> None:
    async with driven() as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("j", "D")
        await console.shows("stands in the configuration")


async def test_a_mistake_in_the_form_is_told_there_and_what_was_typed_stays() -> None:
    async with driven(size=(80, 40)) as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("a")
        await console.shows("Add a peer")
        await console.press(*"VNA", "enter")
        text = await console.shows("x ae title")
        assert "VNA" in text


async def test_editing_sends_only_what_was_changed() -> None:
    async with driven(size=(80, 40)) as console:
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("E")
        await console.shows("Edit TELERAD")
        await console.press("tab", "tab", "tab", "ctrl+a", "ctrl+k", *"2762", "enter")
        await console.until(lambda: any(call[0] == "peers.edit" for call in console.client.calls), "it is sent")
        assert ("peers.edit", ("TELERAD", {"port": 2762})) in console.client.calls


async def test_the_peer_that_was_added_is_the_chosen_one() -> None:
    async with driven(size=(80, 40)) as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("a")
        await console.shows("Add a peer")
        await console.press(*"ZZ9", "tab", *"ZZ9", "tab", *"192.0.2.9", "enter")
        await console.shows("ZZ9 is a peer from now on; t tests it")
        await console.until(lambda: console.app.screen.query_one(RowTable).selected.name == "ZZ9", "it is chosen")


async def test_the_form_renames_a_peer() -> None:
    async with driven(size=(80, 40)) as console:
        await console.press("5")
        await console.shows("TELERAD")
        await console.press("E")
        await console.shows("Edit TELERAD")
        await console.press("ctrl+a", "ctrl+k", *"NIGHT", "enter")
        await console.shows("TELERAD is NIGHT from now on")
        assert ("peers.rename", ("TELERAD", "NIGHT")) in console.client.calls
        assert not [call for call in console.client.calls if call[0] == "peers.edit"]


async def test_an_import_is_shown_before_it_is_done(tmp_path: Path) -> None:
    file = tmp_path / "peers.csv"
    file.write_text("name\nUS3\n")
    async with driven() as console:
        await console.press("5")
        await console.shows("CT1")
        await console.press("i")
        await console.shows("Import peers")
        await console.press(*str(file), "enter")
        await console.shows("+ add")
        assert not [call for call in console.client.calls if call[0] == "peers.import_csv"]
        await console.press("i")
        await console.shows("1 peer will be added")
        await console.press("right", "enter")
        await console.until(lambda: ("peers.import_csv", "name\nUS3\n") in console.client.calls, "it is done")


async def test_peers_at_small_and_odd_sizes_and_without_any() -> None:
    client = SteppedClient()
    client.peers.rows, client.peers.strangers = [], []
    async with driven(client, size=(60, 15)) as console:
        await console.press("5")
        await console.shows("No peer is known")
        await console.press("c")
        await console.shows("Nobody but peers has called")
    for size in ((1, 1), (60, 15), (200, 60)):
        async with driven(size=size) as console:
            await console.press("5", "enter", "t", "escape", "escape", "c", "enter", "escape")
