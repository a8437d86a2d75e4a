"""Associates with a peer, step by step, and says which step failed and what mends it."""

from __future__ import annotations

import asyncio
import errno
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from pacstui.apart import TooManyHang
from pacstui.dicom.net import names
from pacstui.dicom.net.association import Association, Rejected
from pacstui.dicom.net.errors import (
    AssociationAborted,
    AssociationEnded,
    AssociationRejected,
    ContextNotAccepted,
    PeerSilent,
    PeerUnreachable,
)
from pacstui.dicom.net.service import DEFAULT_TIMEOUTS, Observer, ServiceFor, Timeouts
from pacstui.dicom.net.tls import explain
from pacstui.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from pacstui.dicom.ul.effects import DEFAULT_LIMITS, Limits, Role
from pacstui.dicom.ul.faults import describe_rejection
from pacstui.dicom.ul.items import ProposedContext, RoleSelection, UserIdentity, UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.dicom.ul.table import State
from pacstui.errors import PacsError
from pacstui.text import safe

_SCRATCH_SIZE = 65536

OnStep = Callable[[str, bool, float, str], None]
"""Told after each step: its name (name, TCP, association, release), whether it went well, milliseconds, detail."""


def request_for(
    called: str,
    calling: str,
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    max_pdu: int = DEFAULT_LIMITS.max_pdu,
    roles: Sequence[RoleSelection] = (),
    identity: UserIdentity | None = None,
) -> AssociateRequest:
    """Return an A-ASSOCIATE-RQ; contexts get the ids 1, 3, 5, ... in their order.

    Raises
    ------
    ValueError
        With none or more than 128 contexts, or AE titles that do not fit.
    """
    if not 1 <= len(contexts) <= 128:
        raise ValueError(f"1 to 128 presentation contexts can be proposed, not {len(contexts)}")
    for title in (called, calling):
        if not title.strip() or len(title) > 16:
            raise ValueError(f"an AE title has 1 to 16 characters: {title!r}")
    return AssociateRequest(
        called=called,
        calling=calling,
        contexts=tuple(
            ProposedContext(2 * index + 1, abstract, tuple(syntaxes))
            for index, (abstract, syntaxes) in enumerate(contexts)
        ),
        user=UserInformation(
            max_length=max_pdu,
            implementation_uid=IMPLEMENTATION_CLASS_UID,
            implementation_version=IMPLEMENTATION_VERSION_NAME,
            roles=tuple(roles),
            identity=identity,
        ),
    )


@asynccontextmanager
async def associate(
    host: str,
    port: int,
    *,
    called: str,
    calling: str,
    contexts: Sequence[tuple[str, Sequence[str]]],
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    on_step: OnStep | None = None,
    roles: Sequence[RoleSelection] = (),
    identity: UserIdentity | None = None,
    limits: Limits = DEFAULT_LIMITS,
    observer: Observer | None = None,
    service_for: ServiceFor | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Association]:
    """Associate with a peer for the time of the block; it is released at the end, aborted when the block fails.

    Raises
    ------
    PeerUnreachable
        Name unknown, connection refused, no answer.
    AssociationRejected
        With the codes of the A-ASSOCIATE-RJ and what they mean.
    AssociationAborted, AssociationEnded, PeerSilent
        When the peer ends it otherwise.
    """
    loop = asyncio.get_running_loop()
    step = _Steps(on_step)
    rq = request_for(called, calling, contexts, max_pdu=limits.max_pdu, roles=roles, identity=identity)
    where = f"{safe(host)}:{port}"
    association = Association(
        Role.REQUESTOR,
        loop,
        limits=limits,
        timeouts=timeouts,
        scratch=bytearray(_SCRATCH_SIZE),
        observer=observer,
        service_for=service_for,
    )
    association.begin(rq)
    try:
        addresses = await _resolve(host, port, timeouts.connect, step)
        await _connect(loop, association, addresses, where, timeouts.connect, step, tls, host)
        await _await_answer(association, where, timeouts.associate, step, tls is not None)
        try:
            yield association
        except AssociationEnded:
            raise
        except ContextNotAccepted:  # nothing is wrong with the association itself
            if association.is_open:
                await _release(association, step)
            raise
        except BaseException:
            association.abort("the work on it failed")
            raise
        if association.is_open:
            await _release(association, step)
    finally:
        if not association.gone.done():
            association.abort("left")
            if association.connection.transport is not None:
                association.connection.transport.close()


class _Steps:
    """Takes the time of each step."""

    def __init__(self, on_step: OnStep | None) -> None:
        self._on_step = on_step
        self._since = time.perf_counter()

    def done(self, name: str, ok: bool, detail: str = "") -> None:
        now = time.perf_counter()
        if self._on_step is not None:
            self._on_step(name, ok, (now - self._since) * 1000, detail)
        self._since = now

    def failed(self, name: str, error: PacsError) -> PacsError:
        self.done(name, False, error.message)
        return error


async def _resolve(host: str, port: int, timeout: float, step: _Steps) -> list[tuple[str, int]]:
    shown = safe(host)
    try:
        async with asyncio.timeout(timeout):
            found = await names.look_up(host)
    except (TimeoutError, TooManyHang):
        raise step.failed(
            "name", PeerUnreachable("dns", f"the name {shown} could not be looked up in time", "check the name server")
        ) from None
    except (OSError, UnicodeError) as error:
        raise step.failed(
            "name",
            PeerUnreachable("dns", f"the name {shown} is unknown", "check the host name, or use its IP address"),
        ) from error
    addresses = [(address, port) for address in found]
    step.done("name", True, ", ".join(address[0] for address in addresses))
    return addresses


async def _connect(
    loop: asyncio.AbstractEventLoop,
    association: Association,
    addresses: list[tuple[str, int]],
    where: str,
    timeout: float,
    step: _Steps,
    tls: ssl.SSLContext | None,
    host: str,
) -> None:
    problem: PeerUnreachable | None = None
    name = host if tls is not None else None
    for address, port in addresses:
        try:
            async with asyncio.timeout(timeout):
                await loop.create_connection(
                    lambda: association.connection, address, port, ssl=tls, server_hostname=name
                )
        except ssl.SSLError as error:
            text, hint = explain(error)
            problem = PeerUnreachable("tls", f"{where}: {text}", hint)
        except TimeoutError:
            problem = PeerUnreachable(
                "timeout",
                f"nothing answers at {where} within {timeout:g} s",
                "check that the peer is on and that no firewall drops the connection",
            )
        except OSError as error:
            broken = tls is not None and isinstance(error, (ConnectionResetError, ConnectionAbortedError))
            problem = _broke_off(where, error) if broken else _unreachable(error, where)
        else:
            step.done("TCP" if tls is None else "TLS", True, address)
            return
        if association.machine.state is not State.STA4:  # the connection came just when time was up
            break
    assert problem is not None
    raise step.failed("TCP", problem)


def _broke_off(where: str, error: Exception | None) -> PeerUnreachable:
    if isinstance(error, ssl.SSLError):
        text, hint = explain(error)
        return PeerUnreachable("tls", f"{where}: {text}", hint)
    return PeerUnreachable(
        "tls",
        f"{where} broke off the TLS handshake",
        "it may ask for a certificate of ours, or not take the one of [tls] certificate; look at its log",
    )


def _unreachable(error: OSError, where: str) -> PeerUnreachable:
    if isinstance(error, ConnectionRefusedError) or error.errno == errno.ECONNREFUSED:
        return PeerUnreachable(
            "refused", f"nothing listens at {where}", "check the port, and that the peer's DICOM service is started"
        )
    return PeerUnreachable(
        "network",
        f"{where} cannot be reached: {error.strerror or str(error) or type(error).__name__}",
        "check the address and the network",
    )


async def _await_answer(association: Association, where: str, timeout: float, step: _Steps, tls: bool) -> None:
    rq = association.rq
    assert rq is not None
    try:
        async with asyncio.timeout(timeout):
            await asyncio.shield(association.established)
    except TimeoutError:
        association.abort("no answer to the A-ASSOCIATE-RQ", provider=True)
        raise step.failed(
            "association",
            PeerSilent(
                f"{where} takes connections but does not answer an A-ASSOCIATE-RQ within {timeout:g} s",
                "check that this is the peer's DICOM port, and whether the peer hangs",
                how="timed out",
            ),
        ) from None
    except Rejected as rejected:
        r = rejected.reject
        text, hint = describe_rejection(r.result, r.source, r.reason, safe(rq.called), safe(rq.calling))
        raise step.failed("association", AssociationRejected(r.result, r.source, r.reason, text, hint)) from None
    except AssociationAborted as error:
        raise step.failed(
            "association",
            AssociationAborted(
                error.message, error.hint or "look at the peer's log for what it did not like", how=error.how
            ),
        ) from None
    except AssociationEnded as error:
        if tls:  # with TLS 1.3 a peer tells only now that it does not take our certificate (RFC 8446 4.4.2)
            raise step.failed("association", _broke_off(where, association.lost_by)) from None
        raise step.failed(
            "association",
            AssociationEnded(
                f"{where} closed the connection without an answer",
                "the peer may allow only known addresses, expect TLS, or not be a DICOM system",
                how=error.how,
            ),
        ) from None
    accepted = len(association.accepted)
    step.done("association", True, f"{accepted} of {len(association.contexts)} contexts accepted")


async def _release(association: Association, step: _Steps) -> None:
    try:
        await association.release()
    except AssociationEnded as error:
        step.done("release", False, error.message)
    else:
        step.done("release", True)
