"""Known peers: found by AE title or name, with when they called last and how their last echo went."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from pacstui import events
from pacstui.bus import Bus
from pacstui.contract.peers import PeerRow
from pacstui.settings import SERVICES, PeerSettings


@dataclass(slots=True)
class _Seen:
    called: datetime | None = None
    stored: int = 0
    echo: str = "never"
    echo_at: datetime | None = None
    echo_ms: float = 0.0
    echo_detail: str = ""


def address_of(host: str) -> frozenset[str]:
    """Return the IP addresses that ``host`` stands for; a name is looked up, an unknown one has none."""
    try:
        return frozenset({str(ipaddress.ip_address(host))})
    except ValueError:
        pass
    try:
        return frozenset(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except OSError:
        return frozenset()


class PeerBook:
    """The peers of the settings, and what was seen of them since the node started."""

    def __init__(self, peers: Iterable[PeerSettings], bus: Bus) -> None:
        self._peers: tuple[PeerSettings, ...] = ()
        self._by_title: dict[str, tuple[PeerSettings, ...]] = {}
        self._addresses: dict[str, frozenset[str]] = {}
        self._seen: dict[str, _Seen] = {}
        self.client_context: ssl.SSLContext | None = None
        self.replace(peers)
        bus.subscribe(events.AssociationOpened, self._opened)
        bus.subscribe(events.AssociationClosed, self._closed)
        bus.subscribe(events.PeerEchoed, self._echoed)

    def replace(self, peers: Iterable[PeerSettings]) -> None:
        """Take another list of peers; what was seen of those that stay is kept."""
        self._peers = tuple(peers)
        by_title: dict[str, list[PeerSettings]] = {}
        for peer in self._peers:
            by_title.setdefault(peer.ae_title, []).append(peer)
        self._by_title = {title: tuple(found) for title, found in by_title.items()}
        self._addresses.clear()

    def titled(self, ae_title: str) -> tuple[PeerSettings, ...]:
        """Return the peers with this AE title."""
        return self._by_title.get(ae_title, ())

    def tls_for(self, peer: PeerSettings) -> ssl.SSLContext | None:
        """Return the context for calling a peer over TLS, none for one that is called without."""
        return self.client_context if peer.tls else None

    def named(self, name: str) -> PeerSettings | None:
        """Return the peer of this name."""
        return next((peer for peer in self._peers if peer.name == name), None)

    def names(self) -> tuple[str, ...]:
        """Return the names of all peers in the order of the settings."""
        return tuple(peer.name for peer in self._peers)

    def name_of(self, ae_title: str) -> str:
        """Return the name of the first peer with this AE title, empty if there is none."""
        found = self._by_title.get(ae_title)
        return found[0].name if found else ""

    def learn(self, host: str, addresses: frozenset[str]) -> None:
        """Note the addresses of a host, looked up away from the event loop."""
        self._addresses[host] = addresses

    def hosts(self) -> frozenset[str]:
        """Return all hosts of peers."""
        return frozenset(peer.host for peer in self._peers)

    def lives_at(self, peer: PeerSettings, address: str) -> bool:
        """Return whether ``address`` is one of the peer's; true as well while its name could not be looked up."""
        known = self._addresses.get(peer.host)
        if known is None:
            try:
                known = frozenset({str(ipaddress.ip_address(peer.host))})
            except ValueError:
                return True
        return not known or address.partition("%")[0].removeprefix("::ffff:") in known

    def _of(self, name: str) -> _Seen:
        return self._seen.setdefault(name, _Seen())

    def _opened(self, event: events.AssociationOpened) -> None:
        for peer in self.titled(event.calling):
            self._of(peer.name).called = event.at

    def _closed(self, event: events.AssociationClosed) -> None:
        for peer in self.titled(event.calling):
            self._of(peer.name).stored += event.stored

    def _echoed(self, event: events.PeerEchoed) -> None:
        seen = self._of(event.peer)
        seen.echo = "ok" if event.ok else "failed"
        seen.echo_at, seen.echo_ms, seen.echo_detail = event.at, event.milliseconds, event.detail

    def rows(self) -> tuple[PeerRow, ...]:
        """Return all peers as the console shows them."""
        rows = []
        for peer in self._peers:
            seen = self._of(peer.name)
            rows.append(
                PeerRow(
                    peer.name,
                    peer.ae_title,
                    peer.host,
                    peer.port,
                    peer.notes,
                    seen.called,
                    seen.stored,
                    seen.echo,
                    seen.echo_at,
                    seen.echo_ms,
                    seen.echo_detail,
                    None if set(peer.allow) == set(SERVICES) else peer.allow,
                )
            )
        return tuple(rows)
