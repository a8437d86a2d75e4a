"""Servers that are silent, are none, or say what Active Directory says."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from pacstui.directory.faults import Away, Wrong
from pacstui.directory.link import Entry, Link
from pacstui.directory.people import People, id_of, state_of
from pacstui.settings import DirectorySettings

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """Run a server that gives these answers, one for what it hears each time, and then hangs up, or is silent."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ends: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    conn, _ = server.accept()
                except OSError:
                    return
                ends.append(conn)
                try:
                    for answer in answers:
                        conn.recv(4096)
                        conn.sendall(answer)
                    if answers:
                        conn.close()
                except OSError:
                    pass

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.getsockname()[1]}"
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for end in ends:
                end.close()


def settings(*servers: str, **more: Any) -> DirectorySettings:
    return DirectorySettings(servers=servers, base="dc=x", timeout_s=1.0, **more)


@pytest.mark.parametrize("answers", [
    (), (b"SSH-2.0-OpenSSH\r\n",), (b"HTTP/1.1 400 Bad Request\r\n\r\n",), (b"\x30\x84\x7f\xff\xff\xff",),
    (b"\0" * 500,), (b"\x30\x03\x02\x01\x01",), (b"",),
    (b"\x30\x0c\x02\x01\x01\x61\x07\x0a\x01\x00\x04\x00\x04\x00", b"\x30\x05\x02\x01\x02\x65\x00"),
])  # fmt: skip
def test_a_server_that_is_none_is_told_as_that_in_time(answers: tuple[bytes, ...]) -> None:
    with answering(*answers) as at:
        for secure in (False, True):
            url = f"{'ldaps' if secure else 'ldap'}://{at}"
            with pytest.raises(Away, match=r"the directory at 127\.0\.0\.1 ") as caught:
                People(settings(url)).verify("eva", "secret", lambda dn: None)
            assert caught.value.message.isprintable()


@pytest.mark.parametrize(("code", "text", "told"), [
    (49, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 52e, v4563", ""),
    (49, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 525, v4563", ""),
    (49, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 775, v4563", ""),
    (49, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 533, v4563", "it is disabled"),
    (49, "80090308: LdapErr: DSID-0C090439, comment: AcceptSecurityContext error, data 532, v4563",
     "its password has expired"),
    (49, "", ""), (53, "Account inactivated. Contact system administrator.", ""), (32, "", ""),
])  # fmt: skip
def test_what_active_directory_says_of_a_password(
    monkeypatch: pytest.MonkeyPatch, code: int, text: str, told: str
) -> None:
    link = Link("ldap://127.0.0.1", settings("ldap://127.0.0.1"))

    class Said:
        result = {"result": code, "message": text, "description": "said"}
        user = password = authentication = None

        def bind(self, **_: Any) -> bool:
            return False

    monkeypatch.setattr(link, "_ldap", Said())
    with pytest.raises(Wrong) as caught:
        link.bind("cn=eva", "secret")
    assert caught.value.told == told


def test_a_server_that_takes_no_binds_without_tls_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    link = Link("ldap://127.0.0.1", settings("ldap://127.0.0.1"))

    class Said:
        result = {"result": 13, "message": "TLS required", "description": "confidentialityRequired"}
        user = password = authentication = None

        def bind(self, **_: Any) -> bool:
            return False

    monkeypatch.setattr(link, "_ldap", Said())
    with pytest.raises(Away, match="takes passwords over TLS only"):
        link.bind("cn=eva", "secret")


def entry(**texts: str) -> Entry:
    known = {name.lower(): (value,) for name, value in texts.items()}
    return Entry("cn=eva", known, {name: tuple(v.encode() for v in values) for name, values in known.items()})


@pytest.mark.parametrize(("texts", "state"), [
    ({}, ""), ({"userAccountControl": "512"}, ""), ({"userAccountControl": "66048"}, ""),
    ({"userAccountControl": "514"}, "is disabled in the directory"), ({"userAccountControl": "what"}, ""),
    ({"nsAccountLock": "TRUE"}, "is disabled in the directory"), ({"nsAccountLock": "false"}, ""),
    ({"pwdAccountLockedTime": "000001010000Z"}, "is locked in the directory"),
    ({"pwdAccountLockedTime": "20260601000000Z"}, ""),
    ({"accountExpires": "0"}, ""), ({"accountExpires": "9223372036854775807"}, ""),
    ({"accountExpires": "134000000000000000"}, ""),  # 2025-08-18
    ({"accountExpires": "130000000000000000"}, "has expired in the directory"),
])  # fmt: skip
def test_what_an_entry_says_of_its_owner(texts: dict[str, str], state: str) -> None:
    when = NOW if "134000000000000000" not in texts.values() else datetime(2025, 1, 1, tzinfo=UTC)
    assert state_of(entry(**texts), when) == state


def test_active_directorys_id_is_octets() -> None:
    raw = Entry("cn=eva", {}, {"objectguid": (bytes(range(16)),)})
    assert id_of(raw) == "objectGUID=000102030405060708090a0b0c0d0e0f"
    assert id_of(entry(entryUUID="1-2-3")) == "entryUUID=1-2-3"
    assert id_of(entry()) == ""


def test_groups_in_groups_are_asked_for_by_the_rule_in_chain_with_the_dn_escaped() -> None:
    asked: list[str] = []

    class Asked:
        def search(self, base: str, text: str, attributes: list[str], **_: Any) -> list[Entry]:
            asked.append(text)
            return [Entry("cn=outer,dc=x", {}, {})]

    found = People(settings("ldap://127.0.0.1", nested_groups="in-chain")).groups(
        Asked(),
        "eva",
        Entry("cn=Example\\, Eva (x),dc=x", {"memberof": ("cn=inner,dc=x",)}, {}),  # type: ignore[arg-type]
    )
    assert found == ("cn=inner,dc=x", "cn=outer,dc=x")
    assert asked == ["(member:1.2.840.113556.1.4.1941:=cn\\3dExample\\5c\\2c\\20Eva\\20\\28x\\29\\2cdc\\3dx)"]
