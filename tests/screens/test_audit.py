"""The audit trail in the console."""

from __future__ import annotations

from pathlib import Path

from pacstui.contract.audit import Flaw
from tests.screens.conftest import driven
from tests.screens.fake_client import SteppedClient


async def test_the_newest_entries_stand_first_and_one_opens():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("8")
        await console.shows("Audit")
        await console.until(lambda: any("\u25b8" in line for line in console.lines), "the first entry")
        await console.press("enter")
        await console.until(lambda: str(client.entries) in console.text.replace(",", ""), "its number")


async def test_a_search_goes_to_the_node():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("8")
        await console.shows("Audit")
        await console.press("slash", *"echo", "enter")
        await console.until(lambda: ("audit.list", ("echo", "", "", "", "", 200, None)) in client.calls or
                            any(name == "audit.list" and arguments[0] == "echo" for name, arguments in client.calls),
                            "the question")  # fmt: skip


async def test_a_whole_trail_and_a_broken_one():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("8", "v")
        await console.shows("every entry is as it was written")
        await console.press("escape")
        client.flaws = (Flaw(7, 7, "was changed or put in"),)
        await console.press("v")
        text = await console.shows("the chain is broken")
        assert "7" in text
        assert "was changed or put in" in text


async def test_it_is_written_to_a_file(tmp_path: Path):
    async with driven(SteppedClient()) as console:
        await console.press("8", "x")
        await console.shows("CSV")
        await console.press("ctrl+u", *str(tmp_path / "audit.csv"), "enter")
        await console.until(lambda: (tmp_path / "audit.csv").exists(), "the file")
