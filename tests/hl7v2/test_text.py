"""Characters, segments, delimiters, escapes, batches."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.hl7v2 import charset
from pacstui.hl7v2.message import NULL, Delimiters, Message, escape, unescape
from pacstui.hl7v2.reading import read
from pacstui.hl7v2.segments import Batch, messages, normalised

HEAD = "MSH|^~\\&|RIS|LAB|PACS|NODE|1||ADT^A08|7|P|2.5||||||{charset}\r"


def name_of(text: str, codec: str, declared: str) -> str:
    got = read((HEAD.format(charset=declared) + f"PID|1||P1||{text}\r").encode(codec))
    assert not got.damaged
    assert got.message is not None
    return got.message.value("PID", 5)


@pytest.mark.parametrize(
    ("declared", "codec", "text"),
    [
        ("8859/1", "latin-1", "M\u00fcller"), ("8859/15", "iso8859-15", "\u0152uvre \u20ac"),
        ("8859/2", "iso8859-2", "\u0141\u00f3d\u017a"), ("8859/5", "iso8859-5", "\u0418\u0432\u0430\u043d"),
        ("8859/7", "iso8859-7", "\u0394\u03b9\u03bf\u03bd\u03c5\u03c3\u03b9\u03bf\u03c2"),
        ("8859/8", "iso8859-8", "\u05e9\u05e8\u05d5\u05df"), ("8859/9", "iso8859-9", "\u0130brahim"),
        ("8859/6", "iso8859-6", "\u0642\u0628\u0627\u0646\u064a"),
        ("UNICODE UTF-8", "utf-8", "\u5c71\u7530"), ("utf-8", "utf-8", "\u5c71\u7530"),
        ("GB 18030-2000", "gb18030", "\u738b\u5c0f\u4e1c"), ("KS X 1001", "euc_kr", "\uae40\ud76c\uc911"),
        ("BIG-5", "big5hkscs", "\u738b"),
        ("ISO IR87", "iso2022_jp", "\u5c71\u7530"), ("~ISO IR87", "iso2022_jp", "\u5c71\u7530"),
        ("ASCII~ISO IR87~ISO IR159", "iso2022_jp_2", "\u5c71\u7530 \u4e02"),
        ("", "utf-8", "M\u00fcller"), ("", "latin-1", "M\u00fcller"), ("UNICODE UTF-16", "utf-16", "\u5c71"),
        ("UNICODE", "utf-16-be", "\u5c71"), ("UNICODE UTF-32", "utf-32", "\u5c71"),
    ],
)  # fmt: skip
def test_each_character_set_of_table_0211_is_read(declared: str, codec: str, text: str) -> None:
    assert name_of(text, codec, declared) == text


def test_korean_by_iso_2022_escapes_beside_ascii() -> None:
    raw = HEAD.format(charset="~KS X 1001").encode() + b"PID|1||P1||Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\r"
    got = read(raw)
    assert got.message is not None
    assert got.message.header.raw(18) == "~KS X 1001"
    assert "\u6d2a" in got.text
    assert not got.damaged


@given(st.binary(max_size=300), st.text(max_size=20))
def test_decoding_never_raises(raw: bytes, declared: str) -> None:
    told = charset.decode(raw, declared)
    assert isinstance(told.text, str)


@pytest.mark.parametrize("declared", ["UNICODE UTF-8", "ISO IR87", "8859/3", "KS X 1001", "GB 18030-2000", "ASCII"])
def test_bytes_that_are_no_characters_are_marked_and_refuse_nothing(declared: str) -> None:
    got = read(HEAD.format(charset=declared).encode() + b"PID|1||P1||M\xff\xa5\xfeller\r")
    assert got.damaged
    assert got.refused is None
    assert got.message is not None
    assert got.message.value("PID", 3) == "P1"


def test_a_default_is_taken_where_none_is_named_only() -> None:
    raw = "PID|1||P1||\u0418\u0432\u0430\u043d\r".encode("iso8859-5")
    assert "\u0418\u0432\u0430\u043d" in charset.decode(raw, "", "8859/5").text
    assert "\u0418\u0432\u0430\u043d" not in charset.decode(raw, "8859/1", "8859/5").text


MARKS = st.sampled_from([Delimiters(), Delimiters("#", "@", "*", "!", "$"), Delimiters("|", "^", "~", "\\", "&")])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), max_size=60)


@given(TEXT, MARKS)
def test_escaping_and_back_is_the_same(text: str, marks: Delimiters) -> None:
    made = escape(text, marks)
    assert not set(made) & {marks.field, marks.component, marks.repetition, marks.subcomponent}
    assert unescape(made, marks) == text


@given(st.text("\\FSTREXHN.bn0A1CM", max_size=40))
def test_unescaping_never_raises(text: str) -> None:
    assert isinstance(unescape(text, Delimiters()), str)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("\\E\\R\\E\\", "\\R\\"), ("SMITH\\T\\SONS", "SMITH&SONS"), ("a\\X0D0A\\b", "a\r\nb"),
        ("\\H\\loud\\N\\", "loud"),
        ("one\\.br\\two", "one\ntwo"), ("C:\\dir\\file", "C:\\dir\\file"), ("\\Zlocal\\", "\\Zlocal\\"), ("a\\", "a\\"),
        ("\\\\", "\\\\"), ("\\E\\\\E\\", "\\\\"), ("x\\.sp3\\y", "x\n\n\ny"), ("\\XE9\\", "\u00e9"),
        ("\\C2842\\\\M2442\\", ""), ("\\M2442\\\\X3B33\\\\C2842\\", "\u5c71"), ("\\XXYZ\\", "\\XXYZ\\"),
    ],
)  # fmt: skip
def test_escape_sequences_in_one_pass(text: str, plain: str) -> None:
    assert unescape(text, Delimiters()) == plain


def test_own_delimiters_are_read_from_the_header() -> None:
    message = Message("MSH#@*!$#RIS#LAB#PACS#NODE#1##ADT@A08#7#P#2.5\rPID#1##P1@@@LAB*P2##DOE$X@JANE!S!\r")
    assert message.kind == "ADT"
    assert message.value("PID", 3, 4) == "LAB"
    assert message.first("PID") is not None
    assert message.all("PID").__next__().value(3, repetition=2) == "P2"
    assert message.value("PID", 5, 1, 2) == "X"
    assert message.value("PID", 5, 2) == "JANE@"


def test_null_is_not_empty() -> None:
    message = Message('MSH|^~\\&|A|B\rPID|1||P1|""||""\r')
    assert message.value("PID", 4) == NULL
    assert message.value("PID", 5) == ""
    assert message.value("PID", 99) == ""


@pytest.mark.parametrize("end", ["\r", "\n", "\r\n", "\r\r\n"])
def test_segments_end_with_whatever_they_end(end: str) -> None:
    text = normalised(end.join(["MSH|^~\\&|A", "PID|1", "ZDS|1.2", ""]))
    assert text == "MSH|^~\\&|A\rPID|1\rZDS|1.2\r"


def test_a_line_end_inside_of_a_field_stays_in_it() -> None:
    text = normalised("MSH|^~\\&|A\rNTE|1||first line\nsecond line\rPID|1\r")
    message = Message(text)
    assert [each.name for each in message.segments] == ["MSH", "NTE", "PID"]
    assert message.value("NTE", 3) == "first line\nsecond line"


def one(number: int, mark: str = "|") -> bytes:
    return f"MSH{mark}^~\\&{mark}A{mark}B\rPID{mark}{number}\r".encode()


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ("", "", ""), ("BHS|^~\\&|A\r", "BTS|2\r", ""), ("FHS|^~\\&|A\rBHS|^~\\&|A\r", "BTS|2\rFTS|1\r", ""),
        ("BHS|^~\\&|A\r", "BTS|7\r", "BTS-1 says 7 messages, 2 came"), ("BHS|^~\\&|A\r", "", "no BTS"),
        ("FHS|^~\\&|A\r", "FTS|1\r", ""), ("", "BTS|2\r", "BTS without BHS"), ("BHS|^~\\&|A\r", "BTS\r", ""),
        ("FHS|^~\\&|A\rBHS|^~\\&\r", "BTS|2\rFTS|4\r", "FTS-1 says 4 batches, 1 came"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("end", [b"\r", b"\n", b"\r\n"])
def test_batches_are_taken_apart(before: str, after: str, wrong: str, end: bytes) -> None:
    batch = Batch()
    block = (before.encode() + one(1) + one(2) + after.encode()).replace(b"\r", end)
    found = list(messages(block, batch))
    assert [each.replace(end, b"\r") for each in found] == [one(1), one(2)]
    assert wrong in "; ".join(batch.wrong)
    assert bool(wrong) == bool(batch.wrong)


@given(st.binary(max_size=200))
def test_any_block_gives_at_least_what_is_answered(block: bytes) -> None:
    found = list(messages(b"MSH|^~\\&|" + block, Batch()))
    assert found
    assert b"".join(found).startswith(b"MSH")
