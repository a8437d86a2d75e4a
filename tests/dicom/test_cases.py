"""The association cases of public bug reports, each against a real listener over loopback."""

from __future__ import annotations

import asyncio
import os
import random
import struct
from collections.abc import Sequence

import pytest

from pacstui.dicom.dimse import Field
from pacstui.dicom.net.association import Request
from pacstui.dicom.net.service import OpenPolicy, Sink, Timeouts
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest
from tests.dicom import wire
from tests.dicom.serving import serving
from tests.dicom.wire import Raw

CLIENT_HELLO = bytes.fromhex("160301002f0100002b0303") + bytes(range(32)) + bytes.fromhex("000004002f00350100")


class Known(OpenPolicy):
    """Answers to PACSTUI, knows MOD1, takes echo and secondary capture."""

    def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
        if rq.called != "PACSTUI":
            return Refusal(1, 1, 7, f"called {rq.called}", "capitals matter")
        if rq.calling != "MOD1":
            return Refusal(1, 1, 3, f"does not know {rq.calling}", "register it")
        return None

    def accepts(self, abstract_syntax: str, transfer_syntaxes: Sequence[str], rq: AssociateRequest) -> tuple[int, str]:
        if abstract_syntax not in (wire.VERIFICATION, wire.SC):
            return 3, ""
        for syntax in transfer_syntaxes:
            if syntax in (wire.IMPLICIT, wire.EXPLICIT):
                return 0, syntax
        return 4, ""


async def alive_after(port: int, raw: Raw) -> None:
    await raw.close()
    await wire.alive(port)


@pytest.mark.parametrize("tail", [b"\0" * 9, b"\0" + b" " * 8])
async def test_case_1_nul_padded_titles_are_accepted(tail: bytes) -> None:
    async with serving(policy=Known()) as node:
        raw = await Raw.to(node.port, wire.rq(called=b"PACSTUI" + tail, calling=b"MOD1" + b"\0" * 12))
        kind, body = await raw.pdu()
        assert kind == 2
        assert body[4:20] == b"PACSTUI" + tail  # returned as it came
        await alive_after(node.port, raw)
        assert node.watch.open[0].called == "PACSTUI"


async def test_case_1_a_field_of_nul_only_is_an_empty_title_and_refused() -> None:
    async with serving(policy=Known()) as node:
        raw = await Raw.to(node.port, wire.rq(called=b"\0" * 16))
        assert await raw.pdu() == (3, bytes((0, 1, 1, 7)))
        await alive_after(node.port, raw)


@pytest.mark.parametrize(
    ("called", "calling", "reason"),
    [(b"  PACSTUI", b"MOD1", 0), (b"PACSTUI", b"  MOD1", 0), (b"pacstui", b"MOD1", 7), (b"PACSTUI", b"mod1", 3)],
)
async def test_case_3_blanks_do_not_count_and_capitals_do(called: bytes, calling: bytes, reason: int) -> None:
    async with serving(policy=Known()) as node:
        raw = await Raw.to(node.port, wire.rq(called=called, calling=calling))
        kind, body = await raw.pdu()
        assert (kind, body[3]) == (3, reason) if reason else kind == 2
        if reason:
            assert node.watch.refusals[0].reason == reason
            assert node.watch.refusals[0].hint


class Rows:
    """Answers C-FIND with 50 rows."""

    def begin(self, request: Request) -> Sink:
        return RowSink(request)


class RowSink:
    def __init__(self, request: Request) -> None:
        self.request = request

    def write(self, chunk: memoryview) -> None:
        return None

    async def finish(self) -> None:
        for row in range(50):
            await self.request.respond(0xFF00, data=b"row %02d  " % row * 10)
        await self.request.respond(0)

    def abandon(self, why: str) -> None:
        return None


@pytest.mark.parametrize("maximum", [0, 7, 8, 13, 16384, 2**32 - 1])
async def test_case_5_any_maximum_length_gets_every_answer(maximum: int) -> None:
    find = "1.2.840.10008.5.1.4.1.2.2.1"
    async with serving(services={Field.C_FIND: Rows()}) as node:
        raw = await Raw.associated(node.port, [(1, find, [wire.IMPLICIT])], maximum)
        request = wire.command({0x0002: find, 0x0100: 0x20, 0x0110: 9, 0x0700: 0, 0x0800: 1})
        raw.send(wire.p_data((1, 3, request)) + wire.p_data((1, 2, b"")))
        command, data, finals, rows = b"", b"", 0, 0
        while not finals:
            kind, body = await raw.pdu()
            assert kind == 4
            assert not maximum or len(body) <= maximum
            if body[5] & 1:
                command += body[6:]
            else:
                data += body[6:]
            if body[5] == 3:
                finals = wire.status(wire.elements(command)) == 0
                command = b""
            elif body[5] == 2:
                assert data == b"row %02d  " % rows * 10
                rows, data = rows + 1, b""
        assert rows == 50


async def test_case_7_web_requests_are_named_and_cut_off() -> None:
    async with serving() as node:
        clients = [await Raw.to(node.port, b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n") for _ in range(50)]
        for client in clients:
            assert (await client.pdu(1))[0] == 7
            assert await client.closed(1)
        await node.watch.until(lambda seen: len(seen.refusals) == 50)
        assert "HTTP" in node.watch.refusals[0].text
        await wire.alive(node.port)


async def test_case_9_tls_is_named() -> None:
    async with serving() as node:
        client = await Raw.to(node.port, CLIENT_HELLO)
        assert await client.pdu(1) == (7, bytes((0, 0, 2, 1)))
        assert await client.closed(1)
        (refused,) = node.watch.refusals
        assert "TLS" in refused.text
        assert refused.hint
        assert refused.address[0] == "127.0.0.1"
        client = await Raw.to(node.port, CLIENT_HELLO)
        for _ in range(20):  # what follows is not read as PDUs
            client.send(os.urandom(5000))
        assert (await client.pdu(1))[0] == 7
        await wire.alive(node.port)


async def test_case_11_silent_connections_end_with_artim_and_take_no_place() -> None:
    timeouts = Timeouts(artim=0.3, idle=20, message=5, response=5)
    async with serving(timeouts=timeouts, max_associations=2) as node:
        silent = [await Raw.to(node.port) for _ in range(20)]
        await wire.alive(node.port)
        for client in silent:
            assert await client.closed(2)
        await node.watch.until(lambda seen: len(seen.refusals) == 20)
        assert "sent nothing" in node.watch.refusals[0].text
        slow = await Raw.to(node.port, wire.rq()[:50])
        assert await slow.closed(2)
        assert "no whole A-ASSOCIATE-RQ" in node.watch.refusals[-1].text


@pytest.mark.parametrize("payload", [struct.pack(">I", 0), struct.pack(">IB", 1, 1), struct.pack(">IBB", 9999, 1, 3)])
async def test_case_13_bad_pdv_lengths_are_invalid_parameters(payload: bytes) -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port)
        raw.send(wire.pdu(4, payload))
        assert await raw.pdu() == (7, bytes((0, 0, 2, 6)))
        await alive_after(node.port, raw)
        assert node.watch.ends[0][1] == "aborted"


STORING = [(1, wire.SC, [wire.EXPLICIT])]


@pytest.mark.parametrize("data", [b"x" * 1000, b"odd", b""])
async def test_cases_15_and_17_command_and_data_in_one_pdu_and_odd_fragments(data: bytes) -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port, STORING)
        raw.send(wire.p_data((1, 3, wire.store_rq("1.1")), (1, 2, data)))
        assert wire.status(await raw.message()) == 0
        middle = len(data) // 2
        raw.send(wire.p_data((1, 1, wire.store_rq("1.2")[:9]), (1, 1, b""), (1, 3, wire.store_rq("1.2")[9:])))
        raw.send(wire.p_data((1, 0, data[:middle]), (1, 0, b""), (1, 0, data[middle:]), (1, 2, b"")))
        assert wire.status(await raw.message()) == 0
        assert node.store.objects == {"1.1": data, "1.2": data}


@pytest.mark.parametrize(
    "contexts",
    [
        [(2, wire.VERIFICATION, [wire.IMPLICIT])],
        [(0, wire.VERIFICATION, [wire.IMPLICIT])],
        [(1, wire.VERIFICATION, [wire.IMPLICIT]), (1, wire.SC, [wire.IMPLICIT])],
    ],
    ids=["even", "zero", "twice"],
)
async def test_case_19_illegal_context_ids_are_aborted(contexts: list[tuple[int, str, list[str]]]) -> None:
    async with serving() as node:
        raw = await Raw.to(node.port, wire.rq(contexts))
        assert await raw.pdu(1) == (7, bytes((0, 0, 2, 6)))
        await alive_after(node.port, raw)


async def test_case_19_the_same_transfer_syntax_twice_is_tolerated() -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port, [(1, wire.VERIFICATION, [wire.IMPLICIT, wire.IMPLICIT])])
        raw.send(wire.p_data((1, 3, wire.echo_rq())))
        assert wire.status(await raw.message()) == 0


async def test_case_21_every_context_has_one_answer_and_release_works() -> None:
    async with serving(policy=Known()) as node:
        proposals = [
            (1, "1.2.3.4.5", [wire.IMPLICIT]),
            (5, wire.SC, ["1.2.840.10008.1.2.4.50"]),
            (3, "not a uid", [wire.IMPLICIT]),
            (255, wire.SC, []),
        ]
        raw = await Raw.to(node.port, wire.rq(proposals))
        kind, body = await raw.pdu()
        assert kind == 2
        answers, position = [], 68
        while position < len(body):
            item, _, length = struct.unpack_from(">BBH", body, position)
            if item == 0x21:
                answers.append((body[position + 4], body[position + 6]))
            position += 4 + length
        assert answers == [(1, 3), (5, 4), (3, 3), (255, 4)]
        assert node.watch.open[0].accepted == {}
        raw.send(wire.RELEASE_RQ)
        assert (await raw.pdu())[0] == 6


async def test_case_23_mutated_requests_leave_the_listener_usable() -> None:
    rng = random.Random(23)
    plain = wire.rq([(1, wire.VERIFICATION, [wire.IMPLICIT]), (3, wire.SC, [wire.EXPLICIT, wire.IMPLICIT])])
    async with serving() as node:
        for _ in range(200):
            data = bytearray(plain)
            for _ in range(rng.randint(1, 4)):
                at = rng.randrange(6, len(data))
                if rng.random() < 0.7:
                    data[at] = rng.randrange(256)
                else:
                    data[at : at + 2] = b"\xff\xff"
            raw = await Raw.to(node.port, bytes(data))
            assert (await raw.pdu(1))[0] in (2, 3, 7)
            await raw.close()
        await wire.alive(node.port)
        await node.watch.until(lambda seen: len(seen.ends) == len(seen.open))


async def test_case_25_release_collision_on_the_acceptors_side() -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port)
        releasing = asyncio.ensure_future(node.watch.open[0].release())
        assert (await raw.pdu())[0] == 5
        raw.send(wire.RELEASE_RQ)  # both ask: the requestor answers first (PS3.8 7.2.2.7)
        raw.send(wire.RELEASE_RP)
        assert (await raw.pdu())[0] == 6
        await raw.close()
        await releasing
        assert node.watch.ends[0][1] == "released"


@pytest.mark.parametrize("cut", [3, 40, 200, 700, "abort inside", "fin after command"])
async def test_case_27_connection_lost_inside_a_message_keeps_nothing(cut: int | str) -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port, STORING)
        command, data = wire.p_data((1, 3, wire.store_rq())), wire.p_data((1, 2, bytes(2000)))
        if cut == "fin after command":
            raw.send(command)
        else:
            raw.send(command + (data[:300] + wire.abort() if isinstance(cut, str) else data[:cut]))
        await node.watch.until(lambda seen: seen.commands)
        if isinstance(cut, str):
            await raw.close()
        else:
            raw.reset()
        await node.watch.until(lambda seen: seen.ends)
        assert node.watch.ends[0][1] == "lost"
        assert node.store.objects == {}
        assert len(node.store.abandoned) == 1
        assert node.listener.associations == []
        await wire.alive(node.port)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wire.pdu(0x5A, bytes(4)), 1),
        (wire.rq(), 2),
        (wire.ac([(1, 0, wire.IMPLICIT)]), 2),
        (wire.p_data((3, 3, wire.echo_rq())), 6),
        (wire.p_data((1, 2, b"data first")), 6),
        (wire.p_data((1, 3, wire.store_rq()), (1, 3, wire.echo_rq())), 6),
        (wire.p_data((1, 3, b"no command")), 6),
        (wire.p_data((1, 3, wire.response(0x30, 5))), 6),
        (wire.p_data(*[(1, 1, bytes(30000))] * 3), 6),
    ],
    ids=["unknown", "rq", "ac", "context", "data", "two commands", "nonsense", "response", "endless command"],
)
async def test_case_29_abort_codes_on_an_open_association(data: bytes, reason: int) -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port)
        raw.send(data)
        assert await raw.pdu() == (7, bytes((0, 0, 2, reason)))
        await node.watch.until(lambda seen: seen.ends)
        assert node.watch.ends[0][1] == "aborted"
        assert node.watch.ends[0][2]
        await alive_after(node.port, raw)


@pytest.mark.parametrize(("data", "reason"), [(wire.pdu(0x5A, bytes(4)), 1), (wire.p_data((1, 3, wire.echo_rq())), 2)])
async def test_case_29_abort_codes_before_the_association(data: bytes, reason: int) -> None:
    async with serving() as node:
        raw = await Raw.to(node.port, data)
        assert await raw.pdu() == (7, bytes((0, 0, 2, reason)))
        assert node.watch.refusals[0].text
        await alive_after(node.port, raw)


async def test_case_29_an_operators_abort_is_a_users() -> None:
    async with serving() as node:
        raw = await Raw.associated(node.port)
        aborting = asyncio.ensure_future(node.watch.open[0].abort_and_wait("an operator said so"))
        assert await raw.pdu() == (7, bytes(4))
        await raw.close()
        await aborting
        assert node.watch.ends == [(node.watch.open[0], "aborted", "an operator said so")]
