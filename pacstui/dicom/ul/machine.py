"""The upper layer as a machine: bytes and requests in, effects out (PS3.8 9.2).

One machine serves both roles. It does no I/O and knows no time: ARTIM is the two effects :class:`StartTimer` and
:class:`StopTimer`. Whoever drives it carries out the effects in their order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pacstui.dicom.ul import pdu
from pacstui.dicom.ul.effects import (
    DEFAULT_LIMITS,
    AbortIndicated,
    AssociateAccepted,
    AssociateIndicated,
    AssociateRefused,
    AssociateRejected,
    CloseTransport,
    Effect,
    FaultIndicated,
    Fragment,
    Limits,
    LossIndicated,
    ReleaseConfirmed,
    ReleaseIndicated,
    Role,
    Send,
    StartTimer,
    StopTimer,
)
from pacstui.dicom.ul.faults import (
    AbortReason,
    AbortSource,
    AcseReason,
    ProtocolFault,
    Refusal,
    RejectSource,
    Result,
    foreign,
    invalid,
)
from pacstui.dicom.ul.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest, Pdu, Release
from pacstui.dicom.ul.table import ACTIONS, MEANINGS, TABLE, Event, State

_START: Final = StartTimer()
_STOP: Final = StopTimer()
_CLOSE: Final = CloseTransport()
_RECEIVED: Final = {
    pdu.ASSOCIATE_RQ: Event.RQ_RECEIVED,
    pdu.ASSOCIATE_AC: Event.AC_RECEIVED,
    pdu.ASSOCIATE_RJ: Event.RJ_RECEIVED,
    pdu.P_DATA_TF: Event.DATA_RECEIVED,
    pdu.RELEASE_RQ: Event.RELEASE_RQ_RECEIVED,
    pdu.RELEASE_RP: Event.RELEASE_RP_RECEIVED,
    pdu.ABORT: Event.ABORT_RECEIVED,
}


class NotPossible(Exception):
    """A request that the present state does not allow."""


class Machine:
    """The upper layer of one connection.

    Parameters
    ----------
    role
        Whether this side accepts or requests.
    limits
        Bounds on what is read.
    """

    def __init__(self, role: Role, limits: Limits = DEFAULT_LIMITS) -> None:
        self.role = role
        self.limits = limits
        self.state = State.STA1
        self.max_pdu_send = 16384
        self._contexts: frozenset[int] = frozenset()
        self._out: list[Effect] = []
        self._partial = bytearray()  # an unfinished header, or the body of an unfinished PDU
        self._body_left = -1  # what is missing of the body of a PDU other than P-DATA-TF; -1 outside of one
        self._kind = 0
        self._pdu_left = 0  # what is left of the present P-DATA-TF
        self._pdv_left = 0  # what is left of the present PDV's value
        self._pdv_context = 0
        self._pdv_header = 0
        self._skip = 0  # bytes of a PDU that is ignored
        self._first = True
        self._stranger = False
        self._deaf = False  # the stream can no longer be followed
        self._request: AssociateRequest | None = None
        self._actions: dict[str, Callable[[object], State]] = {
            name: getattr(self, "_" + name.lower().replace("-", "_")) for name in ACTIONS
        }

    @property
    def inside(self) -> bool:
        """Whether a PDU has begun and not ended."""
        return bool(self._pdu_left or self._pdv_left or self._partial or self._body_left >= 0 or self._skip)

    def _happen(self, event: Event, subject: object = None) -> None:
        name = TABLE.get((self.state, event))
        if name is None:
            raise NotPossible(f"{event.name} while {MEANINGS[self.state]}")
        self.state = self._actions[name](subject)

    def _do(self, event: Event, subject: object = None) -> list[Effect]:
        out = self._out = []
        self._happen(event, subject)
        return out

    # requests of the local user and of the transport

    def request(self, request: AssociateRequest) -> list[Effect]:
        """Ask for an association; the A-ASSOCIATE-RQ goes out when the transport is connected."""
        return self._do(Event.ASSOCIATE_REQUEST, request)

    def connected(self) -> list[Effect]:
        """The transport connection is there."""
        acceptor = self.role is Role.ACCEPTOR
        return self._do(Event.TRANSPORT_INDICATED if acceptor else Event.TRANSPORT_CONFIRMED)

    def accept(self, accept: AssociateAccept) -> list[Effect]:
        """Accept the association that was asked for."""
        return self._do(Event.ACCEPT_RESPONSE, accept)

    def reject(self, reject: AssociateReject) -> list[Effect]:
        """Reject the association that was asked for."""
        return self._do(Event.REJECT_RESPONSE, reject)

    def message(self, context_id: int, command: bytes, data: bytes | memoryview | None = None) -> bytes:
        """Return the bytes that carry a message (DT-1, AR-7).

        Raises
        ------
        NotPossible
            When no data may be sent now.
        """
        self._may_send()
        return pdu.encode_message(context_id, command, data, self.max_pdu_send)

    def fragment(self, context_id: int, header: int, data: bytes | memoryview) -> bytes:
        """Return the bytes that carry one fragment (DT-1, AR-7)."""
        self._may_send()
        return pdu.encode_fragment(context_id, header, data)

    def _may_send(self) -> None:
        if (self.state, Event.DATA_REQUEST) not in TABLE:
            raise NotPossible(f"no data can be sent while {MEANINGS[self.state]}")

    def release(self) -> list[Effect]:
        """Ask the peer for release."""
        return self._do(Event.RELEASE_REQUEST)

    def release_response(self) -> list[Effect]:
        """Answer the peer's request for release."""
        return self._do(Event.RELEASE_RESPONSE)

    def abort(self, source: int = AbortSource.USER, reason: int = 0) -> list[Effect]:
        """Abort from any state; does nothing where nothing is left to abort."""
        if (self.state, Event.ABORT_REQUEST) in TABLE:
            return self._do(Event.ABORT_REQUEST, Abort(source, reason))
        if self.state is State.STA2:  # no association yet and none asked for: the connection just ends
            out = self._out = [_STOP, _CLOSE]
            self.state = State.STA1
            return out
        return []

    def closed(self) -> list[Effect]:
        """The transport connection ended."""
        self._partial.clear()
        return [] if self.state is State.STA1 else self._do(Event.TRANSPORT_CLOSED)

    def artim_expired(self) -> list[Effect]:
        """ARTIM ran out; does nothing where it should not be running."""
        return self._do(Event.ARTIM_EXPIRED) if (self.state, Event.ARTIM_EXPIRED) in TABLE else []

    # bytes of the peer

    def feed(self, data: bytes | bytearray | memoryview) -> list[Effect]:
        """Take bytes as they come, split anywhere, and return what follows; it never raises for what they hold."""
        out = self._out = []
        if self._deaf or self.state is State.STA1:
            return out
        view = memoryview(data)
        try:
            self._walk(view, out)
        except ProtocolFault as fault:
            self._deaf = True
            self._partial.clear()
            self._body_left, self._pdu_left, self._pdv_left, self._skip = -1, 0, 0, 0
            self._happen(Event.INVALID_PDU, fault)
        return out

    def _walk(self, view: memoryview, out: list[Effect]) -> None:
        position, end = 0, len(view)
        partial = self._partial
        while True:
            if self._pdv_left:
                size = min(self._pdv_left, end - position)
                if not size:
                    return
                self._pdv_left -= size
                self._pdu_left -= size
                header = self._pdv_header if not self._pdv_left else self._pdv_header & 1
                out.append(Fragment(self._pdv_context, header, view[position : position + size]))
                position += size
            elif self._pdu_left or (self._body_left < 0 and not self._skip):
                # the 6 bytes of a PDV's or of a PDU's header
                if partial or end - position < 6:
                    taken = min(6 - len(partial), end - position)
                    partial += view[position : position + taken]
                    position += taken
                    if len(partial) < 6:
                        return
                    head: bytes | memoryview = bytes(partial)
                    partial.clear()
                else:
                    head = view[position : position + 6]
                    position += 6
                if self._pdu_left:
                    self._pdv_begins(head, out)
                else:
                    self._pdu_begins(head)
            elif self._skip:
                size = min(self._skip, end - position)
                self._skip -= size
                position += size
                if self._skip:
                    return
            else:
                size = min(self._body_left, end - position)
                partial += view[position : position + size]
                position += size
                self._body_left -= size
                if self._body_left:
                    return
                body = bytes(partial)
                partial.clear()
                self._body_left = -1
                subject = pdu.decode(self._kind, body)
                self._happen(_RECEIVED[self._kind], subject)
                if self.state is State.STA1:
                    return
            if position == end and self._body_left != 0:
                return

    def _pdv_begins(self, head: bytes | memoryview, out: list[Effect]) -> None:
        length, context_id, header = pdu.PDV_HEADER.unpack(head)
        left = self._pdu_left - 6
        if length < 2 or length - 2 > left or 0 < left - (length - 2) < 6:
            raise invalid(f"a PDV item of length {length} where {self._pdu_left - 4} bytes are left (PS3.8 9.3.5.1)")
        if context_id not in self._contexts:
            raise invalid(f"data on presentation context {context_id}, which was not accepted")
        self._pdu_left = left
        self._pdv_left = length - 2
        self._pdv_context = context_id
        self._pdv_header = header & 3
        if not self._pdv_left:
            out.append(Fragment(context_id, header & 3, memoryview(b"")))

    def _pdu_begins(self, head: bytes | memoryview) -> None:
        kind, _, length = pdu.HEADER.unpack(head)
        if self._first:
            self._first = False
            stranger = foreign(bytes(head))
            if stranger is not None:
                self._stranger = True
                raise ProtocolFault(AbortSource.PROVIDER, AbortReason.UNRECOGNISED_PDU, *stranger)
        event = _RECEIVED.get(kind)
        if event is None:
            text = f"a PDU of unknown type {kind:02X}H"
            raise ProtocolFault(AbortSource.PROVIDER, AbortReason.UNRECOGNISED_PDU, text)
        if kind == pdu.P_DATA_TF:
            if length > self.limits.max_pdu + self.limits.slack:
                raise invalid(
                    f"a P-DATA-TF of {length} bytes where at most {self.limits.max_pdu} were agreed",
                    "the sender ignores the maximum length that it was told",
                )
            if self.state is not State.STA6:  # DT-2 there: nothing to do, and this is the hot path
                self._happen(event)
            if self.state is State.STA6 or self.state is State.STA7:
                if length < 6:
                    raise invalid(f"a P-DATA-TF of {length} bytes: too short for a PDV item")
                self._pdu_left = length
            else:
                self._skip = length
            return
        if length > self.limits.max_associate or (kind not in (1, 2) and length > 4):
            raise invalid(f"{pdu.NAMES[kind]} of {length} bytes: too long")
        if TABLE.get((self.state, event)) in ("AA-1", "AA-6", "AA-7", "AA-8"):
            # the body would change nothing, so it is not waited for
            self._happen(event, None)
            self._skip = length
            return
        self._kind = kind
        self._body_left = length

    # actions, PS3.8 9.2.2: each returns the next state

    def _emit(self, message: Pdu) -> None:
        self._out.append(Send(pdu.encode(message)))

    def _ae_1(self, subject: object) -> State:
        assert isinstance(subject, AssociateRequest)
        self._request = subject
        return State.STA4

    def _ae_2(self, subject: object) -> State:
        assert self._request is not None
        self._emit(self._request)
        return State.STA5

    def _ae_3(self, subject: object) -> State:
        assert isinstance(subject, AssociateAccept)
        self._agree(subject, subject.user.max_length)
        self._out.append(AssociateAccepted(subject))
        return State.STA6

    def _ae_4(self, subject: object) -> State:
        assert isinstance(subject, AssociateReject)
        self._out += (AssociateRejected(subject), _CLOSE)
        return State.STA1

    def _ae_5(self, subject: object) -> State:
        self._out.append(_START)
        return State.STA2

    def _ae_6(self, subject: object) -> State:
        assert isinstance(subject, AssociateRequest)
        self._request = subject
        self._out.append(_STOP)
        if subject.protocol_version & 1:
            self._out.append(AssociateIndicated(subject))
            return State.STA3
        refusal = Refusal(
            Result.PERMANENT,
            RejectSource.ACSE,
            AcseReason.PROTOCOL_VERSION,
            f"asks for protocol version {subject.protocol_version:04X}H, there is only version 1",
            "the caller's software is not a usual DICOM system",
        )
        self._emit(AssociateReject(refusal.result, refusal.source, refusal.reason))
        self._out += (AssociateRefused(subject, refusal), _START)
        return State.STA13

    def _ae_7(self, subject: object) -> State:
        assert isinstance(subject, AssociateAccept)
        assert self._request is not None
        self._agree(subject, self._request.user.max_length)
        self._emit(subject)
        return State.STA6

    def _ae_8(self, subject: object) -> State:
        assert isinstance(subject, AssociateReject)
        self._emit(subject)
        self._out.append(_START)
        return State.STA13

    def _dt_1(self, subject: object) -> State:
        return State.STA6

    def _dt_2(self, subject: object) -> State:
        return State.STA6

    def _ar_1(self, subject: object) -> State:
        self._emit(Release(reply=False))
        return State.STA7

    def _ar_2(self, subject: object) -> State:
        self._out.append(ReleaseIndicated(collision=False))
        return State.STA8

    def _ar_3(self, subject: object) -> State:
        self._out += (ReleaseConfirmed(closing=True), _CLOSE)
        return State.STA1

    def _ar_4(self, subject: object) -> State:
        self._emit(Release(reply=True))
        self._out.append(_START)
        return State.STA13

    def _ar_5(self, subject: object) -> State:
        self._out.append(_STOP)
        return State.STA1

    def _ar_6(self, subject: object) -> State:
        return State.STA7

    def _ar_7(self, subject: object) -> State:
        return State.STA8

    def _ar_8(self, subject: object) -> State:
        self._out.append(ReleaseIndicated(collision=True))
        return State.STA9 if self.role is Role.REQUESTOR else State.STA10

    def _ar_9(self, subject: object) -> State:
        self._emit(Release(reply=True))
        return State.STA11

    def _ar_10(self, subject: object) -> State:
        self._out.append(ReleaseConfirmed(closing=False))
        return State.STA12

    def _aa_1(self, subject: object) -> State:
        if isinstance(subject, Abort):
            self._emit(subject)
        else:
            self._answer_fault(subject)
        self._out.append(_START)
        return State.STA13

    def _aa_2(self, subject: object) -> State:
        self._out += (_STOP, _CLOSE)
        return State.STA1

    def _aa_3(self, subject: object) -> State:
        assert isinstance(subject, Abort)
        self._out += (AbortIndicated(subject.source, subject.reason), _CLOSE)
        return State.STA1

    def _aa_4(self, subject: object) -> State:
        self._out.append(LossIndicated())
        return State.STA1

    def _aa_5(self, subject: object) -> State:
        self._out += (_STOP, LossIndicated())
        return State.STA1

    def _aa_6(self, subject: object) -> State:
        return State.STA13

    def _aa_7(self, subject: object) -> State:
        fault = subject if isinstance(subject, ProtocolFault) else None
        reason = fault.reason if fault else AbortReason.UNEXPECTED_PDU
        self._emit(Abort(AbortSource.PROVIDER, reason))
        return State.STA13

    def _aa_8(self, subject: object) -> State:
        self._answer_fault(subject)
        self._out.append(_START)
        return State.STA13

    def _answer_fault(self, subject: object) -> None:
        fault = subject if isinstance(subject, ProtocolFault) else self._unexpected()
        self._emit(Abort(fault.source, fault.reason))
        self._out.append(FaultIndicated(fault, self._stranger))

    def _unexpected(self) -> ProtocolFault:
        text = f"a PDU that does not belong here: {MEANINGS[self.state]}"
        return ProtocolFault(AbortSource.PROVIDER, AbortReason.UNEXPECTED_PDU, text)

    def _agree(self, accept: AssociateAccept, peer_maximum: int | None) -> None:
        self._contexts = frozenset(context.id for context in accept.contexts if context.result == 0)
        limit = self.limits.max_send
        if peer_maximum is None:  # the item is missing: be careful
            limit = min(limit, 16384)
        elif peer_maximum:
            limit = min(limit, peer_maximum)
        self.max_pdu_send = limit
