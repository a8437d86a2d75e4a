"""People in a real directory: who is found, whose password is right, which groups and role that gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.directory.faults import Away, Wrong
from pacstui.directory.people import People
from pacstui.directory.persons import role_by
from pacstui.directory.steps import steps
from pacstui.settings import DirectorySettings
from tests.directory.slapd import ADMINS, GROUPS, PEOPLE, READERS, Slapd, free_port, needed
from tests.services.certificates import Authority

pytestmark = needed


def verify(settings: DirectorySettings, name: str, password: str) -> tuple[str, str, str]:
    """Return full name, e-mail and role of who signs in."""
    person = People(settings).verify(name, password, lambda dn: None)
    return person.full_name, person.email, role_by(settings, person.groups)[0]


def variants(slapd: Slapd) -> dict[str, DirectorySettings]:
    ca = str(slapd.authority.pair.certificate)
    return {
        "plain on loopback": slapd.settings(),
        "ldaps": slapd.settings(servers=(slapd.secure,), ca=ca),
        "StartTLS": slapd.settings(start_tls=True, ca=ca),
        "groups searched for": slapd.settings(groups="search"),
        "direct, by template": slapd.settings(user_dn=f"uid={{name}},{PEOPLE}"),
        "direct, without one who searches": slapd.settings(
            user_dn=f"uid={{name}},{PEOPLE}", bind_dn="", password_file=""
        ),
        "found by e-mail too": slapd.settings(filter="(|(uid={name})(mail={name}))"),
        "the first server is away": slapd.settings(servers=(f"ldap://127.0.0.1:{free_port()}", slapd.plain)),
    }


@pytest.mark.parametrize("variant", [
    "plain on loopback", "ldaps", "StartTLS", "groups searched for", "direct, by template",
    "direct, without one who searches", "found by e-mail too", "the first server is away",
])  # fmt: skip
def test_whose_password_is_right_is_let_in_with_the_role_of_the_group(slapd: Slapd, variant: str) -> None:
    settings = variants(slapd)[variant]
    assert verify(settings, "dora", "dora's password") == ("Dora Directory", "dora@example.org", "administrator")
    assert verify(settings, "rita", "rita's password")[2] == "radiologist"
    assert verify(settings, "nora", "nora's password")[2] == ""
    for name, password in (("dora", "wrong"), ("dora", "rita's password"), ("nobody", "x"), ("*", "x"), ("d*", "x")):
        with pytest.raises(Wrong):
            verify(settings, name, password)


def test_an_empty_password_is_never_tried(slapd: Slapd) -> None:
    for settings in variants(slapd).values():
        before = slapd.log().count('BIND dn="uid=dora')
        for password in ("", "\0", "dora's password\0"):
            with pytest.raises(Wrong):
                verify(settings, "dora", password)
        assert slapd.log().count('BIND dn="uid=dora') == before


def test_names_that_would_change_the_filter_find_nobody_else(slapd: Slapd) -> None:
    people = People(slapd.settings(filter="(|(uid={name})(cn={name}))"))
    with people._link() as link:
        people.sign_in(link)
        assert [e.dn for e in people.entries(link, "Otto O. (night) * \\ #")] == [f"uid=otto.o,{PEOPLE}"]
        for name in ("*", "dora)(uid=*", "x)(|(uid=*", "dora\0", "(", "\\2a", "d\u00f6ra"):
            assert people.entries(link, name) == []


def test_groups_with_escaped_names_are_the_same_however_they_are_written(slapd: Slapd) -> None:
    for written in (READERS, 'cn="Readers, Radiology" , OU=Groups,dc=EXAMPLE,dc=org', READERS.replace("\\2C", "\\,")):
        settings = slapd.settings()
        role = settings.roles[1].model_copy(update={"group": written})
        assert verify(settings.model_copy(update={"roles": (role,)}), "rita", "rita's password")[2] == "radiologist"


def test_the_first_entry_whose_group_somebody_is_in_counts(slapd: Slapd) -> None:
    settings = slapd.settings()
    choir = settings.roles[0].model_copy(update={"group": f"cn=choir,{GROUPS}", "role": "viewer"})
    assert verify(slapd.settings(roles=(choir, *settings.roles)), "rita", "rita's password")[2] == "viewer"
    assert verify(slapd.settings(roles=(*settings.roles, choir)), "rita", "rita's password")[2] == "radiologist"


def test_groups_in_groups_count_where_that_is_wanted(slapd: Slapd) -> None:
    outer = f"cn=outer,{GROUPS}"
    slapd.change(f"dn: {outer}\nchangetype: add\nobjectClass: groupOfNames\nmember: cn=choir,{GROUPS}\n"
                 f"member: {outer}\n")  # fmt: skip
    try:
        roles = (slapd.settings().roles[0].model_copy(update={"group": outer, "role": "auditor"}),)
        assert verify(slapd.settings(roles=roles), "nora", "nora's password")[2] == ""
        assert verify(slapd.settings(roles=roles, nested_groups="search"), "nora", "nora's password")[2] == "auditor"
    finally:
        slapd.change(f"dn: {outer}\nchangetype: delete\n")


def test_a_certificate_is_taken_only_from_the_authority_and_for_the_name(slapd: Slapd, tmp_path: Path) -> None:
    before = slapd.log().count('BIND dn="')
    other = str(Authority(tmp_path, "other").pair.certificate)
    right = str(slapd.authority.pair.certificate)
    for servers, ca in (
        ((slapd.secure,), other), ((slapd.secure,), ""), ((slapd.secure.replace("127.0.0.1", "localhost"),), right),
    ):  # fmt: skip
        with pytest.raises(Away, match="is not trusted: its certificate is not taken"):
            verify(slapd.settings(servers=servers, ca=ca), "dora", "dora's password")
    for url in (slapd.plain, slapd.plain.replace("127.0.0.1", "localhost")):
        with pytest.raises(Away, match="is not trusted"):
            verify(slapd.settings(servers=(url,), start_tls=True, ca=other), "dora", "dora's password")
    assert slapd.log().count('BIND dn="') == before


def test_what_is_wrong_with_the_directory_is_told_as_that(slapd: Slapd, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("wrong")
    nobody = f"ldap://127.0.0.1:{free_port()}"
    for settings, words in (
        (slapd.settings(servers=(nobody,)), "the directory at 127.0.0.1 does not answer: Connection refused"),
        (slapd.settings(servers=(nobody, nobody)), "no server of the directory can be asked"),
        (slapd.settings(password_file=str(wrong)), "does not let the node search: wrong password"),
        (slapd.settings(password_file=str(tmp_path / "none")), "password_file .*No such file"),
        (slapd.settings(base="ou=elsewhere,dc=example,dc=org"), "has no ou=elsewhere"),
        (slapd.settings(groups="search", group_base="ou=elsewhere,dc=example,dc=org"), "has no ou=elsewhere"),
        (slapd.settings(filter="(uid={name}"), "cannot be asked"),
        (slapd.settings(bind_dn="", password_file=""), "does not let us search|has no"),
    ):
        with pytest.raises(Away, match=words):
            verify(settings, "dora", "dora's password")


def test_steps_say_what_each_came_to(slapd: Slapd) -> None:
    ca = str(slapd.authority.pair.certificate)
    told = [(s.step, s.level) for s in steps(slapd.settings(servers=(slapd.secure,), ca=ca), "rita")]
    assert told == [("connect", "ok"), ("TLS", "ok"), ("sign in", "ok"), ("search", "ok"), ("groups", "ok"),
                    ("role", "ok")]  # fmt: skip
    last = list(steps(slapd.settings(start_tls=True, ca=ca), "nora"))
    assert last[-1].text == "none of these groups gives a role here"
    assert "choir" in last[-2].text
    assert [s.level for s in steps(slapd.settings(), "nobody")] == ["ok", "warn", "ok", "fail"]
    away = list(steps(slapd.settings(servers=(f"ldap://127.0.0.1:{free_port()}", slapd.plain))))
    assert [s.level for s in away] == ["warn", "ok", "warn", "ok", "ok"]
    assert "Connection refused" in away[0].text
    assert next(iter(steps(DirectorySettings()))).text == "none: accounts are local"
    assert ADMINS.lower() in list(steps(slapd.settings(), "dora"))[-1].text.lower()


def test_a_base_on_another_server_is_named_and_no_referral_followed(slapd: Slapd) -> None:
    far = f"ou=far,{PEOPLE}"
    slapd.change(
        f"dn: {far}\nchangetype: add\nobjectClass: referral\nobjectClass: extensibleObject\nou: far\n"
        "ref: ldap://elsewhere.example.org/ou=people,dc=example,dc=net\n"
    )
    try:
        with pytest.raises(Away, match=r"and points to ldap://elsewhere\.example\.org") as caught:
            verify(slapd.settings(base=far), "dora", "dora's password")
        assert "name a server that has it" in caught.value.hint
        assert verify(slapd.settings(), "dora", "dora's password")[2] == "administrator"
    finally:
        slapd.change(f"dn: {far}\nchangetype: delete\n", "-M")
