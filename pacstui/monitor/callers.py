"""What callers say of themselves and what they are answered, in words."""

from __future__ import annotations

from pacstui.dicom.ul.items import IdentityType, UserIdentity
from pacstui.text import safe

_ANSWERS = {
    (1, 1): "no reason given",
    (1, 2): "application context name not supported",
    (1, 3): "calling AE title not recognized",
    (1, 7): "called AE title not recognized",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporary congestion",
    (3, 2): "local limit exceeded",
}
_SOURCES = {1: "service user", 2: "service provider (ACSE)", 3: "service provider (presentation)"}


def answer_in_words(result: int, source: int, reason: int) -> str:
    """Return an A-ASSOCIATE-RJ in the standard's words with its codes (PS3.8 9.3.4)."""
    if not result:
        return "A-ABORT, then the connection was closed"
    how = "permanent" if result == 1 else "transient"
    told = _ANSWERS.get((source, reason), "reserved reason")
    return f"A-ASSOCIATE-RJ, {how}, {_SOURCES.get(source, 'unknown source')}, {told} ({result}/{source}/{reason})"


def software(version: str, uid: str) -> str:
    """Return what the caller calls itself: implementation version name, class UID in brackets (PS3.7 D.3.3.2)."""
    version, uid = safe(version.strip(), 32), safe(uid, 64)
    return f"{version} ({uid})" if version and uid else version or uid


def user(identity: UserIdentity | None, account: str = "", *, judged: bool = True) -> str:
    """Return who the caller says to be: the account that it stands for, or what it claims."""
    if identity is None:
        return ""
    if account:
        alone = ", by its name alone" if identity.type == IdentityType.USERNAME else ""
        return f"{safe(account, 64)}, a service account{alone}"
    return (safe(identity.name, 64) or identity.kind) + ("" if judged else ", not checked")
