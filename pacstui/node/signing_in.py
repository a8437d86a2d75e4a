"""Opens the audit trail, the accounts, and the directory that people may sign in by."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

from pacstui.accounts.caller import CURRENT
from pacstui.accounts.gate import Gate
from pacstui.accounts.passwords import Passwords
from pacstui.accounts.room import AccountsRoom, pwd_name
from pacstui.accounts.second import KEY
from pacstui.accounts.store import Store
from pacstui.audit.lines import context_of, server_of
from pacstui.audit.message import Teller
from pacstui.audit.room import AuditRoom
from pacstui.audit.syslog import SyslogSender
from pacstui.audit.trail import Trail
from pacstui.contract import privacy
from pacstui.db import Database
from pacstui.directory.directory import Directory
from pacstui.errors import SettingsError
from pacstui.node.course import Moment
from pacstui.node.ground import Ground, caller
from pacstui.settings import Settings

log = logging.getLogger("pacstui.node")


@dataclass(frozen=True, slots=True)
class SigningIn:
    """Who may do what, and what is written down of it."""

    gate: Gate
    accounts: AccountsRoom
    audit: AuditRoom

    def note(self, kind: str, action: str, target: str, detail: str, patient: str = "", who: str = "") -> None:
        """Write down what was done, by whoever asked for it unless ``who`` says otherwise."""
        self.audit.trail.note(
            kind, "ok", who or caller(), action=action, target=target, patient=patient, detail=detail
        )  # fmt: skip


async def open_signing_in(ground: Ground, database: Database) -> SigningIn:
    """Open the audit trail, then the accounts, whose changes it keeps."""
    trail, audit = await _open_trail(ground, database)
    settings, course = ground.settings, ground.course
    second = Path(settings.accounts.key or settings.node.data_dir / KEY)
    gate = Gate(Store(database), Passwords(), settings.accounts, ground.clock, trail, os.getuid(), second)
    directory = Directory(settings.directory)
    following = gate.use_directory(directory)
    gate.sessions.alive = psutil.pid_exists
    accounts = AccountsRoom(gate)
    await accounts.open(pwd_name(os.getuid()))
    signing = SigningIn(gate, accounts, audit)

    def take(new: Settings) -> None:
        gate.replace(new.accounts, new.directory)
        accounts.changed()
        audit.trail.note("configuration", "ok", "node", action="node.reload", target=str(ground.loaded.source or ""))

    async def look_again() -> None:
        await following.look_again(frozenset(each.account for each in gate.sessions.all()))

    async def end() -> None:
        try:
            await gate.flush()
        finally:
            gate.passwords.close()
            directory.close()

    ground.problems.watch(directory.problems)
    ground.problems.watch(gate.tokens.problems)
    course.every(30.0, gate.tick, "sessions")
    course.after_each(lambda: ground.settings.directory.recheck_s, look_again, "directory")
    course.at_reload(take)
    course.at_end(Moment.ACCOUNTS, end)
    return signing


async def _open_trail(ground: Ground, database: Database) -> tuple[Trail, AuditRoom]:
    """Open the trail, what sends it to a syslog server, and the room that shows it."""
    settings, course = ground.settings, ground.course
    trail = Trail(
        database, settings.node.data_dir, Path(settings.audit.key) if settings.audit.key else None, ground.clock
    )
    await trail.open()
    course.at_end(Moment.TRAIL, trail.close)
    audit = AuditRoom(trail, database, ground.bus, ground.clock, settings.audit.days, settings.audit.seen_s)
    audit.sees_patients = lambda: CURRENT.get().may(privacy.PERMISSION)
    if settings.audit.server and not ground.rehearsal:
        sender = await _open_syslog(ground, database, trail)
        audit.server, audit.sent = lambda: sender.state, lambda: sender.sent

    def take(new: Settings) -> None:
        audit.days, audit.seen_s = new.audit.days, new.audit.seen_s

    ground.problems.watch(audit.problems)
    course.every(1.0, audit.tick, "audit seal")
    course.at_reload(take)
    return trail, audit


async def _open_syslog(ground: Ground, database: Database, trail: Trail) -> SyslogSender:
    settings, title = ground.settings, ground.title()
    teller = Teller(settings.audit.source_id or title, title, socket.gethostname() or "-")
    sender = SyslogSender(database, server_of(settings.audit.server), teller, context_of(settings.audit, settings.tls))
    trail.written = sender.wake
    await sender.open(trail.last)
    ground.course.at_end(Moment.TRAIL, sender.close)

    def take(new: Settings) -> None:
        try:
            sender.use(context_of(new.audit, new.tls))
        except SettingsError as fault:
            log.error("certificates were not read anew: %s", fault)

    ground.course.at_reload(take)
    return sender
