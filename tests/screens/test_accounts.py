"""Accounts in the console: the list, forms, what is told once, roles, review, sessions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from screens.roles import turned
from screens.widgets.row_table import RowTable
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import SteppedClient, account_row


async def test_the_list_says_who_may_sign_in_and_who_has_not():
    async with driven(SteppedClient()) as console:
        await console.press("8")
        text = await console.shows("Accounts  ")
        assert "op1" in text
        assert "administrator" in text
        await console.press("slash", *"administrator", "enter")
        text = await console.shows("op1")
        assert len([line for line in console.lines if "administrator" in line]) >= 1


async def test_a_new_account_gets_a_password_that_is_told_once():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("8", "n")
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
        await console.press("8", "n")
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
        await console.press("8")
        await console.shows("Accounts  ")
        name = next(row.name for row in client.people if row.name != "op1" and row.name.isalpha())
        await console.press("slash", *name, "enter")
        await console.until(
            lambda: any({"\u25b8", "\u25b9"} & set(line) and name in line for line in console.lines), "the row"
        )
        await console.press("D")
        await console.shows("Delete")
        await console.press("enter")
        assert any(row.name == name for row in client.people)
        await console.press(*name, "enter")
        await console.until(lambda: all(row.name != name for row in client.people), "the account gone")


async def test_an_accounts_page_shows_sessions_and_permissions():
    async with driven(SteppedClient()) as console:
        await console.press("8")
        await console.shows("op1")
        await console.press("slash", *"op1", "enter", "enter")
        text = await console.shows("Sessions  ")
        assert "op1" in text


async def test_the_matrix_of_roles_and_the_review_open_and_close():
    async with driven(SteppedClient()) as console:
        await console.press("8", "m")
        text = await console.shows("Roles")
        assert "accounts.manage" in text
        assert "yes" in text
        await console.press("escape", "v")
        await console.shows("eview")
        await console.press("escape")
        await console.shows("Accounts  ")


async def test_accounts_are_written_to_a_file_that_is_named(tmp_path: Path):
    async with driven(SteppedClient()) as console:
        await console.press("8", "x")
        await console.shows("CSV")
        await console.press("ctrl+u", *str(tmp_path / "accounts.csv"), "enter")
        await console.until(lambda: (tmp_path / "accounts.csv").exists(), "the file")
        assert "op1" in (tmp_path / "accounts.csv").read_text()


async def test_every_page_stands_any_window():
    for size in ((1, 1), (20, 5), (80, 24), (160, 48)):
        async with driven(SteppedClient(), size=size) as console:
            for key in ("7", "enter", "m", "v", "n", "i", "8", "enter", "v", "x"):
                await console.press(key, *["escape"] * (key not in ("7", "8")))


async def choose(console: Driven, name: str) -> None:
    """Go to an account's row."""
    await console.press("8")
    await console.shows("Accounts  ")
    table = console.app.screen.query_one(RowTable)
    await console.until(lambda: name in table._places, "the account")
    await console.press("home")
    for _ in range(table._places[name]):
        await console.press("down")
    assert table.cursor == name


async def test_edit_sends_only_what_was_changed_and_a_mistake_stays_at_the_form():
    client = SteppedClient()
    async with driven(client) as console:
        await choose(console, "view1")
        await console.press("e")
        text = await console.shows("Edit view1")
        assert "Vera Viewer" in text
        assert "2026-11-28" in text
        await console.press("tab", "o", "tab", *"nobody-here", "enter")
        text = await console.shows("this machine has no user nobody-here")
        assert "\u25b8" in text
        assert "operator" in text
        await console.press("ctrl+u", "enter")
        await console.shows("view1 is changed")
        assert ("accounts.edit", ("view1", {"role": "operator"})) in client.calls
        await console.until(lambda: any("view1" in line and "operator" in line for line in console.lines), "the role")


async def test_a_one_time_password_is_asked_about_told_once_and_never_copied():
    client = SteppedClient()
    async with driven(client) as console:
        written: list[str] = []
        await choose(console, "view1")
        await console.press("p")
        await console.shows("A new one-time password for view1?")
        await console.press("enter")
        assert not [call for call in client.calls if call[0] == "accounts.reset_password"]
        await console.press("p", "right", "enter")
        await console.shows("qrst-uvwx-yz23")
        console.app._driver.write = written.append
        await console.press("y")
        await console.shows("a password is not copied")
        assert not [each for each in written if "52;c" in each]
        await console.press("enter")
        assert "qrst-uvwx-yz23" in console.text
        await console.press("escape")
        assert "qrst" not in console.text


async def test_disabling_asks_and_enabling_does_not():
    client = SteppedClient()
    async with driven(client) as console:
        await choose(console, "op1")
        await console.press("d")
        text = await console.shows("Disable op1?")
        assert "This is the account that you are signed in with" in text
        assert "2 open sessions" in text
        await console.press("escape")
        await choose(console, "gone")
        await console.press("d")
        await console.shows("gone is enabled again")
        await console.press("d", "right", "enter")
        await console.shows("gone is disabled")
        await console.shows("- disabled")
        await choose(console, "locked")
        await console.shows("! locked")
        await console.press("u")
        await console.shows("locked: wrong passwords are forgotten")


async def test_a_session_is_ended_from_the_accounts_page():
    client = SteppedClient()
    async with driven(client) as console:
        await choose(console, "op1")
        await console.press("enter")
        text = await console.shows("Sessions  2")
        assert "used just now" in text or "used " in text
        assert "never used" in text
        await console.press("down", "x")
        await console.shows("End op1's session 1?")
        await console.press("right", "enter")
        await console.until(lambda: ("accounts.end_session", 1) in client.calls, "the end")
        await console.shows("Sessions  1")


async def test_an_account_that_is_gone_says_so_on_its_page():
    client = SteppedClient()
    async with driven(client) as console:
        await choose(console, "gone")
        await console.press("enter")
        await console.shows("Erika Example")
        client.people = [row for row in client.people if row.name != "gone"]
        console.app.screen.renew()
        await console.shows("there is no account gone")


async def test_deleting_asks_for_the_password_once_more_where_the_node_wants_it():
    client = SteppedClient()
    client.unconfirmed = True
    async with driven(client) as console:
        await choose(console, "gone")
        await console.press("D", *"gone", "enter")
        await console.shows("Your password once more")
        await console.press(*"right password", "enter")
        await console.shows("gone is deleted")
        assert all(row.name != "gone" for row in client.people)


async def test_a_role_of_ones_own_is_made_from_a_copy_changed_saved_and_deleted():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("8", "m")
        await console.shows("\u25b8viewer")
        await console.press("space")
        await console.shows("viewer is built in and stays as it is")
        await console.press("n", *"bad name!", "enter")
        await console.shows("cannot be the name of a role")
        await console.press("ctrl+u", *"archivist", "tab", *"keeps it", "enter")
        await console.shows("\u25b8archiv")
        assert client.patterns["archivist"] == ("*.view", "!patients.view")
        await console.press("space")
        await console.shows("yes*")
        await console.press("space")
        await console.until(lambda: "not saved" not in console.text, "the change taken back")
        await console.press("space", "escape")
        await console.shows("Changes of archivist are not saved")
        await console.press("enter", "s")
        await console.shows("archivist is saved")
        assert client.patterns["archivist"] == ("*.view", "!patients.view", "accounts.manage")
        await console.press("D", *"archivist", "enter")
        await console.shows("the role archivist is deleted")
        await console.press("escape")
        await console.shows("Accounts  ")


def test_what_space_does_to_the_patterns_of_a_role():
    known = ("a.do", "a.view", "b.view")
    assert turned(("*.view",), "a.view", known) == ("*.view", "!a.view")
    assert turned(("*.view", "!a.view"), "a.view", known) == ("*.view",)
    assert turned(("*.view",), "a.do", known) == ("*.view", "a.do")
    assert turned(("*.view", "a.do"), "a.do", known) == ("*.view",)
    assert turned((), "a.do", known) == ("a.do",)


async def test_a_csv_file_is_shown_before_anything_is_done(tmp_path: Path):
    client = SteppedClient()
    bad, good = tmp_path / "bad.csv", tmp_path / "good.csv"
    bad.write_text("name,role\nanna,viewer\nmistake,none\n")
    good.write_text("name,role\nanna,viewer\nbob,viewer\n")
    async with driven(client) as console:
        await console.press("8", "i")
        await console.shows("Import accounts")
        await console.press(*"/nowhere/x.csv", "enter")
        text = await console.shows("No such file")
        assert "/nowhere/x.csv" in text
        await console.press("ctrl+u", *str(bad), "enter")
        text = await console.shows("1 mistake")
        assert "x mistake" in text
        assert "its role is none [/]" in text
        await console.press("i")
        await console.shows("nothing is done until they are mended")
        await console.press("escape", "i", *str(good), "enter")
        await console.shows("2 changes")
        await console.press("i", "enter")
        assert not [call for call in client.calls if call[0] == "accounts.import_csv"]
        await console.press("i", "right", "enter")
        text = await console.shows("once-bob")
        assert "once-anna" in text
        await console.press("escape")
        await console.shows("bob")
        assert "once-" not in console.text


async def test_no_file_is_overwritten(tmp_path: Path):
    there = tmp_path / "there.csv"
    there.write_text("mine")
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("8", "x")
        await console.shows("Write all accounts")
        await console.press("ctrl+u", *str(there), "enter")
        await console.shows("is there already")
        assert there.read_text() == "mine"
        assert not [call for call in client.calls if call[0] == "accounts.export_csv"]


async def test_the_review_says_what_to_look_at():
    client = SteppedClient()
    async with driven(client, (160, 48)) as console:
        await console.press("8", "v")
        text = await console.shows("! never signed in; its role [/] is gone")
        assert "5 to look at" in text
        await console.press("t")
        await console.until(lambda: ("accounts.review", 180) in client.calls, "other days")
        await console.press("enter")
        await console.shows("Never used: 1 of 14")


async def test_who_may_not_manage_is_told_what_it_takes():
    client = SteppedClient()
    client.roles["operator"] = (*client.roles["operator"], "accounts.view")
    client.people = [replace(row, role="operator") if row.name == "op1" else row for row in client.people]
    async with driven(client) as console:
        await choose(console, "view1")
        for key, verb in (("n", "create"), ("e", "edit"), ("p", "reset"), ("D", "delete"), ("i", "import")):
            await console.press(key)
            await console.shows(f"{verb} takes the permission accounts.manage; op1 lacks it")
        await console.press("m", "space")
        await console.shows("save-role takes the permission accounts.manage")


async def test_a_service_gets_a_token_that_is_told_once_and_revoked_from_its_page():
    client = SteppedClient()
    client.people.append(account_row("metrics", "viewer", kind="service"))
    async with driven(client) as console:
        await choose(console, "metrics")
        await console.press("enter")
        await console.shows("none: n makes one")
        await console.press("n")
        await console.shows("A token for metrics")
        await console.press(*"grafana", "tab", *"*.view, jobs.run", "enter")
        await console.shows("pacstui_token0_0000")
        assert ("accounts.create_token", ("metrics", "grafana", ("*.view", "jobs.run"), "")) in client.calls
        await console.press("y")
        assert console.app._clipboard == "pacstui_token0_" + "0" * 40
        await console.press("escape")
        text = await console.shows("Tokens  1")
        assert "pacstui_token0_" not in text
        assert "for *.view, jobs.run" in text
        await console.press("home", "x")
        await console.shows("Revoke the token grafana?")
        await console.press("right", "enter")
        await console.shows("Tokens  0")


async def test_a_person_gets_no_token():
    client = SteppedClient()
    async with driven(client) as console:
        await choose(console, "op1")
        await console.press("enter")
        text = await console.shows("Sessions  ")
        assert "Tokens" not in text
        await console.press("n")
        await console.shows("tokens are for services")


async def test_a_filter_that_nothing_fits_says_so_and_how_all_come_back() -> None:
    async with driven(SteppedClient(), (80, 24)) as console:
        await console.press("8")
        await console.shows("op1")
        await console.press("slash", *"no such account", "enter")
        await console.shows("Nothing here fits the filter. esc shows all again.")
