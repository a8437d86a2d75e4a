"""The requestor against a peer that follows a script, and against pynetdicom."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from pacstui.dicom import dimse
from pacstui.dicom.dimse import Field
from pacstui.dicom.net.association import Association
from pacstui.dicom.net.errors import (
    AssociationAborted,
    AssociationEnded,
    AssociationRejected,
    ContextNotAccepted,
    PeerSilent,
    PeerUnreachable,
)
from pacstui.dicom.net.requestor import associate, request_for
from pacstui.dicom.net.service import BufferSink, Request, Sink, Timeouts
from pacstui.dicom.ul.items import RoleSelection, UserIdentity
from tests.dicom import wire
from tests.dicom.serving import QUICK, serving
from tests.dicom.wire import Raw

Script = Callable[[Raw], Awaitable[None]]
ECHO = [(wire.VERIFICATION, [wire.IMPLICIT])]
STORE = [(wire.VERIFICATION, [wire.IMPLICIT]), (wire.SC, [wire.EXPLICIT])]


@asynccontextmanager
async def peer(script: Script) -> AsyncIterator[int]:
    """A peer that does what the script says after it took the A-ASSOCIATE-RQ."""
    problems: list[BaseException] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = Raw(reader, writer)
        try:
            assert (await raw.pdu())[0] == 1
            await script(raw)
        except BaseException as error:
            problems.append(error)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
    assert problems == []


def to(port: int, contexts: list[tuple[str, list[str]]] = ECHO, timeouts: Timeouts = QUICK, **more: object):  # type: ignore[no-untyped-def]
    return associate("127.0.0.1", port, called="PEER", calling="PACSTUI", contexts=contexts, timeouts=timeouts, **more)  # type: ignore[arg-type]


REJECTIONS = [
    (1, 1, 1),
    (1, 1, 2),
    (1, 1, 3),
    (1, 1, 7),
    (1, 2, 1),
    (1, 2, 2),
    (1, 3, 1),
    (2, 3, 1),
    (2, 3, 2),
    (9, 9, 9),
]


@pytest.mark.parametrize("codes", REJECTIONS)
async def test_rejections_come_with_their_codes_and_words(codes: tuple[int, int, int]) -> None:
    async def script(raw: Raw) -> None:
        raw.send(wire.pdu(3, bytes((0, *codes))))
        assert await raw.closed()

    steps: list[tuple[str, bool]] = []
    async with peer(script) as port:
        with pytest.raises(AssociationRejected) as caught:
            async with to(port, on_step=lambda name, ok, ms, detail: steps.append((name, ok))):
                pass
    error = caught.value
    assert (error.result, error.source, error.reason) == codes
    assert "/".join(map(str, codes)) in error.message
    assert error.transient == (codes[0] == 2)
    assert error.hint or codes == (9, 9, 9)
    assert steps == [("name", True), ("TCP", True), ("association", False)]
    if codes == (1, 1, 7):
        assert "PEER" in error.message
        assert "capitals matter" in error.hint
    if codes == (1, 1, 3):
        assert "PACSTUI" in error.message


async def test_unreachable_peers_are_told_apart() -> None:
    async with peer(lambda raw: asyncio.sleep(0)) as port:
        pass
    with pytest.raises(PeerUnreachable, match="nothing listens") as caught:
        async with to(port):
            pass
    assert caught.value.step == "refused"
    with pytest.raises(PeerUnreachable, match="unknown") as caught:
        async with associate("no-such-host.invalid", 104, called="A", calling="B", contexts=ECHO):
            pass
    assert caught.value.step == "dns"


async def test_a_peer_that_takes_the_connection_and_says_nothing() -> None:
    async def script(raw: Raw) -> None:
        assert (await raw.pdu())[0] == 7

    async with peer(script) as port:
        with pytest.raises(PeerSilent, match="does not answer"):
            async with to(port, timeouts=Timeouts(associate=0.2)):
                pass


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (b"", AssociationEnded, "closed the connection"),
        (wire.abort(2, 1), AssociationAborted, "does not recognise"),
        (wire.abort(0, 0), AssociationAborted, "application aborted"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", AssociationAborted, "HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x28", AssociationAborted, "TLS"),
        (wire.RELEASE_RP, AssociationAborted, "does not belong"),
        (wire.ac([(1, 0, wire.IMPLICIT)])[:-3] + b"\xff\xff\xff", AssociationEnded, ""),
    ],
)
async def test_odd_answers_are_named(answer: bytes, kind: type[AssociationEnded], words: str) -> None:
    async def script(raw: Raw) -> None:
        raw.send(answer)
        await raw.writer.drain()
        if answer:
            await raw.closed(0.3)

    async with peer(script) as port:
        try:
            async with to(port):
                assert not words
        except kind as error:
            assert words in error.message
            assert error.hint or not words


async def test_contexts_are_refused_with_what_was_answered() -> None:
    async def script(raw: Raw) -> None:
        raw.send(wire.ac([(1, 0, wire.IMPLICIT), (3, 4, wire.EXPLICIT)]))
        assert (await raw.pdu())[0] == 5
        raw.send(wire.RELEASE_RP)
        await raw.closed()

    async with peer(script) as port, to(port, STORE) as association:
        assert list(association.accepted) == [1]
        with pytest.raises(ContextNotAccepted, match="transfer syntaxes"):
            await association.store(wire.SC, "1.2", wire.EXPLICIT, b"")
        with pytest.raises(ContextNotAccepted, match="Implicit VR Little Endian accepted"):
            await association.store(wire.VERIFICATION, "1.2", wire.EXPLICIT, b"")
        with pytest.raises(ContextNotAccepted, match="not proposed"):
            await association.store("1.2.3", "1.2", wire.EXPLICIT, b"")
        with pytest.raises(ContextNotAccepted):
            await association.store(association.accepted[1], "1.2", wire.EXPLICIT, b"")


async def test_release_collision_on_the_requestors_side() -> None:
    seen: list[int] = []

    async def script(raw: Raw) -> None:
        raw.send(wire.ac([(1, 0, wire.IMPLICIT)]))
        seen.append((await raw.pdu())[0])
        raw.send(wire.RELEASE_RQ)
        seen.append((await raw.pdu())[0])
        raw.send(wire.RELEASE_RP)
        assert await raw.closed()

    steps: list[tuple[str, bool]] = []
    async with peer(script) as port:
        async with to(port, on_step=lambda name, ok, ms, detail: steps.append((name, ok))) as association:
            pass
        assert association.state == "released"
    assert seen == [5, 6]
    assert steps[-1] == ("release", True)


@pytest.mark.parametrize(
    ("end", "kind", "how"),
    [
        (wire.abort(), AssociationAborted, "aborted by peer"),
        (b"", AssociationEnded, "lost"),
        (wire.RELEASE_RQ, AssociationEnded, "released"),
    ],
)
async def test_an_end_while_a_response_is_awaited(end: bytes, kind: type[AssociationEnded], how: str) -> None:
    async def script(raw: Raw) -> None:
        raw.send(wire.ac([(1, 0, wire.IMPLICIT)]))
        assert (await raw.pdu())[0] == 4
        raw.send(end)
        await raw.writer.drain()
        if end:
            await raw.closed(1)

    async with peer(script) as port:
        with pytest.raises(kind) as caught:
            async with to(port) as association:
                await association.echo()
    assert caught.value.how == how
    assert association.state == how


async def test_a_peer_that_does_not_respond_is_aborted() -> None:
    async def script(raw: Raw) -> None:
        raw.send(wire.ac([(1, 0, wire.IMPLICIT)]))
        assert (await raw.pdu())[0] == 4
        assert await raw.pdu() == (7, bytes((0, 0, 2, 0)))

    async with peer(script) as port:
        with pytest.raises(PeerSilent, match="no response"):
            async with to(port, timeouts=Timeouts(response=0.2)) as association:
                await association.echo()


async def test_a_peer_that_stops_reading_is_given_up() -> None:
    stalled = asyncio.Event()

    async def script(raw: Raw) -> None:
        raw.send(wire.ac([(1, 0, wire.IMPLICIT), (3, 0, wire.EXPLICIT)]))
        raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stalled.wait()

    async def send(port: int) -> None:
        try:
            async with to(port, STORE, Timeouts(message=0.4)) as association:
                await association.store(wire.SC, "1.2", wire.EXPLICIT, (bytes(100_000) for _ in range(500)))
        finally:
            stalled.set()

    async with peer(script) as port:
        with pytest.raises(PeerSilent, match="took nothing"):
            await send(port)


async def test_a_block_that_fails_aborts_and_a_message_cut_short_too() -> None:
    async with serving() as node:
        with pytest.raises(ValueError, match="mine"):
            async with to(node.port):
                raise ValueError("mine")
        await node.watch.until(lambda seen: seen.ends)
        assert node.watch.ends[0][1] == "aborted by peer"

        def broken() -> Iterator[bytes]:
            yield bytes(300_000)
            raise OSError("the file is gone")

        with pytest.raises(OSError, match="gone"):
            async with to(node.port, STORE) as association:
                await association.store(wire.SC, "1.2", wire.EXPLICIT, broken())
        assert association.state == "aborted"
        await node.watch.until(lambda seen: len(seen.ends) == 2)
        assert node.store.objects == {}
        assert len(node.store.abandoned) == 1


@pytest.mark.parametrize("size", [0, 1, 1017, 16378, 16379, 262145, 1_000_001])
async def test_every_size_and_shape_of_data_arrives_whole(size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]

    async def chunks() -> AsyncIterator[bytes]:
        for at in range(0, len(data), 7777):
            yield data[at : at + 7777]

    async with serving() as node:
        async with to(node.port, STORE) as association:
            assert (await association.store(wire.SC, "1.1", wire.EXPLICIT, data)).ok
            assert (await association.store(wire.SC, "1.2", wire.EXPLICIT, memoryview(data))).ok
            assert (await association.store(wire.SC, "1.3", wire.EXPLICIT, chunks())).ok
            assert (await association.store(wire.SC, "1.4", wire.EXPLICIT, iter([data, b""]))).ok
            assert await association.echo() == 0
        assert node.store.objects == {f"1.{n}": data for n in range(1, 5)}


async def test_a_peers_small_maximum_is_respected() -> None:
    lengths: list[int] = []

    async def script(raw: Raw) -> None:
        raw.send(wire.ac([(1, 0, wire.IMPLICIT), (3, 0, wire.EXPLICIT)], max_length=64))
        while True:
            _, body = await raw.pdu()
            lengths.append(len(body))
            if body[5] == 2:
                break
        raw.send(wire.p_data((3, 3, wire.response(Field.C_STORE, 1, 0xA700))))
        assert (await raw.pdu())[0] == 5
        raw.send(wire.RELEASE_RP)
        await raw.closed()

    async with peer(script) as port, to(port, STORE) as association:
        response = await association.store(wire.SC, "1.2", wire.EXPLICIT, bytes(1001))
        assert (response.status, response.ok) == (0xA700, False)
    assert max(lengths) == 64


class Found:
    """Answers a C-FIND with what it was asked, until it is cancelled."""

    def begin(self, request: Request) -> Sink:
        return FoundSink(request)


class FoundSink(BufferSink):
    async def finish(self) -> None:
        count = 0
        while not self.request.cancelled and count < 1000:
            await self.request.respond(0xFF00, data=bytes(self.data))
            count += 1
            await asyncio.sleep(0)
        await self.request.respond(0xFE00 if self.request.cancelled else 0)


async def test_responses_are_iterated_and_can_be_cancelled() -> None:
    find = "1.2.840.10008.5.1.4.1.2.2.1"
    async with serving(services={Field.C_FIND: Found()}) as node:
        async with to(node.port, [(find, [wire.IMPLICIT])]) as association:
            exchange = await association.request(find, Field.C_FIND, b"ask", priority=0, affected_sop_class=find)
            statuses = []
            async for response in exchange:
                statuses.append(response.status)
                if response.pending:
                    assert response.data == b"ask"
                if len(statuses) == 3:
                    await exchange.cancel()
            assert statuses[-1] == 0xFE00
            assert set(statuses[:-1]) == {0xFF00}
            assert len(statuses) < 1000
            again = await association.request(find, Field.C_FIND, b"ask", priority=0, affected_sop_class=find)
            assert (await again.final()).status == 0


class Getting:
    """Answers a C-GET with a C-STORE on the same association before the final response."""

    def begin(self, request: Request) -> Sink:
        return GettingSink(request)


class GettingSink(BufferSink):
    async def finish(self) -> None:
        context = self.request.association.context_for(wire.SC)
        stored = await self.request.association.store(context, "9.9", wire.EXPLICIT, b"sub-operation")
        await self.request.respond(0, completed=int(stored.ok), failed=0)


async def test_both_sides_ask_on_one_association() -> None:
    get = "1.2.840.10008.5.1.4.1.2.2.3"
    kept: dict[str, bytes] = {}

    class Keep:
        def begin(self, request: Request) -> Sink:
            return KeepSink(request)

    class KeepSink(BufferSink):
        async def finish(self) -> None:
            kept[self.request.command.affected_sop_instance] = bytes(self.data)
            await self.request.respond(0)

    async with serving(services={Field.C_GET: Getting()}) as node:
        async with to(
            node.port,
            [(get, [wire.IMPLICIT]), (wire.SC, [wire.EXPLICIT])],
            roles=[RoleSelection(wire.SC, False, True)],
            identity=UserIdentity(1, True, b"someone"),
            service_for=lambda syntax, field: Keep(),
        ) as association:
            exchange = await association.request(get, Field.C_GET, b"which", priority=0, affected_sop_class=get)
            final = await exchange.final()
        assert final.status == 0
        assert final.command.number(dimse.E_COMPLETED) == 1
    assert kept == {"9.9": b"sub-operation"}


async def test_nothing_can_be_sent_after_the_end() -> None:
    async with serving() as node:
        async with to(node.port) as association:
            await association.release()
            with pytest.raises(AssociationEnded):
                await association.echo()
        assert association.state == "released"


async def test_an_observer_sees_outgoing_associations_too() -> None:
    from tests.dicom.serving import Watch

    mine = Watch()
    async with serving() as node:
        async with to(node.port, observer=mine) as association:
            assert isinstance(association, Association)
            assert association.implementation[0].startswith("PACSTUI_")
        await node.watch.until(lambda seen: seen.ends)
    assert [how for _, how, _ in mine.ends] == ["released"]


def test_what_cannot_be_asked_for_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="128"):
        request_for("A", "B", [])
    with pytest.raises(ValueError, match="128"):
        request_for("A", "B", [("1.2", ["1.2"])] * 129)
    with pytest.raises(ValueError, match="16 characters"):
        request_for("A" * 17, "B", ECHO)
    assert struct.pack(">I", 262144) and request_for("A", "B", ECHO, max_pdu=0).user.max_length == 0
