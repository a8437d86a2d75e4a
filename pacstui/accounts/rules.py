"""What holds for every change of accounts: nobody gives what they do not hold, and somebody is left who can manage."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from pacstui.accounts.caller import CURRENT
from pacstui.accounts.gate import Gate
from pacstui.accounts.passwords import digest, one_time, passcode
from pacstui.accounts.roles import ADMINISTRATOR, MANAGE, Role
from pacstui.accounts.second import recovery_left
from pacstui.accounts.store import PERSON, SERVICE, Account
from pacstui.clock import moment_or_none
from pacstui.contract.accounts import AccountRow, Secret
from pacstui.errors import BadRequest, Denied


class Rules:
    """Rules that the parts of the accounts room share."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.store = gate.store

    def may_grant(self, role: Role) -> None:
        """See that the caller holds all that a role permits.

        Raises
        ------
        Denied
            When it permits more.
        """
        caller = CURRENT.get()
        excess = sorted(role.permissions - caller.permissions)
        if excess:
            raise Denied(
                f"{caller.name} cannot give or take what {caller.name} may not do: {', '.join(excess[:4])}"
                + ("..." if len(excess) > 4 else ""),
                "ask an administrator who may",
            )

    def may_touch(self, account: Account) -> None:
        """See that the caller may give and take what an account may do; see `may_grant`."""
        self.may_grant(self.store.role_of(account))

    def somebody_manages(self, after: Iterable[Account], roles: dict[str, Role] | None = None) -> None:
        """See that somebody is left who can manage accounts."""
        accounts = dict(self.store.accounts) | {each.name.casefold(): each for each in after}
        known = self.store.roles | (roles or {})
        now = self.gate.now()
        for each in accounts.values():
            role = known.get(each.role)
            usable = each.os_user or (each.password and not (each.until and each.until <= now))
            if each.from_directory:  # it may be away, or say something else tomorrow
                continue
            if each.kind == PERSON and each.in_force(now) and usable and role and MANAGE in role.permissions:
                return
        raise BadRequest(
            "nobody would be left who can manage accounts", f"give another local account the role {ADMINISTRATOR} first"
        )

    async def with_secret(self, account: Account) -> tuple[Account, Secret]:
        """Return an account with a new one-time password or passcode, and that."""
        if account.kind == SERVICE:
            code = passcode()
            text = "a passcode for the program; it is told only now"
            return replace(account, secret=digest(code)), Secret(account.name, code, None, text)
        code = one_time()
        hours = self.gate.settings.one_time_h
        until = self.gate.clock.now() + timedelta(hours=hours)
        hashed = await self.gate.passwords.hashed(code)
        changed = replace(account, password=hashed, must_change=1, until=self.gate.now() + round(hours * 3600e6))
        text = f"good for one sign-in within {hours:g} hours, which asks for a new password; it is told only now"
        return changed, Secret(account.name, code, until, text)

    def row(self, account: Account) -> AccountRow:
        """Return an account as it is shown."""
        now = self.gate.now()
        more = self.gate.describe(account)
        if account.disabled:
            state = "disabled"
        elif not account.in_force(now):
            state = "expired"
        elif account.directory_state:
            state = "refused"
        else:
            state = "locked" if more["locked_until"] else "active"
        if account.kind == SERVICE:
            password = "passcode" if account.secret else "none"
        elif account.from_directory:
            password = account.origin
        else:
            password = "none" if not account.password else "one-time" if account.must_change else "set"
        return AccountRow(
            account.name, account.full_name, account.email, account.kind, account.role, account.os_user, state,
            password, bool(account.totp), moment_or_none(account.expires), more["locked_until"],
            moment_or_none(account.created) or self.gate.clock.now(), moment_or_none(account.last_sign_in),
            more["sessions"],
            account.notes, account.origin or "local", account.directory_state, recovery_left(account),
        )  # fmt: skip
