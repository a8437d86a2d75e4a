"""One connection to one server of the directory. Blocking: it is used in threads only.

ldap3 is used for messages and sockets alone: it follows no referrals (they would take passwords elsewhere), reads no
schema, and its TLS is replaced by a context of the standard library, which checks certificate and name.
"""

from __future__ import annotations

import contextlib
import math
import re
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import ldap3
from ldap3.core.exceptions import LDAPException

from pacstui.directory.faults import Away, Wrong
from pacstui.settings import DirectorySettings
from pacstui.text import safe

_MOST = 1000
_PAGE = 200
_TRUST = "see [directory] ca, and the names in servers"
_AD_WORDS = {
    "530": "it may not sign in at this time", "531": "it may not sign in from here", "532": "its password has expired",
    "533": "it is disabled", "701": "it has expired", "773": "its password has to be changed first",
    "775": "it is locked there",
}  # fmt: skip
"""Active Directory's reasons in the text of invalidCredentials (49)."""
_AFTER_PASSWORD = frozenset(("530", "531", "532", "533", "701", "773"))
"""Those that it tells only to somebody who knows the password."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry: attributes by their names in small letters, as text and as octets."""

    dn: str
    texts: dict[str, tuple[str, ...]]
    raw: dict[str, tuple[bytes, ...]]

    def text(self, name: str) -> str:
        """Return an attribute's first value, empty if there is none."""
        return next(iter(self.texts.get(name.casefold(), ())), "")


class _Tls(ldap3.Tls):
    """TLS by a context of ours."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        super().__init__(validate=ssl.CERT_REQUIRED)
        self._context, self._host = context, host
        self.fault = ""

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        try:
            connection.socket = self._context.wrap_socket(
                connection.socket, server_hostname=self._host, do_handshake_on_connect=do_handshake
            )
        except ssl.SSLCertVerificationError as error:
            self.fault = f"its certificate is not taken: {error.verify_message}"
            raise
        except (ssl.SSLError, OSError) as error:
            self.fault = f"TLS does not come about: {getattr(error, 'reason', None) or error}"
            raise


def tls_context(settings: DirectorySettings) -> ssl.SSLContext:
    """Return the context for connections to the directory.

    Raises
    ------
    Away
        When the file of the CA cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca or None)
    except (OSError, ssl.SSLError) as error:
        raise Away(f"[directory] ca: {settings.ca} cannot be used: {error}", "correct the file") from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _reason(error: BaseException) -> str:
    """Return what of an exception is worth telling."""
    text = str(error)
    found = re.search(r"\[Errno -?\d+\] ([A-Za-z ,]+)", text)
    if "timed out" in text:
        return "no answer in time"
    return found[1] if found else safe(text, 160) or type(error).__name__


class Link:
    """A connection, made by entering the context."""

    def __init__(self, url: str, settings: DirectorySettings) -> None:
        parts = urlsplit(url)
        self.url = url
        self.host = parts.hostname or ""
        self.secure = parts.scheme == "ldaps" or settings.start_tls
        self.fresh = True
        self._tls = _Tls(tls_context(settings), self.host) if self.secure else None
        ldaps = parts.scheme == "ldaps"
        server = ldap3.Server(
            self.host, port=parts.port or (636 if ldaps else 389), use_ssl=ldaps, get_info=ldap3.NONE, tls=self._tls,
            connect_timeout=settings.timeout_s,
        )  # fmt: skip
        self._ldap: Any = ldap3.Connection(
            server, client_strategy=ldap3.SYNC, auto_bind=ldap3.AUTO_BIND_NONE, raise_exceptions=False, read_only=True,
            receive_timeout=math.ceil(settings.timeout_s), auto_referrals=False, check_names=False, auto_escape=False,
            return_empty_attributes=False,
        )  # fmt: skip

    def __enter__(self) -> Link:
        self.connect()
        try:
            self.begin_tls()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Say goodbye."""
        with contextlib.suppress(Exception):
            self._ldap.unbind()

    def _away(self, what: str, hint: str = "") -> Away:
        return Away(f"the directory at {safe(self.host, 80)} {what}", hint or "does it run, is a firewall between?")

    @property
    def tls_words(self) -> tuple[str, float]:
        """Version of TLS, and when the server's certificate ends in seconds since 1970; 0 without TLS."""
        sock = self._ldap.socket
        ends = str((sock.getpeercert() or {}).get("notAfter", "")) if isinstance(sock, ssl.SSLSocket) else ""
        return (str(sock.version()), ssl.cert_time_to_seconds(ends)) if ends else ("none", 0.0)

    def connect(self) -> None:
        """Open the connection; with ldaps:// that is TLS too."""
        try:
            self._ldap.open(read_server_info=False)
        except Exception as error:  # noqa: BLE001 - whatever ldap3 finds wrong, the next server is tried
            if self._tls is not None and self._tls.fault:
                raise self._away(f"is not trusted: {self._tls.fault}", _TRUST) from None
            raise self._away(f"does not answer: {_reason(error)}") from None
        self.fresh = False

    def begin_tls(self) -> None:
        """Begin TLS where the settings want it and the connection has none yet."""
        if self._tls is None or self._ldap.server.ssl:
            return
        try:
            begun = self._ldap.start_tls(read_server_info=False)
        except Exception as error:  # noqa: BLE001 - as above
            why = self._tls.fault or _reason(error)
            raise self._away(f"is not trusted: {why}", _TRUST) from None
        if not begun:
            raise self._away("does not begin TLS")

    def bind(self, user: str, password: str) -> None:
        """Sign in.

        Raises
        ------
        Wrong
            When user or password is wrong.
        Away
            When it cannot be said whether they are.
        """
        if not user or not password or "\0" in password or "\0" in user:
            raise Wrong("without a password nothing is asked")  # RFC 4513 5.1.2: nobody is let in, with success
        self._ldap.user, self._ldap.password = user, password
        self._ldap.authentication = ldap3.SIMPLE
        self._bind()

    def bind_nobody(self) -> None:
        """Go on without signing in (RFC 4513 5.1.1)."""
        self._ldap.user, self._ldap.password, self._ldap.authentication = None, None, ldap3.ANONYMOUS
        self._bind()

    def _bind(self) -> None:
        try:
            done = self._ldap.bind(read_server_info=False)
        except Exception as error:  # noqa: BLE001 - as above
            raise self._away(f"does not answer: {_reason(error)}") from None
        result = self._ldap.result or {}
        code, text = result.get("result"), str(result.get("message") or "")
        if done and code == 0:
            return
        if code in (32, 34, 49):  # noSuchObject, invalidDNSyntax, invalidCredentials
            found = re.search(r"\bdata ([0-9a-fA-F]+)", text)
            words = _AD_WORDS.get(found[1].lower(), "") if found else ""
            told = words if found and found[1].lower() in _AFTER_PASSWORD else ""
            raise Wrong(f"the directory: {words}" if words else "wrong password at the directory", told)
        if code in (8, 13):  # strongerAuthRequired, confidentialityRequired
            raise self._away("takes passwords over TLS only", "ldaps:// in [directory] servers, or start_tls = true")
        if code in (19, 50, 53):  # constraintViolation, insufficientAccessRights, unwillingToPerform
            raise Wrong(f"the directory lets it not in: {safe(text, 120) or result.get('description')}")
        raise self._away(f"does not let anybody sign in: {safe(str(result.get('description')), 60)} {safe(text, 120)}")

    def search(
        self, base: str, text: str, attributes: Iterable[str], *, itself: bool = False, most: int = _MOST
    ) -> list[Entry]:
        """Return the entries that fit a filter: below ``base``, or ``base`` itself.

        Raises
        ------
        LookupError
            When there is no ``base``.
        Away
            When the directory does not say.
        """
        scope = ldap3.BASE if itself else ldap3.SUBTREE
        found: list[Entry] = []
        cookie: Any = None
        while True:
            more: dict[str, Any] = {} if itself else {"paged_size": _PAGE, "paged_cookie": cookie}
            try:
                self._ldap.search(base, text, scope, attributes=list(attributes), time_limit=0, **more)
            except LDAPException as error:
                raise self._away(f"cannot be asked: {_reason(error)}", f"is the filter right? {text}") from None
            except Exception as error:  # noqa: BLE001 - as above
                raise self._away(f"does not answer: {_reason(error)}") from None
            result = self._ldap.result or {}
            if result.get("result") == 32:
                raise LookupError(base)
            if result.get("result") not in (0, 4, 11):  # sizeLimitExceeded, adminLimitExceeded: as many as there are
                raise self._unsearchable(base, result)
            found += [_entry(each) for each in self._ldap.response or () if each.get("type") == "searchResEntry"]
            controls = result.get("controls") or {}
            cookie = ((controls.get("1.2.840.113556.1.4.319") or {}).get("value") or {}).get("cookie")
            if not cookie or len(found) >= most:
                return found[:most]

    def _unsearchable(self, base: str, result: dict[str, Any]) -> Away:
        """Return the fault for a search that was declined."""
        where = safe(base, 120)
        if result.get("result") == 10:
            others = ", ".join(safe(str(each), 120) for each in result.get("referrals") or ())
            return self._away(
                f"does not have {where}, and points to {others or 'another server'}",
                "no referral is followed: name a server that has it in [directory] servers, or correct base",
            )
        told = safe(f"{result.get('description')} {result.get('message') or ''}", 160)
        nobody = self._ldap.authentication == ldap3.ANONYMOUS
        hint = "[directory] bind_dn names an account that may search" if nobody else "may [directory] bind_dn search?"
        return self._away(f"does not let us search below {where}: {told}", hint)


def _entry(told: dict[str, Any]) -> Entry:
    raw = {name.casefold(): tuple(values) for name, values in (told.get("raw_attributes") or {}).items()}
    texts = {name: tuple(value.decode("utf-8", "replace") for value in values) for name, values in raw.items()}
    return Entry(str(told.get("dn") or ""), texts, raw)
