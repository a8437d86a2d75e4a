"""What somebody does about their own second factor."""

from __future__ import annotations

from pacstui.accounts.caller import CURRENT, require_person
from pacstui.accounts.gate import Gate
from pacstui.accounts.store import Account
from pacstui.contract.accounts import Enrolment, RecoveryCodes
from pacstui.errors import BadRequest, Unconfirmed

_RECOVERY_TEXT = "each of these stands for a code of the device, once; they are told only now"


class OwnFactor:
    """Sets it up, switches it off, makes recovery codes."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def _grave(self) -> Account:
        """Return the caller's account, after password and code were said a short while ago."""
        caller = CURRENT.get()
        session = require_person(caller)
        if self._gate.unconfirmed(caller):
            raise Unconfirmed("to change your second factor takes your password once more", "")
        return self._gate.store.get(session.account)

    async def begin(self) -> Enrolment:
        """Return a new secret; the present second factor stays until `finish`."""
        return self._gate.factors.begin(self._grave())

    async def finish(self, code: str) -> RecoveryCodes:
        """Put it in force."""
        account = self._gate.store.get(require_person(CURRENT.get()).account)
        return RecoveryCodes(account.name, await self._gate.factors.finish(account, code), _RECOVERY_TEXT)

    async def stop(self) -> None:
        """Go without one, where the settings let."""
        account = self._grave()
        if not account.totp:
            raise BadRequest("you have no second factor")
        if self._gate.must_have_code(account):
            raise BadRequest("this node asks you for a second factor", "totp set-up makes another one")
        await self._gate.factors.remove(account)

    async def renew(self) -> RecoveryCodes:
        """Return other recovery codes."""
        account = self._grave()
        if not account.totp:
            raise BadRequest("you have no second factor", "pacstui accounts totp set-up")
        return RecoveryCodes(account.name, await self._gate.factors.renew(account), _RECOVERY_TEXT)
