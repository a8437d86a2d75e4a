"""User identity of callers (PS3.7 D.3.3.7): a service account's name and passcode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pacstui.accounts.lockout import Lockout
from pacstui.dicom.ul.faults import AcseReason, Refusal, RejectSource, Result
from pacstui.dicom.ul.items import IdentityType, UserIdentity
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.errors import PacsError
from pacstui.settings import DicomSettings
from pacstui.text import duration, safe


class Account(Protocol):
    """A service account."""

    @property
    def name(self) -> str: ...


class Accounts(Protocol):
    """What is asked of accounts; see ``accounts.gate.Gate``. Both raise PacsError where there is none in force."""

    def service(self, name: str, passcode: str) -> Account:
        """Return the account that a name and its passcode stand for."""
        ...

    def named_service(self, name: str) -> Account:
        """Return the account of that name."""
        ...


def _refusal(text: str, hint: str) -> Refusal:
    """Reject as PS3.7 D.3.3.7 says for a failed authorisation: permanent, by the provider's ACSE part."""
    return Refusal(Result.PERMANENT, RejectSource.ACSE, AcseReason.NONE_GIVEN, text, hint)


class IdentityCheck:
    """Judges an identity as ``[dicom] identity`` says: ignore, check or require.

    Wrong passcodes from one address lock that name for that address only, and the longer the more there were.
    """

    def __init__(self, accounts: Accounts, lockout: Lockout, settings: Callable[[], DicomSettings]) -> None:
        self._accounts = accounts
        self._lockout = lockout
        self._settings = settings

    def __call__(self, identity: UserIdentity | None, rq: AssociateRequest, address: str) -> Refusal | None:
        settings, calling = self._settings(), safe(rq.calling, 16)
        if settings.identity == "ignore" or (settings.identity == "check" and identity is None):
            return None
        if identity is None:
            return _refusal(
                f"{calling} says not who it is, and [dicom] identity is require",
                f"set name and passcode of a service account at {calling} (pacstui accounts create --kind service)",
            )
        if identity.type == IdentityType.USERNAME and not settings.identity_names:
            return _refusal(
                f"{calling} gives {identity.kind}, and [dicom] identity_names is false",
                f"set name and passcode (type 2) at {calling}; if it cannot, [dicom] identity_names = true here",
            )
        if not identity.name:
            named = identity.type in (IdentityType.USERNAME, IdentityType.USERNAME_PASSCODE)
            what = "an empty user name" if named else identity.kind
            return _refusal(
                f"{calling} gives {what}, and [dicom] identity is {settings.identity}: only name and passcode count",
                f"set user name and passcode (type 2) at {calling}, or [dicom] identity = ignore here",
            )
        return self._account(identity, calling, address)

    def _account(self, identity: UserIdentity, calling: str, address: str) -> Refusal | None:
        key = identity.name.strip().casefold()
        left = self._lockout.left(key, address)
        if left:
            return _refusal(
                f"{calling} gave wrong passcodes for {safe(identity.name, 64)} from {address}: locked for"
                f" {duration(left)}",
                "correct the passcode there; pacstui accounts unlock, with that name, lets it try at once",
            )
        try:
            if identity.type == IdentityType.USERNAME:
                self._accounts.named_service(identity.name)
            else:
                self._accounts.service(identity.name, identity.secondary.decode("utf-8", "surrogateescape"))
        except PacsError as fault:
            self._lockout.failed(key, address)
            return _refusal(f"{calling}: {fault.message}", fault.hint)
        self._lockout.passed(key, address)
        return None

    def account(self, identity: UserIdentity | None) -> str:
        """Return the name of the account that an identity stands for, which was judged just before and not refused;
        empty where none is given or the setting says that none is judged."""
        if identity is None or not identity.name or self._settings().identity == "ignore":
            return ""
        try:
            return self._accounts.named_service(identity.name).name
        except PacsError:
            return ""
