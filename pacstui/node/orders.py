"""Opens what follows orders and patients: worklist, HL7 messages, exceptions, corrections."""

from __future__ import annotations

from datetime import datetime

from pacstui import events
from pacstui.archive import Archive
from pacstui.db import Database
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.hl7v2.exchange import Exchange
from pacstui.hl7v2.outgoing import OutgoingHl7
from pacstui.jobs.schedule import window_of, zone_of
from pacstui.monitor.arriving import Arriving
from pacstui.node.course import Moment
from pacstui.node.ground import Ground, caller
from pacstui.node.network import Network
from pacstui.node.signing_in import SigningIn
from pacstui.orders.applying import Applying
from pacstui.orders.desk import Desk
from pacstui.orders.merges import MergesRoom
from pacstui.qc.corrections import CorrectionsRoom
from pacstui.qc.exceptions import ExceptionsRoom
from pacstui.routing.onward import Onward
from pacstui.services.corrected import Handing
from pacstui.settings import Hl7Settings, Settings


def open_desk(ground: Ground, database: Database, lines: Lines) -> Desk:
    """Open what keeps worklist and performed steps."""
    desk = Desk(database, ground.now, lines, ground.bus, ground.clock, caller)
    ground.course.at_end(Moment.CALLS, desk.close)
    if not ground.rehearsal:
        ground.course.every(1.0, desk.tick, "worklist")
    return desk


async def open_exchange(ground: Ground, archive: Archive) -> Exchange:
    """Open what takes and sends HL7 messages; `begin_exchange` begins to listen."""
    applying = Applying(lambda: ground.settings.orders, ground.bus, ground.clock, archive.lane.index.forget_known)
    await applying.begin(archive.db)
    settings, course = ground.settings, ground.course
    exchange = Exchange(
        archive.db, _hl7_of(settings, ground.rehearsal), settings.tls, applying, ground.bus, ground.clock, caller,
        OutgoingHl7(ground.now, _opens, caller),
    )  # fmt: skip

    async def take(new: Settings) -> None:
        await exchange.replace(_hl7_of(new, ground.rehearsal), new.tls)

    async def end() -> None:
        await exchange.close(ground.settings.node.drain_s)

    ground.problems.watch(exchange.problems)
    course.every(5.0, exchange.tick, "hl7")
    if not ground.rehearsal:
        course.every(1.0, exchange.send, "hl7 out")
    course.at_reload(take)
    course.at_end(Moment.SENDING, end)
    return exchange


async def begin_exchange(ground: Ground, exchange: Exchange) -> None:
    """Begin to take messages."""
    if not ground.rehearsal:
        await exchange.begin()


async def open_exceptions(ground: Ground, archive: Archive) -> ExceptionsRoom:
    """Open the room that matches studies with orders."""
    room = ExceptionsRoom(archive, ground.bus, ground.clock, caller, ground.now)
    await room.open()
    ground.problems.watch(room.problems)
    ground.course.every(1.0, room.tick, "matching")
    return room


async def open_corrections(
    ground: Ground,
    archive: Archive,
    arriving: Arriving,
    network: Network,
    onward: Onward,
    signing: SigningIn,
    book: PeerBook,
) -> CorrectionsRoom:
    """Let objects leave as they were corrected, and open the room that corrects them."""
    handing = Handing(archive, lambda: ground.settings.retrieve.corrected, ground.title)
    network.retrieve.handing = onward.queue.handing = handing
    room = CorrectionsRoom(archive, ground.bus, ground.clock, lambda: ground.settings.qc, caller)
    room.arriving = lambda: (row.study for row in arriving.rows() if row.state == "receiving")
    room.changed = handing.forget

    def follow(event: events.PatientChanged) -> None:
        if event.studies:
            handing.forget()

    ground.bus.subscribe(events.PatientChanged, follow)
    room.knows = lambda calling: bool(book.titled(calling))
    room.noted = lambda action, study, patient, detail: signing.note("action", action, study, detail, patient)
    room.title, room.send = ground.title, onward.queue.send_objects
    await room.open()
    ground.course.every(1.0, room.tick, "rejection notes")
    return room


def open_merges(ground: Ground, archive: Archive, signing: SigningIn, corrections: CorrectionsRoom) -> MergesRoom:
    """Open what takes patients apart that were merged."""
    room = MergesRoom(archive.db, ground.bus, ground.clock, caller, archive.lane.index.forget_known)
    room.changed = lambda: corrections.changed()
    room.noted = lambda action, patient, detail: signing.note("action", action, "", detail, patient)
    return room


def _opens(hours: str, now: datetime) -> datetime:
    """Return when hours of the settings begin, ``now`` if it is within them."""
    return window_of(hours).begin(now, zone_of(""))


def _hl7_of(settings: Settings, rehearsal: bool) -> Hl7Settings:
    """Return what holds of HL7: a rehearsal takes no messages."""
    return settings.hl7.model_copy(update={"enabled": False}) if rehearsal else settings.hl7
