"""The upper layer as a machine: bytes and requests in, effects out (PS3.8 9.2).

One machine serves both roles. It does no I/O and knows no time: ARTIM is the two effects ``StartTimer`` and
``StopTimer``. Whoever drives it carries out the effects in their order.
"""

from __future__ import annotations

from typing import Final

from pacstui.dicom.ul import pdu
from pacstui.dicom.ul.actions import CLOSE, STOP, Actions, NotPossible
from pacstui.dicom.ul.effects import DEFAULT_LIMITS, Effect, Fragment, Limits, Role
from pacstui.dicom.ul.faults import AbortReason, AbortSource, ProtocolFault, foreign, invalid
from pacstui.dicom.ul.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest
from pacstui.dicom.ul.table import MEANINGS, TABLE, Event, State

__all__ = ["Machine", "NotPossible"]

_RECEIVED: Final = {
    pdu.ASSOCIATE_RQ: Event.RQ_RECEIVED,
    pdu.ASSOCIATE_AC: Event.AC_RECEIVED,
    pdu.ASSOCIATE_RJ: Event.RJ_RECEIVED,
    pdu.P_DATA_TF: Event.DATA_RECEIVED,
    pdu.RELEASE_RQ: Event.RELEASE_RQ_RECEIVED,
    pdu.RELEASE_RP: Event.RELEASE_RP_RECEIVED,
    pdu.ABORT: Event.ABORT_RECEIVED,
}


class Machine(Actions):
    """The upper layer of one connection.

    Parameters
    ----------
    role
        Whether this side accepts or requests.
    limits
        Bounds on what is read.
    """

    def __init__(self, role: Role, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__(role, limits)
        self._partial = bytearray()  # an unfinished header, or the body of an unfinished PDU
        self._body_left = -1  # what is missing of the body of a PDU other than P-DATA-TF; -1 outside of one
        self._kind = 0
        self._pdu_left = 0  # what is left of the present P-DATA-TF
        self._pdv_left = 0  # what is left of the present PDV's value
        self._pdv_context = 0
        self._pdv_header = 0
        self._skip = 0  # bytes of a PDU that is ignored
        self._first = True
        self._deaf = False  # the stream can no longer be followed

    @property
    def inside(self) -> bool:
        """Whether a PDU has begun and not ended."""
        return bool(self._pdu_left or self._pdv_left or self._partial or self._body_left >= 0 or self._skip)

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

    def message_parts(self, context_id: int, command: bytes, data: bytes | memoryview) -> list[bytes | memoryview]:
        """Return the bytes that carry a message in parts, without a copy of ``data`` (DT-1, AR-7)."""
        self._may_send()
        return pdu.message_parts(context_id, command, data, self.max_pdu_send)

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
            out = self._out = [STOP, CLOSE]
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
