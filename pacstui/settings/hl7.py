"""HL7 v2."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from pacstui.settings.base import Host, ListenPort, Name, Section, Words
from pacstui.settings.hl7_outgoing import Hl7ForwardSettings, Hl7NotificationSettings, Hl7ReceiverSettings

Processing = Literal["P", "T", "D"]


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value.strip(), strict=False))
    except ValueError:
        raise ValueError("this is an IP address such as 10.1.2.3, or a network such as 10.1.2.0/24") from None


Network = Annotated[str, AfterValidator(_network), Words("an IP address or a network")]
CharacterSet = Annotated[str, StringConstraints(strip_whitespace=True, max_length=32)]


class SenderSettings(Section):
    """A system that sends HL7 messages to this node."""

    name: Name
    """Name that the console shows; unique."""

    hosts: tuple[Network, ...] = ()
    """Addresses and networks that it calls from; empty for any."""

    application: Annotated[str, StringConstraints(max_length=227)] = ""
    """Its sending application (MSH-3, first component); empty for any."""

    facility: Annotated[str, StringConstraints(max_length=227)] = ""
    """Its sending facility (MSH-4, first component); empty for any."""

    character_set: CharacterSet = ""
    """Character set of its messages that name none in MSH-18, in the words of HL7 table 0211; empty for that of
    [hl7]."""

    silent_min: Annotated[int, Field(ge=0, le=100000)] = 0
    """Minutes without a message after which this sender is told of as silent; 0 for never."""


class Hl7Settings(Section):
    """The HL7 v2 listener (MLLP)."""

    enabled: bool = True
    """Listen for HL7 messages."""

    host: Host = "127.0.0.1"
    """Address to listen on; 0.0.0.0 for every interface. Off loopback, see unknown_senders."""

    port: ListenPort = 2575
    """TCP port to listen on; 0 takes any free one and logs it."""

    tls_port: ListenPort = 0
    """TCP port that speaks MLLP over TLS, beside the plain one; 0 for none. Certificate, key, ca and oldest are those
    of [tls]."""

    plain: bool = True
    """Listen on port without TLS too."""

    client_certificates: bool = True
    """With TLS: take only senders with a certificate that [tls] ca signed."""

    unknown_senders: Literal["loopback", "all", "none"] = "loopback"
    """Who may send without being one of [[hl7.senders]]: programs on this machine, anybody, or nobody."""

    senders: tuple[SenderSettings, ...] = ()
    """Systems that may send, and what is special about each."""

    processing: tuple[Processing, ...] = ("P", "T", "D")
    """Processing IDs (MSH-11) that are acted on: production, training, debugging. Others are refused (AR, 202)."""

    character_set: CharacterSet = ""
    """Character set of messages that name none in MSH-18, in the words of HL7 table 0211, such as 8859/1 or UNICODE
    UTF-8. Empty: UTF-8 where the bytes fit it, 8859/1 else."""

    max_message_mb: Annotated[int, Field(ge=1, le=1024)] = 64
    """Longest message that is taken, in megabytes (10^6 bytes); a longer one is answered with an error."""

    max_connections: Annotated[int, Field(ge=1, le=4096)] = 100
    """Connections at once; a further one is closed."""

    max_connections_per_host: Annotated[int, Field(ge=0, le=4096)] = 20
    """Connections at once from one address; 0 for no limit of its own."""

    first_s: Annotated[float, Field(ge=0.1, le=3600)] = 30.0
    """Seconds that a connection may stay silent before its first message while others wait for a place, and that a TLS
    handshake may take."""

    message_s: Annotated[float, Field(ge=0.1, le=3600)] = 30.0
    """Seconds without a byte in the middle of a message, in either direction, after which a connection is closed; a
    whole message may take ten times as long."""

    idle_s: Annotated[float, Field(ge=0, le=604800)] = 0.0
    """Seconds without a message after which a connection is closed; 0 for never: senders keep theirs open for days."""

    duplicate_days: Annotated[int, Field(ge=0, le=365)] = 7
    """Days for which the same message (sender, control ID and content) is answered as before and not acted on again; 0
    to act on each."""

    keep_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Days that messages are kept; failed ones that nobody has put right yet four times as
    long."""

    application: Annotated[str, StringConstraints(strip_whitespace=True, max_length=180)] = "PACSTUI"
    """Our own name in what we send: MSH-3 of notifications."""

    facility: Annotated[str, StringConstraints(strip_whitespace=True, max_length=180)] = ""
    """Our own facility: MSH-4 of notifications."""

    outgoing_days: Annotated[int, Field(ge=1, le=3650)] = 30
    """Days that messages that were sent, or cancelled, stay in the list; what waits or failed stays in any case."""

    receivers: tuple[Hl7ReceiverSettings, ...] = ()
    forward: tuple[Hl7ForwardSettings, ...] = ()
    notifications: tuple[Hl7NotificationSettings, ...] = ()
