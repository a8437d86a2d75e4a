"""Known peers, found by AE title or name, and how they are called over TLS."""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Iterable
from typing import Any, Final

from pacstui.apart import TooManyHang
from pacstui.dicom.net.names import look_up
from pacstui.dicom.net.tls import client_context
from pacstui.equipment.peer import Peer, of_settings
from pacstui.settings import PeerSettings, TlsSettings

_LOOKUP_S: Final = 10.0
_LOOKUPS: Final = 8


async def addresses_of(host: str) -> frozenset[str]:
    """Return the IP addresses that ``host`` stands for; a name that is unknown, or takes long, has none."""
    try:
        async with asyncio.timeout(_LOOKUP_S):
            return frozenset(await look_up(host))
    except (OSError, UnicodeError, TimeoutError, TooManyHang):
        return frozenset()


class PeerBook:
    """The peers of the configuration, then those of the register; a name in both is that of the configuration."""

    def __init__(self, peers: Iterable[PeerSettings] = ()) -> None:
        self._settings: tuple[PeerSettings, ...] = ()
        self._registered: tuple[Peer, ...] = ()
        self._beside: dict[str, dict[str, Any]] = {}
        self._peers: tuple[Peer, ...] = ()
        self._by_title: dict[str, tuple[Peer, ...]] = {}
        self._by_name: dict[str, Peer] = {}
        self._addresses: dict[str, frozenset[str]] = {}
        self._tls = TlsSettings()
        self._contexts: dict[tuple[str, str, str, str], ssl.SSLContext] = {}
        self.replace(peers)

    def replace(self, peers: Iterable[PeerSettings]) -> None:
        """Take another list of peers from the configuration."""
        self._settings = tuple(peers)
        self._merge()

    def register(self, peers: Iterable[Peer], beside: dict[str, dict[str, Any]]) -> None:
        """Take the peers of the register, and what it has ``beside`` those of the configuration, by name."""
        self._registered, self._beside = tuple(peers), beside
        self._merge()

    def _merge(self) -> None:
        configured = [of_settings(peer, self._beside.get(peer.name)) for peer in self._settings]
        names = {peer.name for peer in configured}
        self._peers = (*configured, *(peer for peer in self._registered if peer.name not in names))
        by_title: dict[str, list[Peer]] = {}
        for peer in self._peers:
            by_title.setdefault(peer.ae_title, []).append(peer)
        self._by_title = {title: tuple(found) for title, found in by_title.items()}
        self._by_name = {peer.name: peer for peer in self._peers}
        hosts = self.hosts()
        self._addresses = {host: found for host, found in self._addresses.items() if host in hosts}

    def all(self) -> tuple[Peer, ...]:
        """Return all peers."""
        return self._peers

    def shadowed(self) -> tuple[str, ...]:
        """Return names of the register's peers that do not count: the configuration has others of that name."""
        return tuple(peer.name for peer in self._registered if self._by_name.get(peer.name) is not peer)

    def titled(self, ae_title: str) -> tuple[Peer, ...]:
        """Return the peers with this AE title."""
        return self._by_title.get(ae_title, ())

    def named(self, name: str) -> Peer | None:
        """Return the peer of this name."""
        return self._by_name.get(name)

    def names(self) -> tuple[str, ...]:
        """Return the names of all peers."""
        return tuple(self._by_name)

    def name_of(self, ae_title: str) -> str:
        """Return the name of the first peer with this AE title, empty if there is none."""
        found = self._by_title.get(ae_title)
        return found[0].name if found else ""

    # where they are

    def learn(self, host: str, addresses: frozenset[str]) -> None:
        """Note the addresses of a host, looked up away from the event loop."""
        self._addresses[host] = addresses

    async def look_up(self) -> None:
        """Learn where all hosts are; those that hang hold up a few others only."""
        turn = asyncio.Semaphore(_LOOKUPS)

        async def one(host: str) -> None:
            async with turn:
                self.learn(host, await addresses_of(host))

        await asyncio.gather(*map(one, self.hosts()))

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

    # how they are called over TLS

    def secure(self, tls: TlsSettings) -> None:
        """Take the certificates of [tls] for calls from now on, if any peer needs them.

        Raises
        ------
        SettingsError
            When a file cannot be used; what was read before counts on then.
        """
        fresh: dict[tuple[str, str, str, str], ssl.SSLContext] = {}
        if any(peer.tls and peer.own_tls == ("", "", "", "") for peer in self._peers):
            fresh["", "", "", ""] = context_of(("", "", "", ""), tls)
        self._tls, self._contexts = tls, fresh

    def tls_for(self, peer: PeerSettings) -> ssl.SSLContext | None:
        """Return the context for calling a peer over TLS, none for one that is called without; raises SettingsError."""
        if not peer.tls:
            return None
        own = peer.own_tls if isinstance(peer, Peer) else ("", "", "", "")
        if own not in self._contexts:
            self._contexts[own] = context_of(own, self._tls)
        return self._contexts[own]

    def look_at(self, peer: Peer, check: bool = True) -> ssl.SSLContext | None:
        """Return a context made anew for a peer; without ``check`` one that trusts everybody, to look at what it shows.

        Raises
        ------
        SettingsError
            When a file cannot be used.
        """
        if not check:
            return context_of((*peer.own_tls[:3], "nothing"), self._tls)
        return context_of(peer.own_tls, self._tls) if peer.tls else None


def context_of(own: tuple[str, str, str, str], tls: TlsSettings) -> ssl.SSLContext:
    """Return a context with a peer's own certificate, key, CA and check; empty ones are those of [tls]."""
    certificate, key, ca, check = own
    if not certificate:
        certificate, key = tls.certificate, tls.key
    return client_context(
        certificate,
        key,
        ca or tls.ca,
        check_host=check == "name" or (not check and tls.check_host),
        oldest=tls.oldest,
        verify=check != "nothing",
    )
