"""A real Active Directory (Samba's): who gets in by which name, with which groups, and what is said to the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacstui.directory.faults import Away, Wrong
from pacstui.directory.link import Entry
from pacstui.directory.people import People, primary_group
from pacstui.directory.persons import role_by
from pacstui.directory.steps import steps
from pacstui.settings import DirectoryRoleSettings, DirectorySettings
from tests.accounts.making import opened
from tests.directory import samba
from tests.directory.samba import ADMINS, BASE, EVERYBODY, PASSWORD, Domain, dn_of, ldif
from tests.directory.test_signing_in import refused, sign_in

EITHER = "(|(sAMAccountName={name})(userPrincipalName={name}))"


@pytest.fixture(scope="module")
def domain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Domain]:
    with samba.running(tmp_path_factory.mktemp("samba")) as made:
        yield made


def role(settings: DirectorySettings, name: str, password: str = PASSWORD) -> str:
    person = People(settings).verify(name, password, lambda dn: None)
    return role_by(settings, person.groups)[0]


def looked_at(settings: DirectorySettings, name: str = "") -> dict[str, tuple[str, str]]:
    return {step.step: (step.level, step.text) for step in steps(settings, name)}


@samba.needed
@pytest.mark.parametrize(
    "how",
    [
        {},
        {"filter": EITHER},
        {"start_tls": True},
        {"nested_groups": "search"},
        {"groups": "search", "nested_groups": "search"},
        {"user_dn": "{name}@example.test"},
        {"user_dn": "EXAMPLE\\{name}"},
        {"user_dn": "{name}@example.test", "bind_dn": "", "password_file": ""},
    ],
    ids=lambda how: ", ".join(how) or "as documented",
)
def test_people_get_in_by_groups_of_groups(domain: Domain, how: dict[str, Any]) -> None:
    settings = domain.settings(**how, **({"servers": (domain.plain,)} if "start_tls" in how else {}))
    assert role(settings, "dora") == role(settings, "DORA") == "administrator"
    assert role(settings, "rita", "Größe-des-Herzens-€7") == "radiologist"
    assert role(settings, "nora") == ""


@samba.needed
def test_who_says_something_wrong_does_not_get_in(domain: Domain) -> None:
    settings = domain.settings(filter=EITHER)
    for name, password in (("dora", "wrong"), ("nobody", PASSWORD), ("*", PASSWORD), ("dor*", PASSWORD)):
        with pytest.raises(Wrong):
            role(settings, name, password)


@samba.needed
def test_without_nested_groups_only_a_group_of_ones_own_counts(domain: Domain) -> None:
    assert role(domain.settings(nested_groups="no"), "dora") == ""


@samba.needed
def test_the_primary_group_counts_though_memberof_leaves_it_out(domain: Domain) -> None:
    roles = (
        DirectoryRoleSettings(group=ADMINS, role="administrator"),
        DirectoryRoleSettings(group=EVERYBODY, role="viewer"),
    )
    assert [role(domain.settings(roles=roles, nested_groups=nested), "nora") for nested in ("no", "in-chain")] == [
        "viewer", "viewer",
    ]  # fmt: skip
    assert role(domain.settings(roles=roles), "dora") == "administrator"


@pytest.mark.parametrize(
    ("number", "own", "group"),
    [
        ("513", "0105000000000005150000006b781d549c9ae523f12cf43c55040000",
         "0105000000000005150000006b781d549c9ae523f12cf43c01020000"),
        ("513", "010500000000000515000000", ""), ("", "0101000000000005150000006b781d54", ""),
        ("99999999999", "0101000000000005150000006b781d54", ""), ("513", "", ""),
    ],
)  # fmt: skip
def test_the_identifier_of_the_primary_group_is_made_from_ones_own(number: str, own: str, group: str) -> None:
    octets = bytes.fromhex(own)
    entry = Entry("cn=x", {"primarygroupid": (number,)}, {"objectsid": (octets,)} if octets else {})
    assert primary_group(entry).hex() == group


@samba.needed
@pytest.mark.parametrize(
    ("name", "told", "step"),
    [
        ("dan", "it is disabled", ("entry", "dan is disabled in the directory")),
        ("erna", "it has expired", ("entry", "erna has expired in the directory")),
        ("maja", "its password has to be changed first",
         ("password", "maja has to change the password in the directory first")),
    ],
)  # fmt: skip
def test_why_somebody_may_not_in_is_told_to_who_knows_the_password(
    domain: Domain, name: str, told: str, step: tuple[str, str]
) -> None:
    with pytest.raises(Wrong) as right:
        role(domain.settings(), name)
    assert right.value.told == told
    with pytest.raises(Wrong) as wrong:
        role(domain.settings(), name, "wrong")
    assert wrong.value.told == ""
    assert looked_at(domain.settings(), name)[step[0]] == ("fail", step[1])


@samba.needed
@pytest.mark.parametrize(
    ("change", "told", "hint"),
    [
        ({"servers": "plain"}, "takes passwords over TLS only", "start_tls = true"),
        ({"ca": ""}, "is not trusted: its certificate is not taken", "[directory] ca"),
        (
            {"bind_dn": "", "password_file": ""},
            "Operation unavailable without authentication",
            "[directory] bind_dn names",
        ),
        ({"bind_dn": "nora@example.test"}, "does not let the node search: wrong password", "bind_dn right"),
        ({"base": "DC=example,DC=other"}, "has no DC=example,DC=other", "correct [directory] base"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_the_settings_lack_is_said(domain: Domain, change: dict[str, Any], told: str, hint: str) -> None:
    servers = {"servers": (domain.plain,)} if "servers" in change else {}
    with pytest.raises(Away) as caught:
        role(domain.settings(**(change | servers)), "dora")
    assert told in caught.value.message
    assert hint in caught.value.hint


@samba.needed
async def test_one_person_is_one_account_by_either_name_and_follows_the_domain(tmp_path: Path, domain: Domain) -> None:
    await asyncio.to_thread(domain.change, samba.person("vera", "Vera Visits"))
    add = f"dn: {ADMINS}\nchangetype: modify\nadd: member\nmember: {dn_of('vera')}\n"
    await asyncio.to_thread(domain.change, add)
    async with opened(tmp_path, directory=domain.settings(filter=EITHER)) as doors:
        told = await sign_in(doors, "vera", PASSWORD)
        again = await sign_in(doors, "Vera@Example.test", PASSWORD)
        assert told.me.account == again.me.account == "vera"
        assert (told.me.full_name, told.me.role) == ("Vera Visits", "administrator")
        await asyncio.to_thread(domain.modify, "vera", userAccountControl="514")
        await doors.following.look_again(frozenset({"vera"}))
        caller = await doors.caller("somebody", 4711, token=told.token)
        assert (caller.account, caller.why) == ("", "this sign-in has ended")
        assert "disabled" in (await refused(doors, "vera", PASSWORD)).message
        await asyncio.to_thread(domain.modify, "vera", userAccountControl="512")
        assert (await sign_in(doors, "vera@example.test", PASSWORD)).me.account == "vera"


@samba.needed
async def test_a_lock_of_the_domain_ends_no_session_and_is_seen_by_who_looks(tmp_path: Path, domain: Domain) -> None:
    async with opened(tmp_path, directory=domain.settings()) as doors:
        told = await sign_in(doors, "lola", PASSWORD)
        await asyncio.to_thread(domain.change, ldif(BASE, "modify", lockoutThreshold="2"))
        try:
            for _ in range(3):
                with pytest.raises(Wrong):
                    await asyncio.to_thread(role, domain.settings(), "lola", "wrong")
            step = (await asyncio.to_thread(looked_at, domain.settings(), "lola"))["password"]
            assert step == ("fail", "lola is locked in the directory after wrong passwords")
            assert (await refused(doors, "lola", PASSWORD)).message == "name or password is wrong"
            assert "locked there" in (await doors.entries())[-1].detail
            await doors.following.look_again(frozenset({"lola"}))
            assert (await doors.caller("somebody", 4711, token=told.token)).account == "lola"
        finally:
            await asyncio.to_thread(domain.change, ldif(BASE, "modify", lockoutThreshold="0"))
