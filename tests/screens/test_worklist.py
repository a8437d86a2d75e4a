"""The worklist in the console."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from pacstui.errors import NotFound, PacsError
from screens import step_words, worklist_cells, worklist_work
from screens.privacy import Privacy
from screens.widgets.panel import Panel
from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import START, FakeClient, SteppedClient
from tests.screens.fake_worklist import performed_row, step_row

TODAY = date(2026, 11, 25)


async def opened(console: Driven, step: int | None = None) -> str:
    """Open the worklist; with ``step`` the page of that step."""
    console.app.now = lambda: START  # type: ignore[method-assign]
    await console.press("W")
    text = await console.shows("Steps  6")
    if step is not None:
        console.app.screen.query_one("#steps", RowTable).cursor = step
        await console.press("enter")
        text = await console.shows("History")
    return text


def called(client: FakeClient, name: str) -> list[Any]:
    return [what for call, what in client.calls if call == name]


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_day_says_where_everything_stands(size: tuple[int, int]) -> None:
    async with driven(SteppedClient(), size) as console:
        text = await opened(console)
        for words in ("today, Wed 25 Nov", "no images", "Room 1", "= completed", "! no images", "> in progress",
                      "! arrived 23m", "\u00b7 scheduled", "- cancelled", "!11/12", "STAT: CT", "! 1 late",
                      "! 2 studies without order: u", "! 2 lack images"):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text
        assert "\x07" not in text
        assert ("enter: all of it" in text.lower()) is (size[1] > 33)


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_what_is_on_hold_is_seen_in_the_list_by_its_filter_and_with_who_and_why(size: tuple[int, int]) -> None:
    client = SteppedClient()
    held = {"held": "RIS, since 2026-11-25 11:00", "held_why": "creatinine [/]\x1b[2J"}
    client.worklist.rows[4] = replace(client.worklist.rows[4], state="on hold", **held)
    async with driven(client, size) as console:
        text = await opened(console)
        assert "~ on hold" in text and "on hold" in text.split("Steps")[0]
        await console.press("f", "f", "f")
        text = await console.shows("only on hold")
        assert "\x1b" not in text
        await console.press("enter")
        text = await console.shows("! on hold by RIS, since 2026-11-25 11:00: creatinine [/]")
        assert "s does (arrived, scheduled)" in " ".join(text.replace("│", " ").split())


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
async def test_the_dashboard_says_how_late_the_day_is(size: tuple[int, int]) -> None:
    client = SteppedClient()
    async with driven(client, size) as console:
        client.worklist.counts = {"today": 9, "to_come": 4, "in_progress": 1, "late": 0}
        await console.step()
        await console.shows("4 steps to come: W")
        client.worklist.counts = {"today": 9, "to_come": 4, "in_progress": 1, "late": 3}
        await console.step()
        await console.shows("! 3 of 4 steps late: W")


async def test_it_opens_at_the_first_step_that_is_not_over() -> None:
    async with driven(SteppedClient()) as console:
        await opened(console)
        assert console.app.screen.query_one("#steps", RowTable).cursor == 3


async def test_a_modality_a_state_and_words_limit_the_list_and_escape_takes_the_limits_away() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("m")
        await console.shows("Steps  4  only CT")
        await console.press("f")
        await console.shows("Steps  1  only CT, scheduled")
        await console.press("escape")
        await console.shows("Steps  6")
        await console.press("slash", *"a7")
        text = await console.shows('Steps  1  only with "a7", all days')
        assert "26 Nov" in text
        assert called(client, "worklist.steps")[-1] == ("", "", "", "a7", "")
        await console.press("escape")
        await console.shows("Steps  6")


async def test_enter_on_a_room_shows_only_its_steps() -> None:
    async with driven(SteppedClient()) as console:
        await opened(console)
        panel = console.app.screen.query_one("#standing", Panel)
        panel.focus()
        await console.press("down", "enter")
        await console.shows("Steps  1  only MR in Room 2")
        assert "MR [/bold]" in console.text


async def test_days_and_what_an_empty_one_teaches() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("right")
        await console.shows("tomorrow, Thu 26 Nov")
        await console.press("right")
        text = await console.shows("Nothing is scheduled for Fri 27 Nov.")
        assert "sends orders by HL7" in text
        assert "n enters an examination by hand" in text
        await console.press("d", *"2027-02-30", "enter")
        await console.shows("x there is no day 2027-02-30")
        await console.press("ctrl+u", *"-7", "enter")
        await console.shows("Nothing is scheduled for Wed 18 Nov.")
        await console.press("t")
        await console.shows("Steps  6")


async def test_a_step_says_what_is_wrong_and_what_mends_it() -> None:
    async with driven(SteppedClient()) as console:
        text = await opened(console, 1)
        for words in ("! 1 image of 12 not here", "> send the study again from CT1", "placer PL1", "11 of 12 here",
                      "= completed    CT1  09:31 to 09:44  !11/12 images", "25 Nov 08:01 ordered by RIS [/]",
                      "told on: RIS-MPPS at 09:45", "cough"):  # fmt: skip
            assert words in text, words
        assert "\x1b" not in text
        await console.press("v")
        await console.shows("Series")
        await console.press("escape", "escape")
        await console.shows("Steps  6")


async def test_a_step_leads_to_the_messages_of_its_order() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console, 1)
        await console.press("l")
        await console.until(lambda: any("A1" in str(what) for what in called(client, "hl7.messages")), "a search")


async def test_a_step_that_is_gone_says_so() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        client.worklist.rows = [row for row in client.worklist.rows if row.id != 3]
        await console.press("enter")
        await console.shows("x there is no step 3")


async def test_entering_by_hand_says_at_each_field_what_is_wrong() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("n", "enter")
        await console.shows("x a patient ID is needed")
        await console.press(*"TAKEN", "tab", "tab", *"Tester, Alpha")
        await console.shows("family name Tester, given name Alpha")
        await console.press("tab", *"1970-13-01")
        await console.shows("x there is no day 1970-13-01")
        await console.press("ctrl+u", *"1970-12-01", "tab", "f", "tab", *"ctx")
        await console.shows("CTX is none that DICOM names")
        await console.press("backspace", "tab", *"CT HEAD", "tab")
        await console.press(*"tomorrow")  # instead of the day that stands there
        await console.shows("Thursday, 26 November 2026")
        await console.press("tab", *"7:5", "enter")
        await console.shows("x 7:5 is no time of day: write 14:30, or now")
        await console.press("left", "right", "backspace", *"05", "enter")
        await console.shows("x TAKEN is another patient: look at name and birth date")
        form = console.app.screen
        panel = form.query_one(Panel)
        panel.at = 0  # type: ignore[attr-defined]
        await console.press("shift+tab", "tab", "ctrl+u", *"NEW-7", "enter")
        await console.until(lambda: console.app.screen is not form, "the form is done")
        assert called(client, "worklist.add")[-1] == {
            "patient_id": "NEW-7", "issuer": "", "patient_name": "Tester^Alpha", "birth_date": "19701201", "sex": "F",
            "modality": "CT", "description": "CT HEAD", "date": "20261126", "time": "070500", "station_ae": "",
            "room": "", "accession": "", "priority": "ROUTINE", "referring": "",
        }  # fmt: skip
        await console.shows("on the worklist for 2026-11-26 07:05: each CT sees it")


async def test_only_what_was_changed_is_sent() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        console.app.screen.query_one("#steps", RowTable).cursor = 5
        await console.press("e", "down", "down", "down", "down", "ctrl+u", *"16:15", "enter")
        await console.until(lambda: bool(called(client, "worklist.change")))
        assert called(client, "worklist.change") == [(5, {"time": "161500"})]
        await console.shows("16:15")
        await console.press("e", "enter")
        await console.shows("nothing was changed")
        assert len(called(client, "worklist.change")) == 1


async def test_what_is_over_is_not_edited_but_set() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        console.app.screen.query_one("#steps", RowTable).cursor = 2
        await console.press("e")
        await console.shows("s sets where it stands")
        await console.press("s", "right", "tab", *"moved", "enter")
        await console.until(lambda: bool(called(client, "worklist.set_state")))
        assert called(client, "worklist.set_state") == [(2, "scheduled", "moved")]


async def test_cancelling_takes_a_reason() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        console.app.screen.query_one("#steps", RowTable).cursor = 5
        await console.press("x", "enter")
        await console.shows("x a reason is needed")
        assert not called(client, "worklist.cancel")
        await console.press(*"went home", "enter")
        await console.until(lambda: called(client, "worklist.cancel") == [(5, "went home")])
        await console.press("x")
        await console.shows("it is cancelled already")


async def test_studies_without_order_lead_to_the_orders_beside_them_and_to_their_images() -> None:
    async with driven(SteppedClient()) as console:
        await opened(console)
        await console.press("u")
        text = await console.shows("Studies without order  2")
        assert "JANE, DOE" in text
        assert "(none)" in text
        await console.press("v")
        await console.shows("Series")


async def test_a_study_that_still_comes_in_is_shown_itself() -> None:
    client = SteppedClient()

    async def not_looked_at(study: str, search: str = "") -> None:
        raise NotFound("the study was not looked at", "wait")

    client.exceptions.show = not_looked_at  # type: ignore[method-assign, assignment]
    async with driven(client) as console:
        await opened(console)
        await console.press("u", "enter")
        await console.shows("it still comes in")
        assert "Series" in console.text


async def test_performed_steps_lead_to_their_step_or_study() -> None:
    client = SteppedClient()
    async with driven(client) as console:
        await opened(console)
        await console.press("p")
        text = await console.shows("Performed  2")
        for words in ("> in progress", "! no", "= yes", "!11/12", "it was done without an order",
                      "! 1 lack images"):  # fmt: skip
            assert words in text, words
        await console.press("f")
        await console.shows("only in progress")
        await console.press("f")
        await console.shows("only completed")
        await console.press("a")
        await console.shows("2 messages will be passed on again")
        assert called(client, "worklist.again") == [1]
        await console.press("enter")
        await console.shows("History")


async def test_nothing_performed_teaches_how_a_modality_reports() -> None:
    client = SteppedClient()
    client.worklist.done = []
    client.worklist.without = []
    async with driven(client) as console:
        await opened(console)
        await console.press("p")
        await console.shows("RADNODE1 at 127.0.0.1:11112 as its MPPS server")
        await console.press("escape", "u")
        await console.shows("Each study of today belongs to an order.")


async def test_privacy_hides_whose_steps_they_are() -> None:
    async with driven(SteppedClient(), (160, 48)) as console:
        await opened(console)
        await console.press("P")
        assert "DOE, JANE" not in console.text
        for keys in (("enter",), ("escape", "p"), ("escape", "u")):
            await console.press(*keys)
            await console.press()
            assert "DOE" not in console.text.replace("DOE-", "")
            assert "P1 " not in console.text


async def test_a_day_of_more_steps_than_a_page_is_shown_whole() -> None:
    client = SteppedClient()
    client.worklist.rows = [step_row(n) for n in range(1, 451)]
    async with driven(client) as console:
        console.app.now = lambda: START  # type: ignore[method-assign]
        await console.press("W")
        await console.shows("Steps  450")
        assert [what[-1] for what in called(client, "worklist.steps")[-3:]] == ["", "200", "400"]


@pytest.mark.parametrize("step", [2, 4, 6])
async def test_no_control_character_of_a_ris_or_a_modality_reaches_the_terminal(step: int) -> None:
    async with driven(SteppedClient(), (160, 48)) as console:
        await opened(console)
        console.app.screen.query_one("#steps", RowTable).cursor = step
        for keys in ((), ("enter",), ("escape", "u"), ("escape", "p"), ("escape", "e"), ("escape", "s"),
                     ("escape", "x")):  # fmt: skip
            await console.press(*keys)
            await console.press()
            assert not [c for c in console.text if c != "\n" and (ord(c) < 32 or 0x7F <= ord(c) < 0xA0)]
            assert console.app.is_running


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (60, 15), (300, 100)])
async def test_no_size_breaks_a_page(size: tuple[int, int]) -> None:
    async with driven(SteppedClient(), size) as console:
        console.app.now = lambda: START  # type: ignore[method-assign]
        for keys in (("W",), ("enter",), ("escape", "p"), ("enter", "escape"), ("escape", "u"), ("escape", "n"),
                     ("escape", "e"), ("escape", "s"), ("escape", "x"), ("escape", "d")):  # fmt: skip
            await console.press(*keys)
            await console.press()
            assert len(console.lines) == size[1]
        assert not console.app.crash


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "20261125"), ("today", "20261125"), (" Tomorrow ", "20261126"), ("yesterday", "20261124"),
        ("+3", "20261128"), ("-1", "20261124"), ("2026-12-24", "20261224"), ("20261224", "20261224"),
    ],
)  # fmt: skip
def test_a_day_as_people_type_it(text: str, found: str) -> None:
    assert worklist_work.parse_day(text, TODAY) == found


@pytest.mark.parametrize("text", ["soon", "2026-02-30", "24.12.2026", "\x1b[2J", "2026"])
def test_what_is_no_day(text: str) -> None:
    with pytest.raises(PacsError) as fault:
        worklist_work.parse_day(text, TODAY)
    assert fault.value.hint


@pytest.mark.parametrize(("text", "found"), [("7:05", "070500"), ("14:30", "143000"), ("0905", "090500"),
                                             ("now", "140300"), ("23:59:59", "235959")])  # fmt: skip
def test_a_time_as_people_type_it(text: str, found: str) -> None:
    assert worklist_work.parse_time(text, datetime(2026, 11, 25, 14, 3, tzinfo=UTC)) == found


@pytest.mark.parametrize("text", ["24:00", "9:60", "nine", "1", "7:5"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(PacsError):
        worklist_work.parse_time(text, datetime(2026, 11, 25, 14, 3, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Tester, Alpha", "Tester^Alpha"),
        ("Tester, Alpha Beta", "Tester^Alpha^Beta"),
        ("Tester^Alpha", "Tester^Alpha"),
        ("Tester", "Tester"),
    ],
)
def test_a_name_as_people_type_it(text: str, found: str) -> None:
    assert worklist_work.pn(text) == found


def test_a_name_of_commas_is_none() -> None:
    with pytest.raises(PacsError):
        worklist_work._name(" , ")
    assert worklist_work._name(" ") == ""  # the node knows who has that ID, or says that it needs one


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (step_row(1, "no images yet", expected=4), "no image of it is here"),
        (step_row(1, "completed", expected=4, received=5), "1 image more than the 4"),
        (step_row(1, "cancelled", received=2), "it is cancelled, but 2 images came"),
        (step_row(1, "scheduled", late_min=5), "it should have begun at 09:30"),
        (step_row(1, "scheduled", late_min=5, received=3), "did not report that it began"),
        (step_row(1, "scheduled", received=3), "no modality reported that it was done"),
    ],
)
def test_what_is_wrong_is_said_with_what_mends_it(row: Any, words: str) -> None:
    told = step_words.wrong(row, ())
    assert words in " ".join(what for what, _ in told)
    assert all(mends for _, mends in told)


def test_nothing_is_wrong_with_a_step_that_goes_as_it_should() -> None:
    for row in (step_row(1), step_row(1, "in progress", received=3), step_row(1, "completed", expected=4, received=4),
                step_row(1, "cancelled")):  # fmt: skip
        assert step_words.wrong(row, (performed_row(1, 1),)) == []
        assert not step_words.trouble(row, 76, Privacy())


def test_lateness_and_images_in_words() -> None:
    assert worklist_cells.standing(step_row(1, late_min=23))[0] == "! 23 min late"
    assert worklist_cells.standing(step_row(1, late_min=190))[0] == "! 3 h late"
    assert worklist_cells.images(-1, 0)[0] == "-"
    assert worklist_cells.images(12, 12)[0] == "12/12"
    assert worklist_cells.images(12, 3, over=False)[0] == "3/12"
    assert worklist_cells.day("garbage\x1b", TODAY) == "garbage\u241b"
    assert Privacy().name(replace(step_row(1), patient_name="A\x1b^B").patient_name) == "A\u241b, B"
