"""Exceptions in the console: found, looked at, put right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pacstui.contract.exceptions import Disagreement, SaidText
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import SteppedClient

SIZES = [(80, 24), (160, 48)]


def said(client: Any, name: str) -> list[Any]:
    return [what for call, what in client.calls if call == name]


async def at_the_first(console: Driven) -> None:
    await console.press("X")
    await console.shows("TESTTA, ANNA")
    await console.press("enter")
    await console.shows("arrived")


@pytest.mark.parametrize("size", SIZES)
async def test_the_list_says_what_does_not_fit_and_why(size: tuple[int, int]) -> None:
    async with driven(SteppedClient(), size) as console:
        await console.press("X")
        text = await console.shows("TESTTA, ANNA")
        for words in ("Exceptions  3", "x conflicting 1", "! unmatched 1", "~ probable 1", "CT 212 img",
                      "name: 1 letter differs", "accession (none)"):  # fmt: skip
            assert words in text, words
        await console.press("down")
        text = await console.shows("BEISPIEL, PETER, ID 5000, accession A31")
        told = " ".join(text.replace("\u2502", " ").split())
        assert "somebody else, TESTA, ANNA (4711)" in told
        assert "\x1b" not in text


@pytest.mark.parametrize("size", SIZES)
async def test_what_arrived_stands_beside_what_was_expected(size: tuple[int, int]) -> None:
    async with driven(SteppedClient(), size) as console:
        await at_the_first(console)
        text = await console.shows("order 1 of 2")
        lines = {line[2:].split("  ")[0].strip(): line for line in text.split("\n")}
        assert "~ name" in lines
        assert "TESTTA, ANNA" in lines["~ name"]
        assert "TESTA, ANNA" in lines["~ name"].partition("TESTTA")[2]
        assert "= born" in lines
        assert "1980-04-03" in lines["= born"]
        for words in ("score 82", "+30 patient ID agrees", "-8 time: 30 h later", "212 images from CT1"):
            assert words in text, words
        await console.press("right")
        await console.shows("order 2 of 2")
        await console.press("tab")
        await console.shows("order 1 of 2")


async def test_six_keys_and_a_reason_put_a_wrong_study_right_and_one_undoes_it() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await at_the_first(console)  # X, Enter
        await console.press("a")
        text = await console.shows("Gives the study with 1 series")
        assert "the birth date differs" in text
        await console.press(*"typo", "enter")  # who gave a reason means to do it: nothing that was typed is thrown away
        await console.shows("\u25b8[ assign it ]")
        await console.press("enter")
        await console.shows("= matched")
        assert said(client, "corrections.assign") == [{"study": "1.2.3", "order": 31, "patient_id": "", "issuer": ""}]
        assert said(client, "corrections.apply") == [("assign 1.2.3", "typo")]
        assert said(client, "exceptions.match") == ["1.2.3"]
        await console.press("z")
        await console.shows("Undo this correction")
        await console.press(*"no", "enter")
        await console.shows("~ probable")
        assert said(client, "corrections.undo") == [(1, "no")]
        await console.press("z")
        await console.shows("nothing was corrected here that could be undone")


async def test_the_order_of_an_emergency_is_entered_afterwards_as_done_and_the_study_given_to_it() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await at_the_first(console)
        await console.press("n")
        await console.shows("Enter the order afterwards")
        await console.press(*"E99", "enter")
        await console.shows("What this would do")
        (given,) = said(client, "worklist.add")
        assert (given["patient_id"], given["done"], given["modality"]) == ("E99", True, "CT")
        (assigned,) = said(client, "corrections.assign")
        assert (assigned["study"], assigned["order"]) == ("1.2.3", client.worklist.rows[-1].order)


async def test_another_patient_is_looked_for_and_the_study_given_to_them() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await at_the_first(console)
        await console.press("slash", *"must", "enter")
        await console.shows("MUSTER, EVA")
        text = await console.shows("without orders")
        assert "found for must" in text
        await console.press("a")
        await console.shows("What this would do")
        assert said(client, "corrections.assign") == [
            {"study": "1.2.3", "order": 0, "patient_id": "4711", "issuer": "LAB"}
        ]
        await console.press("escape", "escape")
        await console.shows("order 1 of 2")
        assert not said(client, "corrections.apply")


async def test_where_nothing_would_change_the_study_can_be_taken_as_it_is() -> None:
    client = SteppedClient()
    client.corrections.nothing = True
    async with driven(client, (80, 24)) as console:
        await at_the_first(console)
        await console.press("a")
        await console.shows("The index says all of that already")
        await console.press(*"ok", "enter")
        await console.until(lambda: said(client, "exceptions.settle") == [("1.2.3", "ok")])
        await console.press("escape")
        await console.shows("Exceptions  2")
        await console.press("d")
        await console.shows("taken by admin: ok")
        await console.press("z")
        await console.until(lambda: said(client, "exceptions.reopen") == ["1.2.3"])
        await console.shows("Nobody has taken a study as it is")


async def test_a_study_is_edited_and_rejected_after_a_look_at_what_that_does() -> None:
    client = SteppedClient()
    study = (await client.studies.list(limit=1)).rows[0].study
    client.exceptions.put("1.2.3", study=study)
    client.exceptions.candidates[study] = client.exceptions.candidates["1.2.3"]
    async with driven(client, (80, 24)) as console:
        await at_the_first(console)
        await console.press("e")
        await console.shows("Edit this study")
        await console.press("end", "X", "enter")
        await console.shows("What this would do")
        (edited,) = said(client, "corrections.edit")
        assert list(edited["changes"]) == ["PatientName"]
        assert edited["changes"]["PatientName"].endswith("X")
        await console.press("escape")
        await console.until(lambda: "What this would do" not in console.text)
        await console.press("j")
        await console.shows("Reject this study")
        await console.press("right", "enter")
        await console.shows("What this would do")
        assert said(client, "corrections.reject") == [{"study": study, "reason": "quality"}]


async def test_states_one_at_a_time_and_a_search() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await console.press("X")
        await console.shows("TESTTA, ANNA")
        await console.press("f")
        text = await console.shows("only x conflicting 1 of 3")
        await console.until(lambda: "TESTTA" not in console.text)
        assert "BEISPIEL" in text
        await console.press("escape")
        await console.shows("TESTTA, ANNA")
        await console.press("slash", *"beis", "enter")
        await console.until(lambda: "TESTTA" not in console.text)
        assert ("", "beis", False) in said(client, "exceptions.list_all")


@pytest.mark.parametrize("size", SIZES)
async def test_one_whose_order_is_on_hold_says_by_whom_and_why(size: tuple[int, int]) -> None:
    client = SteppedClient()
    held = {"held": "RIS, since 2026-11-25 11:00", "held_why": "creatinine [/]\x1b[2J"}
    client.exceptions.put("1.2.3", **held)
    client.exceptions.candidates["1.2.3"] = tuple(
        replace(each, state="on hold", **held) for each in client.exceptions.candidates["1.2.3"]
    )
    async with driven(client, size) as console:
        await console.press("X")
        await console.shows("its order is on hold by RIS, since 2026-11-25 11:00")
        await console.press("f", "f", "f", "f")
        await console.shows("only those whose order is ~ on hold")
        await console.press("escape")
        await console.shows("TESTTA, ANNA")
        await console.press("enter")
        text = await console.shows("its order is on hold by RIS")
        assert "score 82  on hold" in text and "\x1b" not in text


@pytest.mark.parametrize("size", SIZES)
async def test_where_objects_of_one_study_disagree_is_shown(size: tuple[int, int]) -> None:
    client = SteppedClient()
    client.exceptions.disagreements = (
        Disagreement("patient ID", (SaidText("P1", 119), SaidText("P9 [/]\x1b[2J", 1))),
        Disagreement("accession number", (SaidText("A1", 117), SaidText("", 3))),
    )
    async with driven(client, size) as console:
        await at_the_first(console)
        text = await console.shows("Its objects disagree: 120 of 212 images looked at")
        assert "P1 in 119, P9 [/]" in text and "A1 in 117, (none) in 3" in text and "\x1b" not in text
        await console.press("P")
        text = await console.shows("•••••• in 117, (none) in 3")
        assert "P9" not in text


async def test_names_are_hidden_in_private_and_read_only_holds_back() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        await at_the_first(console)
        await console.press("P", "R")
        await console.until(lambda: "TEST" not in console.text and "4711" not in console.text)
        await console.press("a")
        await console.until(lambda: "read-only" in console.text.casefold())
        assert not said(client, "corrections.apply")
        await console.press("t")
        assert not said(client, "exceptions.settle")


async def test_nothing_to_do_teaches_what_would_stand_here() -> None:
    client = SteppedClient()
    client.exceptions.rows = []
    async with driven(client, (80, 24)) as console:
        await console.press("X")
        text = await console.shows("Every study fits its order and patient.")
        assert "nothing does." in text and "\u2026" not in text.partition("Every study")[2]  # what teaches is not cut


async def test_the_dashboard_says_how_many_there_are_and_which_key_leads_there() -> None:
    client = SteppedClient()
    async with driven(client, (80, 24)) as console:
        assert ": X" not in console.text
        client.exceptions.counts = {"conflicting": 1, "unmatched": 2, "probable": 0}
        await console.step()
        await console.shows("x 1 of 3 exceptions: X")
        client.exceptions.counts = {"conflicting": 0, "unmatched": 1, "probable": 0}
        await console.step()
        await console.shows("! 1 exception: X")
