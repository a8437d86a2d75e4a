"""The machine with bytes: split anywhere, cut, mutated, lying about lengths."""

from __future__ import annotations

import struct
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.dicom.ul.effects import (
    AssociateIndicated,
    AssociateRefused,
    CloseTransport,
    Effect,
    FaultIndicated,
    Fragment,
    Limits,
    ReleaseIndicated,
    Role,
    Send,
)
from pacstui.dicom.ul.items import ContextAnswer, UserInformation
from pacstui.dicom.ul.machine import Machine, NotPossible
from pacstui.dicom.ul.pdu import AssociateAccept, encode_message, fragment_size
from pacstui.dicom.ul.table import State
from tests.dicom import wire


def accept(machine: Machine, effects: list[Effect]) -> list[Effect]:
    """Accept what was asked for, as the listener does, while going through the effects."""
    done: list[Effect] = []
    for effect in effects:
        done.append(effect)
        if isinstance(effect, AssociateIndicated) and machine.state is State.STA3:
            answers = tuple(
                ContextAnswer(c.id, 0, next(iter(c.transfer_syntaxes), "")) for c in effect.request.contexts
            )
            done += machine.accept(AssociateAccept("A", "B", answers, UserInformation(16384)))
    return done


def acceptor() -> Machine:
    machine = Machine(Role.ACCEPTOR)
    machine.connected()
    return machine


def open_machine(limits: Limits | None = None) -> Machine:
    machine = Machine(Role.ACCEPTOR, limits or Limits())
    machine.connected()
    accept(machine, machine.feed(wire.rq()))
    assert machine.state is State.STA6
    return machine


def gathered(effects: list[Effect]) -> list[object]:
    """Effects with neighbouring parts of one PDV joined."""
    out: list[object] = []
    for effect in effects:
        if isinstance(effect, Fragment):
            header, data = effect.header, bytes(effect.data)
            last = out[-1] if out else None
            if (
                isinstance(last, list)
                and last[0] == effect.context_id
                and not last[1] & 2
                and last[1] & 1 == header & 1
            ):
                last[1] |= header
                last[2] += data
            else:
                out.append([effect.context_id, header, data])
        else:
            out.append(effect)
    return out


STREAM = wire.p_data((1, 3, wire.echo_rq())) + wire.p_data((1, 1, b"abc"), (1, 3, b""), (1, 0, b"d" * 20), (1, 2, b"e"))
STREAM += wire.RELEASE_RQ


def test_every_split_point_gives_the_same_events() -> None:
    request = wire.rq()
    whole = gathered(open_machine().feed(STREAM))
    assert isinstance(whole[-1], ReleaseIndicated)
    for cut in range(1, len(STREAM)):
        machine = open_machine()
        assert gathered(machine.feed(STREAM[:cut]) + machine.feed(STREAM[cut:])) == whole, cut
    for cut in range(1, len(request)):
        machine = acceptor()
        machine_effects = machine.feed(request[:cut]) + machine.feed(request[cut:])
        assert [type(effect) for effect in machine_effects][-1] is AssociateIndicated, cut


def test_byte_by_byte_gives_the_same_events() -> None:
    machine = open_machine()
    effects: list[Effect] = []
    for byte in STREAM:
        effects += [
            Fragment(e.context_id, e.header, memoryview(bytes(e.data))) if isinstance(e, Fragment) else e
            for e in machine.feed(bytes((byte,)))
        ]
    assert gathered(effects) == gathered(open_machine().feed(STREAM))


@given(st.binary(max_size=400), st.integers(1, 50))
@settings(max_examples=300, deadline=None)
def test_any_bytes_on_a_new_connection_never_raise(data: bytes, step: int) -> None:
    machine = acceptor()
    for start in range(0, len(data), step):
        accept(machine, machine.feed(data[start : start + step]))
    assert machine.state in State
    assert len(machine._partial) <= len(data)


@given(st.data())
@settings(max_examples=400, deadline=None)
def test_mutated_requests_give_an_answer_a_fault_or_wait_for_more(data: st.DataObject) -> None:
    plain = wire.rq([(1, wire.VERIFICATION, [wire.IMPLICIT]), (3, wire.SC, [wire.EXPLICIT, wire.IMPLICIT])])
    mutated = bytearray(plain)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        how = data.draw(st.sampled_from(("set", "ffff", "cut", "add")))
        if how == "set":
            mutated[at] = data.draw(st.integers(0, 255))
        elif how == "ffff":
            mutated[at : at + 2] = b"\xff\xff"
        elif how == "cut":
            del mutated[at : at + data.draw(st.integers(1, 4))]
        else:
            mutated[at:at] = data.draw(st.binary(max_size=4))
    if data.draw(st.booleans()):
        mutated[2:6] = struct.pack(">I", max(0, len(mutated) - 6))
    machine = acceptor()
    effects = accept(machine, machine.feed(bytes(mutated)))
    answered = any(isinstance(e, Send | CloseTransport) for e in effects)
    assert answered or machine.inside


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_any_bytes_on_an_open_association_never_raise(data: bytes) -> None:
    machine = open_machine()
    machine.feed(data)
    machine.feed(wire.RELEASE_RQ)
    assert machine.closed() is not None


@pytest.mark.parametrize("kind", range(256))
def test_a_huge_declared_length_is_answered_and_not_allocated(kind: int) -> None:
    for machine in (acceptor(), open_machine()):
        tracemalloc.start()
        effects = machine.feed(struct.pack(">BBI", kind, 0, 0xFFFFFFFF) + b"x" * 64)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert any(isinstance(e, FaultIndicated) for e in effects)
        assert any(isinstance(e, Send) for e in effects)
        assert peak < 50_000


def test_codes_of_faults_on_an_open_association() -> None:
    def code(data: bytes) -> tuple[int, int]:
        (sent,) = (e for e in open_machine().feed(data) if isinstance(e, Send))
        assert sent.data[0] == 7
        return sent.data[8], sent.data[9]

    assert code(wire.pdu(0x5A, bytes(4))) == (2, 1)
    assert code(wire.rq()) == (2, 2)
    assert code(wire.ac([(1, 0, wire.IMPLICIT)])) == (2, 2)
    assert code(wire.RELEASE_RP) == (2, 2)
    assert code(wire.pdu(4, b"")) == (2, 6)
    assert code(wire.pdu(4, struct.pack(">I", 0))) == (2, 6)
    assert code(wire.pdu(4, struct.pack(">IB", 1, 1))) == (2, 6)
    assert code(wire.pdu(4, struct.pack(">IBB", 9999, 1, 3))) == (2, 6)
    assert code(wire.pdu(4, struct.pack(">IBB", 2, 1, 3) + b"123")) == (2, 6)
    assert code(wire.p_data((3, 3, b"ab"))) == (2, 6)
    assert code(struct.pack(">BBI", 4, 0, 262144 + 4097)) == (2, 6)
    assert code(wire.pdu(5, bytes(5))) == (2, 6)
    assert code(wire.pdu(5, b"")) == (2, 6)


def test_item_that_does_not_belong_is_an_unexpected_parameter() -> None:
    accepted = wire.item(0x21, bytes(4) + wire.item(0x40, b"1.2"))
    for extra in (accepted, wire.user_information(), wire.item(0x10, wire.APPLICATION)):
        machine = acceptor()
        effects = machine.feed(wire.rq(raw_contexts=wire.context(1, "1.2", ["1.2"]) + extra))
        (sent,) = (e for e in effects if isinstance(e, Send))
        assert tuple(sent.data[8:10]) == (2, 5)


def test_protocol_version_is_a_bit() -> None:
    machine = acceptor()
    assert isinstance(machine.feed(wire.rq(version=3))[-1], AssociateIndicated)
    machine = acceptor()
    effects = machine.feed(wire.rq(version=2))
    (refused,) = (e for e in effects if isinstance(e, AssociateRefused))
    assert (refused.refusal.result, refused.refusal.source, refused.refusal.reason) == (1, 2, 2)
    assert machine.state is State.STA13


def test_an_association_request_in_the_wrong_place_is_answered_before_its_body_comes() -> None:
    effects = acceptor().feed(wire.p_data((1, 3, wire.echo_rq()))[:6])
    assert [tuple(e.data[8:10]) for e in effects if isinstance(e, Send)] == [(2, 2)]


def test_after_a_reject_pdus_are_skipped_and_an_abort_ends_it() -> None:
    machine = acceptor()
    machine.feed(wire.rq(version=2))
    assert machine.feed(wire.p_data((1, 3, wire.echo_rq())) + wire.RELEASE_RQ) == []
    (again,) = machine.feed(wire.rq())
    assert isinstance(again, Send)
    assert again.data[0] == 7
    assert CloseTransport() in machine.feed(wire.abort())
    assert machine.state is State.STA1


def test_nothing_is_sent_where_nothing_may_be() -> None:
    with pytest.raises(NotPossible):
        acceptor().message(1, b"")
    machine = open_machine()
    machine.release()
    with pytest.raises(NotPossible):
        machine.message(1, b"")
    assert machine.abort()
    assert machine.abort() == []


@pytest.mark.parametrize(
    ("announced", "used"), [(0, 131072), (None, 16384), (7, 7), (1, 1), (16385, 16385), (2**32 - 1, 131072)]
)
def test_peers_maximum_is_kept(announced: int | None, used: int) -> None:
    machine = Machine(Role.ACCEPTOR)
    machine.connected()
    accept(machine, machine.feed(wire.rq(user=wire.user_information(announced))))
    assert machine.max_pdu_send == used


@given(st.integers(0, 300), st.binary(max_size=200), st.one_of(st.none(), st.binary(max_size=200)))
@settings(max_examples=200, deadline=None)
def test_messages_are_cut_to_what_the_peer_takes(maximum: int, command: bytes, data: bytes | None) -> None:
    encoded = encode_message(5, command, data, maximum)
    got = {1: b"", 0: b""}
    position = 0
    while position < len(encoded):
        kind, _, length = struct.unpack_from(">BBI", encoded, position)
        assert kind == 4
        assert length <= max(7, maximum)
        inner, number, header = struct.unpack_from(">IBB", encoded, position + 6)
        assert (inner, number) == (length - 4, 5)
        payload = encoded[position + 12 : position + 6 + length]
        assert header & 2 or len(payload) % 2 == 0 or fragment_size(maximum) == 1
        got[header & 1] += payload
        position += 6 + length
    assert got[1] == command
    assert got[0] == (data or b"")
