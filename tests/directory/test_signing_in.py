"""Signing in by a real directory: accounts that are made, follow it and end with it, and what is told to whom."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import pyotp
import pytest

from pacstui.contract.accounts import SignedIn
from pacstui.errors import BadRequest, CodeNeeded, Denied, PacsError, Unavailable
from pacstui.settings import AccountsSettings, DirectorySettings
from tests.accounts.making import ME, Doors, opened
from tests.accounts.test_signing_in import NEW, person
from tests.directory.slapd import GROUPS, PEOPLE, READERS, Slapd, free_port, needed
from tests.directory.slapd import person as entry

pytestmark = needed
DORA, RITA, NORA = (f"{name}'s password" for name in ("dora", "rita", "nora"))


async def sign_in(doors: Doors, name: str, password: str, code: str = "", uid: int = 4711) -> SignedIn:
    with doors.calling(await doors.caller("somebody", uid)):
        told: SignedIn = await doors.room.sign_in(name, password, code)
    return told


async def refused(doors: Doors, name: str, password: str, **more: Any) -> PacsError:
    with pytest.raises(PacsError) as caught:
        await sign_in(doors, name, password, **more)
    return caught.value


@contextmanager
def people(slapd: Slapd, *entries: str) -> Iterator[None]:
    """Let there be further entries for a while."""
    dns = [base64.b64decode(text.partition("dn:: ")[2].partition("\n")[0]).decode() for text in entries]
    slapd.change("\n".join(text.replace("\n", "\nchangetype: add\n", 1) for text in entries))
    try:
        yield
    finally:
        for dn in dns:
            for change in (
                f"dn: {READERS}\nchangetype: modify\ndelete: member\nmember: {dn}\n", f"dn: {dn}\nchangetype: delete\n",
            ):  # fmt: skip
                with suppress(CalledProcessError):  # the test has done it
                    slapd.change(change)


def member(slapd: Slapd, what: str, group_dn: str, uid: str) -> None:
    slapd.change(f"dn: {group_dn}\nchangetype: modify\n{what}: member\nmember: uid={uid},{PEOPLE}\n")


async def test_an_account_is_made_at_the_first_sign_in_and_says_where_it_is_from(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        told = await sign_in(doors, "Dora", DORA)
        assert (told.me.account, told.me.full_name, told.me.role) == ("dora", "Dora Directory", "administrator")
        assert (told.me.how, told.me.directory, told.me.lockable) == ("directory", True, True)
        caller = await doors.caller("somebody", 4711, token=told.token)
        assert "accounts.manage" in caller.permissions
        (row,) = await doors.as_me("list", "dora")
        assert (row.origin, row.password, row.email) == ("directory", "directory", "dora@example.org")
        entries = [e for e in await doors.entries() if "dora" in (e.who, e.target)]
        assert [(e.kind, e.outcome, e.how) for e in entries] == [
            ("action", "ok", "directory"),
            ("sign-in", "ok", "directory"),
        ]
        assert "administrator by pacs-admins" in entries[0].detail.lower()
        assert DORA not in repr(await doors.entries())
        await sign_in(doors, "dora", DORA)
        assert len(await doors.as_me("list")) == 2
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        assert (await sign_in(doors, "DORA", DORA)).me.account == "dora"


async def test_who_is_in_no_group_that_counts_is_told_so_and_gets_no_account(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        told = await refused(doors, "nora", NORA)
        assert told.message == "nora has no role here by 1 group: choir"
        assert (await refused(doors, "nora", "wrong")).message == "name or password is wrong"
        assert [row.name for row in await doors.as_me("list")] == [ME]
        assert any("right password, but nora has no role" in e.detail for e in await doors.entries())


async def test_what_is_told_does_not_say_who_there_is(tmp_path: Path, slapd: Slapd) -> None:
    for number, settings in enumerate((slapd.settings(), slapd.settings(servers=(f"ldap://127.0.0.1:{free_port()}",)))):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with opened(folder, directory=settings) as doors:
            await person(doors, "lotte")
            told = {
                name: (fault.message, fault.hint)
                for name in ("lotte", "dora", "nora", "nobody", "*", "a" * 70, "")
                for fault in [await refused(doors, name, "wrong")]
            }
            assert len(set(told.values())) == 1, told
            for name in ("lotte", "dora", "nobody"):
                await refused(doors, name, "wrong")
                await refused(doors, name, "wrong")
            last = {(await refused(doors, name, "wrong")).message for name in ("lotte", "dora", "nobody")}
            assert len(last) == 1, last


async def test_local_and_directory_passwords_are_never_tried_at_the_other(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        await person(doors, "dora", "viewer")  # a local account of the same name was there first
        before = slapd.log().count(f'BIND dn="uid=dora,{PEOPLE}"')
        assert (await refused(doors, "dora", DORA)).message == "name or password is wrong"
        assert (await sign_in(doors, "dora", NEW)).me.role == "viewer"
        assert slapd.log().count(f'BIND dn="uid=dora,{PEOPLE}"') == before
        await sign_in(doors, "rita", RITA)
        rita = doors.gate.store.get("rita")
        await doors.gate.store.update(rita, password=await doors.gate.passwords.hashed(NEW))
        assert (await refused(doors, "rita", NEW)).message == "name or password is wrong"


async def test_local_accounts_work_while_the_directory_is_away_and_it_is_told_as_that(
    tmp_path: Path, slapd: Slapd
) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        await person(doors, "lotte", "administrator")
        await sign_in(doors, "rita", RITA)
        away = slapd.settings(servers=(f"ldap://127.0.0.1:{free_port()}",))
        doors.gate.replace(AccountsSettings(), away)
        assert (await sign_in(doors, "lotte", NEW)).me.role == "administrator"
        told = await refused(doors, "rita", RITA)
        assert isinstance(told, Unavailable)
        assert told.message == (
            "the directory at 127.0.0.1 does not answer: Connection refused; local accounts still work"
        )
        assert [p[0] for p in doors.gate.proof.directory.problems()] == ["directory"]
        await doors.following.look_again(frozenset({"rita"}))
        assert any(each.account == "rita" for each in doors.gate.sessions.all())  # nothing is known, nothing changes
        doors.gate.replace(AccountsSettings(), slapd.settings())
        await sign_in(doors, "rita", RITA)
        assert list(doors.gate.proof.directory.problems()) == []


async def test_guessing_here_locks_nobody_in_the_directory(tmp_path: Path, slapd: Slapd) -> None:
    settings = slapd.settings(wrong_passwords=3, lock_s=900.0, filter="(|(uid={name})(mail={name}))")
    async with opened(tmp_path, directory=settings) as doors:
        dn = f'BIND dn="uid=rita,{PEOPLE}"'
        before = slapd.log().count(dn)
        names = ("rita", "RITA", "rita@example.org", "Rita@Example.ORG")
        for uid in range(6):  # six OS users, four spellings
            for name in names:
                await refused(doors, name, "guess", uid=uid)
        assert slapd.log().count(dn) - before == 3
        assert (await refused(doors, "rita", RITA, uid=99)).message == "too many wrong passwords"
        doors.clock.advance(901)
        await sign_in(doors, "rita", RITA, uid=99)
        await refused(doors, "rita", "guess", uid=1)  # the right one made the others forgotten


async def test_guesses_at_once_are_counted_too(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings(wrong_passwords=2)) as doors:
        dn = f'BIND dn="uid=rita,{PEOPLE}"'
        before = slapd.log().count(dn)
        await asyncio.gather(*(refused(doors, "rita", "guess", uid=uid) for uid in range(12)))
        assert slapd.log().count(dn) - before == 2
        assert doors.gate.proof._trying == {}


async def test_an_administrator_unlocks_somebody_of_the_directory(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        await sign_in(doors, "rita", RITA)
        for uid in (1, 2, 3):
            await refused(doors, "rita", "guess", uid=uid)
        assert (await refused(doors, "rita", RITA)).message == "too many wrong passwords"
        (row,) = await doors.as_me("list", "rita")
        assert row.state == "locked"
        await doors.as_me("unlock", "rita")
        await sign_in(doors, "rita", RITA)


async def test_role_name_and_address_follow_the_directory(tmp_path: Path, slapd: Slapd) -> None:
    with people(slapd, entry("vera", "vera's password", "Vera")):
        member(slapd, "add", READERS, "vera")
        async with opened(tmp_path, directory=slapd.settings()) as doors:
            first = await sign_in(doors, "vera", "vera's password")
            assert first.me.role == "radiologist"
            slapd.change(f"dn: uid=vera,{PEOPLE}\nchangetype: modify\nreplace: cn\ncn: Vera Changed\n")
            member(slapd, "add", f"cn=pacs-admins,{GROUPS}", "vera")
            second = await sign_in(doors, "vera", "vera's password")
            assert (second.me.role, second.me.full_name) == ("administrator", "Vera Changed")
            assert (await doors.caller("somebody", 4711, token=first.token)).why == "this sign-in has ended"
            assert any("role radiologist -> administrator" in e.detail for e in await doors.entries())
            member(slapd, "delete", f"cn=pacs-admins,{GROUPS}", "vera")
            await doors.following.look_again(frozenset({"vera"}))
            assert (await doors.caller("somebody", 4711, token=second.token)).session is None
            third = await sign_in(doors, "vera", "vera's password")
            assert third.me.role == "radiologist"
            await doors.following.look_again(frozenset({"vera"}))
            assert (await doors.caller("somebody", 4711, token=third.token)).account == "vera"
            for uid in ("vera",):
                member(slapd, "delete", READERS, uid)
            await doors.following.look_again(frozenset({"vera"}))
            (row,) = await doors.as_me("list", "vera")
            assert (row.state, row.origin_text, row.sessions) == ("refused", "has no role here by no group", 0)


@pytest.mark.parametrize("how", ["gone", "locked", "other"])
async def test_who_is_gone_disabled_or_another_person_is_out(tmp_path: Path, slapd: Slapd, how: str) -> None:
    with people(slapd, entry("vera", "vera's password", "Vera")):
        member(slapd, "add", READERS, "vera")
        async with opened(tmp_path, directory=slapd.settings()) as doors:
            told = await sign_in(doors, "vera", "vera's password")
            await doors.as_me("edit", "vera", os_user="daemon")
            assert (await doors.caller("daemon", 1, 5)).account == "vera"
            if how != "locked":
                slapd.change(f"dn: uid=vera,{PEOPLE}\nchangetype: delete\n")
            if how == "other":
                slapd.change(entry("vera", "vera's password", "Vera Two").replace("\n", "\nchangetype: add\n", 1))
                member(slapd, "delete", READERS, "vera")
                member(slapd, "add", READERS, "vera")
            if how == "locked":  # as Active Directory says it; slapd has no such attribute
                from pacstui.directory import people as asked

                found = asked.state_of
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(asked, "state_of", lambda e, now: found(
                        replace(e, texts=e.texts | {"useraccountcontrol": ("514",)}), now
                    ))  # fmt: skip
                    await doors.following.look_again(frozenset({"vera"}))
                    assert "is disabled in the directory" in (await refused(doors, "vera", "vera's password")).message
            else:
                await doors.following.look_again(frozenset())
            assert (await doors.caller("somebody", 4711, token=told.token)).account == ""
            known = await doors.caller("daemon", 1, 5)
            assert known.account == ""
            assert known.why.startswith("the account vera is ")
            if how == "other":
                assert "somebody else" in (await refused(doors, "vera", "vera's password")).message


async def test_what_the_directory_keeps_is_not_changed_here(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        told = await sign_in(doors, "rita", RITA)
        for field in ({"role": "viewer"}, {"full_name": "x"}, {"email": "x@example.org"}):
            with pytest.raises(BadRequest, match="follows the directory"):
                await doors.as_me("edit", "rita", **field)
        await doors.as_me("edit", "rita", role="radiologist", notes="reads at night")
        with pytest.raises(BadRequest, match="the directory's"):
            await doors.as_me("reset_password", "rita")
        with pytest.raises(BadRequest, match="is from the directory"):
            await doors.as_me("recover", "rita")
        caller = await doors.caller("somebody", 4711, token=told.token)
        with doors.calling(caller), pytest.raises(BadRequest, match="your password is the directory's"):
            await doors.room.set_password(RITA, NEW)
        text = await doors.as_me("export_csv")
        assert (await doors.as_me("preview_import", text)).changes == 0
        plan = await doors.as_me("preview_import", "name,role\nrita,viewer\n")
        assert "follows the directory" in plan.lines[0].text
        await doors.as_me("disable", "rita")
        assert "disabled on this node" in (await refused(doors, "rita", RITA)).message
        await doors.as_me("enable", "rita")
        await sign_in(doors, "rita", RITA)


async def test_an_administrator_of_the_directory_is_not_the_last_one(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        await sign_in(doors, "dora", DORA)
        for call in (("disable", ME), ("delete", ME)):
            with pytest.raises(BadRequest, match="nobody would be left"):
                await doors.as_me(*call)


async def test_a_second_factor_and_the_password_once_more_go_with_the_directory(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, AccountsSettings(second_factor="everybody"), directory=slapd.settings()) as doors:
        told = await sign_in(doors, "rita", RITA)
        assert told.me.must_set_up
        caller = await doors.caller("somebody", 4711, token=told.token)
        assert caller.permissions == frozenset()
        with doors.calling(caller):
            device = pyotp.TOTP((await doors.room.begin_totp()).secret.replace(" ", ""))
            await doors.room.finish_totp(device.at(doors.clock.now()))
        doors.clock.advance(600)
        with pytest.raises(CodeNeeded):
            await sign_in(doors, "rita", RITA)
        assert not isinstance(await refused(doors, "rita", "wrong"), CodeNeeded)
        caller = await doors.caller("somebody", 4711, token=told.token)
        assert doors.gate.unconfirmed(caller)
        with doors.calling(caller):
            with pytest.raises(Denied):
                await doors.room.confirm("wrong", device.at(doors.clock.now()))
            await doors.room.confirm(RITA, device.at(doors.clock.now()))
        assert not doors.gate.unconfirmed(caller)


async def test_one_person_has_one_account_under_whatever_name_they_come(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings(filter="(|(uid={name})(mail={name}))")) as doors:
        await sign_in(doors, "rita", RITA)
        assert (await sign_in(doors, "rita@example.org", RITA)).me.account == "rita"
        assert len(await doors.as_me("list")) == 2


async def test_without_directory_its_accounts_are_refused_and_others_are_not(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        told = await sign_in(doors, "rita", RITA)
        doors.gate.replace(AccountsSettings(), DirectorySettings())
        assert (await doors.caller("somebody", 4711, token=told.token)).account == ""
        assert (await refused(doors, "rita", RITA)).message == "name or password is wrong"
        await person(doors, "lotte")


async def test_a_role_that_there_is_not_is_said_with_its_name(tmp_path: Path, slapd: Slapd) -> None:
    roles = tuple(each.model_copy(update={"role": "night"}) for each in slapd.settings().roles)
    async with opened(tmp_path, directory=slapd.settings(roles=roles)) as doors:
        assert "the role night, which there is not" in (await refused(doors, "rita", RITA)).message
        await doors.as_me("save_role", "night", ("*.view",))
        assert (await sign_in(doors, "rita", RITA)).me.role == "night"


async def test_steps_are_to_be_had_by_the_room(tmp_path: Path, slapd: Slapd) -> None:
    async with opened(tmp_path, directory=slapd.settings()) as doors:
        told = await doors.as_me("check_directory", "rita")
        assert told[-1].text.startswith("radiologist, by ")
