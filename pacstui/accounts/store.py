"""The accounts and roles of a node: in memory, because there are few, and written through to the database."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Any

from pacstui.accounts.roles import BUILT_IN, Role
from pacstui.db import Database
from pacstui.errors import NotFound
from pacstui.text import safe

PERSON, SERVICE = "person", "service"
DIRECTORY = "directory"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
"""What can be the name of an account."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. Times are microseconds since 1970, 0 for never.

    ``password`` is an argon2id hash, ``until`` when a one-time password stops being good; ``secret`` the SHA-256 of a
    service's passcode. ``totp`` is what the second factor's secret is made from, ``totp_step`` the time step of the
    last code that was taken, ``recovery`` a JSON list of SHA-256 of the recovery codes that are left.

    ``origin`` is empty for a local account, or directory: then ``directory_id`` and ``directory_dn`` are those of its
    entry, and ``directory_state`` says why the directory lets it in no more.
    """

    id: int
    name: str
    full_name: str = ""
    email: str = ""
    kind: str = PERSON
    role: str = "viewer"
    os_user: str = ""
    password: str = ""
    must_change: int = 0
    until: int = 0
    secret: str = ""
    totp: str = ""
    expires: int = 0
    disabled: int = 0
    created: int = 0
    last_sign_in: int = 0
    notes: str = ""
    totp_step: int = 0
    recovery: str = ""
    origin: str = ""
    directory_id: str = ""
    directory_dn: str = ""
    directory_state: str = ""

    @property
    def from_directory(self) -> bool:
        """Whether the directory keeps its password and role."""
        return self.origin == DIRECTORY

    def in_force(self, now: int) -> bool:
        """Return whether it is neither disabled nor expired."""
        return not self.disabled and not (self.expires and self.expires <= now)


_FIELDS = tuple(f.name for f in fields(Account))
_COLUMNS = ", ".join(_FIELDS)
_INSERT = f"INSERT INTO accounts ({_COLUMNS}) VALUES ({', '.join('?' for _ in _FIELDS)})"  # noqa: S608


def difference(before: Account, after: Account) -> dict[str, Any]:
    """Return the fields in which two states of an account differ."""
    pairs = ((name, getattr(before, name), getattr(after, name)) for name in _FIELDS)
    return {name: new for name, old, new in pairs if old != new}


class Store:
    """Every change is durable when it returns; reads are plain look-ups."""

    def __init__(self, database: Database) -> None:
        self.database = self._db = database
        self.accounts: dict[str, Account] = {}
        self.roles: dict[str, Role] = dict(BUILT_IN)
        self.uses: dict[tuple[int, str], tuple[int, int]] = {}
        self._fresh: set[tuple[int, str]] = set()

    async def load(self) -> None:
        """Read everything."""

        def body(connection: sqlite3.Connection) -> tuple[list[Any], list[Any], list[Any]]:
            return (
                connection.execute(f"SELECT {_COLUMNS} FROM accounts ORDER BY name").fetchall(),  # noqa: S608
                connection.execute("SELECT name, label, permissions FROM roles ORDER BY name").fetchall(),
                connection.execute("SELECT account, permission, last, uses FROM permission_uses").fetchall(),
            )

        accounts, roles, uses = await self._db.read(body)
        self.accounts = {row[1].casefold(): Account(*row) for row in accounts}
        self.roles = dict(BUILT_IN) | {name: Role(name, label, tuple(json.loads(what))) for name, label, what in roles}
        self.uses = {(account, permission): (last, count) for account, permission, last, count in uses}

    def find(self, name: str) -> Account | None:
        """Return the account of that name; capitals do not matter."""
        return self.accounts.get(name.strip().casefold())

    def get(self, name: str) -> Account:
        """Return the account of that name.

        Raises
        ------
        NotFound
            When there is none.
        """
        found = self.find(name)
        if found is None:
            raise NotFound(f"there is no account {safe(name, 64)}", "pacstui accounts list shows all")
        return found

    def bound_to(self, os_user: str) -> Account | None:
        """Return the account that is bound to an OS user."""
        return next((each for each in self.accounts.values() if os_user and each.os_user == os_user), None)

    def role_of(self, account: Account) -> Role:
        """Return the role of an account; one that is gone permits nothing."""
        return self.roles.get(account.role) or Role(account.role, "", ())

    async def add(self, *accounts: Account) -> None:
        """Add accounts, all or none; their ``id`` is given by the database."""

        def body(connection: sqlite3.Connection) -> list[int]:
            keys = (connection.execute(_INSERT, (None, *astuple(each)[1:])).lastrowid for each in accounts)
            return [key or 0 for key in keys]

        for account, key in zip(accounts, await self._db.write(body), strict=True):
            self.accounts[account.name.casefold()] = replace(account, id=key)

    async def update(self, account: Account, **changes: Any) -> Account:
        """Write some fields of an account, and no other: what somebody else changed meanwhile stays changed.

        Raises
        ------
        NotFound
            When it was deleted meanwhile.
        """
        await self.update_all([(account, changes)])
        return self.get(account.name)

    async def update_all(self, changes: Sequence[tuple[Account, Mapping[str, Any]]]) -> None:
        """Write some fields of several accounts, all or none."""

        def body(connection: sqlite3.Connection) -> None:
            for account, fields_of in changes:
                names = [name for name in _FIELDS if name in fields_of and name not in ("id", "name")]
                text = ", ".join(f"{name}=?" for name in names)
                values = [fields_of[name] for name in names]
                if (
                    names
                    and not connection.execute(
                        f"UPDATE accounts SET {text} WHERE id=?",  # noqa: S608
                        (*values, account.id),
                    ).rowcount
                ):
                    raise NotFound(f"the account {account.name} is gone", "pacstui accounts list shows all")

        await self._db.write(body)
        for account, fields_of in changes:
            current = self.accounts.get(account.name.casefold())
            if current is not None and current.id == account.id:
                self.accounts[account.name.casefold()] = replace(current, **fields_of)

    async def swap(self, account: Account, changes: Mapping[str, Any]) -> bool:
        """Write some fields if they are still as in ``account``; return whether they were. Of two who do it at once
        one gets it."""
        names = [name for name in _FIELDS if name in changes and name not in ("id", "name")]
        text, same = ", ".join(f"{name}=?" for name in names), " AND ".join(f"{name}=?" for name in names)
        values = [*(changes[name] for name in names), account.id, *(getattr(account, name) for name in names)]

        def body(connection: sqlite3.Connection) -> bool:
            return connection.execute(f"UPDATE accounts SET {text} WHERE id=? AND {same}", values).rowcount == 1  # noqa: S608

        done: bool = await self._db.write(body)
        current = self.find(account.name)
        if done and current is not None and current.id == account.id:
            self.accounts[account.name.casefold()] = replace(current, **changes)
        return done

    def known_as(self, directory_id: str) -> Account | None:
        """Return the account of a directory's entry, under whatever name it came first."""
        return next((a for a in self.accounts.values() if directory_id and a.directory_id == directory_id), None)

    async def remove(self, account: Account) -> None:
        """Delete an account; what it did stays in the audit trail."""

        def body(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM accounts WHERE id=?", (account.id,))
            connection.execute("DELETE FROM permission_uses WHERE account=?", (account.id,))
            connection.execute("DELETE FROM tokens WHERE account=?", (account.id,))

        await self._db.write(body)
        self.accounts.pop(account.name.casefold(), None)
        self.uses = {key: value for key, value in self.uses.items() if key[0] != account.id}

    async def save_role(self, role: Role) -> None:
        """Make or replace a role."""
        await self._db.write(
            lambda c: c.execute(
                "INSERT INTO roles (name, label, permissions) VALUES (?,?,?)"
                " ON CONFLICT (name) DO UPDATE SET label=excluded.label, permissions=excluded.permissions",
                (role.name, role.label, json.dumps(list(role.patterns))),
            )
        )
        self.roles[role.name] = role

    async def remove_role(self, name: str) -> None:
        """Delete a role."""
        await self._db.write(lambda c: c.execute("DELETE FROM roles WHERE name=?", (name,)))
        self.roles.pop(name, None)

    def used(self, account: Account, permission: str, now: int) -> None:
        """Note that a permission was used; `flush` writes it."""
        key = (account.id, permission)
        self.uses[key] = (now, self.uses.get(key, (0, 0))[1] + 1)
        self._fresh.add(key)

    async def flush(self) -> None:
        """Write the uses that were noted."""
        fresh, self._fresh = self._fresh, set()
        rows = [(*key, *self.uses[key]) for key in fresh if key in self.uses]
        if rows:
            await self._db.write(
                lambda c: c.executemany(
                    "INSERT INTO permission_uses (account, permission, last, uses) VALUES (?,?,?,?)"
                    " ON CONFLICT (account, permission) DO UPDATE SET last=excluded.last, uses=excluded.uses",
                    rows,
                )
            )
