"""HL7 in the console: how it stands, messages, errors and mending them, what goes out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.contract.node import Problem
from pacstui.contract.privacy import MASK
from screens.hl7_edit import Hl7EditScreen, editable
from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import START, FakeClient, SteppedClient

SIZES = [(80, 24), (160, 48)]


def busy(**more: object) -> SteppedClient:
    client = SteppedClient()
    client.hl7.busy(**more)  # type: ignore[arg-type]
    return client


async def opened(console: Driven, *keys: str) -> str:
    console.app.now = lambda: START  # type: ignore[method-assign]
    await console.press("H")
    await console.shows("Messages  all")
    await console.until(lambda: console.app.screen.query_one("#messages", RowTable).shown > 0)
    return await console.press(*keys)


def called(client: FakeClient, name: str) -> list[object]:
    return [what for call, what in client.calls if call == name]


@pytest.mark.parametrize("size", SIZES)
async def test_it_says_at_one_look_how_it_stands(size: tuple[int, int]) -> None:
    async with driven(busy(), size) as console:
        text = await opened(console)
        for words in (
            "= takes messages on 127.0.0.1:2575  30 today  3.2/s", "x 6 messages failed: e shows why",
            "2 repeated today", "x EMR down, 4 wait, 4 failed: o shows why", "RIS@HOSPITAL", "3 h ago",
            "x failed", "= done", "ADT^A08",
        ):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text
        assert "[/]" in text


async def test_that_nothing_is_taken_is_said_first() -> None:
    client = SteppedClient()
    client.hl7.view = client.hl7.view.__class__("", "port 2575 is taken by another program", 0, 0, 0, 0, 0.0, ())
    async with driven(client) as console:
        await console.press("H")
        text = await console.shows("x takes no messages: port 2575 is taken by another program")
        assert "No message has come yet." in text
        assert "Nobody has sent anything yet." in text
        await console.press("o")
        await console.shows("Messages go to nobody.")
        await console.press("escape", "e")
        await console.shows("No errors are open")


async def test_messages_can_be_limited_and_are_paged() -> None:
    client = busy(number=450)
    async with driven(client) as console:
        await opened(console)
        await console.press("end", "end", "end", "end", "end")
        await console.until(lambda: ("", "", "", 351) in called(client, "hl7.messages"), "the next page")
        await console.press("home", "f")
        await console.shows("Messages  failed, open")
        await console.press("F", "slash", *"P44", "enter")
        await console.until(lambda: ("P44", "", "", 0) in called(client, "hl7.messages"), "a search")
        await console.shows('found for "P44"')
        await console.press("escape", "c", *"adt^a08", "enter")
        await console.until(lambda: ("", "", "ADT^A08", 0) in called(client, "hl7.messages"), "a kind")


@pytest.mark.parametrize("size", SIZES)
async def test_a_message_is_taken_apart_with_what_is_wrong_marked(size: tuple[int, int]) -> None:
    async with driven(busy(), size) as console:
        text = await opened(console, "e", "enter")
        text = await console.shows("birth date")
        for words in (
            "ADT^A08 x failed", "RIS@HOSPITAL, from 10.0.0.1", "> correct PID-7 and act on it", "x PID patient",
            "x PID-7", "19700199", 'to be deleted ("")', "answered   AE", "v: as sent",
        ):  # fmt: skip
            assert words in text, words
        await console.press("v")
        text = await console.shows("As it was sent")
        assert "PID|1||P1^^^HOSP||D[/]E^JANE^\u241b[2J" in text
        await console.press("v")
        await console.shows("MSA|AE|C1")
        await console.press("v")
        await console.shows("x PID patient")
        assert "\x1b" not in console.text


async def test_from_a_problem_to_the_remedy_in_six_keys() -> None:
    client = busy()
    client._problems = (
        Problem("hl7-failed", "6 HL7 messages could not be acted on", "look at each", START, "hl7-errors"),
    )
    async with driven(client) as console:
        console.app.now = lambda: START  # type: ignore[method-assign]
        await console.press("exclamation_mark")
        await console.shows("Enter: HL7 errors")
        await console.press("enter")
        await console.shows("Errors  6 open")
        await console.press("r")
        await console.shows("acted on once more as it was sent")
        await console.press("right", "enter")
        await console.until(lambda: called(client, "hl7.replay") == [(30,)], "the replay")


async def test_an_error_is_edited_tried_and_acted_on() -> None:
    client = busy()
    async with driven(client) as console:
        await opened(console, "e")
        await console.shows("Errors  6 open")
        await console.press("e")
        text = await console.shows("What was wrong")
        assert "at PID-7" in text
        assert "/find" not in text and "?help" not in text  # they would be typed into the message
        screen = console.app.screen
        assert isinstance(screen, Hl7EditScreen)
        line = screen.editor.text.split("\n")[1]
        assert screen.editor.cursor_location == (1, line.index("19700199"))
        await console.press("ctrl+t")
        await console.shows("With this text it would be answered AE")
        await console.press(*["delete"] * 8, *"19700109", "ctrl+t")
        await console.shows("With this text it would do")
        await console.press("ctrl+s")
        await console.shows("Act on the edited message?")
        await console.press("enter")  # the safe button has the focus
        assert called(client, "hl7.resubmit") == []
        await console.press("ctrl+s")
        await console.shows("The original counts as put right then")
        await console.press("right", "enter")
        await console.shows("done as message 200")
        ((ident, text),) = called(client, "hl7.resubmit")  # type: ignore[misc]
        assert ident == 30
        assert "19700109|F\rOBX|1|ED" in text
        assert "\\X1B\\[2J" in text
        assert "\n" not in text
        await console.shows("Errors  6 open")
        await console.until(lambda: console.app.screen.query_one("#messages", RowTable).shown == 5, "one less")


async def test_what_was_changed_is_not_thrown_away_by_a_key() -> None:
    async with driven(busy()) as console:
        await opened(console, "e", "e")
        await console.shows("What was wrong")
        await console.press("x", "escape")
        await console.shows("Throw away what was changed?")
        await console.press("enter")
        assert isinstance(console.app.screen, Hl7EditScreen)
        await console.press("escape")
        await console.shows("Throw away what was changed?")
        await console.press("right", "enter")
        await console.shows("Errors")


async def test_a_fault_of_the_text_is_told_where_it_is_typed() -> None:
    async with driven(busy()) as console:
        await opened(console, "e", "e")
        await console.shows("What was wrong")
        await console.press("up", "home", "delete", "ctrl+s")
        await console.shows("a message begins with MSH")


async def test_many_are_ignored_at_once_with_a_reason() -> None:
    client = busy()
    async with driven(client) as console:
        await opened(console, "e")
        await console.shows("Errors  6 open")
        await console.press("a")
        await console.shows("* 6 messages marked")
        await console.press("i")
        await console.shows("Ignore 6 messages")
        await console.press("enter")
        await console.shows("say why")
        await console.press(*"test data", "enter")
        await console.shows("6 messages ignored")
        assert called(client, "hl7.ignore") == [((30, 25, 20, 15, 10, 5), "test data")]
        await console.shows("No errors are open")


async def test_marked_ones_are_replayed_oldest_first() -> None:
    client = busy()
    async with driven(client) as console:
        await opened(console, "e")
        await console.shows("Errors  6 open")
        await console.press("m", "m", "r")
        await console.shows("Replay 2 messages?")
        await console.press("right", "enter")
        await console.shows("1 of 2 messages done, 1 failed again")
        assert called(client, "hl7.replay") == [(25, 30)] or called(client, "hl7.replay") == [(5, 10)]


@pytest.mark.parametrize("size", SIZES)
async def test_what_goes_out_says_what_was_answered_and_what_mends_it(size: tuple[int, int]) -> None:
    async with driven(busy(), size) as console:
        await opened(console, "o")
        text = await console.shows("Receivers  4 wait  4 failed")
        for words in ("x down", "EMR", "refuses the connection", "> start it, or correct host and port", "= idle"):
            assert words in text, words
        await console.press("tab", "f", "f")
        await console.shows("Messages  failed")
        text = await console.shows("x AE: it found an error in the message: PID-3: P7 is not known [/]")
        assert "> mend it" in text
        await console.press("enter")
        text = await console.shows("study received")
        assert "EMR, queued" in text


async def test_receivers_and_messages_are_held_released_and_sent() -> None:
    client = busy()
    async with driven(client) as console:
        await opened(console, "o")
        await console.shows("Receivers  4 wait")
        await console.press("t")
        await console.shows("Try EMR again?")
        await console.press("right", "enter")
        await console.until(lambda: called(client, "hl7.send_again") == [((), "EMR")], "a retry")
        await console.press("h")
        await console.shows("Hold EMR?")
        await console.press("enter")
        assert called(client, "hl7.hold") == []
        await console.press("h", "right", "enter")
        await console.until(lambda: called(client, "hl7.hold") == [((), "EMR")], "a hold")
        await console.press("u")
        await console.until(lambda: called(client, "hl7.release") == [((), "EMR")], "a release")
        await console.press("enter")
        await console.shows("for EMR")
        await console.press("f")
        await console.shows("Messages  waiting")
        await console.press("x")
        await console.shows("Cancel 1 message?")
        await console.press("right", "enter")
        await console.until(lambda: len(called(client, "hl7.drop")) == 1, "cancelled")
        await console.press("h")
        await console.until(lambda: len(called(client, "hl7.hold")) == 2, "held")


async def test_names_are_hidden_everywhere_when_they_are_to_be() -> None:
    async with driven(busy()) as console:
        await opened(console, "P")
        text = await console.shows(MASK)
        assert "P30" not in text
        await console.press("e", "enter")
        text = await console.shows("x PID patient")
        assert "19700199" not in text.partition("x PID patient")[2]
        assert "D[/]E" not in text.partition("x PID patient")[2]
        await console.press("v")
        text = await console.shows("As it was sent")
        assert "JANE" not in text
        assert f"PID|{MASK}" in text
        await console.press("e")
        await console.shows("an editor cannot hide names")
        await console.press("r", "right", "enter")
        await console.shows(f"done: patient {MASK} updated")


async def test_who_may_not_see_patients_edits_none() -> None:
    client = busy()
    client.os_account = "view1"
    async with driven(client) as console:
        await opened(console, "e")
        await console.press("e")
        await console.shows("takes the permission hl7.resubmit")
        await console.press("r")
        await console.shows("takes the permission hl7.resubmit")


async def test_read_only_holds_everything_back() -> None:
    client = busy()
    async with driven(client, read_only=True) as console:
        await opened(console, "e")
        await console.shows("Errors  6 open")
        await console.press("r")
        await console.shows("read-only: replay is held back")
        await console.press("escape", "o", "h")
        await console.shows("read-only")
        assert called(client, "hl7.hold") == []


@pytest.mark.parametrize("size", [(1, 1), (40, 10), (80, 24)])
@pytest.mark.parametrize("keys", ["", "e", "o", "e enter", "e e", "o tab enter"])
async def test_no_size_breaks_it(size: tuple[int, int], keys: str) -> None:
    async with driven(busy()) as console:
        await opened(console, *keys.split())
        await console.pilot.resize_terminal(*size)
        await console.pilot.pause()
        await console.pilot.resize_terminal(160, 48)
        await console.pilot.pause()


@given(st.text(st.characters(codec="utf-8"), max_size=80))
@settings(deadline=None)
def test_what_is_edited_can_act_on_no_terminal(text: str) -> None:
    from pacstui.text import safe

    shown, _ = editable("MSH|^~\\&|A\n" + text)
    for line in shown.split("\n"):
        assert safe(line, len(line) + 1) == line or line.isprintable()
    assert not any(ord(c) < 0x20 and c != "\n" for c in shown)


def test_what_can_be_shown_is_edited_as_it_is() -> None:
    text = "MSH|^~\\&|A\nPID|1||é漢字||\\F\\"
    assert editable(text) == (text, 0)
    assert editable("MSH|^~\\&|A\rPID|\x1b") == ("MSH|^~\\&|A\nPID|\\X1B\\", 0)
