"""User identity of callers (PS3.7 D.3.3.7): a service account's name and passcode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from pacstui.accounts.lockout import Lockout
from pacstui.clock import Clock
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.items import UserIdentity
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import PacsError
from pacstui.text import duration, safe

_PASSCODE: Final = 2
_KINDS: Final = {
    1: "a user name without passcode", 3: "a Kerberos ticket", 4: "a SAML assertion", 5: "a JSON Web Token",
}  # fmt: skip
_WRONG, _LOCK_S = 5, 30.0


class Services(Protocol):
    """What is asked of accounts; see ``accounts.gate.Gate.service``."""

    def __call__(self, name: str, passcode: str) -> object:
        """Return the account, or raise PacsError."""
        ...


def _refusal(text: str, hint: str) -> Refusal:
    return Refusal(1, 1, 1, text, hint)


class IdentityCheck:
    """Judges an identity as ``mode`` says: ignore, check or require.

    Wrong passcodes from one address lock that name for that address only, and the longer the more there were.
    """

    def __init__(self, service: Services, clock: Clock, mode: Callable[[], str]) -> None:
        self._service = service
        self._mode = mode
        self._lockout = Lockout(clock, _WRONG, _LOCK_S)

    def __call__(self, identity: UserIdentity | None, rq: AssociateRequest, address: str) -> Refusal | None:
        mode, calling = self._mode(), safe(rq.calling, 16)
        if mode == "ignore" or (mode == "check" and identity is None):
            return None
        if identity is None:
            return _refusal(
                f"{calling} says not who it is, and [dicom] identity is require",
                f"set name and passcode of a service account at {calling} (pacstui accounts create --kind service)",
            )
        if identity.type != _PASSCODE:
            kind = _KINDS.get(identity.type, f"a user identity of type {identity.type}")
            return _refusal(
                f"{calling} gives {kind}, only name and passcode are judged here",
                f"set user name and passcode (type 2) at {calling}, or [dicom] identity = ignore here",
            )
        name = identity.primary.decode("utf-8", "replace")
        key = f"{name.casefold()}\0{address}"
        left = self._lockout.left(key, 0)
        if left:
            return _refusal(
                f"{calling} gave wrong passcodes for {safe(name, 64)} from {address}: locked for {duration(left)}",
                "correct the passcode there and wait",
            )
        try:
            self._service(name, identity.secondary.decode("utf-8", "surrogateescape"))
        except PacsError as fault:
            self._lockout.failed(key, 0)
            return _refusal(f"{calling}: {fault.message}", fault.hint)
        self._lockout.passed(key, 0)
        return None
