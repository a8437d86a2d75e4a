"""What comes to a TLS port that is no DICOM over TLS: everything ends, nothing is left behind, others are served."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pacstui.dicom.net.errors import AssociationEnded, PeerUnreachable
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.net.service import EchoService, OpenPolicy
from pacstui.dicom.net.tls import client_context, server_context
from pacstui.dicom.uids import VERIFICATION
from pacstui.errors import PacsError
from tests.dicom.serving import QUICK, Watch, until
from tests.services.certificates import Authority, Pair, needed

pytestmark = needed
CONTEXTS = [(VERIFICATION, ["1.2.840.10008.1.2"])]


@dataclass
class World:
    ca: Authority
    ours: Pair
    theirs: Pair
    expired: Pair


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    ca = Authority(tmp_path_factory.mktemp("hostile"))
    return World(ca, ca.sign("node"), ca.sign("peer"), ca.sign("expired", days=-1))


def client(world: World, pair: Pair | None) -> ssl.SSLContext:
    certificate, key = (str(pair.certificate), str(pair.key)) if pair is not None else ("", "")
    return client_context(certificate, key, str(world.ca.pair.certificate), check_host=True)


def server(world: World, pair: Pair, mutual: bool) -> ssl.SSLContext:
    return server_context(str(pair.certificate), str(pair.key), str(world.ca.pair.certificate), mutual=mutual)


class Port:
    """A TLS port of ours."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.watch = Watch()
        self.port = 0

    async def echo(self) -> int:
        async with associate(
            "127.0.0.1", self.port, called="PACS", calling="WS1", contexts=CONTEXTS,
            tls=client(self.world, self.world.theirs),
        ) as association:  # fmt: skip
            return await association.echo()


@contextlib.asynccontextmanager
async def port(world: World, pair: Pair | None = None, mutual: bool = True) -> AsyncIterator[Port]:
    found = Port(world)
    context = server(world, pair or world.ours, mutual)
    timeouts = replace(QUICK, artim=1)
    listener = Listener(OpenPolicy(), lambda *_: EchoService(), observer=found.watch, timeouts=timeouts)
    found.port = await listener.start("127.0.0.1", 0, lambda: context)
    before = len(os.listdir("/proc/self/fd"))
    try:
        yield found
        await until(lambda: not listener.connections, 10)
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before, 10)
    finally:
        await listener.close()


def client_hello(world: World) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    opened = client(world, None).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with contextlib.suppress(ssl.SSLWantReadError):
        opened.do_handshake()
    return outgoing.read()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=300), hello=st.integers(0, 600), reset=st.booleans())
def test_any_bytes_in_a_handshake(world: World, data: bytes, hello: int, reset: bool) -> None:
    """Garbage, or the beginning of a ClientHello with garbage after it, then a close or a reset."""

    async def run() -> None:
        async with port(world) as ours:
            with socket.create_connection(("127.0.0.1", ours.port)) as raw:
                if reset:
                    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                with contextlib.suppress(OSError):
                    raw.sendall(client_hello(world)[:hello] + data)
            assert await ours.echo() == 0

    asyncio.run(run())


async def test_half_open_handshakes_end_by_themselves(world: World) -> None:
    async with port(world) as ours:
        raws = [socket.create_connection(("127.0.0.1", ours.port)) for _ in range(60)]
        try:
            for at, raw in enumerate(raws):
                raw.sendall(client_hello(world)[: at * 8])
            assert await ours.echo() == 0
            await until(lambda: len(ours.watch.refusals) == 60, 10)
            assert all(each.text and each.hint for each in ours.watch.refusals)
        finally:
            for raw in raws:
                raw.close()


@pytest.mark.parametrize("who", ["nobody", "expired"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_certificate_that_a_peer_does_not_take_is_named(
    world: World, who: str, version: ssl.TLSVersion
) -> None:
    """With TLS 1.3 a caller hears of it only after its own handshake is done."""
    context = client(world, world.expired if who == "expired" else None)
    context.minimum_version = context.maximum_version = version
    async with port(world) as theirs:
        with pytest.raises(PacsError) as told:
            async with associate(
                "127.0.0.1", theirs.port, called="PACS", calling="WS1", contexts=CONTEXTS, tls=context, timeouts=QUICK
            ) as association:
                await association.echo()
        assert "certificate" in told.value.message + told.value.hint, (told.value.message, told.value.hint)
        await until(lambda: theirs.watch.refusals)
        refusal = theirs.watch.refusals[0].text
        assert ("has expired" if who == "expired" else "has no certificate") in refusal


async def test_a_peer_with_an_expired_certificate_is_not_talked_to(world: World) -> None:
    async with port(world, world.expired) as theirs:
        with pytest.raises(PeerUnreachable, match="has expired"):
            async with associate(
                "127.0.0.1", theirs.port, called="PACS", calling="WS1", contexts=CONTEXTS,
                tls=client(world, world.theirs),
            ):  # fmt: skip
                raise AssertionError


@pytest.mark.parametrize(
    "answer", [b"", b"\x16\x03\x03\x00\x04\x02\x00\x00\x00", b"HTTP/1.1 400 no\r\n\r\n", b"\x00" * 64]
)
@pytest.mark.parametrize("then", ["closes", "waits"])
async def test_a_peer_that_answers_a_handshake_with_nonsense(world: World, answer: bytes, then: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer)
        with contextlib.suppress(ConnectionError):
            if then == "waits":
                await reader.read()
            writer.close()

    there = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with there:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises((PeerUnreachable, AssociationEnded)) as told:
            async with associate(
                "127.0.0.1", there.sockets[0].getsockname()[1], called="PACS", calling="WS1", contexts=CONTEXTS,
                tls=client(world, world.theirs), timeouts=replace(QUICK, connect=0.3, associate=0.5),
            ):  # fmt: skip
                raise AssertionError
        assert told.value.hint
        await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


async def test_a_renegotiation_is_not_taken(world: World) -> None:
    """TLS 1.2 only; the option is what OpenSSL looks at."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for context in (server(world, world.ours, True), client(world, world.theirs)):
            assert context.options & ssl.OP_NO_RENEGOTIATION
            assert context.options & ssl.OP_NO_COMPRESSION
            assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    gc.collect()
