"""The gate: who calls is told by the kernel; which account that is, and whether it may come in, is told here."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from pacstui.accounts.caller import CURRENT, OS_USER, TOKEN, Caller, Session, require_person
from pacstui.accounts.following import Following
from pacstui.accounts.lockout import Lockout
from pacstui.accounts.passwords import Passwords, check_choice, same
from pacstui.accounts.proof import PASSWORD, Proof
from pacstui.accounts.roles import MANAGE
from pacstui.accounts.second import SecondFactors
from pacstui.accounts.sessions import Sessions
from pacstui.accounts.store import PERSON, SERVICE, Account, Store
from pacstui.accounts.tokens import PREFIX, Tokens
from pacstui.accounts.trail import Trail
from pacstui.clock import Clock, microseconds
from pacstui.contract.accounts import Me, SignedIn
from pacstui.directory.directory import Directory
from pacstui.errors import BadRequest, Denied, NotFound, PacsError
from pacstui.settings import AccountsSettings, DirectorySettings
from pacstui.text import safe

CONFIRMED_S = 300.0
"""How long a password that was said again is good for grave actions."""
_QUIET_S = 900.0
_WRONG_PASSCODES, _PASSCODE_LOCK_S = 5, 30.0


class Gate:
    """Sessions, signing in and out, and one's own password.

    Parameters
    ----------
    node_uid
        The user that the node runs as; it and root may recover an account.
    key
        File of the key that the secrets of second factors are made from; without one there are none.

    ``programs`` holds who gave wrong passcodes, by the account's name without capitals and the address.
    """

    def __init__(
        self,
        store: Store,
        passwords: Passwords,
        settings: AccountsSettings,
        clock: Clock,
        trail: Trail,
        node_uid: int,
        key: Path | None = None,
    ) -> None:
        self.store = store
        self.passwords = passwords
        self.settings = settings
        self.clock = clock
        self.trail = trail
        self.lockout = Lockout(clock, settings.wrong_passwords, settings.lock_s)
        self.at_directory = Lockout(clock, 3, 900.0)
        self.factors = SecondFactors(store, clock, key)
        self.proof = Proof(store, passwords, trail, self.lockout, self.factors, self.now)
        self.programs = Lockout(clock, _WRONG_PASSCODES, _PASSCODE_LOCK_S)
        self.node_uid = node_uid
        self.sessions = Sessions(settings, clock)
        self.tokens = Tokens(store, store.database, clock, trail)
        self._said: dict[str, float] = {}
        self._called: dict[str, int] = {}

    def now(self) -> int:
        """Return the time in microseconds since 1970."""
        return microseconds(self.clock.now())

    def replace(self, settings: AccountsSettings, directory: DirectorySettings | None = None) -> None:
        """Take other settings from now on. With a directory the stricter ones count for all names alike: so nothing
        tells where an account comes from."""
        self.settings = self.sessions.settings = settings
        self.lockout.most, self.lockout.first_s = settings.wrong_passwords, settings.lock_s
        known = self.proof.directory
        if directory is not None and known is not None:
            known.replace(directory)
            self.at_directory.most, self.at_directory.first_s = directory.wrong_passwords, directory.lock_s
        if known is not None and known.on:
            self.lockout.most = min(self.lockout.most, self.at_directory.most)
            self.lockout.first_s = max(self.lockout.first_s, self.at_directory.first_s)

    def use_directory(self, directory: Directory) -> Following:
        """Let people sign in by a directory too; return what keeps their accounts as it has them."""
        following = Following(self.store, directory, self.trail, self.now, self.sessions.end_of)
        self.proof.use(directory, following, self.at_directory)
        self.replace(self.settings, directory.settings)
        return following

    def must_have_code(self, account: Account) -> bool:
        """Return whether the settings ask this account for a second factor."""
        wanted = self.settings.second_factor
        return wanted == "everybody" or (
            wanted == "administrators" and MANAGE in self.store.role_of(account).permissions
        )

    # who calls

    async def identify(
        self, uid: int, pid: int, os_user: str, started: str, token: str = "", idle_s: float = 0.0
    ) -> Caller:
        """Return the caller: by a service's token, the secret of a sign-in, or by the OS user.

        Parameters
        ----------
        idle_s
            For how many seconds nobody has touched what calls; a console that only looks for news is not used.
        """
        nobody = Caller(uid, pid, os_user, trusted=uid in (0, self.node_uid))
        if token.startswith(PREFIX):
            return self._by_token(nobody, started, token)
        found: Session | str | None
        if token:
            found = self.sessions.of_secret(token, uid, pid, idle_s)
            if found is None:
                return replace(nobody, why="this sign-in has ended", hint="sign in again")
        else:
            account = self.store.bound_to(os_user)
            if account is None or account.kind != PERSON:
                recover = " or, as this user, pacstui accounts recover NAME" if nobody.trusted else ""
                return replace(
                    nobody,
                    why=f"{os_user} has no account on this node",
                    hint=f"an administrator gives you one: pacstui accounts create NAME --os-user {os_user}{recover}",
                )
            found = self.sessions.of_process(account.name, OS_USER, uid, pid, os_user, started)
        if isinstance(found, str):
            return _ended(nobody, found)
        session = found
        account = self.store.find(session.account)
        if account is None or not account.in_force(self.now()):
            state = "is gone" if account is None else "is disabled" if account.disabled else "has expired"
            return replace(nobody, why=f"the account {session.account} {state}", hint="ask an administrator")
        directory = self.proof.directory
        if account.from_directory and (account.directory_state or directory is None or not directory.on):
            state = account.directory_state or "is from a directory, and there is none any more"
            return replace(nobody, why=f"the account {session.account} {state}", hint="ask an administrator")
        if session.how == OS_USER:
            await self._note_os_user(account, session)
        caller = replace(nobody, account=account.name, session=session)
        why, hint = self._lacks(account, session)
        if why:
            return replace(caller, why=why, hint=hint)
        return replace(caller, permissions=self.store.role_of(account).permissions)

    def _by_token(self, nobody: Caller, started: str, text: str) -> Caller:
        """Return the service account whose token a program shows."""
        try:
            held = self.tokens.held(text, nobody.origin)
        except Denied as fault:
            return replace(nobody, why=fault.message, hint=fault.hint)
        name, token = held.account.name, held.token
        found = self.sessions.of_process(name, TOKEN, nobody.uid, nobody.pid, nobody.os_user, started, token.id)
        if isinstance(found, str):
            return _ended(nobody, found)
        self._called[name] = self.now()
        return replace(nobody, account=name, session=found, permissions=held.permissions)

    def _lacks(self, account: Account, session: Session) -> tuple[str, str]:
        """Return what has to be done before a session may do anything, and how."""
        if session.how == TOKEN:
            return "", ""
        must = self.must_have_code(account)
        if session.how == OS_USER:
            if self.settings.second_factor_os_users and (must or account.totp):
                first = "" if account.password or account.from_directory else "pacstui accounts password, then "
                return (
                    "the machine's word for your OS user is not enough: you need a second factor",
                    f"{first}pacstui accounts sign-in {account.name}",
                )
        elif account.must_change:
            return "your password has to be changed first", "pacstui accounts password"
        elif must and not account.totp:
            return "a second factor has to be set up first", "pacstui accounts totp set-up"
        return "", ""

    async def _note_os_user(self, account: Account, session: Session) -> None:
        now = self.clock.monotonic()
        if now - self._said.get(account.name, -_QUIET_S) >= _QUIET_S:
            self._said[account.name] = now
            origin = f"{session.os_user}, process {session.pid}"
            self.trail.note("sign-in", "ok", account.name, how=OS_USER, origin=origin)
            with contextlib.suppress(PacsError):  # a full disk keeps nobody out
                await self.store.update(account, last_sign_in=self.now())

    # the noun's part for oneself

    async def me(self) -> Me:
        return self._me(CURRENT.get())

    def _me(self, caller: Caller) -> Me:
        account = self.store.find(caller.account) if caller.account else None
        if account is None:
            return Me("", "", "", (), caller.os_user, "", False, False, 0.0, f"{caller.why}: {caller.hint}")
        assert caller.session is not None
        why, hint = self._lacks(account, caller.session)
        signed = caller.how not in (OS_USER, TOKEN)
        must_change = signed and bool(account.must_change)
        return Me(
            account.name, account.full_name, account.role, tuple(sorted(caller.permissions)), caller.os_user,
            caller.how, must_change, bool(account.password) or account.from_directory, self.settings.console_lock_s,
            f"{why}: {hint}" if why else "", bool(account.totp), signed and bool(why) and not must_change,
            account.from_directory,
        )  # fmt: skip

    async def sign_in(self, name: str, password: str, code: str = "") -> SignedIn:
        caller = CURRENT.get()
        proved = await self.proof.checked(caller, name, password, code)
        account = proved.account
        token, session = self.sessions.begin(account.name, proved.how, caller)
        with contextlib.suppress(PacsError):
            await self.store.update(account, last_sign_in=self.now())
        await self.trail.record("sign-in", "ok", account.name, how=proved.how, origin=caller.origin)
        known = replace(caller, account=account.name, session=session)
        if not self._lacks(account, session)[0]:
            known = replace(known, permissions=self.store.role_of(account).permissions)
        me = self._me(known)
        return SignedIn(token, replace(me, text=me.text or proved.text))

    async def sign_out(self) -> None:
        caller = CURRENT.get()
        session = require_person(caller)
        if session.how == OS_USER:
            raise BadRequest("you are known by your OS user, there is nothing to sign out of")
        self.sessions.forget(session)
        await self.trail.record("sign-out", "ok", caller.name, how=session.how, origin=caller.origin)

    async def confirm(self, password: str, code: str = "") -> None:
        caller = CURRENT.get()
        session = require_person(caller)
        account = self.store.get(session.account)
        if account.totp and not account.password and not account.from_directory:
            await self.proof.code_only(caller, account, code)
        else:
            await self.proof.checked(caller, account.name, password, code)
        session.confirmed = self.clock.monotonic()

    def used(self, caller: Caller, permission: str) -> None:
        """Note that a caller used a permission."""
        account = self.store.find(caller.account)
        if account is not None:
            self.store.used(account, permission, self.now())

    async def tick(self) -> None:
        """Write what was noted, and forget sessions that are over."""
        self.sessions.tidy()
        called, self._called = self._called, {}
        for name, at in called.items():
            account = self.store.find(name)
            if account is not None and at - account.last_sign_in >= _QUIET_S * 1e6:
                with contextlib.suppress(PacsError):  # a full disk, or deleted just now
                    await self.store.update(account, last_sign_in=at)
        await self.flush()

    async def flush(self) -> None:
        """Write which permissions and tokens were used."""
        await self.store.flush()
        await self.tokens.flush()

    def unconfirmed(self, caller: Caller) -> bool:
        """Return whether a password has to be said once more before something grave."""
        session = caller.session
        if session is None:
            return False
        account = self.store.find(session.account)
        if account is None or not (account.password or account.totp or account.from_directory):
            return False
        return not self._fresh(session)

    def _fresh(self, session: Session) -> bool:
        """Return whether password and code were said a short while ago."""
        return bool(session.confirmed) and self.clock.monotonic() - session.confirmed <= CONFIRMED_S

    async def set_password(self, old: str, new: str, code: str = "") -> None:
        caller = CURRENT.get()
        session = require_person(caller)
        account = self.store.get(session.account)
        if account.from_directory:
            raise BadRequest("your password is the directory's", "change it there")
        coded = not self._fresh(session)
        if account.password:
            account = (await self.proof.checked(caller, account.name, old, code, coded=coded)).account
        elif account.totp and coded:
            await self.proof.code_only(caller, account, code)
        check_choice(new, account.name, self.settings.password_min)
        if account.password and new == old:
            raise BadRequest("the new password is the old one")
        hashed = await self.passwords.hashed(new)
        await self.store.update(account, password=hashed, must_change=0, until=0)
        name = account.name
        others = lambda each: each.account == name and each.how == PASSWORD and each is not session  # noqa: E731
        self.sessions.end(others, caller.name)

    # services

    def service(self, name: str, passcode: str) -> Account:
        """Return the service account that a program's name and passcode stand for; quick.

        Raises
        ------
        Denied, NotFound
            When it is none, is not in force, or the passcode is wrong.
        """
        account = self.named_service(name)
        if not same(account.secret, passcode):
            raise Denied(f"wrong passcode for the service {account.name}", "pacstui accounts reset makes another")
        self._called[account.name] = self.now()
        return account

    def named_service(self, name: str) -> Account:
        """Return the service account of that name, if it is in force.

        Raises
        ------
        Denied, NotFound
            When it is not.
        """
        account = self.store.find(name)
        if account is None or account.kind != SERVICE:
            raise NotFound(f"there is no service account {safe(name, 64)}", "pacstui accounts create --kind service")
        if not account.in_force(self.now()):
            raise Denied(f"the service account {account.name} is disabled or has expired", "pacstui accounts enable")
        return account

    def unlock(self, account: Account) -> None:
        """Let everybody try again who gave wrong passwords or passcodes for an account."""
        self.lockout.unlock(account.name)
        for key in self.proof.keys(account):
            self.at_directory.unlock(key)
        self.programs.unlock(account.name.casefold())

    def describe(self, account: Account) -> dict[str, Any]:
        """Return what of an account's state only the gate knows."""
        there = [self.at_directory.longest(key) for key in self.proof.keys(account)]
        left = max(*there, 0.0, self.lockout.longest(account.name), self.programs.longest(account.name.casefold()))
        return {
            "locked_until": self.clock.now() + timedelta(seconds=left) if left else None,
            "sessions": len(self.sessions.of(account.name)),
        }


def _ended(nobody: Caller, by: str) -> Caller:
    return replace(nobody, why=f"your session was ended by {by}", hint="start the program again")
