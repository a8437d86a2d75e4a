"""Accounts, audit trail and control socket of a node without the rest of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher

from pacstui.accounts.caller import CURRENT, Caller
from pacstui.accounts.gate import Gate
from pacstui.accounts.passwords import Passwords
from pacstui.accounts.room import AccountsRoom, pwd_name
from pacstui.accounts.second import KEY
from pacstui.accounts.store import Store
from pacstui.audit.room import AuditRoom
from pacstui.audit.trail import Trail
from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.contract.audit import AuditRow
from pacstui.db import Database
from pacstui.directory.directory import Directory
from pacstui.settings import AccountsSettings, DirectorySettings

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ME = pwd_name(os.getuid())


@dataclass
class Doors:
    """What a node has of accounts and audit."""

    database: Database
    trail: Trail
    audit: AuditRoom
    gate: Gate
    room: AccountsRoom
    clock: FakeClock
    bus: Bus = field(default_factory=Bus)
    following: Any = None

    @contextmanager
    def calling(self, caller: Caller) -> Iterator[Caller]:
        token = CURRENT.set(caller)
        try:
            yield caller
        finally:
            CURRENT.reset(token)

    async def caller(self, os_user: str = ME, uid: int | None = None, pid: int = 1, token: str = "") -> Caller:
        return await self.gate.identify(os.getuid() if uid is None else uid, pid, os_user, "0", token)

    async def as_me(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call the room as the administrator of the first start."""
        with self.calling(await self.caller()):
            return await getattr(self.room, method)(*arguments, **named)

    async def signed_in(self, name: str, password: str, uid: int = 4711, os_user: str = "somebody") -> Caller:
        """Sign in with a password, and return the caller that is known then."""
        with self.calling(await self.caller(os_user, uid)):
            told = await self.room.sign_in(name, password)
        return await self.caller(os_user, uid, token=told.token)

    async def signed_in_with_code(self, name: str, password: str, code: str, uid: int = 4711) -> Caller:
        """The same with a second factor."""
        with self.calling(await self.caller("somebody", uid)):
            told = await self.room.sign_in(name, password, code)
        return await self.caller("somebody", uid, token=told.token)

    async def entries(self) -> list[AuditRow]:
        """Return the audit entries, oldest first."""
        waiting = [done for _, done in self.trail._waiting]
        if waiting:
            await asyncio.wait(waiting)
        page = await self.audit.list(limit=1000)
        return list(page.rows)[::-1]


@asynccontextmanager
async def opened(
    folder: Path, settings: AccountsSettings | None = None, days: int = 0, directory: DirectorySettings | None = None
) -> AsyncIterator[Doors]:
    clock, bus = FakeClock(), Bus()
    database = await Database.open(folder / "index.db")
    trail = Trail(database, folder, None, clock)
    await trail.open()
    audit = AuditRoom(trail, database, bus, clock, days, 900.0)
    gate = Gate(
        Store(database), Passwords(QUICK), settings or AccountsSettings(), clock, trail, os.getuid(), folder / KEY
    )
    asked = Directory(directory or DirectorySettings())
    following = gate.use_directory(asked)
    room = AccountsRoom(gate)
    await room.open(ME)
    try:
        yield Doors(database, trail, audit, gate, room, clock, bus, following)
    finally:
        asked.close()
        gate.passwords.close()
        await trail.close()
        await database.close()
