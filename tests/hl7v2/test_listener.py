"""The port: who gets in, how long, how much, and that one sender troubles no other."""

from __future__ import annotations

import asyncio
import ssl
import time
from pathlib import Path

import pytest

from pacstui import events
from pacstui.settings import TlsSettings
from tests.hl7v2.house import House, adt, house, refusing
from tests.services.certificates import Authority, needed


def told(it: House, kind: type[events.Event] = events.Hl7Refused) -> list[str]:
    return [event.text for event in it.events if isinstance(event, kind)]  # type: ignore[attr-defined]


async def test_a_message_byte_by_byte_and_several_at_once(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        for byte in b"\x0b" + adt("1").encode() + b"\x1c\r":
            client.send(bytes([byte]))
            await client.writer.drain()
        assert (await client.answer())[1][1:] == ["AA", "1"]
        client.send(b"".join(b"\x0b" + adt(str(n)).encode() + b"\x1c\r" for n in range(2, 300)))
        assert [(await client.answer())[1][2] for _ in range(2, 300)] == [str(n) for n in range(2, 300)]
        assert await it.acted() == [str(n) for n in range(1, 300)]


async def test_an_end_without_its_cr_is_answered_soon(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        client.send(b"\x0b" + adt("1").encode().rstrip(b"\r") + b"\x1c")
        assert (await client.answer(3))[1][1] == "AA"


async def test_answers_come_although_the_sender_has_ended_its_side(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        client.send(b"".join(b"\x0b" + adt(str(n)).encode() + b"\x1c\r" for n in range(50)))
        client.writer.write_eof()
        assert [(await client.answer())[1][1] for _ in range(50)] == ["AA"] * 50
        assert await client.ended()


async def test_a_message_that_is_too_long_is_refused_and_the_connection_goes_on(tmp_path: Path) -> None:
    async with house(tmp_path, max_message_mb=1) as it:
        client = await it.connect()
        _, msa, err = await client.ask(adt("BIG") + "NTE|1||" + "x" * 1_200_000 + "\r")
        assert msa[1:3] == ["AE", "BIG"]
        assert "longer than 1\\S\\000" not in err[8]
        assert "longer than" in err[8]
        assert await client.code(adt("2")) == "AA"
        assert await it.acted() == ["2"]


async def test_a_large_document_in_a_message_holds_up_nobody(tmp_path: Path) -> None:
    async with house(tmp_path, max_message_mb=64) as it:
        large, small = await it.connect(), await it.connect()
        document = "JVBERi0" * (20_000_000 // 7)
        message = adt("BIG").encode() + f"OBX|1|ED|PDF||^application^pdf^Base64^{document}\r".encode()
        worst = 0.0

        async def watch() -> None:
            nonlocal worst
            while True:
                start = time.perf_counter()
                await asyncio.sleep(0.001)
                worst = max(worst, time.perf_counter() - start)

        watcher = asyncio.create_task(watch())
        large.send(b"\x0b" + message + b"\x1c\r")
        assert await small.code(adt("SMALL")) == "AA"
        assert (await large.answer(60))[1][1] == "AA"
        watcher.cancel()
        assert worst < 1.0  # the whole of it takes longer than that where it is done on the loop
        view = await it.room.message(2 if (await it.room.message(1)).row.size < 1000 else 1)
        assert len(view.raw) < 500_000
        assert "characters left out" in view.raw
        assert (await it.rows("SELECT max(length(raw)) FROM hl7_bodies"))[0][0] == len(message)


async def test_what_speaks_something_else_is_named_and_closed(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        for data in (
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03",
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x01\x00\x00\x00\x00\xcd",
        ):
            client = await it.connect()
            client.send(data)
            assert await client.ended()
        assert [word for word, text in zip(("TLS", "HTTP", "DICOM"), told(it), strict=True) if word in text] == [
            "TLS", "HTTP", "DICOM",
        ]  # fmt: skip


@pytest.mark.parametrize("what", ["half", "slow", "deaf"])
async def test_who_keeps_to_no_time_limit_is_closed(tmp_path: Path, what: str) -> None:
    async with house(tmp_path, message_s=0.4 if what == "slow" else 0.2) as it:
        client = await it.connect()
        if what == "half":
            client.send(b"\x0bMSH|^~\\&|")
            assert await client.ended()
            assert "in the middle of a message" in told(it)[0]
        elif what == "slow":  # a byte now and then, for ever
            client.send(b"\x0b")
            async with asyncio.timeout(30):
                while not told(it):  # what it still sends may be answered with a reset, which ends no reader in order
                    client.send(b"x")
                    await asyncio.sleep(0.05)
            client.writer.transport.abort()
            assert "longer than 4 s for one message" in told(it)[0]
        else:
            client.writer.transport.pause_reading()
            it.applier.how = refusing(hint="x" * 250)
            block = b"".join(b"\x0b" + adt(str(n), name="y" * 200).encode() + b"\x1c\r" for n in range(500))
            async with asyncio.timeout(60):
                while not told(it):
                    client.send(block)
                    await asyncio.sleep(0.05)
            assert "takes no answers" in told(it)[0]
            client.writer.transport.abort()
        assert await (await it.connect()).code(adt("NEXT")) in ("AA", "AE")


async def test_no_address_gets_more_than_its_share_and_the_silent_make_room(tmp_path: Path) -> None:
    async with house(tmp_path, max_connections_per_host=3, first_s=0.3) as it:
        silent = [await it.connect() for _ in range(2)]
        busy = await it.connect()
        assert await busy.code(adt("1")) == "AA"
        assert await (await it.connect()).ended()
        assert "as many as one address may have" in told(it)[0]
        await asyncio.sleep(0.4)
        another = await it.connect()
        assert await another.code(adt("2")) == "AA"
        assert await busy.code(adt("3")) == "AA"
        for client in silent:
            client.close()


async def test_a_thousand_connections_leave_room_for_one_who_sends(tmp_path: Path) -> None:
    async with house(tmp_path, max_connections=10, max_connections_per_host=0, first_s=0.1) as it:
        there = await it.connect()
        assert await there.code(adt("1")) == "AA"
        for _ in range(10):
            many = await asyncio.gather(*(it.connect() for _ in range(100)), return_exceptions=True)
            for each in many:
                if not isinstance(each, BaseException):
                    each.close()
        assert await there.code(adt("2")) == "AA"
        assert len(it.exchange.listener.connections) <= 10


async def test_senders_by_address_and_name(tmp_path: Path) -> None:
    senders = [{"name": "RIS", "hosts": ["127.0.0.1"], "application": "RIS"}, {"name": "X", "hosts": ["10.0.0.0/8"]}]
    async with house(tmp_path, unknown_senders="none", senders=senders) as it:
        client = await it.connect()
        assert await client.code(adt("1")) == "AA"
        assert await client.code(adt("2", m3="X")) == "AR"
        assert it.exchange._senders.refusal("10.9.9.9") == ""
        assert it.exchange._senders.refusal("192.168.1.1")
        assert it.exchange._senders.refusal("::ffff:10.1.1.1") == ""
    async with house(tmp_path / "..", unknown_senders="none", senders=senders[1:]) as it:
        assert await (await it.connect()).ended()
        assert "none of the senders" in told(it)[0]


async def test_a_sender_has_a_character_set_of_its_own(tmp_path: Path) -> None:
    senders = [{"name": "OLD", "application": "OLD", "character_set": "8859/5"}]
    async with house(tmp_path, senders=senders) as it:
        client = await it.connect()
        name = "\u0418\u0432\u0430\u043d"
        await client.ask(adt("1", m3="OLD", name=name).encode("iso8859-5"))
        await client.ask(adt("2", m3="OLD", m18="UNICODE UTF-8", name=name).encode())
        await client.ask(adt("3", name=name).encode())
        assert {row[0] for row in await it.rows("SELECT name FROM acted")} == {name}


@needed
@pytest.mark.parametrize("mutual", [False, True])
async def test_tls(tmp_path: Path, mutual: bool) -> None:
    authority = Authority(tmp_path)
    own = authority.sign("node")
    tls = TlsSettings(certificate=str(own.certificate), key=str(own.key), ca=str(authority.pair.certificate))
    async with house(tmp_path, tls=tls, tls_port=_free(), plain=False, client_certificates=mutual) as it:
        context = ssl.create_default_context(cafile=str(authority.pair.certificate))
        context.check_hostname = False
        port = it.exchange.ports[1]
        assert it.exchange.ports[0] == 0
        if mutual:
            with pytest.raises((ssl.SSLError, ConnectionError, AssertionError)):
                await (await it.connect(port, ssl=context)).code(adt("0"))
            theirs = authority.sign("ris")
            context.load_cert_chain(theirs.certificate, theirs.key)
        client = await it.connect(port, ssl=context)
        assert await client.code(adt("1")) == "AA"
        plain = await it.connect(port)
        plain.send(b"\x0b" + adt("2").encode() + b"\x1c\r")
        assert await plain.ended()
        assert any("does not speak TLS" in text for text in told(it))


def _free() -> int:
    from tests.running import free_port

    return free_port()


async def test_a_port_that_is_taken_is_a_problem_that_goes_away(tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    async with house(tmp_path, port=port) as it:
        problems = {each[0]: each for each in it.exchange.problems()}
        assert "is taken" in problems["hl7-listener"][2]
        assert (await it.room.show()).why
        taken.close()
        await taken.wait_closed()
        await it.exchange.tick()
        assert not list(it.exchange.problems())
        assert await (await it.connect()).code(adt("1")) == "AA"


async def test_settings_are_taken_in_while_it_runs(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        client = await it.connect()
        assert await client.code(adt("1")) == "AA"
        new = it.exchange._settings.model_copy(update={"processing": ("P",), "max_connections": 1})
        await it.exchange.replace(new, TlsSettings())
        assert await client.code(adt("2", m11="T")) == "AR"
        assert await (await it.connect()).ended()
        await it.exchange.replace(new.model_copy(update={"enabled": False}), TlsSettings())
        assert await client.ended()
        assert it.exchange.part() == {}
        await it.exchange.replace(new, TlsSettings())
        assert await (await it.connect()).code(adt("3")) == "AA"


async def test_a_sender_that_is_silent_for_too_long_is_told_of(tmp_path: Path) -> None:
    async with house(tmp_path, senders=[{"name": "RIS", "application": "RIS", "silent_min": 30}]) as it:
        assert await (await it.connect()).code(adt("1")) == "AA"
        it.clock.advance(29 * 60)
        assert not list(it.exchange.problems())
        it.clock.advance(2 * 60)
        assert "RIS has sent no HL7 message for 31:00" in next(iter(it.exchange.problems()))[2]
        assert await (await it.connect()).code(adt("2")) == "AA"
        assert not list(it.exchange.problems())
