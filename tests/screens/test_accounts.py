"""Accounts in the console: the list, forms, what is told once, roles, review, sessions."""

from __future__ import annotations

from pathlib import Path

from tests.screens.conftest import driven
from tests.screens.fake_client import SteppedClient


async def test_the_list_says_who_may_sign_in_and_who_has_not():
    async with driven(SteppedClient()) as console:
        await console.press("7")
        text = await console.shows("Accounts  ")
        assert "op1" in text
        assert "administrator" in text
        await console.press("slash", *"administrator", "enter")
        text = await console.shows("op1")
        assert len([line for line in console.lines if "administrator" in line]) >= 1


async def test_a_new_account_gets_a_password_that_is_told_once():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("7", "n")
        await console.shows("A new account")
        await console.press("enter")
        await console.shows("x ")  # the name is missing, and the form stays
        assert "A new account" in console.text
        await console.press(*"zoe", "enter")
        await console.shows("only now")
        made = [arguments for name, arguments in client.calls if name == "accounts.create"]
        assert made
        assert any(row.name == "zoe" for row in client.people)
        secret = "abcd-efgh-jkmn"
        assert secret in console.text
        await console.press("escape")
        await console.shows("zoe")
        assert secret not in console.text


async def test_what_is_typed_stays_when_the_node_declines():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("7", "n")
        await console.shows("A new account")
        await console.press(*"zoe", "space", *"x", "enter")
        await console.until(lambda: "cannot be the name" in console.text, "what is wrong")
        assert "A new account" in console.text
        assert "zoe x" in console.text
        await console.press("backspace", "backspace", "enter")
        await console.shows("only now")


async def test_deleting_takes_the_name_typed():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("7")
        await console.shows("Accounts  ")
        name = next(row.name for row in client.people if row.name != "op1" and row.name.isalpha())
        await console.press("slash", *name, "enter")
        await console.until(lambda: any("\u25b8" in line and name in line for line in console.lines), "the row")
        await console.press("D")
        await console.shows("Delete")
        await console.press("enter")
        assert any(row.name == name for row in client.people)
        await console.press(*name, "enter")
        await console.until(lambda: all(row.name != name for row in client.people), "the account gone")


async def test_an_accounts_page_shows_sessions_and_permissions():
    async with driven(SteppedClient()) as console:
        await console.press("7")
        await console.shows("op1")
        await console.press("slash", *"op1", "enter", "enter")
        text = await console.shows("Sessions  ")
        assert "op1" in text


async def test_the_matrix_of_roles_and_the_review_open_and_close():
    async with driven(SteppedClient()) as console:
        await console.press("7", "m")
        text = await console.shows("Roles")
        assert "accounts.manage" in text
        assert "yes" in text
        await console.press("escape", "v")
        await console.shows("eview")
        await console.press("escape")
        await console.shows("Accounts  ")


async def test_accounts_are_written_to_a_file_that_is_named(tmp_path: Path):
    async with driven(SteppedClient()) as console:
        await console.press("7", "x")
        await console.shows("CSV")
        await console.press("ctrl+u", *str(tmp_path / "accounts.csv"), "enter")
        await console.until(lambda: (tmp_path / "accounts.csv").exists(), "the file")
        assert "op1" in (tmp_path / "accounts.csv").read_text()


async def test_every_page_stands_any_window():
    for size in ((1, 1), (20, 5), (80, 24), (160, 48)):
        async with driven(SteppedClient(), size=size) as console:
            for key in ("7", "enter", "m", "v", "n", "i", "8", "enter", "v", "x"):
                await console.press(key, *["escape"] * (key not in ("7", "8")))
