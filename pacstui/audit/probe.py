"""A look at the syslog server, from outside the node: is it there, is it trusted, does it take us. Blocking."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime

from pacstui.audit.lines import Server, context_of, server_of
from pacstui.audit.transport import why
from pacstui.errors import PacsError
from pacstui.settings import AuditSettings, TlsSettings
from pacstui.text import plural

_PATIENCE_S = 3.0
_STANDS_S = 1.0
_SOON_DAYS = 30
Found = tuple[str, str, str]
"""Level (ok, warn or fail), what was found, and what to do."""


def until_words(not_after: str, now: datetime) -> Found:
    """Return how long a certificate is good, from what ``getpeercert`` says of its end."""
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(not_after), UTC)
    left = (ends - now).days
    text = f"its certificate is good until {ends:%Y-%m-%d}, {plural(max(0, left), 'day')}"
    return ("warn", text, "have it renewed") if left < _SOON_DAYS else ("ok", text, "")


def look(audit: AuditSettings, tls: TlsSettings) -> Iterator[Found]:
    """Yield what is found about the server of ``[audit]``; nothing where none is set."""
    if not audit.server:
        return
    server = server_of(audit.server)
    try:
        context = context_of(audit, tls)
    except PacsError as fault:
        yield "fail", fault.message, fault.hint
        return
    if server.kind == "syslog+udp":
        yield _named(server)
        return
    try:
        with socket.create_connection((server.host, server.port), _PATIENCE_S) as plain:
            if context is None:
                yield "ok", f"{server.name} takes connections; without TLS anybody on the way can read", ""
                return
            try:
                secure = context.wrap_socket(plain, server_hostname=server.host)
            except TimeoutError:
                yield "fail", f"{server.name} takes connections and begins no TLS", "is this its port for TLS?"
                return
            with secure:
                yield "ok", f"{server.name} takes connections, {secure.version()}", ""
                yield until_words(str((secure.getpeercert() or {}).get("notAfter", "")), datetime.now(UTC))
                if not _stands(secure):
                    yield (
                        "fail", f"{server.name} ended the connection at once",
                        "it may want our certificate: [tls] certificate, of an authority that it trusts; its log says",
                    )  # fmt: skip
    except (OSError, UnicodeError) as error:
        yield (
            "fail", f"{server.name} takes no audit messages: {why(error)}",
            "does it run, is a firewall between, are [audit] server and server_ca right?",
        )  # fmt: skip


def _named(server: Server) -> Found:
    try:
        socket.getaddrinfo(server.host, server.port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError) as error:
        return "fail", f"{server.name}: {why(error)}", "correct [audit] server, or the name service"
    return "ok", f"{server.name}: its name is known; UDP does not tell whether anybody listens", ""


def _stands(secure: ssl.SSLSocket) -> bool:
    """Return whether a connection still stands after a while: what is wrong with our certificate shows only then."""
    secure.settimeout(_STANDS_S)
    try:
        return bool(secure.recv(1))
    except TimeoutError:
        return True
    except OSError:
        return False
