"""Signing in, wrong passwords, sessions, and what an administrator's change does to them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from pacstui.errors import BadRequest, Denied, NotFound
from pacstui.settings import AccountsSettings
from tests.accounts.making import ME, Doors, opened

NEW = "new correct horse"


async def person(doors: Doors, name: str, role: str = "viewer") -> str:
    """Make an account with a password of its own; return that."""
    first = (await doors.as_me("create", name, role=role)).secret
    caller = await doors.signed_in(name, first)
    assert caller.permissions == frozenset()
    with doors.calling(caller):
        await doors.room.set_password(first, NEW)
        await doors.room.sign_out()
    return NEW


async def test_the_first_start_makes_who_starts_it_administrator_without_any_password(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        (row,) = await doors.as_me("list")
        assert (row.name, row.role, row.os_user, row.password) == (ME, "administrator", ME, "none")
        with pytest.raises(Denied, match="name or password is wrong"):
            await doors.signed_in(ME, "")
    async with opened(tmp_path) as doors:
        assert len(await doors.as_me("list")) == 1


async def test_a_one_time_password_asks_for_a_new_one_and_is_good_once_and_for_a_day(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        first = (await doors.as_me("create", "eva", role="radiologist")).secret
        caller = await doors.signed_in("EVA", first)
        with doors.calling(caller):
            me = await doors.room.me()
            assert (me.account, me.must_change, me.permissions) == ("eva", True, ())
            for bad in ("short", "eva" * 5, "a" * 20, first):
                with pytest.raises(BadRequest):
                    await doors.room.set_password(first, bad)
            await doors.room.set_password(first, NEW)
        assert "patients.view" in (await doors.signed_in("eva", NEW)).permissions
        with pytest.raises(Denied):
            await doors.signed_in("eva", first)
        again = (await doors.as_me("reset_password", "eva")).secret
        with pytest.raises(Denied):
            await doors.signed_in("eva", NEW)
        doors.clock.advance(25 * 3600)
        with pytest.raises(Denied):
            await doors.signed_in("eva", again)


async def test_a_storm_of_wrong_passwords_locks_who_guesses_and_nobody_else(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        for name in ("eva", "otto"):
            await person(doors, name)

        async def guess(number: int) -> str:
            with pytest.raises(Denied) as caught:
                await doors.signed_in("eva", f"guess {number}", uid=666, os_user="mallory")
            return caught.value.message

        told = await asyncio.gather(*(guess(number) for number in range(8)))  # eight consoles
        assert told.count("too many wrong passwords") >= 2
        assert (await doors.signed_in("eva", NEW)).account == "eva"  # from her own OS user
        assert (await doors.signed_in("otto", NEW, uid=666, os_user="mallory")).account == "otto"
        with pytest.raises(Denied, match="too many wrong passwords"):
            await doors.signed_in("eva", NEW, uid=666, os_user="mallory")  # right, and too late
        (row,) = await doors.as_me("list", "eva")
        assert row.state == "locked"
        assert (await doors.caller()).account == ME
        wrong = [each for each in await doors.entries() if each.kind == "sign-in" and each.outcome == "failed"]
        assert {each.who for each in wrong} == {"eva"}
        assert {each.origin for each in wrong} == {"mallory, process 1"}
        await doors.as_me("unlock", "eva")
        assert (await doors.signed_in("eva", NEW, uid=666, os_user="mallory")).account == "eva"


async def test_the_wait_doubles_and_ends(tmp_path: Path) -> None:
    async with opened(tmp_path, AccountsSettings(wrong_passwords=2, lock_s=10)) as doors:
        await person(doors, "eva")
        for seconds in (10, 20, 40):
            tries = 2 if seconds == 10 else 1
            for _ in range(tries):
                with pytest.raises(Denied, match="name or password is wrong"):
                    await doors.signed_in("eva", "wrong")
            doors.clock.advance(seconds - 1)
            with pytest.raises(Denied, match="too many wrong passwords"):
                await doors.signed_in("eva", NEW)
            doors.clock.advance(1)
        assert (await doors.signed_in("eva", NEW)).account == "eva"


async def test_nobody_learns_which_names_there_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await person(doors, "eva")
        for name in ("eva", "nobody", "", ME):
            with pytest.raises(Denied) as caught:
                await doors.signed_in(name, "wrong password")
            assert caught.value.message == "name or password is wrong"


async def test_a_change_while_somebody_signs_in_stays(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await person(doors, "eva")
        fits, begun, go_on = doors.gate.passwords.fits, asyncio.Event(), asyncio.Event()

        async def slow(stored: str, password: str) -> bool:
            begun.set()
            await go_on.wait()
            return await fits(stored, password)

        doors.gate.passwords.fits = slow  # type: ignore[method-assign]
        signing = asyncio.create_task(doors.signed_in("eva", NEW))
        await begun.wait()
        await doors.as_me("disable", "eva")
        go_on.set()
        with pytest.raises(Denied):
            await signing
        (row,) = await doors.as_me("list", "eva")
        assert (row.state, row.sessions) == ("disabled", 0)


async def test_sessions_end_when_they_should(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await person(doors, "eva")
        with doors.calling(await doors.caller("mallory", 666)):
            token = (await doors.room.sign_in("eva", NEW)).token
        assert (await doors.caller("mallory", 666, token=token)).account == "eva"
        assert (await doors.caller("otto", 667, token=token)).why == "this sign-in has ended"  # another OS user
        (session,) = (await doors.as_me("show", "eva")).sessions
        await doors.as_me("end_session", session.id)
        gone = await doors.caller("mallory", 666, token=token)
        assert (gone.account, gone.why, gone.may("node.view")) == ("", "this sign-in has ended", False)
        with pytest.raises(NotFound):
            await doors.as_me("end_session", session.id)
        with doors.calling(await doors.caller("mallory", 666)):
            token = (await doors.room.sign_in("eva", NEW)).token
        doors.clock.advance(3 * 3600 + 1)
        assert not (await doors.caller("mallory", 666, token=token)).account


async def test_an_os_users_session_that_was_ended_stays_ended_for_that_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.as_me("create", "eva", role="viewer", os_user="nobody")
        caller = await doors.caller("nobody", 65534, pid=77)
        assert caller.may("node.view")
        assert not caller.may("accounts.view")
        assert caller.session is not None
        await doors.as_me("end_session", caller.session.id)
        ended = await doors.caller("nobody", 65534, pid=77)
        assert ended.why == f"your session was ended by {ME}"
        assert (await doors.caller("nobody", 65534, pid=78)).account == "eva"
        await doors.as_me("disable", "eva")
        assert "is disabled" in (await doors.caller("nobody", 65534, pid=79)).why


async def test_an_account_that_expires_is_out(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        day = doors.clock.now().date()
        await doors.as_me("create", "eva", os_user="nobody", expires=day.isoformat())
        assert (await doors.caller("nobody", 65534)).account == "eva"
        doors.clock.advance(timedelta(days=2).total_seconds())
        assert "has expired" in (await doors.caller("nobody", 65534)).why
        (row,) = await doors.as_me("list", "eva")
        assert row.state == "expired"


async def test_grave_things_take_the_password_for_five_minutes(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await person(doors, "eva")
        caller = await doors.signed_in("eva", NEW)
        assert not doors.gate.unconfirmed(caller)
        doors.clock.advance(301)
        assert doors.gate.unconfirmed(caller)
        with doors.calling(caller):
            with pytest.raises(Denied):
                await doors.room.confirm("wrong")
            assert doors.gate.unconfirmed(caller)
            await doors.room.confirm(NEW)
        assert not doors.gate.unconfirmed(caller)
