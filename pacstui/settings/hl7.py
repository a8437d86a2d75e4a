"""HL7 v2."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from pacstui.settings.base import Host, ListenPort, Section
from pacstui.settings.hl7_outgoing import Hl7ForwardSettings, Hl7NotificationSettings, Hl7ReceiverSettings


class Hl7Settings(Section):
    """The HL7 v2 listener (MLLP)."""

    host: Host = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface."""

    port: ListenPort = 2575
    """TCP port to listen on; 0 takes any free one and logs it."""

    application: Annotated[str, StringConstraints(strip_whitespace=True, max_length=180)] = "PACSTUI"
    """Our own name in what we send: MSH-3 of notifications."""

    facility: Annotated[str, StringConstraints(strip_whitespace=True, max_length=180)] = ""
    """Our own facility: MSH-4 of notifications."""

    outgoing_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days that messages that were sent, or cancelled, stay in the list; what waits or failed stays in any case."""

    receivers: tuple[Hl7ReceiverSettings, ...] = ()
    forward: tuple[Hl7ForwardSettings, ...] = ()
    notifications: tuple[Hl7NotificationSettings, ...] = ()
