"""Entries as messages of syslog (RFC 5424), and which server gets them."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from pacstui.audit.chain import Entry
from pacstui.audit.message import Teller, message, moment, shortened
from pacstui.dicom.net.tls import client_context
from pacstui.errors import SettingsError
from pacstui.settings import AuditSettings, TlsSettings

PORTS = {"syslog+tls": 6514, "syslog+tcp": 601, "syslog+udp": 514}
DATAGRAM = 8192
"""Bytes of a message over UDP at most; RFC 5426 3.2 lets a receiver cut off what is longer than it takes."""

_FACILITY = 10  # security and authorisation messages, as PS3.15 A.6 says
_SEVERITY = {"ok": 5, "denied": 4, "failed": 4}


@dataclass(frozen=True, slots=True)
class Server:
    """Where messages go: ``kind`` is one of `PORTS`."""

    kind: str
    host: str
    port: int

    @property
    def name(self) -> str:
        """The server as it is shown."""
        return f"{self.kind}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def server_of(url: str) -> Server:
    """Return the server that an address of the settings names."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    return Server(parts.scheme, parts.hostname, parts.port or PORTS[parts.scheme])


def line(entry: Entry, teller: Teller, pid: int) -> bytes:
    """Return an entry as one message of RFC 5424, with the XML in UTF-8 after a BOM."""
    priority = _FACILITY * 8 + _SEVERITY.get(entry.outcome, 4)
    at = moment(entry.at).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    host = re.sub("[^!-~]", "_", teller.host)[:255] or "-"
    head = f"<{priority}>1 {at} {host} pacstui {pid} DICOM+RFC3881 - ".encode("ascii")
    return head + b"\xef\xbb\xbf" + message(entry, teller)


def datagram(entry: Entry, teller: Teller, pid: int) -> bytes:
    """Return an entry as a message that fits into a datagram: with its longest texts cut, and well-formed all the
    same."""
    text = line(entry, teller, pid)
    for _ in range(64):
        if len(text) <= DATAGRAM:
            break
        entry = shortened(entry)
        text = line(entry, teller, pid)
    return text


def context_of(audit: AuditSettings, tls: TlsSettings) -> ssl.SSLContext | None:
    """Return the TLS context for the server, none for one without TLS.

    Raises
    ------
    SettingsError
        When a file cannot be used.
    """
    if not audit.server or server_of(audit.server).kind != "syslog+tls":
        return None
    try:
        return client_context(tls.certificate, tls.key, audit.server_ca, check_host=True, oldest=tls.oldest)
    except SettingsError as fault:
        raise SettingsError(fault.message.replace("[tls] ca:", "[audit] server_ca:"), fault.hint) from fault
