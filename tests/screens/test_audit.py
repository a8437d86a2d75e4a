"""The audit trail in the console."""

from __future__ import annotations

from pathlib import Path

from pacstui.contract.audit import Flaw
from screens.audit import limits
from screens.widgets.row_table import RowTable
from tests.screens.conftest import driven
from tests.screens.fake_client import SteppedClient


async def test_the_newest_entries_stand_first_and_one_opens():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("9")
        await console.shows("Audit")
        await console.until(lambda: any("\u25b8" in line for line in console.lines), "the first entry")
        await console.press("enter")
        await console.until(lambda: str(client.entries) in console.text.replace(",", ""), "its number")


async def test_a_search_goes_to_the_node():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("9")
        await console.shows("Audit")
        await console.press("slash", *"echo", "enter")
        await console.until(lambda: ("audit.list", ("echo", "", "", "", "", 200, None)) in client.calls or
                            any(name == "audit.list" and arguments[0] == "echo" for name, arguments in client.calls),
                            "the question")  # fmt: skip


async def test_a_whole_trail_and_a_broken_one():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("9", "v")
        await console.shows("every entry is as it was written")
        await console.press("escape")
        client.flaws = (Flaw(7, 7, "was changed or put in"),)
        await console.press("v")
        text = await console.shows("the chain is broken")
        assert "7" in text
        assert "was changed or put in" in text


async def test_it_is_written_to_a_file(tmp_path: Path):
    async with driven(SteppedClient()) as console:
        await console.press("9", "x")
        await console.shows("CSV")
        await console.press("ctrl+u", *str(tmp_path / "audit.csv"), "enter")
        await console.until(lambda: (tmp_path / "audit.csv").exists(), "the file")


async def test_older_entries_come_as_one_scrolls_and_new_ones_are_announced():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("9")
        await console.shows("450")
        table = console.app.screen.query_one(RowTable)
        assert len(table.held) == 200
        await console.press("end")
        await console.until(lambda: table.cursor == 1, "the oldest entry")
        await console.press("home")
        await console.until(lambda: table.cursor == 450, "the newest entry")
        client.entries = 453
        console.app.screen._looked = -1000.0
        await console.step()
        await console.shows("3 new: r")
        await console.press("r")
        await console.shows("453")


async def test_limits_of_a_search():
    assert limits("who:op1 kind:patients-seen x  since:2026-01-01 y") == (
        "x y", {"who": "op1", "kind": "patients seen", "since": "2026-01-01"},
    )  # fmt: skip
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("9")
        await console.shows("450")
        await console.press("slash", *"who:view1 kind:denied", "enter")
        asked = ("audit.list", ("", "view1", "denied", "", "", 200, None))
        await console.until(lambda: asked in client.calls, "the search")
        await console.shows("who view1, kind denied")
        number = len(console.app.screen.query_one(RowTable).held)
        await console.shows(f"Audit  {number} found of 450")
        await console.press("escape")
        await console.shows("Audit  450 entries")
        await console.press("slash", *"o", "enter")
        await console.shows("Audit  200 or more found of 450")


async def test_a_date_that_is_none_is_told():
    async with driven(SteppedClient()) as console:
        await console.press("9")
        await console.shows("450")
        await console.press("slash", *"since:soon", "enter")
        await console.shows("soon is no date: write 2026-01-31")


async def test_an_entry_in_full_hides_patients_with_privacy_on():
    client = SteppedClient()
    async with driven(client, (160, 48)) as console:
        await console.press("9")
        await console.shows("450")
        await console.press("slash", *"kind:patients", "enter")
        await console.shows("DOE^JANE")
        await console.press("enter")
        text = await console.shows("known by")
        assert "DOE^JANE" in text
        await console.press("escape", "P")
        await console.until(lambda: "DOE" not in console.text, "the name hidden")


async def test_an_auditor_who_may_not_see_patients_sees_bullets():
    client = SteppedClient()
    client.roles["administrator"] = tuple(p for p in client.roles["administrator"] if p != "patients.view")
    async with driven(client, (160, 48)) as console:
        await console.press("9")
        await console.shows("\u2022" * 6)
        assert "DOE" not in console.text
