"""The listener over loopback: services, order, bounds, time, the end."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable
from typing import Any

import pytest

from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.service import EchoService, OpenPolicy, Timeouts
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import AlreadyRunning, PacsError
from tests.dicom import wire
from tests.dicom.serving import Watch, serving, until
from tests.dicom.wire import Raw

STORING = [(1, wire.SC, [wire.EXPLICIT])]


def store(instance: str, data: bytes = b"data", message_id: int = 1) -> bytes:
    return wire.p_data((1, 3, wire.store_rq(instance, message_id))) + wire.p_data((1, 2, data))


async def test_operation_that_nothing_serves_is_answered_after_its_data_set() -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port, STORING)
        find: dict[int, int | str] = {0x0002: wire.SC, 0x0100: 0x20, 0x0110: 3, 0x0800: 0}
        raw.send(wire.p_data((1, 3, wire.command(find)), (1, 0, b"some"), (1, 2, b"data")))
        assert wire.status(await raw.message()) == 0x0211
        raw.send(wire.p_data((1, 3, wire.command({**find, 0x0002: "1.2.3"})), (1, 2, b"data")))
        assert wire.status(await raw.message()) == 0x0122
        raw.send(store("1.1"))
        assert wire.status(await raw.message()) == 0


@pytest.mark.parametrize("fault", ["begin", "write", "finish", "mute", "keep"])
async def test_a_service_that_fails_is_answered_for(fault: str, caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as node:
        node.store.fail = fault
        raw = await Raw.associated(node.port, STORING)
        raw.send(store("1.1"))
        got = await raw.message()
        assert wire.status(got) == 0x0110
        assert len(got[0x0902]) <= 64
        node.store.fail = ""
        raw.send(store("1.2"))
        assert wire.status(await raw.message()) == 0
        assert node.watch.open[0].counters.failed == 1
    assert list(node.store.objects) == ["1.2"]


async def test_a_policy_or_an_observer_that_fails_hurts_only_itself(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(OpenPolicy):
        def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
            raise RuntimeError("on purpose")

    class BrokenObserver:
        def opened(self, *seen: Any) -> None:
            raise RuntimeError("on purpose")

        received = message = answered = closed = refused = opened

    async with serving(policy=Broken()) as node:
        raw = await Raw.to(node.port, wire.rq())
        assert await raw.pdu() == (3, bytes((0, 2, 3, 1)))
    listener = Listener(OpenPolicy(), lambda syntax, field: EchoService(), observer=BrokenObserver())
    port = await listener.start("127.0.0.1", 0)
    await wire.alive(port)
    await listener.close()
    assert "observer failed" in caplog.text


async def test_messages_sent_ahead_are_answered_in_order() -> None:
    async with serving() as node:
        node.store.gate = asyncio.Event()
        raw = await Raw.associated(node.port, STORING)
        raw.send(b"".join(store(f"1.{n}", bytes([n]) * 5000, n) for n in range(1, 60)) + wire.RELEASE_RQ)
        await node.watch.until(lambda seen: seen.commands)
        node.store.gate.set()
        for n in range(1, 60):
            assert (await raw.message())[0x0120] == bytes((n, 0))
        assert (await raw.pdu())[0] == 6
        assert node.store.objects == {f"1.{n}": bytes([n]) * 5000 for n in range(1, 60)}
        assert node.watch.ends[0][1] == "released"


async def test_what_runs_ahead_is_bounded() -> None:
    async with serving() as node:
        node.store.gate = asyncio.Event()
        raw = await Raw.associated(node.port, STORING)
        raw.send(store("1.1"))
        await node.watch.until(lambda seen: seen.commands)
        raw.send(b"".join(store(f"2.{n}", bytes(100_000)) for n in range(400)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await raw.writer.drain()
        read = node.watch.open[0].counters.received_bytes
        assert read < 1_000_000
        node.store.gate.set()
        for _ in range(401):
            assert wire.status(await raw.message()) == 0
        assert len(node.store.objects) == 401


async def test_a_cancel_is_seen_while_its_request_is_served() -> None:
    async with serving() as node:
        node.store.gate = asyncio.Event()
        raw = await Raw.associated(node.port, STORING)
        raw.send(store("1.1", message_id=7))
        await node.watch.until(lambda seen: seen.commands)
        request = node.watch.open[0]._request
        assert request is not None
        for message_id in (6, 7):
            assert not request.cancelled
            raw.send(wire.p_data((1, 3, wire.command({0x0100: 0x0FFF, 0x0120: message_id, 0x0800: 0x0101}))))
            raw.send(store("1.2", message_id=8) if message_id == 6 else b"")
        await until(lambda: request.cancelled)
        node.store.gate.set()
        assert (await raw.message())[0x0120] == b"\x07\0"
        assert (await raw.message())[0x0120] == b"\x08\0"


async def test_an_abort_is_seen_while_a_request_is_served() -> None:
    async with serving() as node:
        node.store.gate = asyncio.Event()
        raw = await Raw.associated(node.port, STORING)
        raw.send(store("1.1"))
        await node.watch.until(lambda seen: seen.commands)
        raw.send(wire.abort())
        await node.watch.until(lambda seen: seen.ends)
        assert node.watch.ends[0][1] == "aborted by peer"
        node.store.gate.set()
        await wire.alive(node.port)
        assert node.watch.answers[0][0].field == 0x30


async def test_a_sink_that_asks_for_time_gets_every_byte_in_order() -> None:
    async with serving() as node:

        async def breathe() -> None:
            for _ in range(3):
                await asyncio.sleep(0)

        def slow() -> Awaitable[None]:
            return breathe()

        node.store.slow = slow
        raw = await Raw.associated(node.port, STORING)
        data = bytes(range(256)) * 4000
        pdvs = b"".join(wire.p_data((1, 0, data[at : at + 9000])) for at in range(0, len(data), 9000))
        raw.send(wire.p_data((1, 3, wire.store_rq("1.1"))) + pdvs + wire.p_data((1, 2, b"")) + store("1.2", b"next"))
        assert wire.status(await raw.message()) == 0
        assert wire.status(await raw.message()) == 0
        assert node.store.objects == {"1.1": data, "1.2": b"next"}


async def test_the_limit_of_associations_is_a_transient_rejection() -> None:
    async with serving(max_associations=2) as node:
        first, second = await Raw.associated(node.port), await Raw.associated(node.port)
        third = await Raw.to(node.port, wire.rq())
        assert await third.pdu() == (3, bytes((0, 2, 3, 2)))
        assert node.watch.refusals[0].calling == "MOD1"
        first.send(wire.RELEASE_RQ)
        assert (await first.pdu())[0] == 6
        await wire.alive(node.port)
        await second.close()


async def test_of_many_callers_at_once_no_more_get_in_than_there_is_room_for() -> None:
    async with serving(max_associations=3) as node:
        callers = await asyncio.gather(*(Raw.to(node.port) for _ in range(20)))
        for caller in callers:
            caller.send(wire.rq())
        answers = [(await caller.pdu())[0] for caller in callers]
        assert sorted(answers) == [2] * 3 + [3] * 17


async def test_a_policy_that_has_no_room_answers_the_request() -> None:
    class Full(OpenPolicy):
        def admit(self, peer_address: str) -> Refusal | None:
            return Refusal(2, 3, 2, f"too many from {peer_address}")

    async with serving(policy=Full()) as node:
        raw = await Raw.to(node.port, wire.rq())
        assert await raw.pdu() == (3, bytes((0, 2, 3, 2)))
        assert node.watch.refusals[0].text == "too many from 127.0.0.1"


async def test_silent_connections_make_room_at_the_hard_ceiling() -> None:
    async with serving(max_associations=1) as node:
        silent = [await Raw.to(node.port) for _ in range(65)]
        await until(lambda: len(node.listener.connections) == 65)
        await wire.alive(node.port)
        assert await silent[0].closed(1)
        assert len(node.listener.connections) <= 66


async def test_running_out_of_files_is_survived(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as node:
        (real,) = node.listener._sockets

        class Poor:
            """A listening socket that has no descriptors left, once."""

            fails = 1

            def fileno(self) -> int:
                return real.fileno()

            def close(self) -> None:
                real.close()

            def accept(self) -> tuple[socket.socket, object]:
                if self.fails:
                    self.fails = 0
                    raise OSError(errno.EMFILE, "too many open files")
                return real.accept()

        poor = Poor()
        node.listener._sockets[0] = poor  # type: ignore[call-overload]
        node.listener._accept(poor)  # type: ignore[arg-type]
        assert node.listener.accept_errors == 1
        await wire.alive(node.port)
    assert "too many open files" in caplog.text


async def test_a_taken_port_and_a_wrong_host_are_told_in_words() -> None:
    async with serving() as node:
        other = Listener(OpenPolicy(), lambda syntax, field: None)
        with pytest.raises(AlreadyRunning, match=str(node.port)):
            await other.start("127.0.0.1", node.port)
        with pytest.raises(PacsError):
            await other.start("203.0.113.7", 0)


async def test_an_idle_association_is_aborted() -> None:
    async with serving(timeouts=Timeouts(artim=2, idle=0.2, message=5)) as node:
        raw = await Raw.associated(node.port)
        assert await raw.pdu(2) == (7, bytes((0, 0, 2, 0)))
        assert node.watch.ends[0][1:] == ("timed out", "idle for 0.2 s")


@pytest.mark.parametrize(
    "part",
    [b"\x04\0\0", store("1.1")[:-2], wire.p_data((1, 3, wire.store_rq("1.1")))],
    ids=["PDU header", "data set", "after the command"],
)
async def test_silence_inside_a_message_is_aborted(part: bytes) -> None:
    async with serving(timeouts=Timeouts(artim=2, idle=5, message=0.2)) as node:
        raw = await Raw.associated(node.port, STORING)
        raw.send(part)
        assert await raw.pdu(2) == (7, bytes((0, 0, 2, 0)))
        assert node.watch.ends[0][1] == "timed out"
        assert "inside a message" in node.watch.ends[0][2]


async def test_a_message_that_trickles_is_not_timed_out_and_neither_is_a_slow_service() -> None:
    async with serving(timeouts=Timeouts(artim=2, idle=0.3, message=0.3)) as node:
        raw = await Raw.associated(node.port, STORING)
        message = store("1.1", bytes(40))
        for at in range(0, len(message), 40):
            raw.send(message[at : at + 40])
            await asyncio.sleep(0.1)
        assert wire.status(await raw.message()) == 0
        node.store.gate = asyncio.Event()
        raw.send(store("1.2"))
        await asyncio.sleep(0.5)
        node.store.gate.set()
        assert wire.status(await raw.message()) == 0


async def test_a_peer_that_does_not_read_its_responses_is_dropped() -> None:
    async with serving(timeouts=Timeouts(artim=2, idle=20, message=1.5)) as node:
        sock = socket.create_connection(("127.0.0.1", node.port))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(sock, wire.rq())
        await node.watch.until(lambda seen: seen.open)
        connection = node.listener.associations[0].connection
        assert connection.transport is not None
        connection.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        echoes = wire.p_data((1, 3, wire.echo_rq())) * 50

        async def push() -> None:  # whole messages: that it falls silent inside of one would be another reason
            while not connection.write_paused:
                await loop.sock_sendall(sock, echoes)

        pushing = asyncio.ensure_future(push())
        await node.watch.until(lambda seen: seen.ends, 15)
        assert node.watch.ends[0][1] == "timed out"
        assert "took nothing" in node.watch.ends[0][2]
        assert node.listener.associations == []
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)
        sock.close()
        await until(lambda: node.listener.connections == [])


async def test_a_peer_that_does_not_close_after_its_release_is_closed_by_artim() -> None:
    async with serving(timeouts=Timeouts(artim=0.2, idle=20, message=5)) as node:
        raw = await Raw.associated(node.port)
        raw.send(wire.RELEASE_RQ)
        assert (await raw.pdu())[0] == 6
        assert await raw.closed(2)
        assert node.watch.ends[0][1] == "released"
        assert node.watch.refusals == []


async def test_close_lets_a_running_message_finish_and_aborts_the_rest() -> None:
    async with serving() as node:
        node.store.gate = asyncio.Event()
        busy, quiet = await Raw.associated(node.port, STORING), await Raw.associated(node.port)
        busy.send(store("1.1"))
        await node.watch.until(lambda seen: seen.commands)
        closing = asyncio.ensure_future(node.listener.close(drain_s=4))
        assert await quiet.pdu() == (7, bytes((0, 0, 2, 0)))
        with pytest.raises(OSError):
            await Raw.to(node.port)
        node.store.gate.set()
        assert wire.status(await busy.message()) == 0
        busy.send(wire.RELEASE_RQ)
        assert (await busy.pdu())[0] == 6
        await busy.close()
        await quiet.close()
        async with asyncio.timeout(3):
            await closing
        assert node.listener.connections == []


async def test_text_from_the_network_is_safe_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Refusing(OpenPolicy):
        def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
            return Refusal(1, 1, 3, f"does not know {rq.calling}")

    caplog.set_level(logging.DEBUG, "pacstui.dicom.net")
    async with serving(policy=Refusing()) as node:
        raw = await Raw.to(node.port, wire.rq(calling=b"\x1b[2J\x07EVIL"))
        assert (await raw.pdu())[0] == 3
    assert "EVIL" in caplog.text
    assert "\x1b" not in caplog.text
    assert "\x07" not in caplog.text


async def test_works_on_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")

    def whole() -> Watch:
        async def run() -> Watch:
            async with serving() as node:
                raw = await Raw.associated(node.port, STORING)
                raw.send(store("1.1", bytes(700_000)[:250_000]))
                assert wire.status(await raw.message()) == 0
                raw.send(wire.RELEASE_RQ)
                assert (await raw.pdu())[0] == 6
                stranger = await Raw.to(node.port, b"GET / HTTP/1.0\r\n\r\n")
                assert (await stranger.pdu())[0] == 7
                assert await stranger.closed(1)
                return node.watch

        watch: Watch = uvloop.run(run())
        return watch

    watch = await asyncio.to_thread(whole)
    assert watch.ends[0][1] == "released"
    assert "HTTP" in watch.refusals[0].text
