"""Accounts of the directory: made at the first sign-in, and kept as the directory has them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pacstui.accounts.store import DIRECTORY, PERSON, Account, Store, difference
from pacstui.accounts.trail import Trail
from pacstui.directory.directory import Directory
from pacstui.directory.faults import Away
from pacstui.directory.names import first_value
from pacstui.directory.persons import Person, groups_in_words, role_by
from pacstui.errors import Denied
from pacstui.text import plural, safe

log = logging.getLogger("pacstui.accounts")
GONE = "is not in the directory any more"
OTHER = "is somebody else in the directory now"


class Following:
    """Keeps accounts as the directory has them.

    Parameters
    ----------
    end
        Ends the sessions of the account of that name; returns how many.
    """

    def __init__(
        self, store: Store, directory: Directory, trail: Trail, now: Callable[[], int], end: Callable[[str], int]
    ) -> None:
        self._store = store
        self._directory = directory
        self._trail = trail
        self._now = now
        self._end = end

    def _judged(self, person: Person) -> tuple[str, str, str]:
        """Return role, the group that gives it, and why the person may not come in."""
        if person.state:
            return "", "", person.state
        role, group = role_by(self._directory.settings, person.groups)
        if not role:
            return "", "", f"has no role here by {groups_in_words(person.groups)}"
        if role not in self._store.roles:
            return "", "", f"would have the role {role}, which there is not"
        return role, group, ""

    async def arrived(self, person: Person) -> Account:
        """Return the account of somebody whose password the directory took; made, if it is the first time.

        Raises
        ------
        Denied
            When no group of theirs gives a role, the directory or this node has disabled them, or the name was
            another person's.
        """
        account = self._store.known_as(person.id) or self._store.find(person.name)
        if account is not None and not account.from_directory:
            raise Denied("name or password is wrong", "capitals matter in passwords")
        if account is not None and _another(account, person):
            raise Denied(
                f"{account.name} {OTHER}", "an administrator deletes the former account: pacstui accounts delete"
            )
        role, group, refused = self._judged(person)
        if refused:
            if account is not None:
                await self._refuse(account, refused)
            raise Denied(
                f"{safe(person.name, 64)} {refused}", "those who keep the directory, or its groups, can change that"
            )
        if account is None:
            return await self._make(person, role, group)
        if not account.in_force(self._now()):
            state = "disabled" if account.disabled else "expired"
            raise Denied(f"the account {account.name} is {state} on this node", "ask an administrator")
        return await self._follow(account, person, role, group)

    async def _make(self, person: Person, role: str, group: str) -> Account:
        name = person.name.lower()
        fresh = Account(
            0, name, person.full_name, person.email, PERSON, role, created=self._now(), origin=DIRECTORY,
            directory_id=person.id, directory_dn=person.dn,
        )  # fmt: skip
        await self._store.add(fresh)
        await self._trail.record(
            "action",
            "ok",
            name,
            how=DIRECTORY,
            action="accounts.create",
            target=name,
            detail=f"from the directory at the first sign-in: {role} by {safe(first_value(group), 64)}",
        )
        return self._store.get(name)

    async def _follow(self, account: Account, person: Person, role: str, group: str) -> Account:
        wanted = {
            "role": role, "full_name": person.full_name, "email": person.email, "directory_dn": person.dn,
            "directory_id": person.id or account.directory_id, "directory_state": "",
        }  # fmt: skip
        changes = {name: value for name, value in wanted.items() if getattr(account, name) != value}
        if not changes:
            return account
        after = await self._store.update(account, **changes)
        if "role" in changes:
            ended = self._end(account.name)
            await self._note(
                account, f"role {account.role} -> {role}, by {safe(first_value(group), 64)}"
                f"; {plural(ended, 'session')} ended",
            )  # fmt: skip
        elif difference(account, after):
            await self._note(account, ", ".join(name.replace("_", " ") for name in changes) + " as in the directory")
        return after

    async def _refuse(self, account: Account, why: str) -> None:
        ended = self._end(account.name)
        if account.directory_state != why:
            await self._store.update(account, directory_state=why)
            await self._note(account, f"{why}; {plural(ended, 'session')} ended")

    async def _note(self, account: Account, detail: str) -> None:
        await self._trail.record(
            "action", "ok", "node", action="accounts.edit", target=account.name, detail=f"the directory: {detail}"
        )

    async def look_again(self, names: frozenset[str]) -> None:
        """Look up who is signed in, and whom an OS user stands for: sessions end of who is gone or has another role.

        While the directory cannot be asked, everything stays as it is.
        """
        if not self._directory.looks:
            return
        wanted = [
            each.name for each in self._store.accounts.values()
            if each.from_directory and (each.name in names or each.os_user)
        ]  # fmt: skip
        if not wanted:
            return
        try:
            told = await self._directory.look(wanted)
        except Away as fault:
            log.warning("who is signed in could not be looked up: %s", fault)
            return
        for name, person in told.items():
            account = self._store.find(name)
            if account is None or not account.from_directory:
                continue
            if person is None:
                await self._refuse(account, GONE)
            elif _another(account, person):
                await self._refuse(account, OTHER)
            else:
                role, group, refused = self._judged(person)
                if refused:
                    await self._refuse(account, refused)
                else:
                    await self._follow(account, person, role, group)


def _another(account: Account, person: Person) -> bool:
    """Return whether the directory's entry is not the one that the account was made for."""
    if account.directory_id and person.id:
        return account.directory_id != person.id
    return bool(account.directory_dn) and not person.id and account.directory_dn.casefold() != person.dn.casefold()
