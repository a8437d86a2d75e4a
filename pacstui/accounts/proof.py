"""Whether somebody is who they say: by a local password or by the directory, and by a second factor.

What is told never says whether a name exists. A name that has a local account is tried against its password only; any
other one only at the directory. Where the directory cannot be asked, both are told so alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import NoReturn

from pacstui.accounts.caller import OS_USER, Caller
from pacstui.accounts.following import Following
from pacstui.accounts.lockout import Lockout
from pacstui.accounts.passwords import Passwords
from pacstui.accounts.second import SecondFactors
from pacstui.accounts.store import NAME, PERSON, Account, Store
from pacstui.accounts.trail import Trail
from pacstui.directory.directory import Directory
from pacstui.directory.faults import Away, Wrong
from pacstui.directory.names import same_dn, user_of
from pacstui.errors import CodeNeeded, Denied, NotFound, PacsError, Unavailable
from pacstui.text import duration, safe

PASSWORD, BY_DIRECTORY = "password", "directory"


@dataclass(frozen=True, slots=True)
class Proved:
    """The account, and how it was proved. ``text`` is what its owner should know."""

    account: Account
    how: str
    text: str = ""


def key_of(user: str) -> str:
    """Return under what wrong passwords at the directory are counted: a DN however it is written, or a name."""
    return "directory " + repr(same_dn(user) if "=" in user else user.casefold())


class _Locked(Exception):
    """Too many wrong passwords for this person at the directory."""


class Proof:
    """Checks passwords and codes, counts wrong ones and writes them down.

    Parameters
    ----------
    now
        Microseconds since 1970.
    """

    def __init__(
        self, store: Store, passwords: Passwords, trail: Trail, lockout: Lockout, factors: SecondFactors,
        now: Callable[[], int],
    ) -> None:  # fmt: skip
        self.store = store
        self.passwords = passwords
        self.trail = trail
        self.lockout = lockout
        self.factors = factors
        self.now = now
        self.directory: Directory | None = None
        self.following: Following | None = None
        self.at_directory = lockout
        self._trying: dict[str, int] = {}
        self._guard = Lock()

    def use(self, directory: Directory, following: Following, lockout: Lockout) -> None:
        """Sign people in by a directory too. Wrong passwords there are counted in ``lockout``, for all OS users
        together, so that the directory itself locks nobody because of what was tried from here."""
        self.directory, self.following, self.at_directory = directory, following, lockout

    def keys(self, account: Account) -> tuple[str, ...]:
        """Return under what an account's wrong passwords at the directory are counted."""
        if not account.from_directory or self.directory is None:
            return ()
        template = self.directory.settings.user_dn
        users = (account.directory_dn, user_of(template, account.name) if template else "")
        return tuple(key_of(user) for user in users if user)

    async def checked(self, caller: Caller, name: str, password: str, code: str, *, coded: bool = True) -> Proved:
        """Return the account, if password and code are right.

        Parameters
        ----------
        coded
            Whether a second factor is asked for.

        Raises
        ------
        CodeNeeded
            When the password is right and the code is missing.
        Denied
            When something is wrong.
        Unavailable
            When it cannot be said.
        """
        account = self.store.find(name)
        key = account.name if account is not None else safe(name.strip().casefold(), 64)
        directory = self.directory if self.directory is not None and self.directory.on else None
        if directory is not None and self.lockout.left(key, caller.uid):
            await self._probe(name)
        self._see_that_it_is_open(key, caller.uid)
        if account is not None and account.from_directory and directory is None:
            await self.passwords.fits("", password)
            await self._failed(caller, account.name, key, BY_DIRECTORY, "there is no directory any more")
        if directory is not None and (account is None or account.from_directory):
            proved = await self._by_directory(caller, directory, name, password, key)
        else:
            proved = await self._by_password(caller, name, password, key)
        text = await self._code(caller, proved, code, key) if coded else ""
        self.lockout.passed(key, caller.uid)
        return Proved(self.store.get(proved.account.name), proved.how, text)

    async def code_only(self, caller: Caller, account: Account, code: str) -> None:
        """See that a code is right, for an account without password."""
        self._see_that_it_is_open(account.name, caller.uid)
        await self._code(caller, Proved(account, OS_USER), code, account.name)
        self.lockout.passed(account.name, caller.uid)

    # passwords

    async def _by_password(self, caller: Caller, name: str, password: str, key: str) -> Proved:
        account = self.store.find(name)
        who = account.name if account is not None else safe(name, 64) or "(no name)"
        stored = account.password if account is not None and account.kind == PERSON else ""
        if account is not None and account.until and account.until <= self.now():
            stored = ""
        right = await self.passwords.fits(stored, password)
        self._see_that_it_is_open(key, caller.uid)  # others may have tried meanwhile
        account = self.store.find(name)  # and an administrator may have changed it
        right = right and account is not None and account.password == stored
        if right and account is not None and account.in_force(self.now()):
            return Proved(account, PASSWORD)
        detail = "disabled or expired" if right else "wrong name or password"
        left = await self._count(caller, who, key, PASSWORD, detail)
        await self._probe(name)
        raise self._denied(caller, left)

    async def _probe(self, name: str) -> None:
        """Where the directory cannot be asked, say so, as for a name that it would have been asked for."""
        if self.directory is None or not self.directory.on:
            return
        try:
            await self.directory.probe(name.strip() if NAME.fullmatch(name.strip()) else "nobody")
        except Away as fault:
            raise self._away(fault) from None

    async def _by_directory(self, caller: Caller, directory: Directory, name: str, password: str, key: str) -> Proved:
        name = name.strip()
        account = self.store.find(name)
        who = account.name if account is not None else safe(name, 64) or "(no name)"
        tried = ""

        def may_try(user: str) -> None:
            nonlocal tried
            self._begin(key_of(user))
            tried = key_of(user)

        await self.passwords.fits("", password)  # takes as long as for a local account
        if not NAME.fullmatch(name) or (account is not None and account.kind != PERSON):
            left = await self._count(caller, who, key, BY_DIRECTORY, "not a name that the directory is asked for")
            await self._probe(name)
            raise self._denied(caller, left)
        try:
            person = await directory.verify(name, password, may_try, lambda wrong: self._end(tried, wrong))
        except _Locked as locked:
            left = max(1.0, self.at_directory.left(str(locked), 0))
            await self.trail.record(
                "sign-in",
                "failed",
                who,
                how=BY_DIRECTORY,
                origin=caller.origin,
                detail=f"not tried: too many wrong passwords at the directory; locked for {duration(left)}",
            )
            raise _too_many(left) from None
        except Wrong as fault:
            if fault.told:
                await self._refused(caller, who, f"right password, but {fault.told}")
                raise Denied(f"the directory does not let {who} in: {fault.told}", "ask those who keep it") from None
            await self._failed(caller, who, key, BY_DIRECTORY, fault.message)
        except Away as fault:
            await self._refused(caller, who, fault.message)
            raise self._away(fault) from None
        self._see_that_it_is_open(key, caller.uid)  # others may have tried meanwhile
        self.at_directory.passed(tried, 0)
        assert self.following is not None
        try:
            return Proved(await self.following.arrived(person), BY_DIRECTORY)
        except Denied as fault:
            await self._refused(caller, who, f"right password, but {fault.message}")
            raise

    def _begin(self, key: str) -> None:
        """See that one more password may be tried for somebody at the directory; those that are being tried count.
        In a thread."""
        with self._guard:
            running = self._trying.get(key, 0)
            full = running and running + self.at_directory.wrong(key, 0) >= self.at_directory.most
            if full or self.at_directory.left(key, 0):
                raise _Locked(key)
            self._trying[key] = running + 1

    def _end(self, key: str, wrong: bool) -> None:
        """Count what `_begin` let try. In a thread."""
        with self._guard:
            if key and wrong:
                self.at_directory.failed(key, 0)
            if key and self._trying.get(key, 0) > 1:
                self._trying[key] -= 1
            else:
                self._trying.pop(key, None)

    # codes

    async def _code(self, caller: Caller, proved: Proved, code: str, key: str) -> str:
        """See that the second factor is right, if the account has one; return what its owner should know."""
        account = self.store.get(proved.account.name)
        if not account.totp:
            return ""
        if not code.strip():
            await self.trail.record(
                "sign-in",
                "denied",
                account.name,
                how=proved.how,
                origin=caller.origin,
                detail="asked for a code of the second factor",
            )
            raise CodeNeeded("a code of your second factor is needed too", "the six digits of your device")
        self._see_that_it_is_open(key, caller.uid)  # others may have tried meanwhile
        try:
            answer = await self.factors.accept(account, code)
        except (Unavailable, NotFound) as fault:
            await self._refused(caller, account.name, fault.message, proved.how)
            raise
        if not answer.right:
            left = await self._count(caller, account.name, key, proved.how, f"second factor: {answer.text}")
            hint = f"{caller.os_user} may try again in {duration(left)}" if left else "a recovery code does it too"
            raise Denied(answer.text, hint)
        if answer.text:
            await self.trail.record(
                "sign-in", "ok", account.name, how=proved.how, origin=caller.origin, detail=answer.text
            )
        return answer.text

    # refusals

    async def _refused(self, caller: Caller, who: str, detail: str, how: str = BY_DIRECTORY) -> None:
        """Write down a sign-in that came to nothing without being wrong."""
        with contextlib.suppress(PacsError):
            await self.trail.record("sign-in", "failed", who, how=how, origin=caller.origin, detail=safe(detail, 300))

    async def _count(self, caller: Caller, who: str, key: str, how: str, detail: str) -> float:
        left = self.lockout.failed(key, caller.uid)
        await self.trail.record(
            "sign-in",
            "failed",
            who,
            how=how,
            origin=caller.origin,
            detail=safe(detail, 300) + (f"; locked for {duration(left)}" if left else ""),
        )
        return left

    async def _failed(self, caller: Caller, who: str, key: str, how: str, detail: str) -> NoReturn:
        raise self._denied(caller, await self._count(caller, who, key, how, detail))

    def _denied(self, caller: Caller, left: float) -> Denied:
        hint = f"{caller.os_user} may try again in {duration(left)}" if left else "capitals matter in passwords"
        return Denied("name or password is wrong", hint)

    def _away(self, fault: Away) -> Unavailable:
        return Unavailable(
            f"{fault.message}; local accounts still work",
            "if yours is a local account, name or password is wrong, or it is locked; else try again later",
        )

    def _see_that_it_is_open(self, key: str, uid: int) -> None:
        left = self.lockout.left(key, uid)
        if left:
            raise _too_many(left)


def _too_many(left: float) -> Denied:
    return Denied("too many wrong passwords", f"try again in {duration(left)}, or ask an administrator to unlock it")
