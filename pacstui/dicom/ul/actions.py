"""What the machine does: the actions of PS3.8 9.2.2, Tables 9-6 to 9-9, under the standard's names."""

from __future__ import annotations

from typing import Final

from pacstui.dicom.ul import pdu
from pacstui.dicom.ul.effects import (
    AbortIndicated,
    AssociateAccepted,
    AssociateIndicated,
    AssociateRefused,
    AssociateRejected,
    CloseTransport,
    Effect,
    FaultIndicated,
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
)
from pacstui.dicom.ul.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest, Pdu, Release
from pacstui.dicom.ul.table import ACTIONS, MEANINGS, TABLE, Event, State

START: Final = StartTimer()
STOP: Final = StopTimer()
CLOSE: Final = CloseTransport()
_METHODS: Final = {name: "_" + name.lower().replace("-", "_") for name in ACTIONS}


class NotPossible(Exception):
    """A request that the present state does not allow."""


class Actions:
    """State, and the actions that lead from one to the next.

    Each action takes what its event is about, adds to the effects, and returns the next state.
    """

    def __init__(self, role: Role, limits: Limits) -> None:
        self.role = role
        self.limits = limits
        self.state = State.STA1
        self.max_pdu_send = 16384
        self._contexts: frozenset[int] = frozenset()
        self._out: list[Effect] = []
        self._stranger = False
        self._request: AssociateRequest | None = None

    def _happen(self, event: Event, subject: object = None) -> None:
        name = TABLE.get((self.state, event))
        if name is None:
            raise NotPossible(f"{event.name} while {MEANINGS[self.state]}")
        self.state = getattr(self, _METHODS[name])(subject)

    def _do(self, event: Event, subject: object = None) -> list[Effect]:
        out = self._out = []
        self._happen(event, subject)
        return out

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
        self._out += (AssociateRejected(subject), CLOSE)
        return State.STA1

    def _ae_5(self, subject: object) -> State:
        self._out.append(START)
        return State.STA2

    def _ae_6(self, subject: object) -> State:
        assert isinstance(subject, AssociateRequest)
        self._request = subject
        self._out.append(STOP)
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
        self._out += (AssociateRefused(subject, refusal), START)
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
        self._out.append(START)
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
        self._out += (ReleaseConfirmed(closing=True), CLOSE)
        return State.STA1

    def _ar_4(self, subject: object) -> State:
        self._emit(Release(reply=True))
        self._out.append(START)
        return State.STA13

    def _ar_5(self, subject: object) -> State:
        self._out.append(STOP)
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
        self._out.append(START)
        return State.STA13

    def _aa_2(self, subject: object) -> State:
        self._out += (STOP, CLOSE)
        return State.STA1

    def _aa_3(self, subject: object) -> State:
        assert isinstance(subject, Abort)
        self._out += (AbortIndicated(subject.source, subject.reason), CLOSE)
        return State.STA1

    def _aa_4(self, subject: object) -> State:
        self._out.append(LossIndicated())
        return State.STA1

    def _aa_5(self, subject: object) -> State:
        self._out += (STOP, LossIndicated())
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
        self._out.append(START)
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
