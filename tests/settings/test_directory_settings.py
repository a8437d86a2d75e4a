"""What of [directory] is refused before it could do harm, and its password, which is shown nowhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pacstui.cli import main
from pacstui.configuration import Loaded, load
from pacstui.errors import SettingsError

GOOD = """
base = "ou=people,dc=example,dc=org"
bind_dn = "cn=searcher,dc=example,dc=org"
password_file = "/etc/pacstui/searcher"
[[directory.roles]]
group = "cn=pacs-admins,ou=groups,dc=example,dc=org"
role = "administrator"
"""


def read(folder: Path, text: str) -> Loaded:
    path = folder / "pacstui.toml"
    path.write_text("[directory]\n" + text)
    return load(path)


@pytest.mark.parametrize("servers", [
    '["ldaps://dc1.example.org"]', '["ldaps://dc1.example.org:3269", "ldaps://dc2.example.org"]',
    '["ldap://127.0.0.1"]', '["ldap://[::1]:389"]', '["ldap://localhost:1389/"]',
    '["ldap://dc1.example.org"]\nstart_tls = true',
])  # fmt: skip
def test_addresses_that_tell_no_password_on_the_network_are_taken(tmp_path: Path, servers: str) -> None:
    assert read(tmp_path, f"servers = {servers}{GOOD}").notes == []


@pytest.mark.parametrize(("text", "words"), [
    ('servers = ["ldap://dc1.example.org"]' + GOOD, "would be told passwords in the clear"),
    ('servers = ["ldaps://a", "ldap://10.0.0.1"]' + GOOD, "would be told passwords in the clear"),
    ('servers = ["ldaps://a"]\nstart_tls = true' + GOOD, "StartTLS is for ldap://"),
    ('servers = ["http://a"]' + GOOD, "an LDAP server is ldaps://host"),
    ('servers = ["ldaps://u@a"]' + GOOD, "an LDAP server is ldaps://host"),
    ('servers = ["ldaps://a/dc=x"]' + GOOD, "an LDAP server is ldaps://host"),
    ('servers = ["ldaps://a"]\nfilter = "(uid=*)"' + GOOD, "has to have {name}"),
    ('servers = ["ldaps://a"]\nuser_dn = "uid=eva"' + GOOD, "has to have {name}"),
    ('servers = ["ldaps://a"]\nbind_password = "x"' + GOOD, "bind_password is there too"),
    ('servers = ["ldaps://a"]\nbase = "dc=x"\nbind_dn = "cn=y"', "without a password the directory would take it"),
    ('servers = ["ldaps://a"]', "expected the DN below which people are searched for"),
    ('servers = ["ldaps://a"]\nuser_dn = "{name}@example.org"', "expected the DN below which people"),
    ('servers = ["ldaps://a"]' + GOOD.replace("cn=pacs-admins,ou=groups,dc=example,dc=org", "admins"), "by its DN"),
])  # fmt: skip
def test_what_would_not_work_or_harm_is_a_mistake_with_its_reason(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text)
    assert words in " ".join(caught.value.problems)


def test_what_should_be_known_is_noted(tmp_path: Path) -> None:
    plain = read(tmp_path, 'plain = true\nservers = ["ldap://dc1.example.org"]' + GOOD)
    assert plain.notes == ["[directory] plain: passwords can be read on the network"]
    direct = read(tmp_path, 'servers = ["ldaps://a"]\nuser_dn = "uid={name},dc=x"\n')
    assert [note[:40] for note in direct.notes] == [
        "the directory lets nobody in: there are ",
        "[directory] has no bind_dn: who is signe",
    ]


def test_the_password_is_shown_by_no_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACSTUI_DIRECTORY__BIND_PASSWORD", "4711")
    loaded = read(tmp_path, 'servers = ["ldaps://a"]' + GOOD.replace('password_file = "/etc/pacstui/searcher"', ""))
    assert loaded.settings.directory.bind_password.get_secret_value() == "4711"
    assert "4711" not in repr(loaded)
    with pytest.raises(SystemExit):
        main(["--config", str(tmp_path / "pacstui.toml"), "check-config", "--json"])
    told = capsys.readouterr().out
    assert json.loads(told)["ok"]
    assert "4711" not in told
