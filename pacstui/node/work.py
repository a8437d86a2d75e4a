"""Opens what works on its own: jobs, and what they are about: backups, space, reports, upkeep."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pacstui.accounts.caller import CURRENT, Caller
from pacstui.archive import Archive
from pacstui.backups.room import BackupsRoom
from pacstui.contract import permissions
from pacstui.equipment.book import PeerBook
from pacstui.equipment.room import PeersRoom
from pacstui.events import TrashChanged
from pacstui.jobs.room import JobsRoom
from pacstui.monitor.archive import ArchiveRoom
from pacstui.node.course import Moment
from pacstui.node.ground import Ground, caller
from pacstui.node.signing_in import SigningIn
from pacstui.reports.room import ReportsRoom, Surroundings
from pacstui.services.prefetch import prefetch_kind
from pacstui.services.recall import Recall
from pacstui.services.remote import RemoteRoom
from pacstui.settings import Settings
from pacstui.space.room import SpaceRoom
from pacstui.upkeep import kinds as upkeep


@dataclass(frozen=True, slots=True)
class Work:
    """The rooms that work on their own."""

    jobs: JobsRoom
    backups: BackupsRoom
    space: SpaceRoom
    reports: ReportsRoom
    book: PeerBook

    async def want(self) -> None:
        """Let the jobs be there that the settings ask for."""
        rooms = (self.backups, self.space, self.reports)
        wanted = (*upkeep.wanted(bool(self.book.names())), *(each for room in rooms for each in room.wanted()))
        kinds = {*upkeep.KINDS, *(kind.name for room in rooms for kind in room.kinds())}
        await self.jobs.want(wanted, of=kinds)


async def open_work(
    ground: Ground, archive: Archive, archive_room: ArchiveRoom, book: PeerBook, peers: PeersRoom, signing: SigningIn,
    remote: RemoteRoom,
) -> Work:  # fmt: skip
    """Open the jobs room, with the kinds of jobs that this node knows, and what they are about."""
    bus, clock, course = ground.bus, ground.clock, ground.course
    jobs = JobsRoom(archive.db, bus, clock)
    schedule = _unattended("schedule")

    def dress() -> None:
        CURRENT.set(schedule)

    jobs.caller, jobs.dress = caller, dress
    jobs.may = lambda permission: CURRENT.get().may(permission)
    backups = BackupsRoom(
        archive, jobs, ground.settings.backups.targets, ground.title, lambda: ground.loaded.source,
        lambda: _keys(ground.settings), clock,
    )  # fmt: skip
    backups.may = lambda permission: CURRENT.get().may(permission)
    course.at_end(Moment.JOBS, jobs.close)
    course.at_end(Moment.JOBS, backups.close)
    await backups.open()
    recall = Recall(archive, book, remote, bus, clock)
    space = await _open_space(ground, archive, archive_room, jobs, backups, recall, signing)
    reports = _open_reports(ground, archive, archive_room, backups)
    for kind in (
        *space.kinds(), *reports.kinds(), *upkeep.kinds(archive, peers, signing.audit, bus, clock), *backups.kinds(),
        prefetch_kind(remote, archive.db, clock),
    ):  # fmt: skip
        jobs.register(kind)
    if not _runs_jobs(ground):
        jobs.by_hand_only()
    await jobs.open()
    work = Work(jobs, backups, space, reports, book)
    await work.want()
    archive_room.start_reindex = lambda: jobs.start("reindex")

    async def naming(name: str) -> list[str]:
        return list(jobs.naming(name))

    async def take(new: Settings) -> None:
        backups.replace(new.backups.targets)
        space.settings, reports.settings = new.space, new.reports
        await work.want()

    peers.uses.append(naming)
    peers.binds.append(naming)
    ground.problems.watch(jobs.problems)
    ground.problems.watch(backups.problems)
    course.every(1.0, jobs.tick, "jobs")
    course.every(2.0, backups.tick, "backups")
    course.at_reload(take)
    return work


async def _open_space(
    ground: Ground, archive: Archive, archive_room: ArchiveRoom, jobs: JobsRoom, backups: BackupsRoom, recall: Recall,
    signing: SigningIn,
) -> SpaceRoom:  # fmt: skip
    """Open the room that watches over space."""

    def purged(action: str, study: str, patient: str, why: str) -> None:
        signing.note("action", action, study, why, patient, who="purge")

    room = SpaceRoom(
        archive, jobs, ground.settings.space, backups.protection, recall, backups.safe_upto, archive_room.full_on,
        caller, purged, ground.clock, lambda: _runs_jobs(ground) and not jobs.part()["paused"],
    )  # fmt: skip
    await room.open()

    async def tend() -> None:
        CURRENT.set(_unattended("full volume"))
        await room.tick()

    archive_room.trash_days = lambda: ground.settings.space.trash_days
    ground.problems.watch(room.problems)
    ground.bus.subscribe(TrashChanged, lambda _: backups.recount())
    ground.course.every(5.0, tend, "space")
    return room


def _open_reports(ground: Ground, archive: Archive, archive_room: ArchiveRoom, backups: BackupsRoom) -> ReportsRoom:
    """Open the room that counts usage; what was not counted yet is at the end."""
    room = ReportsRoom(
        archive.db, ground.bus, ground.clock, ground.settings.reports, ground.settings.node.data_dir,
        Surroundings(ground.title, archive_room.part, archive_room.show, backups.show),
    )  # fmt: skip
    ground.course.every(10.0, room.tick, "usage")
    ground.course.at_end(Moment.USAGE, room.tick)
    return room


def _unattended(name: str) -> Caller:
    """Return who the node is where nobody asked it for what it does."""
    return Caller(os.getuid(), 0, name, "schedule", None, frozenset(permissions()), True)


def _runs_jobs(ground: Ground) -> bool:
    return ground.settings.node.jobs and not ground.rehearsal


def _keys(settings: Settings) -> tuple[str, ...]:
    """Return the files of keys that lie outside of the data directory."""
    named = (settings.audit.key, settings.accounts.key, settings.tls.key or settings.tls.certificate)
    return tuple(str(Path(each).absolute()) for each in named if each)
