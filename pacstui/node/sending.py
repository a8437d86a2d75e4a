"""Opens the equipment register, what is sent on to it, and the room that holds things up for maintenance."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pacstui.archive import Archive
from pacstui.db import Database
from pacstui.equipment.book import PeerBook
from pacstui.equipment.line import Lines
from pacstui.equipment.room import PeersRoom
from pacstui.events import PeersChanged
from pacstui.index.commitments import rename_peer
from pacstui.maintenance.room import MaintenanceRoom
from pacstui.monitor.arriving import Arriving
from pacstui.node.course import Moment
from pacstui.node.ground import Ground, caller
from pacstui.node.network import Network
from pacstui.node.signing_in import SigningIn
from pacstui.node.work import Work
from pacstui.routing.onward import Onward
from pacstui.settings import Settings
from pacstui.text import plural

_LOOKUP_S = 300.0
_SEEN_S = 5.0


async def open_peers(
    ground: Ground, database: Database, book: PeerBook, lines: Lines, onward: Onward, signing: SigningIn
) -> PeersRoom:
    """Open the equipment register; its peers come after those of the settings."""
    course = ground.course
    peers = PeersRoom(database, lines, ground.bus, ground.clock, caller)
    register = peers.register
    register.tls = lambda: ground.settings.tls
    register.noted = lambda action, name, detail: signing.note("configuration", action, name, detail)

    async def uses(name: str) -> list[str]:
        return await _uses_of(ground, onward, name)

    def take(new: Settings) -> None:
        book.replace(new.peers)
        ground.bus.publish(PeersChanged(ground.clock.now(), book.names()))

    peers.uses.append(uses)
    peers.binds.append(onward.bound)
    peers.follows += [onward.follow, rename_peer]
    ground.problems.watch(peers.seen.problems)
    course.at_end(Moment.PEERS, peers.close)
    await peers.open()
    onward.queueing.renew()
    course.every(_LOOKUP_S, book.look_up, "peer addresses")
    course.every(_SEEN_S, peers.seen.flush, "peers")
    course.at_reload(take)
    return peers


async def _uses_of(ground: Ground, onward: Onward, name: str) -> list[str]:
    """Return in words what names a peer: routes, destinations, and what waits to go there."""
    found = [f"the route {row.name} sends to it" for row in await onward.routes.list() if name in row.to]
    found += [
        f"the destination {each.name} asks it to send"
        for each in ground.settings.destinations if each.move_from == name
    ]  # fmt: skip
    found += [
        f"{plural(row.waiting, 'object')} {'waits' if row.waiting == 1 else 'wait'} to go there"
        for row in onward.queue.outgoing() if row.destination == name and row.waiting
    ]  # fmt: skip
    return found


def open_onward(
    ground: Ground, archive: Archive, arriving: Arriving, lines: Lines, onward: Onward, network: Network, work: Work
) -> None:
    """Make the rooms of what is sent on; `begin_onward` begins to send."""
    onward.open(archive, arriving, lines, ground.bus, ground.clock)
    onward.committing.ask = network.asker.ask_about
    work.space.sent = onward.queue.not_sent
    ground.problems.watch(onward.problems)
    ground.course.every(1.0, onward.queue.refresh, "queue counts")
    if not ground.rehearsal:
        ground.course.every(2.0, onward.committing.tick, "commitment of what was sent")


async def begin_onward(ground: Ground, onward: Onward, peers: PeersRoom, book: PeerBook, work: Work) -> None:
    """Begin to send, and follow changes of peers."""

    async def peers_changed() -> None:
        await work.want()
        await onward.renew()
        ground.bus.publish(PeersChanged(ground.clock.now(), book.names()))

    async def end() -> None:
        await onward.queue.close(ground.settings.node.drain_s)

    peers.register.changed = peers_changed
    ground.course.at_end(Moment.SENDING, end)
    await onward.begin()


async def open_maintenance(
    ground: Ground, archive: Archive, onward: Onward, network: Network, peers: PeersRoom
) -> MaintenanceRoom:
    """Open the room that keeps callers out while somebody works on the node, and tells what was changed."""
    room = MaintenanceRoom(archive.db, ground.bus, ground.clock, caller)
    room.peers, room.sending = onward.titles, lambda: onward.queue.part().sending
    room.associations = lambda: network.ledger.part().active
    room.changed = onward.queue.wake
    network.admission.closed, network.admission.echo_only = room.refusal, room.echo_only
    onward.queue.held_up = lambda destination: (
        "held up: this is a rehearsal" if ground.rehearsal else room.held_up(destination)
    )
    onward.routes.noted = peers.register.kept = room.noted
    peers.follows.append(room.follow)
    ground.problems.watch(room.problems)
    ground.problems.watch(lambda: _told_of_rehearsal(ground))
    await room.open()
    await room.compare(ground.settings, _owner_of(ground.loaded.source), "at start")

    async def take(new: Settings) -> None:
        await onward.renew()
        await room.compare(new, _owner_of(ground.loaded.source), "reloaded")

    ground.course.every(1.0, room.tick, "maintenance")
    ground.course.at_reload(take)
    return room


def _told_of_rehearsal(ground: Ground) -> Iterable[tuple[str, str, str, str, str]]:
    if ground.rehearsal:
        told = "rehearsal: this copy of an archive sends nothing and runs no jobs"
        yield "rehearsal", "note", told, "take rehearsal out of [node] if it is to be the archive", ""


def _owner_of(file: Path | None) -> str:
    """Return who owns the configuration file, as the one who may have changed it."""
    if file is None:
        return "environment"
    try:
        return f"file of {file.owner()}"
    except (OSError, KeyError):
        return "file"
