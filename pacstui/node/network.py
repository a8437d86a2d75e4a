"""Opens what speaks DICOM: lines to peers, who may call, the SOP classes, and the listener."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass

from pacstui.archive import Archive
from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.service import Timeouts
from pacstui.dicom.net.tls import server_context
from pacstui.dicom.ul.effects import Limits
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.equipment.seen import Seen
from pacstui.errors import SettingsError
from pacstui.events import ServiceRefused
from pacstui.monitor.arriving import Arriving
from pacstui.monitor.associations import Ledger
from pacstui.monitor.rates import Throughput
from pacstui.node.course import Moment
from pacstui.node.ground import Ground
from pacstui.node.signing_in import SigningIn
from pacstui.orders.desk import Desk
from pacstui.services.commitment import CommitmentService
from pacstui.services.commitment_scu import CommitmentAsker
from pacstui.services.identity import IdentityCheck
from pacstui.services.mpps import MppsService
from pacstui.services.policy import Admission
from pacstui.services.query import QueryService
from pacstui.services.remote import RemoteRoom
from pacstui.services.retrieve import RetrieveService
from pacstui.services.storage import StorageService
from pacstui.services.table import ServiceTable
from pacstui.services.worklist import WorklistService
from pacstui.settings import DicomSettings, Settings, TlsSettings

log = logging.getLogger("pacstui.node")
_COMMITMENTS_S = 5.0


@dataclass(frozen=True, slots=True)
class Network:
    """What speaks DICOM, as the other rooms know it; ``address`` is where it listens. ``take`` lets it take callers."""

    admission: Admission
    ledger: Ledger
    retrieve: RetrieveService
    commitment: CommitmentService
    asker: CommitmentAsker
    remote: RemoteRoom
    address: str
    take: Callable[[], None]


def open_lines(ground: Ground, book: PeerBook) -> Lines:
    """Return what calls peers."""
    lines = Lines(book, ground.title(), _timeouts(ground.settings.dicom), _limits(ground.settings.dicom))

    def take(new: Settings) -> None:
        lines.ae_title = new.dicom.ae_title

    ground.course.at_reload(take)
    return lines


async def open_network(
    ground: Ground, archive: Archive, lines: Lines, seen: Seen, signing: SigningIn, desk: Desk, arriving: Arriving,
    throughput: Throughput,
) -> Network:  # fmt: skip
    """Make the services, and listen.

    Raises
    ------
    PacsError
        For a port that is taken, or a certificate that cannot be used.
    """
    settings, clock, bus, course = ground.settings, ground.clock, ground.bus, ground.course
    dicom, book = settings.dicom, lines.book
    admission = Admission(dicom, book, settings.query)
    admission.not_allowed = lambda told: bus.publish(ServiceRefused(clock.now(), *told))
    admission.check_identity = identity = IdentityCheck(
        signing.gate, signing.gate.programs, lambda: ground.settings.dicom
    )  # fmt: skip
    ledger = Ledger(
        bus, clock, book, throughput, arriving, dicom.max_associations, admission.entered, admission.left
    )  # fmt: skip
    ledger.account_of, ledger.watch, admission.open_of = identity.account, seen, ledger.open_of
    lines.watcher = ledger.calls

    query = QueryService(archive.db, dicom.ae_title)
    query.replace(dicom.ae_title, settings.query.max_answers, settings.query.fuzzy_names)
    retrieve = RetrieveService(archive, lines, bus, clock, settings.retrieve.parallel)
    commitment = CommitmentService(archive, lines, bus, clock)
    commitment.asker = asker = CommitmentAsker(archive, lines, bus, clock, settings.commitment.answer_h)
    remote = RemoteRoom(archive, lines, bus, clock)
    services = ServiceTable(
        StorageService(archive, bus, clock), query, retrieve, commitment, asker,
        WorklistService(archive.db, lambda: ground.settings.worklist, clock), MppsService(desk.performed),
    )  # fmt: skip
    for close in (commitment.close, asker.close, remote.close):
        course.at_end(Moment.CALLS, close)
    course.every(1.0, ledger.tick, "association counts")
    if not ground.rehearsal:
        course.every(_COMMITMENTS_S, commitment.tick, "storage commitments")

    listener = Listener(
        admission, services.service_for, observer=ledger, timeouts=_timeouts(dicom), limits=_limits(dicom),
        max_connections=dicom.max_associations, clock=clock,
    )  # fmt: skip
    certificates = _Certificates(book)
    certificates.read(settings.tls)
    course.at_end(Moment.LISTENER, lambda: listener.close(settings.node.drain_s))
    course.at_end(Moment.SENT, retrieve.close)
    port = await _listen(listener, dicom, settings.tls, certificates)

    def take(new: Settings) -> None:
        try:
            certificates.read(new.tls)
        except SettingsError as fault:
            log.error("certificates were not read anew: %s", fault)
        admission.replace(new.dicom, new.query)
        retrieve.parallel = new.retrieve.parallel
        asker.answer_h = new.commitment.answer_h
        query.replace(new.dicom.ae_title, new.query.max_answers, new.query.fuzzy_names)
        ledger.limit = new.dicom.max_associations
        listener.bound(new.dicom.max_associations)

    course.at_reload(take)
    return Network(admission, ledger, retrieve, commitment, asker, remote, f"{dicom.host}:{port}", listener.take)


def _timeouts(dicom: DicomSettings) -> Timeouts:
    return Timeouts(artim=dicom.artim_s, idle=dicom.idle_s, message=dicom.message_s)


def _limits(dicom: DicomSettings) -> Limits:
    return Limits(max_pdu=dicom.max_pdu)


class _Certificates:
    """The certificates in use: for calls from now on, and for connections that are taken from now on."""

    def __init__(self, book: PeerBook) -> None:
        self._book = book
        self._context: ssl.SSLContext | None = None

    def read(self, tls: TlsSettings) -> None:
        self._book.secure(tls)
        if tls.port:
            if not tls.certificate:
                raise SettingsError("[tls] certificate is missing", "a TLS port needs one, and its key")
            self._context = server_context(
                tls.certificate, tls.key, tls.ca, mutual=tls.client_certificates, oldest=tls.oldest
            )

    def context(self) -> ssl.SSLContext:
        assert self._context is not None
        return self._context


async def _listen(listener: Listener, dicom: DicomSettings, tls: TlsSettings, certificates: _Certificates) -> int:
    """Listen, and return the port that is shown: the plain one, else the one with TLS."""
    port = await listener.start(dicom.host, dicom.port, taking=False) if tls.plain or not tls.port else 0
    if tls.port:
        secure = await listener.start(dicom.host, tls.port, certificates.context, taking=False)
        log.info("TLS is spoken on %s:%d", dicom.host, secure)
        port = port or secure
    return port
