"""Who may send: by the address of the connection, and by sending application and facility of each message."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from pacstui.hl7v2.reading import Rules
from pacstui.settings import Hl7Settings, SenderSettings, is_loopback
from pacstui.text import safe


@dataclass(frozen=True, slots=True)
class _Row:
    settings: SenderSettings
    networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]
    rules: Rules

    def calls_from(self, address: str) -> bool:
        if not self.networks:
            return True
        try:
            parsed = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        mapped = getattr(parsed, "ipv4_mapped", None)
        bare = mapped or parsed
        return any(bare in network for network in self.networks if network.version == bare.version)

    def is_named(self, application: str, facility: str) -> bool:
        own = self.settings
        return own.application in ("", application) and own.facility in ("", facility)


class Senders:
    """The allowed senders of the settings."""

    def __init__(self, settings: Hl7Settings) -> None:
        self._unknown = settings.unknown_senders
        self._rules = Rules(settings.processing, settings.character_set)
        self._rows = [
            _Row(
                each, tuple(ipaddress.ip_network(host) for host in each.hosts),
                Rules(settings.processing, each.character_set or settings.character_set),
            )
            for each in settings.senders
        ]  # fmt: skip

    def refusal(self, address: str) -> str:
        """Return why a connection from an address is not taken, empty if it is."""
        if self._lets_in(address) or any(row.calls_from(address) for row in self._rows):
            return ""
        return f"{safe(address, 64)} is none of the senders that may call"

    def rules(self, address: str, application: str, facility: str) -> Rules | None:
        """Return how messages of a sender are read; None if it may not send from there."""
        for row in self._rows:
            if row.calls_from(address) and row.is_named(application, facility):
                return row.rules
        return self._rules if self._lets_in(address) else None

    def named(self, address: str, application: str, facility: str) -> SenderSettings | None:
        """Return the settings of a sender, None if it has none."""
        found = (row for row in self._rows if row.calls_from(address) and row.is_named(application, facility))
        return next((row.settings for row in found), None)

    def _lets_in(self, address: str) -> bool:
        return self._unknown == "all" or (self._unknown == "loopback" and is_loopback(address))
