"""Who is at the console: signing in and out, what an account may not do, the lock, and the password once more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rich.cells import cell_len

from pacstui.errors import Denied
from screens.confirming import Confirming
from tests.screens.conftest import Driven, driven
from tests.screens.fake_client import SteppedClient

NAMES = ("DOE", "SAMPLE", "EXAMPLE", "P00", "RADNODE1", "CT1")


def signed_in(client: SteppedClient, name: str) -> SteppedClient:
    """Let the console begin with somebody's sign-in."""
    client.token = "kept"
    client.sign_ins["kept"] = name
    return client


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def timed(console: Driven) -> Clock:
    clock = Clock()
    console.app.door.clock = clock
    console.app.door._touched = console.app.door._asked = clock.now
    return clock


async def test_the_head_line_shows_account_and_role():
    async with driven() as console:
        await console.shows("op1 (administrator)")
        assert "op1 (administrator)" in console.lines[0]


async def test_without_account_a_page_says_so_and_lets_somebody_sign_in():
    client = SteppedClient()
    client.os_account = ""
    async with driven(client, connected=False) as console:
        text = await console.shows("root has no account on this node")
        assert "name" in text
        for key in ("2", "colon", "question_mark", "ctrl+p", "A"):
            await console.press(key)
            assert "Sign in" in console.text
            assert "Dash" not in console.text
        for _ in range(4):
            await console.press("backspace")
        await console.press("ctrl+u", *"op1", "tab", *"wrong", "enter")
        text = await console.shows("name or password is wrong: capitals matter")
        assert "op1" in text
        assert "wrong password" not in text
        await console.press("tab", "tab", *"right password")
        text = console.text
        assert "right password" not in text
        assert "\u2022" * 14 in text
        await console.press("enter")
        await console.shows("op1 (administrator)")
        await console.shows("Storage")
        assert client.token in client.sign_ins


async def test_a_session_that_is_ended_shows_why_in_place_of_everything():
    client = signed_in(SteppedClient(), "op1")
    async with driven(client) as console:
        await console.press("4")
        await console.shows("10,000")
        client.sign_ins.clear()
        client.poke()
        text = await console.shows("this sign-in has ended")
        for word in NAMES:
            assert word not in text
        await console.press(*"op1", "tab", *"right password", "enter")
        await console.shows("Studies  10,000")


async def test_a_denied_stream_is_told_and_ends_when_the_node_shows_again():
    client = SteppedClient()
    async with driven(client) as console:
        await console.shows("op1")
        client.denied = Denied("op1 may not watch: it takes the permission node.view", "ask an administrator")
        client.poke()
        text = await console.shows("op1 may not watch: it takes the permission")
        assert "ask an administrator" in text
        client.denied = None
        console.app.bridge.again.set()
        await console.shows("Storage")


async def test_a_disabled_account_is_out_and_the_reason_is_on_the_page():
    client = signed_in(SteppedClient(), "view1")
    async with driven(client) as console:
        await console.shows("view1 (viewer)")
        client.people = [row for row in client.people if row.name != "view1"]
        client.poke()
        await console.shows("this sign-in has ended")
        await console.press("ctrl+o")
        await console.shows("op1 (administrator)")
        assert client.token == ""


async def test_a_kept_sign_in_that_has_ended_is_dropped_at_the_start():
    client = SteppedClient()
    client.token = "old"
    async with driven(client, connected=False) as console:
        await console.shows("op1 (administrator)")
        assert client.token == ""


async def test_a_one_time_password_asks_for_a_new_one_before_anything_else():
    client = SteppedClient()
    client.os_account = ""
    client.passwords["view1"] = "abcd-efgh-jkmn"
    client.must_change.add("view1")
    async with driven(client, connected=False) as console:
        await console.shows("Sign in")
        await console.press(*"view1", "tab", *"abcd-efgh-jkmn", "enter")
        text = await console.shows("A new password")
        assert "Welcome, view1 (viewer)" in text
        await console.press("1", "A", "ctrl+u", *"short", "tab", *"short", "enter")
        await console.shows("at least 12 characters: several words")
        await console.press("ctrl+u", *"other", "enter")
        await console.shows("two different passwords")
        for _ in range(2):
            await console.press("tab", "ctrl+u", *"correct horse battery")
        await console.press("enter")
        await console.shows("view1 (viewer)")
        await console.shows("Storage")
        assert client.passwords["view1"] == "correct horse battery"


async def test_what_a_viewer_may_not_do_is_greyed_with_the_permission_and_says_so():
    client = signed_in(SteppedClient(), "view1")
    async with driven(client) as console:
        await console.shows("view1 (viewer)")
        await console.press("2")
        await console.shows("stores")
        foot = console.app.screen.query_one("FootLine")
        abort = [s for s in foot._strips[0] if s.text == "x"]
        assert abort[0].style == console.app.ink["dim"] + console.app.ink["band"]
        await console.press("x")
        await console.shows("abort takes the permission associations.abort; view1 lacks it")
        await console.press("question_mark")
        await console.shows("takes associations.abort")
        await console.press("escape", "colon", *"abort")
        await console.shows("takes associations.abort")


async def test_who_may_not_see_patients_sees_none_and_every_screen_stands():
    client = signed_in(SteppedClient(), "view1")
    async with driven(client, (160, 48)) as console:
        await console.shows("view1 (viewer)")
        for keys in (("1",), ("3",), ("4",), ("enter",), ("5",), ("6",), ("6", "enter")):
            await console.press(*keys)
            await console.step()
            for secret in ("DOE, J", "SAMPLE", "M\u00dcSTER", "P009", "1970-01-01"):
                assert secret not in console.text, secret
        await console.press("4")
        await console.press("escape")
        await console.shows("\u2022" * 6)
        await console.press("slash", *"doe")
        await console.shows("a search takes the permission patients.view; view1 lacks it")


async def test_switching_accounts_leaves_nothing_of_the_former_one():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("4")
        await console.shows("DOE, JANE")
        await console.press("A")
        text = await console.shows("Sign in as somebody else")
        assert "op1 (administrator)" in text
        await console.press("s")
        await console.shows("Whoever signs in now takes")
        await console.press(*"view1", "tab", *"view1 password", "enter")
        await console.shows("view1 (viewer)")
        assert console.app.current_mode == "dashboard"
        assert not console.app.privacy._known.keys() & {"DOE^JANE"}
        await console.press("4")
        await console.shows("\u2022" * 6)
        assert "DOE" not in console.text
        first = client.token
        await console.press("A", "s", *"op1", "tab", *"right password", "enter")
        await console.shows("op1 (administrator)")
        assert first not in client.sign_ins
        assert ("accounts.sign_out", "view1") in client.calls
        await console.press("4")
        await console.shows("DOE, JANE")


async def test_signing_out_and_changing_ones_password():
    client = signed_in(SteppedClient(), "op1")
    async with driven(client) as console:
        await console.shows("op1 (administrator)")
        await console.press("A", "p")
        await console.shows("Change my password")
        await console.press(*"right password", "tab", *"a longer password", "tab", *"a longer password", "enter")
        await console.shows("the password is changed")
        assert client.passwords["op1"] == "a longer password"
        assert "a longer password" not in console.text
        await console.press("A", "o")
        text = await console.shows("You are signed out")
        assert "Storage" not in text
        assert client.token == ""
        await console.press("ctrl+o")
        await console.shows("Storage")


async def test_who_is_known_by_the_machine_cannot_sign_out():
    async with driven() as console:
        await console.shows("op1")
        await console.press("A", "o")
        await console.shows("there is nothing to sign out of")


# the lock


@pytest.mark.parametrize("theme_kind", ["full", "terminal"])
async def test_a_console_that_lies_idle_locks_and_shows_nothing_until_the_password_is_said(theme_kind):
    client = SteppedClient()
    client.lock_s = 900.0
    async with driven(client, theme_kind=theme_kind) as console:
        await console.press("4")
        await console.shows("10,000")
        clock = timed(console)
        clock.now += 899
        await console.press("down")
        clock.now += 899
        console.app._tick()
        assert "10,000" in console.text
        clock.now += 2
        await console.press("q")
        text = await console.shows("Locked")
        assert "op1 (administrator): locked since" in text
        for word in NAMES:
            assert word not in text
        for key in ("escape", "q", "ctrl+c", "ctrl+q", "ctrl+z", "1", "colon", "A", "y", "ctrl+o", "question_mark"):
            await console.press(key)
            assert console.app.is_running
            assert "Locked" in console.text
        await console.step()
        await console.press("ctrl+u", *"nonsense", "enter")
        await console.shows("name or password is wrong")
        await console.press(*"right password", "enter")
        await console.shows("Studies  10,000")
        await console.press("2")
        await console.shows("stores")


async def test_lock_now_and_another_person_signs_in():
    client = SteppedClient()
    async with driven(client) as console:
        await console.press("4")
        await console.shows("DOE")
        await console.press("L")
        await console.shows("Locked")
        await console.press("tab", "ctrl+u", *"view1", "tab", *"view1 password", "enter")
        await console.shows("view1 (viewer)")
        assert console.app.current_mode == "dashboard"


async def test_the_palette_locks():
    async with driven() as console:
        await console.shows("op1")
        await console.press("colon", *"lock this", "enter")
        await console.shows("Locked")


async def test_what_comes_while_it_is_locked_stays_behind_the_lock():
    from screens.modals.ask import Ask, Choice

    async with driven() as console:
        await console.press("4")
        await console.shows("DOE")
        await console.press("L")
        await console.shows("Locked")
        console.app.push_screen(Ask("About DOE", ["?"], [Choice("a", "a", safe=True)]))
        await console.app.action_mode("studies")
        console.app.find_study()
        await console.pilot.pause()
        assert "DOE" not in console.text
        await console.press(*"right password", "enter")
        await console.shows("About DOE")


async def test_a_session_that_ends_behind_the_lock_is_begun_anew_with_the_password():
    client = signed_in(SteppedClient(), "op1")
    async with driven(client) as console:
        await console.press("4")
        await console.shows("10,000")
        await console.press("L")
        await console.shows("Locked")
        client.sign_ins.clear()
        client.poke()
        await console.shows("this sign-in has ended")
        await console.press(*"right password", "enter")
        await console.shows("Studies  10,000")
        assert client.token in client.sign_ins


async def test_without_password_there_is_no_lock():
    client = SteppedClient()
    client.lock_s = 10.0
    client.passwords.clear()
    async with driven(client) as console:
        await console.shows("op1")
        clock = timed(console)
        clock.now += 100
        await console.press("2")
        await console.shows("stores")
        await console.press("L")
        await console.shows("A, then p sets one")


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (60, 15), (160, 48)])
@pytest.mark.parametrize("what", ["closed", "locked", "menu", "new password"])
async def test_every_page_at_every_size(size, what):
    client = SteppedClient()
    client.os_account = "" if what == "closed" else "op1"
    if what == "new password":
        signed_in(client, "op1")
        client.must_change.add("op1")
    async with driven(client, size, connected=False) as console:
        await console.until(lambda: console.app.me is not None, "an account")
        if what in ("locked", "menu"):
            await console.press("L" if what == "locked" else "A")
        await console.press("tab", "x", "enter", "down")
        width, height = size
        assert len(console.lines) == height
        assert {cell_len(line) for line in console.lines} == {width}


# the password once more


async def test_a_grave_call_asks_for_the_password_and_is_made_once_more():
    client = SteppedClient()
    client.unconfirmed = True
    async with driven(client) as console:
        await console.shows("op1")
        assert isinstance(console.app.client, Confirming)
        console.app.keep(console.app.fetch(console.app.client.accounts.delete("gone")))
        await console.shows("Your password once more")
        await console.press(*"nonsense", "enter")
        await console.shows("name or password is wrong")
        await console.press("ctrl+u", *"right password", "enter")
        deleted: Callable[[], bool] = lambda: ("accounts.delete", "gone") in client.calls  # noqa: E731
        await console.until(deleted, "the deletion")


async def test_without_the_password_nothing_grave_is_done():
    client = SteppedClient()
    client.unconfirmed = True
    async with driven(client) as console:
        await console.shows("op1")
        console.app.keep(console.app.fetch(console.app.client.accounts.delete("gone")))
        await console.shows("Your password once more")
        await console.press("escape")
        await console.shows("nothing was done")
        assert not [call for call in client.calls if call[0] == "accounts.delete"]


async def test_a_console_that_begins_read_only():
    async with driven(read_only=True) as console:
        assert "READ-ONLY" in console.lines[0]


async def test_an_account_that_gains_a_permission_has_it_after_the_next_look():
    client = signed_in(SteppedClient(), "view1")
    async with driven(client) as console:
        await console.shows("view1 (viewer)")
        clock = timed(console)
        client.roles["viewer"] = client.roles["operator"]
        clock.now += 31
        console.app._tick()
        await console.until(lambda: not console.app.door.lacks("associations.abort"), "the permission")


async def test_the_page_that_comes_unasked_is_left_by_the_second_escape():
    client = SteppedClient()
    client.os_account = ""
    async with driven(client, connected=False) as console:
        await console.shows("Sign in")
        await console.press("escape")
        assert console.app.is_running
        assert "esc again leaves" in console.text
        await console.pilot.press("escape")
    assert console.app.return_code == 0


async def test_the_node_is_told_how_long_nobody_has_touched_the_console():
    client = signed_in(SteppedClient(), "op1")
    async with driven(client) as console:
        await console.shows("op1 (administrator)")
        clock = timed(console)
        clock.now += 50
        assert client.idle_s() == 50
        await console.press("down")
        assert client.idle_s() == 0
