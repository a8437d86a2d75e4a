"""The second factor in the console: signing in, the lock, before something grave, setting it up; and the directory."""

from __future__ import annotations

from pacstui.qr import half_blocks
from tests.screens.conftest import driven
from tests.screens.fake_client import SteppedClient, account_row
from tests.screens.test_accounts import choose
from tests.screens.test_sign_in import signed_in, timed

RECOVERY = "aaaa-bbbb-cccc-ddd"


def with_code(client: SteppedClient) -> SteppedClient:
    client.codes["op1"] = "654321"
    return client


async def test_the_code_is_asked_for_after_the_right_password_and_a_wrong_one_is_typed_anew():
    client = with_code(SteppedClient())
    client.os_account = ""
    async with driven(client, connected=False) as console:
        await console.shows("Sign in")
        assert "code" not in console.text
        await console.press(*"op1", "tab", *"wrong", "enter")
        await console.shows("name or password is wrong")
        assert "six digits" not in console.text
        await console.press(*"right password", "enter")
        await console.shows("six digits of your device, or a recovery code")
        await console.press(*"000000", "enter")
        await console.shows("the code is wrong")
        assert "000000" not in console.text
        await console.press(*"654321", "enter")
        await console.shows("op1 (administrator)")
        await console.shows("Storage")


async def test_the_lock_and_something_grave_take_the_code_too():
    client = with_code(signed_in(SteppedClient(), "op1"))
    client.lock_s = 900.0
    async with driven(client) as console:
        await console.shows("op1 (administrator)")
        clock = timed(console)
        clock.now += 901
        await console.press("down")
        await console.shows("locked since")
        await console.press(*"right password", "enter")
        await console.shows("six digits")
        assert "locked since" in console.text
        await console.press(*"000000", "enter")
        await console.shows("the code is wrong")
        await console.press("tab", "tab", *"right password", "tab", *"654321", "enter")
        await console.shows("Storage")
        client.unconfirmed = True
        await choose(console, "view1")
        await console.press("D")
        await console.shows("Delete view1")
        await console.press(*"view1", "enter")
        await console.shows("Your password once more")
        await console.press(*"right password", "enter")
        await console.shows("six digits")
        await console.press(*"654321", "enter")
        await console.until(lambda: all(row.name != "view1" for row in client.people), "the account gone")


async def test_setting_one_up_shows_the_secret_as_a_picture_that_fits_and_tells_recovery_codes_once():
    client = signed_in(SteppedClient(), "op1")
    async with driven(client) as console:
        await console.shows("op1 (administrator)")
        await console.press("A", "t")
        text = await console.shows("switches it on")
        picture = half_blocks("otpauth://totp/PACSTUI:op1?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=PACSTUI")
        assert len(picture) == 21
        for line in picture[:-1]:
            assert line in text
        assert "ABCD EFGH IJKL MNOP" in text
        assert "code" in text
        await console.press(*"000000", "enter")
        text = await console.shows("this code is wrong")
        assert "ABCD EFGH" in text
        await console.press(*"123456", "enter")
        text = await console.shows("Your second factor is on")
        assert all(f"{RECOVERY}{number}" in text for number in range(10))
        await console.press("enter")
        assert RECOVERY in console.text
        await console.press("escape")
        await console.shows("Storage")
        assert RECOVERY not in console.text
        await console.press("A")
        await console.shows("with a second factor")
        await console.press("t")
        await console.shows("Set it up anew")
        await console.press("right", "right", "right", "enter")
        await console.shows("your second factor is off")
        assert "op1" not in client.codes


async def test_where_there_is_no_room_for_the_picture_there_is_the_secret():
    for size in ((80, 20), (60, 24), (1, 1)):
        async with driven(signed_in(SteppedClient(), "op1"), size=size) as console:
            await console.press("A", "t")
            await console.pilot.pause()
            if size != (1, 1):
                text = await console.shows("ABCD EFGH IJKL MNOP")
                assert "\u2580\u2580\u2580" not in text
                await console.press(*"123456", "enter")
                await console.shows(f"{RECOVERY}0")


async def test_after_a_while_the_password_is_asked_for_before():
    client = signed_in(SteppedClient(), "op1")
    client.unconfirmed = True
    async with driven(client) as console:
        await console.shows("op1 (administrator)")
        await console.press("A", "t")
        await console.shows("takes your password once more")
        await console.press(*"right password", "enter")
        await console.shows("ABCD EFGH IJKL MNOP")


async def test_who_must_have_one_gets_no_further_before():
    client = SteppedClient()
    client.os_account = ""
    client.must_set_up.add("view1")
    async with driven(client, connected=False) as console:
        await console.shows("Sign in")
        await console.press(*"view1", "tab", *"view1 password", "enter")
        await console.shows("ABCD EFGH IJKL MNOP")
        await console.press("1", "A", "ctrl+u", *"123456", "enter")
        await console.shows(f"{RECOVERY}9")
        await console.app.door.ask()  # what the node says meanwhile takes the codes away from nobody
        assert RECOVERY in console.text
        await console.press("enter")
        assert RECOVERY in console.text
        await console.press("escape")
        await console.shows("view1 (viewer)")
        await console.shows("Storage")


async def test_what_follows_the_directory_is_grey_with_the_reason():
    client = SteppedClient()
    client.people.append(account_row(
        "rita", "operator", full_name="Rita Reader", email="rita@example.org", origin="directory",
        password="directory", second_factor=True, recovery_left=9,
    ))  # fmt: skip
    async with driven(client, size=(120, 30)) as console:
        await choose(console, "rita")
        line = next(line for line in console.lines if "rita" in line)
        assert "directory" in line
        assert "yes" in line

        def dimmed(face: str) -> bool:
            console.app.notice = None
            console.app.screen.chrome()
            foot = console.app.screen.query_one("FootLine")
            mine = [s for s in foot._strips[0] if s.text == face] if foot._strips else []
            return bool(mine) and mine[0].style == console.app.ink["dim"] + console.app.ink["band"]

        await console.until(lambda: dimmed("p"), "the key for a password grey")
        await console.press("p")
        await console.shows("the password of rita is the directory's: it is reset there")
        await console.press("question_mark")
        await console.shows("is the directory's")
        await console.press("escape", "e")
        await console.shows("Edit rita")
        await console.press(*"xx")
        text = await console.shows("follows the directory: it is changed there")
        assert "Rita Readerxx" not in text
        await console.press("tab", "o", "tab", "tab", "tab", "tab", *"night", "enter")
        await console.shows("rita is changed")
        assert ("accounts.edit", ("rita", {"notes": "night"})) in client.calls
        await console.press("t")
        await console.shows("Take the second factor off rita?")
        await console.press("right", "enter")
        await console.until(lambda: ("accounts.reset_totp", "rita") in client.calls, "it taken off")
        await choose(console, "view1")
        await console.until(lambda: not dimmed("p"), "the key as ever")
        await console.press("t")
        await console.shows("view1 has no second factor")
        await choose(console, "rita")
        await console.press("enter")
        await console.shows("the directory: name, role and e-mail follow it")


async def test_somebody_of_the_directory_changes_the_password_there():
    client = signed_in(SteppedClient(), "rita")
    client.people.append(account_row("rita", "operator", origin="directory", password="directory"))
    client.passwords["rita"] = "rita's password"
    async with driven(client) as console:
        await console.shows("rita (operator)")
        await console.press("A", "p")
        await console.shows("your password is the directory's: change it there")
