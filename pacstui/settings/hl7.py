"""HL7 v2."""

from __future__ import annotations

from pacstui.settings.base import Host, ListenPort, Section


class Hl7Settings(Section):
    """The HL7 v2 listener (MLLP)."""

    host: Host = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""

    port: ListenPort = 2575
    """TCP port to listen on; 0 takes any free one and logs it."""
