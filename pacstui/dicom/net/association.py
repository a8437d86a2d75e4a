"""One association: what was agreed, and how it begins and ends."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable
from datetime import datetime

from pacstui.clock import SYSTEM, Clock
from pacstui.dicom.net.answering import Answering
from pacstui.dicom.net.connection import Connection
from pacstui.dicom.net.errors import AssociationAborted, AssociationEnded, PeerSilent
from pacstui.dicom.net.request import Counters, Request
from pacstui.dicom.net.service import DEFAULT_TIMEOUTS, Observer, Refused, ServiceFor, Timeouts
from pacstui.dicom.ul.effects import (
    DEFAULT_LIMITS,
    AbortIndicated,
    AssociateAccepted,
    AssociateIndicated,
    AssociateRefused,
    AssociateRejected,
    Effect,
    FaultIndicated,
    Limits,
    LossIndicated,
    ReleaseConfirmed,
    ReleaseIndicated,
    Role,
)
from pacstui.dicom.ul.faults import (
    AbortReason,
    AbortSource,
    PresentationReason,
    ProtocolFault,
    Refusal,
    RejectSource,
    Result,
    describe_abort,
)
from pacstui.dicom.ul.machine import Machine
from pacstui.dicom.ul.negotiation import Context, Negotiated, agreed
from pacstui.dicom.ul.pdu import AssociateReject, AssociateRequest
from pacstui.dicom.ul.table import MEANINGS, State
from pacstui.text import safe

__all__ = ["Association", "Counters", "Decide", "Rejected", "Request"]

log = logging.getLogger("pacstui.dicom.net")

_ids = itertools.count(1)
_MAY_SEND = (State.STA6, State.STA8)
_AWAITS_RELEASE = (State.STA7, State.STA10, State.STA11)

Decide = Callable[["Association", AssociateRequest], "Negotiated | Refusal"]


def new_number() -> int:
    """Return a number that no association of this process has."""
    return next(_ids)


class Rejected(Exception):
    """Carries an A-ASSOCIATE-RJ to who waits for the answer."""

    def __init__(self, reject: AssociateReject) -> None:
        super().__init__(str(reject))
        self.reject = reject


class Association(Answering):
    """An association of either role.

    Attributes
    ----------
    id
        Number of the association, unique in this process; refused callers have one too.
    contexts
        All proposed contexts with their results; ``accepted`` holds the accepted ones by id.
    state
        connects, open, refused, released, aborted by peer, aborted, lost, timed out.
    doing
        A word for what it does now: connects, idle, echoes, stores, ...; the state when it is over.
    detail
        Why it ended, empty after a release.
    implementation
        The peer's implementation version name and class UID.
    """

    def __init__(
        self,
        role: Role,
        loop: asyncio.AbstractEventLoop,
        *,
        limits: Limits = DEFAULT_LIMITS,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        scratch: bytearray | None = None,
        observer: Observer | None = None,
        service_for: ServiceFor | None = None,
        decide: Decide | None = None,
        on_lost: Callable[[Association], None] | None = None,
        clock: Clock = SYSTEM,
    ) -> None:
        super().__init__(loop, observer, service_for)
        self.id = new_number()
        self.role = role
        self.calling = ""
        self.called = ""
        self.address = ("", 0)
        self.rq: AssociateRequest | None = None
        self.contexts: tuple[Context, ...] = ()
        self.accepted: dict[int, Context] = {}
        self.implementation = ("", "")
        self.opened: datetime = clock.now()
        self.state = "connects"
        self.detail = ""
        self.machine = Machine(role, limits)
        self.connection = Connection(loop, self.machine, self, timeouts, scratch)
        self.established: asyncio.Future[None] = loop.create_future()
        self.gone: asyncio.Future[None] = loop.create_future()
        self._timeouts = timeouts
        self._decide = decide
        self._on_lost = on_lost
        self._clock = clock
        self._open = False
        self._error: AssociationEnded | None = None
        self._release_due = False
        self._release_at = 0.0

    @property
    def max_pdu_send(self) -> int:
        """Longest P-DATA-TF that is sent to the peer, in bytes."""
        return self.machine.max_pdu_send

    @property
    def over(self) -> bool:
        return self._error is not None

    @property
    def is_open(self) -> bool:
        """Whether it was established and has not ended."""
        return self._open and self._error is None

    @property
    def quiet_since(self) -> float:
        """Loop time of the end of the last message."""
        return self._active_at

    def ended_error(self) -> AssociationEnded | None:
        if self._error is None and self.machine.state not in _MAY_SEND:
            return AssociationEnded(f"nothing can be sent now: {MEANINGS[self.machine.state]}")
        return self._error

    def abort(self, reason_text: str, *, provider: bool = False) -> None:
        """Abort: A-ABORT 0/0 as the user of the association, 2/0 as its ``provider``."""
        self.connection.run(self.machine.abort(AbortSource.PROVIDER if provider else AbortSource.USER, 0))
        self._end("aborted", reason_text)

    async def abort_and_wait(self, reason_text: str, timeout: float = 1.0) -> None:
        """Abort, and wait until the connection is gone; it is dropped after ``timeout`` seconds."""
        self.abort(reason_text)
        if self.connection.transport is not None:
            await asyncio.wait([self.gone], timeout=timeout)
            self.connection.kill()

    async def release(self) -> None:
        """Ask the peer for release and wait for the end (PS3.8 7.2).

        Raises
        ------
        AssociationEnded
            When it ends in another way.
        """
        if self._error is None:
            if self.machine.state is State.STA6:
                self._release_at = self._loop.time()
                self.connection.run(self.machine.release())
                self.connection.hurry(self._timeouts.message)
            await asyncio.shield(self.gone)
        if self._error is not None and self._error.how != "released":
            raise self._error

    # what the connection tells

    def transport_made(self, address: tuple[str, int]) -> None:
        self.address = address

    def transport_lost(self, error: Exception | None) -> None:
        self._end("lost", "the connection was lost" + (f": {error}" if error else ""))
        if not self.gone.done():
            self.gone.set_result(None)
        if self._on_lost is not None:
            self._on_lost(self)

    def bytes_read(self, count: int) -> None:
        self.counters.received_bytes += count
        if self._open:
            self._observer.received(self, count)

    def waits(self) -> tuple[float, str] | None:
        limits = self._timeouts
        if self.machine.state in _AWAITS_RELEASE:
            return self._release_at + limits.message, f"no answer to the release for {limits.message:g} s"
        if self.machine.state is not State.STA6:
            return None
        waiting = [exchange.since for exchange in self.exchanges.values() if exchange.since is not None]
        # What the peer asks for meanwhile shows that it lives: pending responses are its choice (PS3.4 C.4.3.3.1).
        answer = max(min(waiting), self._active_at) + limits.response if waiting else None
        if self._serving or self._backlog is not None:
            return None if answer is None else (answer, f"no response for {limits.response:g} s")
        if self._in_message or self.machine.inside:
            return self.connection.last_read + limits.message, f"silent for {limits.message:g} s inside a message"
        if answer is not None:
            return answer, f"no response for {limits.response:g} s"
        if self.role is Role.ACCEPTOR and all(each.abandoned for each in self.exchanges.values()):
            return self._active_at + limits.idle, f"idle for {limits.idle:g} s"
        return None

    def artim_expired(self) -> None:
        if self.state == "connects":
            said = "sent no whole A-ASSOCIATE-RQ" if self.counters.received_bytes else "sent nothing"
            hint = "a port scanner or a health check, or a caller that hangs"
            self._refuse(Refusal(0, 0, 0, f"{said} within {self._timeouts.artim:g} s", hint))

    def timed_out(self, text: str, hopeless: bool) -> None:
        if not hopeless:
            self.connection.run(self.machine.abort(AbortSource.PROVIDER, AbortReason.NOT_SPECIFIED))
        self._end("timed out", text)

    def indicated(self, effect: Effect) -> None:
        match effect:
            case AssociateIndicated(request):
                self._asked(request)
            case AssociateRefused(request, refusal):
                self._name(request)
                self._refuse(refusal)
            case AssociateAccepted(accept):
                assert self.rq is not None
                self.implementation = (accept.user.implementation_version, accept.user.implementation_uid)
                self._established(agreed(self.rq, accept))
            case AssociateRejected(reject):
                self.state = self.doing = "refused"
                self._error = AssociationEnded("the association was rejected", how="refused")
                self._answered_with(Rejected(reject))
            case ReleaseIndicated(collision):
                if not collision:
                    self._release_due = True
                    self.caught_up()
                elif self.role is Role.REQUESTOR:
                    self.connection.run(self.machine.release_response())
            case ReleaseConfirmed(closing):
                if not closing:
                    self.connection.run(self.machine.release_response())
                self._end("released", "")
            case AbortIndicated(source, reason):
                self._end("aborted by peer", describe_abort(source, reason))
            case FaultIndicated(fault):
                if self._open:
                    self._end("aborted", str(fault))
                else:
                    self._refuse(Refusal(0, 0, 0, fault.message, fault.hint))
            case LossIndicated():
                self._end("lost", "the connection was lost")
            case _:
                raise AssertionError(f"unknown effect {effect!r}")

    # the beginning and the end

    def begin(self, request: AssociateRequest) -> None:
        """Take the request to send, as requestor, before the transport connects."""
        self._name(request)
        self.connection.run(self.machine.request(request))

    def _name(self, request: AssociateRequest) -> None:
        self.rq = request
        self.called, self.calling = request.called, request.calling
        if self.role is Role.ACCEPTOR:
            self.implementation = (request.user.implementation_version, request.user.implementation_uid)

    def _asked(self, request: AssociateRequest) -> None:
        self._name(request)
        if self.machine.state is not State.STA3:  # what came along with the request ended it already
            return
        assert self._decide is not None
        try:
            answer = self._decide(self, request)
        except Exception:
            log.exception("the policy failed on an A-ASSOCIATE-RQ of %s", self.address[0])
            answer = Refusal(
                Result.TRANSIENT,
                RejectSource.PRESENTATION,
                PresentationReason.CONGESTION,
                "this node failed while it judged the request",
                "look at the node's log",
            )
        if isinstance(answer, Refusal):
            reject = AssociateReject(answer.result, answer.source, answer.reason)
            self.connection.run(self.machine.reject(reject))
            self._refuse(answer)
        else:
            self.connection.run(self.machine.accept(answer.accept))
            self._established(answer.contexts)

    def _established(self, contexts: tuple[Context, ...]) -> None:
        self.contexts = contexts
        self.accepted = {context.id: context for context in contexts if context.result == 0}
        self.state, self.doing = "open", "idle"
        self.opened = self._clock.now()
        self._active_at = self._loop.time()
        self._open = True
        self._answered_with(None)
        self._observer.opened(self)

    def _answered_with(self, error: Exception | None) -> None:
        if self.established.done():
            return
        if error is None:
            self.established.set_result(None)
        else:
            self.established.set_exception(error)
            self.established.exception()  # nobody may be waiting

    def _refuse(self, refusal: Refusal) -> None:
        if self._error is not None:
            return
        self.state = self.doing = "refused"
        self.detail = refusal.text
        self._error = AssociationAborted(refusal.text, refusal.hint, how="refused")
        self._answered_with(self._error)
        if self.role is Role.REQUESTOR:
            return
        log.debug("refused %s: %s", self.address[0], safe(refusal.text))
        codes = (refusal.result, refusal.source, refusal.reason)
        self._observer.refused(
            Refused(self.id, self.calling, self.called, self.address, *codes, refusal.text, refusal.hint, self.rq)
        )

    def _end(self, how: str, detail: str) -> None:
        if self._error is not None:
            return
        self.state, self.doing, self.detail = how, how, detail
        kind = PeerSilent if how == "timed out" else AssociationAborted if "aborted" in how else AssociationEnded
        self._error = kind(detail or "the association was released", how=how)
        self.drop_messages(detail or how)
        for exchange in self.exchanges.values():
            exchange.fail(self._error)
        self.exchanges.clear()
        self._answered_with(self._error)
        if self._open:
            self._observer.closed(self, how, detail)

    def fail(self, fault: ProtocolFault) -> None:
        self.connection.run(self.machine.abort(fault.source, fault.reason))
        self._end("aborted", str(fault))

    def caught_up(self) -> None:
        """Answer a release that the peer asked for while something was served."""
        if self._release_due and self._error is None and not self._serving and self._backlog is None:
            self._release_due = False
            self.connection.run(self.machine.release_response())
            self._end("released", "in the middle of a message" if self._in_message else "")
