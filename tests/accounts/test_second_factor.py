"""The second factor: setting it up, codes at the edge of their time, replay, recovery codes, who must have one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyotp
import pytest

from pacstui.accounts.lockout import Lockout
from pacstui.accounts.second import STEP_S
from pacstui.clock import FakeClock
from pacstui.contract.accounts import RecoveryCodes
from pacstui.errors import BadRequest, CodeNeeded, Denied, StorageFull, Unavailable, Unconfirmed
from pacstui.settings import AccountsSettings
from tests.accounts.making import ME, Doors, opened
from tests.accounts.test_signing_in import NEW, person


class Device:
    """The phone in somebody's pocket. ``late`` is by how many seconds its clock is slow."""

    def __init__(self, doors: Doors, secret: str) -> None:
        self._doors = doors
        self._totp = pyotp.TOTP(secret.replace(" ", ""))

    def code(self, late: float = 0.0) -> str:
        return self._totp.at(int(self._doors.clock.now().timestamp() - late))


async def set_up(doors: Doors, name: str = "eva", role: str = "viewer") -> tuple[Device, tuple[str, ...]]:
    """Make an account with password and second factor; return its device and recovery codes."""
    await person(doors, name, role)
    with doors.calling(await doors.signed_in(name, NEW)):
        begun = await doors.room.begin_totp()
        device = Device(doors, begun.secret)
        assert pyotp.parse_uri(begun.uri).secret == begun.secret.replace(" ", "")
        told: RecoveryCodes = await doors.room.finish_totp(device.code())
        await doors.room.sign_out()
    doors.clock.advance(STEP_S)
    return device, told.codes


async def sign_in(doors: Doors, code: str, name: str = "eva", password: str = NEW, uid: int = 4711) -> str:
    with doors.calling(await doors.caller("somebody", uid)):
        return (await doors.room.sign_in(name, password, code)).me.text


async def test_a_code_is_asked_for_only_after_the_right_password(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors)
        with pytest.raises(Denied, match="name or password is wrong") as wrong:
            await sign_in(doors, "", password="wrong")
        assert not isinstance(wrong.value, CodeNeeded)
        with pytest.raises(Denied, match="name or password is wrong"):
            await sign_in(doors, device.code(), password="wrong")
        with pytest.raises(CodeNeeded):
            await sign_in(doors, "")
        await sign_in(doors, f" {device.code()[:3]} {device.code()[3:]} ")
        (row,) = await doors.as_me("list", "eva")
        assert row.second_factor
        assert row.recovery_left == 10
        told = [(e.outcome, e.detail) for e in await doors.entries() if e.who == "eva" and e.kind == "sign-in"]
        assert ("denied", "asked for a code of the second factor") in told
        assert told[-1][0] == "ok"


@pytest.mark.parametrize(("late", "right"), [
    (0, True), (STEP_S, True), (-STEP_S, True), (2 * STEP_S, False), (-2 * STEP_S, False),
])  # fmt: skip
async def test_a_device_may_be_half_a_minute_slow_or_fast(tmp_path: Path, late: int, right: bool) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors)
        doors.clock.advance(300 - doors.clock.now().timestamp() % STEP_S)  # the first second of a step
        if right:
            await sign_in(doors, device.code(late))
        else:
            with pytest.raises(Denied, match="the code is wrong"):
                await sign_in(doors, device.code(late))


async def test_the_last_moment_of_the_window_and_the_first_after_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors)
        doors.clock.advance(300 - doors.clock.now().timestamp() % STEP_S)
        code = device.code()
        doors.clock.advance(2 * STEP_S)
        with pytest.raises(Denied, match="the code is wrong"):
            await sign_in(doors, code)
        code = device.code()
        doors.clock.advance(2 * STEP_S - 0.001)
        await sign_in(doors, code)


async def test_a_code_is_taken_once_also_after_a_restart_and_of_two_at_once_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors)
        code = device.code()
        told = await asyncio.gather(*(sign_in(doors, code, uid=uid) for uid in (1, 2, 3)), return_exceptions=True)
        assert sorted(type(each).__name__ for each in told) == ["Denied", "Denied", "str"]
        with pytest.raises(Denied, match="used already"):
            await sign_in(doors, code)
        before = device.code(STEP_S)
        with pytest.raises(Denied, match="used already"):
            await sign_in(doors, before)  # the one before it is used up with it
        at = doors.clock.now()
    async with opened(tmp_path) as doors:
        doors.clock.advance((at - doors.clock.now()).total_seconds())
        with pytest.raises(Denied, match="used already"):
            await sign_in(doors, code)
        doors.clock.advance(STEP_S)
        device._doors = doors
        await sign_in(doors, device.code())


async def test_wrong_codes_lock_as_wrong_passwords_do(tmp_path: Path) -> None:
    async with opened(tmp_path, AccountsSettings(wrong_passwords=3)) as doors:
        device, _ = await set_up(doors)
        with pytest.raises(Denied, match="name or password"):
            await sign_in(doors, "", password="wrong")
        for _ in range(2):
            with pytest.raises(CodeNeeded):
                await sign_in(doors, "")  # the right password alone does not make the others forgotten
            with pytest.raises(Denied, match="the code is wrong"):
                await sign_in(doors, "000000")
        with pytest.raises(Denied, match="too many wrong passwords"):
            await sign_in(doors, device.code())
        (row,) = await doors.as_me("list", "eva")
        assert row.state == "locked"
        await doors.as_me("unlock", "eva")
        await sign_in(doors, device.code())


async def test_a_code_that_cannot_be_written_down_is_not_taken(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors)

        async def full(_: object) -> None:
            raise StorageFull("the disk is full")

        swap, doors.gate.store._db.write = doors.gate.store._db.write, full  # type: ignore[method-assign, assignment]
        code = device.code()
        with pytest.raises(StorageFull):
            await doors.gate.factors.accept(doors.gate.store.get("eva"), code)
        doors.gate.store._db.write = swap  # type: ignore[method-assign]
        assert (await doors.gate.factors.accept(doors.gate.store.get("eva"), code)).right


async def test_codes_that_are_guessed_at_once_are_counted_too(tmp_path: Path) -> None:
    async with opened(tmp_path, AccountsSettings(wrong_passwords=3)) as doors:
        await set_up(doors)
        told = await asyncio.gather(*(sign_in(doors, f"{number:06}") for number in range(12)), return_exceptions=True)
        assert [str(each).startswith("the code is wrong") for each in told].count(True) == 3


def test_a_flood_of_names_makes_no_other_one_forgotten() -> None:
    lockout = Lockout(FakeClock(), 5, 60.0)
    for _ in range(4):
        lockout.failed("eva", 666)
    for number in range(6_000):
        lockout.failed(f"nobody {number}", 666)
    assert lockout.failed("eva", 666) > 0
    assert len(lockout._tries) <= 4096


async def test_a_recovery_code_is_good_once_and_new_ones_replace_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, codes = await set_up(doors)
        assert len(set(codes)) == 10
        assert await sign_in(doors, codes[0].upper().replace("-", " ")) == "with a recovery code, 9 left"
        with pytest.raises(Denied, match="the code is wrong"):
            await sign_in(doors, codes[0])
        assert (await doors.as_me("show", "eva")).row.recovery_left == 9
        caller = await doors.caller("somebody", 4711)
        with doors.calling(caller):
            token = (await doors.room.sign_in("eva", NEW, device.code())).token
        with doors.calling(await doors.caller("somebody", 4711, token=token)):
            fresh = await doors.room.renew_recovery()
        with pytest.raises(Denied, match="the code is wrong"):
            await sign_in(doors, codes[1])
        await sign_in(doors, fresh.codes[1])


async def test_neither_secret_nor_recovery_codes_stand_in_the_database(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await person(doors, "eva")
        with doors.calling(await doors.signed_in("eva", NEW)):
            begun = await doors.room.begin_totp()
            told = await doors.room.finish_totp(Device(doors, begun.secret).code())
        kept = repr(doors.gate.store.get("eva"))
        entries = repr(await doors.entries())
        for secret in (begun.secret, begun.secret.replace(" ", ""), *told.codes, told.codes[0].replace("-", "")):
            assert secret not in kept
            assert secret not in entries
        assert (tmp_path / "accounts.key").stat().st_mode & 0o777 == 0o600


async def test_without_its_key_codes_cannot_be_checked_but_recovery_codes_work(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, codes = await set_up(doors)
    (tmp_path / "accounts.key").unlink()
    async with opened(tmp_path) as doors:
        device._doors = doors
        doors.clock.advance(300)
        with pytest.raises(Unavailable, match="the key of second factors is missing"):
            await sign_in(doors, device.code())
        await sign_in(doors, codes[3])
        assert not (tmp_path / "accounts.key").exists()  # another one would hide what is wrong
        await doors.as_me("reset_totp", "eva")
        assert await sign_in(doors, "") == ""


async def test_setting_up_takes_a_right_code_and_can_be_begun_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await person(doors, "eva")
        caller = await doors.signed_in("eva", NEW)
        with doors.calling(caller):
            with pytest.raises(BadRequest, match="no second factor is being set up"):
                await doors.room.finish_totp("123456")
            first = Device(doors, (await doors.room.begin_totp()).secret)
            second = Device(doors, (await doors.room.begin_totp()).secret)
            with pytest.raises(Denied, match="this code is wrong"):
                await doors.room.finish_totp(first.code())
            assert not (await doors.room.me()).second_factor
            await doors.room.finish_totp(second.code())
            assert (await doors.room.me()).second_factor
            doors.clock.advance(600)
            with pytest.raises(Unconfirmed):
                await doors.room.begin_totp()
            with pytest.raises(Unconfirmed):
                await doors.room.stop_totp()
            with pytest.raises(CodeNeeded):
                await doors.room.confirm(NEW)
            await doors.room.confirm(NEW, second.code())
            await doors.room.stop_totp()
            assert not (await doors.room.me()).second_factor


async def test_an_administrator_takes_it_off_and_sessions_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors)
        caller = await doors.signed_in_with_code("eva", NEW, device.code())
        with pytest.raises(Denied, match="cannot give or take"):
            with doors.calling(caller):
                await doors.room.reset_totp(ME)
        await doors.as_me("reset_totp", "eva")
        assert not any(each.account == "eva" for each in doors.gate.sessions.all())
        await sign_in(doors, "")
        with pytest.raises(BadRequest, match="has no second factor"):
            await doors.as_me("reset_totp", "eva")


async def test_before_something_grave_the_code_is_asked_for_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors, role="administrator")
        caller = await doors.signed_in_with_code("eva", NEW, device.code())
        assert not doors.gate.unconfirmed(caller)
        doors.clock.advance(301)
        assert doors.gate.unconfirmed(caller)
        with doors.calling(caller):
            with pytest.raises(CodeNeeded):
                await doors.room.confirm(NEW)
            with pytest.raises(Denied):
                await doors.room.confirm(NEW, "000000")
            assert doors.gate.unconfirmed(caller)
            await doors.room.confirm(NEW, device.code())
        assert not doors.gate.unconfirmed(caller)


async def test_an_os_users_account_may_have_a_code_without_a_password(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        begun = await doors.as_me("begin_totp")
        device = Device(doors, begun.secret)
        await doors.as_me("finish_totp", device.code())
        doors.clock.advance(600)
        caller = await doors.caller()
        assert "accounts.manage" in caller.permissions  # the machine's word is enough to come in
        assert doors.gate.unconfirmed(caller)
        with doors.calling(caller):
            with pytest.raises(CodeNeeded):
                await doors.room.confirm("")
            await doors.room.confirm("", device.code())
        assert not doors.gate.unconfirmed(caller)


async def test_who_must_have_one_sets_it_up_before_anything_else(tmp_path: Path) -> None:
    async with opened(tmp_path, AccountsSettings(second_factor="administrators")) as doors:
        await person(doors, "vera", "viewer")
        await person(doors, "eva", "administrator")
        assert "node.view" in (await doors.signed_in("vera", NEW)).permissions
        caller = await doors.signed_in("eva", NEW)
        assert caller.permissions == frozenset()
        assert caller.why == "a second factor has to be set up first"
        with doors.calling(caller):
            me = await doors.room.me()
            assert me.must_set_up
            device = Device(doors, (await doors.room.begin_totp()).secret)
            await doors.room.finish_totp(device.code())
            assert not (await doors.room.me()).must_set_up
            with pytest.raises(BadRequest, match="asks you for a second factor"):
                await doors.room.stop_totp()
        session = caller.session
        assert session is not None
        assert (await doors.caller()).permissions  # the machine's word is enough, unless the setting says not
        doors.gate.replace(AccountsSettings(second_factor="everybody", second_factor_os_users=True))
        known = await doors.caller()
        assert known.permissions == frozenset()
        assert "not enough" in known.why
        with doors.calling(known):
            told = await doors.room.recover(ME)  # the way back in
        doors.gate.replace(AccountsSettings(second_factor="everybody"))
        assert told.secret
        assert [r.findings for r in (await doors.as_me("review")).rows if r.account.name == "vera"] == [
            ("has no second factor yet",)
        ]


async def test_a_new_password_takes_the_code_when_it_was_not_said_lately(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        device, _ = await set_up(doors)
        caller = await doors.signed_in_with_code("eva", NEW, device.code())
        with doors.calling(caller):
            await doors.room.set_password(NEW, "another correct horse")
            doors.clock.advance(301)
            with pytest.raises(CodeNeeded):
                await doors.room.set_password("another correct horse", NEW)
            await doors.room.set_password("another correct horse", NEW, device.code())
