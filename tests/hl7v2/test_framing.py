"""MLLP blocks out of bytes, in any pieces, with what senders do beside the rule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.hl7v2.framing import Block, Event, Foreign, Framer, Oversize, Skipped, Torn, framed

MESSAGE = b"MSH|^~\\&|A|B|C|D|1||ADT^A08|7|P|2.5\rPID|1||P1\r"


def fed(data: bytes, cuts: list[int] | None = None, limit: int = 1000) -> list[Event]:
    """Return the events of bytes that come in pieces."""
    framer = Framer(limit)
    events: list[Event] = []
    at = 0
    for cut in [*sorted(cuts or []), len(data)]:
        events += framer.feed(data[at:cut])
        at = max(at, cut)
    return events + framer.flush()


def blocks(events: list[Event]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Block)]


def test_every_split_in_two_or_three_gives_the_same_blocks() -> None:
    data = framed(MESSAGE) + b"\r\n[log]\r\n" + b"\x0b" + framed(MESSAGE + b"NTE|1||\x0b\x1cx\r") + b"\x1c"
    whole = blocks(fed(data))
    assert whole == [MESSAGE, MESSAGE + b"NTE|1||\x0b\x1cx\r"]
    for first in range(len(data) + 1):
        for second in range(first, len(data) + 1, 3):
            assert blocks(fed(data, [first, second])) == whole


@given(st.lists(st.binary(max_size=40), max_size=6), st.lists(st.integers(0, 300), max_size=20))
def test_junk_never_loses_what_is_well_framed(junk: list[bytes], cuts: list[int]) -> None:
    noise = [each.translate(None, b"\x0b\x1c") for each in junk]
    data = b"".join(framed(MESSAGE) + b"\rx" + each for each in noise)
    assert blocks(fed(data, [cut for cut in cuts if cut <= len(data)])) == [MESSAGE] * len(noise)


@given(st.binary(max_size=400), st.lists(st.integers(0, 400), max_size=30))
def test_no_bytes_at_all_raise_or_hold_more_than_the_limit(data: bytes, cuts: list[int]) -> None:
    framer = Framer(64)
    at = 0
    for cut in [*sorted(c for c in cuts if c <= len(data)), len(data)]:
        framer.feed(data[at:cut])
        at = cut
        assert framer.held <= 64 + 8
    framer.flush()


@given(st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 320), max_size=30))
def test_the_same_bytes_in_other_pieces_are_the_same_blocks(body: bytes, cuts: list[int]) -> None:
    data = framed(b"MSH|" + body + b"\r") + framed(MESSAGE)
    assert blocks(fed(data, [c for c in cuts if c <= len(data)])) == blocks(fed(data))


@pytest.mark.parametrize(
    "end", [b"\x1c\r", b"\x1c", b"\x1c\x1c", b"\x1c\x1c\r", b"\x1c\r\r\n", b"\x1c\n"], ids=lambda end: end.hex()
)
def test_an_end_is_read_whichever_way_it_is_written(end: bytes) -> None:
    assert blocks(fed(b"\x0b" + MESSAGE + end + framed(MESSAGE))) == [MESSAGE, MESSAGE]
    assert blocks(fed(b"\x0b" + MESSAGE + end)) == [MESSAGE]


def test_a_message_whose_last_segment_has_no_end_is_taken_when_nothing_follows() -> None:
    bare = MESSAGE.rstrip(b"\r")
    framer = Framer(1000)
    assert framer.feed(b"\x0b" + bare + b"\x1c") == []
    assert framer.may_end
    assert framer.flush() == [Block(bare)]
    assert framer.feed(b"\r" + framed(MESSAGE)) == [Block(MESSAGE)]


def test_the_end_byte_inside_of_a_text_ends_nothing() -> None:
    message = MESSAGE + b"OBX|1|TX|||before \x1c after \x0b tab\r"
    assert blocks(fed(framed(message))) == [message]
    assert blocks(fed(framed(message), list(range(len(message))))) == [message]


def test_a_block_that_begins_anew_is_given_up_and_told() -> None:
    events = fed(b"\x0b" + MESSAGE + framed(MESSAGE))
    assert blocks(events) == [MESSAGE]
    assert any(isinstance(event, Torn) for event in events)


def test_a_message_that_is_too_long_is_told_once_and_the_next_is_taken() -> None:
    events = fed(framed(MESSAGE + b"x" * 5000) + framed(MESSAGE), list(range(0, 5000, 7)))
    assert [type(event) for event in events] == [Oversize, Block]
    assert isinstance(events[0], Oversize)
    assert events[0].head.startswith(b"MSH|")
    assert fed(framed(b"y" * 1001))[0] == Oversize(b"y" * 1001)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", "TLS"),
        (b"GET / HTTP/1.1\r\n", "HTTP"),
        (b"\x01\x00\x00\x00\x00\xcd\x00\x01", "DICOM"),
        (MESSAGE, "without MLLP framing"),
    ],
    ids=["tls", "http", "dicom", "bare"],
)
@pytest.mark.parametrize("split", [0, 1, 3, 5])
def test_what_speaks_something_else_is_named(data: bytes, named: str, split: int) -> None:
    events = fed(data, [split])
    assert len(events) == 1
    assert isinstance(events[0], Foreign)
    assert named in events[0].text


def test_bytes_between_blocks_are_told_but_line_ends_are_not() -> None:
    events = fed(framed(MESSAGE) + b"\r\r\n" + framed(MESSAGE) + b"[log line]" + framed(MESSAGE))
    assert [type(event) for event in events] == [Block, Block, Skipped, Block]
    assert events[2] == Skipped(10, b"[log line]")
