"""What somebody may try who is let in: it costs him his own connection, no other and not the node."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pacstui.hl7v2.message import Delimiters, Message, unescape
from pacstui.hl7v2.outcome import Outcome
from pacstui.hl7v2.reading import read
from pacstui.hl7v2.segments import Batch, messages
from tests.hl7v2.house import adt, eventually, house
from tests.hl7v2.test_listener import told

HEAD = b"MSH|^~\\&|RIS|LAB|PACS|NODE|1||ADT^A08|C|P|2.5\r"


@pytest.mark.parametrize(
    "raw",
    [
        HEAD + b"\rPID" * 10_000_000, HEAD + b"PID" + b"|" * 30_000_000, b"MSH|^~\\&|" + b"x" * 30_000_000 + b"\r",
        HEAD + b"PID|1||P1||" + b"^" * 20_000_000 + b"\r", HEAD + b"NTE|1||" + b"\\" * 5_000_000 + b"\r",
        HEAD + b"NTE|1||" + b"\\E\\" * 2_000_000 + b"\r", HEAD + b"NTE|1||" + b"\x1b$B" * 3_000_000 + b"\r",
        b"BHS|^~\\&|\r" + HEAD + b"\rBTX" * 5_000_000,
    ],
    ids=["segments", "fields", "header", "components", "backslashes", "escapes", "designations", "no trailers"],
)  # fmt: skip
def test_no_message_takes_long_to_read(raw: bytes) -> None:
    start = time.process_time()
    for each in messages(raw, Batch()):
        got = read(each)
        if got.message is not None:
            for segment in got.message.segments[:20]:
                segment.value(3)
                segment.value(5)
    assert time.process_time() - start < 10  # each takes well under a second on a machine that does nothing else


def test_a_batch_of_fifty_thousand_is_taken_apart_in_time_that_grows_with_it() -> None:
    one = HEAD + b"PID|1||P1\r"
    start = time.process_time()
    assert sum(1 for _ in messages(b"BHS|^~\\&|\r" + one * 50_000 + b"BTS|50000\r", Batch())) == 50_000
    assert time.process_time() - start < 5


async def test_a_batch_of_many_is_answered_while_others_are_served(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        batch, other = await it.connect(), await it.connect()
        body = b"BHS|^~\\&|RIS\r" + b"".join(adt(f"B{n}").encode() for n in range(3000)) + b"BTS|3000\r"
        batch.send(b"\x0b" + body + b"\x1c\r")
        for n in range(5):
            assert await other.code(adt(f"O{n}")) == "AA"
        assert len(await it.acted()) < 3000
        assert [(await batch.answer(60))[1][2] for _ in range(3000)] == [f"B{n}" for n in range(3000)]


async def test_unfinished_messages_of_many_connections_do_not_fill_the_memory(tmp_path: Path) -> None:
    async with house(tmp_path, max_message_mb=6, message_s=60) as it:
        clients = [await it.connect() for _ in range(12)]
        for client in clients:
            client.send(b"\x0bMSH|" + b"x" * 5_900_000)
        await eventually(lambda: len(told(it)) >= 8)
        assert it.exchange._held.used <= 4 * 6_000_000
        assert "too much of unfinished messages" in told(it)[0]
        assert await (await it.connect()).code(adt("1")) == "AA"
        for client in clients:
            client.writer.transport.abort()
        await eventually(lambda: not it.exchange._held.used)


async def test_garbage_again_and_again_is_one_error_and_a_sign_of_life_is_none(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        for _ in range(20):
            client.send(b"\x0bgarbage\r\x1c\r\x0b\x1c\r\x0b\r\n\x1c\r")
        for _ in range(20):
            assert (await client.answer())[1][1] == "AR"
        for _ in range(5):
            assert await client.code(adt("")) == "AE"
        states = [row.state for row in (await it.room.messages()).rows]
        assert states.count("failed") == 2
        assert len(states) == 25


async def test_control_characters_in_a_header_break_no_answer(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        msh, msa = await client.ask(adt("a\x1cb\x0bc\x1b[2J", m3="R\x1cS" + "x" * 3000))
        assert msa == ["MSA", "AA", "abc\x1b[2J"]
        assert len(msh[4]) == 1000
        row = (await it.room.messages()).rows[0]
        assert "\x1b" not in row.control
        assert row.control.isprintable()


def test_odd_escapes_are_text() -> None:
    for text in (
        "\\.sp\u0661\u0662\\",
        "\\.sp1x\\",
        "\\.sp99999999999\\",
        "\\X\u0661\u0661\\",
        "\\C12\u06614\\",
        "\\.br\\" * 3,
    ):
        assert isinstance(unescape(text, Delimiters()), str)
    assert len(unescape("\\.sp99999999999\\" * 1000, Delimiters())) <= 1000 * 100


def test_a_field_of_very_many_parts_is_left_as_one_text() -> None:
    message = Message("MSH|^~\\&|A\rPID|1||" + "x^" * 20_000 + "\r")
    assert message.value("PID", 3).startswith("x^x^")
    assert message.value("PID", 3, 2) == ""


async def test_one_message_that_cannot_be_kept_takes_no_other_with_it(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        it.applier.how = _poisoned
        client = await it.connect()
        client.send(b"".join(b"\x0b" + adt(str(n)).encode() + b"\x1c\r" for n in range(1, 8)))
        codes = {}
        for _ in range(7):
            msa = (await client.answer())[1]
            codes[msa[2]] = msa[1]
        assert codes == {str(n): "AR" if n == 4 else "AA" for n in range(1, 8)}
        assert await it.acted() == ["1", "2", "3", "5", "6", "7"]


def _poisoned(message: Message) -> Outcome:
    return Outcome(done="a lone \ud800 surrogate" if message.control == "4" else "fine")
