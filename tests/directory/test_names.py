"""Names in filters and DNs: whatever somebody types stays the value that it was put in as."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import parse_filter
from ldap3.utils.dn import parse_dn

from pacstui.directory.names import dn_value, filled, filter_value, first_value, same_dn, user_of

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
HOSTILE = st.text(st.sampled_from('()*\\&|!=<>~,+";# \0az\u00e9\n'), max_size=30)


def decoded(value: str) -> bytes:
    """Return the octets that a filter's value stands for (RFC 4515 3)."""
    return re.sub(rb"\\([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), value.encode("ascii"))


@given(TEXTS | HOSTILE)
def test_a_filters_value_comes_back_and_holds_nothing_that_acts(text: str) -> None:
    value = filter_value(text)
    assert decoded(value) == text.encode()
    assert not set(value) & set("()*\0&|!<>~=")


@given(HOSTILE, HOSTILE)
def test_a_filter_keeps_its_shape_whatever_is_filled_in(name: str, dn: str) -> None:
    text = filled("(&(uid={name})(member={dn}))", name, dn)
    assert text.count("(") == text.count(")") == 3
    if name and dn:
        both = parse_filter(text, None, False, None, None, False).elements[0].elements
        assert [decoded(each.assertion["value"].decode()) for each in both] == [name.encode(), dn.encode()]
    assert "{" not in text


def test_a_name_with_a_placeholder_in_it_is_a_name() -> None:
    assert filled("(&(uid={name})(member={dn}))", "{dn}", "{name}") == "(&(uid=\\7bdn\\7d)(member=\\7bname\\7d))"


@given(TEXTS | HOSTILE)
def test_a_dns_value_comes_back_and_adds_no_part(text: str) -> None:
    dn = f"uid={dn_value(text)},ou=people,dc=example,dc=org"
    assert len(same_dn(dn)) == 4
    assert same_dn(dn)[0][0][0] == "uid"
    assert first_value(dn).strip() == text.strip() or set(text) & set("\0")
    assert same_dn(dn) == same_dn(f'UID = "{text}" ,OU=People, dc=example,dc=org') or set(text) & set('"\\\0')


@given(st.text(st.sampled_from('az+,;<>"\\=# '), min_size=1, max_size=20).filter(lambda text: text.strip()))
def test_another_reader_of_dns_agrees_on_where_a_value_ends(text: str) -> None:
    parts = parse_dn(f"uid={dn_value(text)},ou=people,dc=example", strip=False)
    assert [kind for kind, _, _ in parts] == ["uid", "ou", "dc"]


@pytest.mark.parametrize(("template", "name", "user"), [
    ("uid={name},ou=people,dc=example,dc=org", "eva", "uid=eva,ou=people,dc=example,dc=org"),
    ("uid={name},ou=people,dc=example,dc=org", "eva,ou=x", "uid=eva\\,ou\\=x,ou=people,dc=example,dc=org"),
    ("{name}@example.org", "eva", "eva@example.org"),
])  # fmt: skip
def test_whom_to_sign_in_as(template: str, name: str, user: str) -> None:
    assert user_of(template, name) == user


@pytest.mark.parametrize(("one", "other", "same"), [
    ("cn=A,dc=x", "CN=a, DC=X", True),
    ("cn=A\\2Cb,dc=x", "cn=a\\,b,dc=x", True),
    ("cn=A\\,b,dc=x", "cn=A,b=,dc=x", False),
    ("cn=a+uid=b,dc=x", "uid=B+cn=A,dc=x", True),
    ("cn=a  b,dc=x", "cn=a b,dc=x", True),
    ("cn=\\c3\\a9,dc=x", "cn=\u00c9,dc=x", True),
    ("cn=a,dc=x", "cn=a,dc=y", False),
    ("cn=a,dc=x", "cn=a", False),
])  # fmt: skip
def test_which_dns_are_the_same(one: str, other: str, same: bool) -> None:
    assert (same_dn(one) == same_dn(other)) is same
