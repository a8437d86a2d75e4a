"""What to ask the other side's administrator to change, as a text that is ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pacstui.dicom.net.errors import AssociationAborted, AssociationEnded, AssociationRejected, PeerSilent
from pacstui.equipment.peer import Peer
from pacstui.errors import PacsError
from pacstui.text import safe


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: our AE title, the address that we call from (empty if not known), when."""

    ae_title: str
    address: str
    at: datetime

    @property
    def us(self) -> str:
        """Our AE title and where we call from."""
        return f'AE title "{safe(self.ae_title, 16)}"' + (f", calling from {self.address}" if self.address else "")


def letter(peer: Peer, who: Asker, step: str, seen: str, asks: Sequence[str]) -> str:
    """Return the text for the other side: who we are, what we see, what to change."""
    local = who.at.astimezone()
    lines = [
        f'To the administrator of {safe(peer.name, 64)} (AE title "{safe(peer.ae_title, 16)}", '
        f"{safe(peer.host, 255)} port {peer.port}{', DICOM over TLS' if peer.tls else ''})",
        "",
        f"Our archive ({who.us}) cannot use your system. Tried on {local:%Y-%m-%d at %H:%M:%S %Z}.",
        f"It fails at: {step}",
        f"What we see: {safe(seen, 500)}",
        "",
        "Please:",
        *(f"- {ask}" for ask in asks),
    ]
    return "\n".join(lines)


def to_connect(kind: str, peer: Peer, who: Asker) -> tuple[str, list[str]]:
    """Return what a failed connection means, and what to ask for; ``kind`` as in `PeerUnreachable.step`."""
    where, us = f"{safe(peer.host, 255)} port {peer.port}", who.address or "our address"
    if kind == "dns":
        return "our name server does not know that name; no packet was sent", [
            "tell us the system's present host name or IP address",
            "(on our side: have the name entered in DNS, or use the IP address as the peer's host)",
        ]
    if kind == "refused":
        return "the machine is there, but no program listens on that port, or its firewall says no", [
            "see that the DICOM service (storage SCP) is started",
            f"tell us the TCP port that it listens on; we use {peer.port}",
            f"let its own firewall take TCP connections from {us}",
        ]
    if kind == "timeout":
        return "nothing comes back: the machine is off, or a firewall between drops the packets", [
            f"see that the system is on and that {where} is its present address",
            f"open TCP from {us} to {where} in every firewall between",
        ]
    return "the network has no way there", [
        f"see that {where} is the system's present address, and that it is on",
        f"see that the networks of {us} and of your system have a route to each other",
    ]


def to_trust(seen: str, names: Sequence[str], peer: Peer) -> tuple[str, list[str]]:
    """Return what a failed TLS handshake means, and what to ask for."""
    if "another host" in seen:
        told = ", ".join(safe(name, 64) for name in names) or "no name at all"
        return f"its certificate is for {told}, we call {safe(peer.host, 255)}", [
            f"issue a certificate whose subject alternative names hold {safe(peer.host, 255)}",
            f"or tell us a name among those in the certificate ({told}) that we can call",
        ]
    if "expired" in seen:
        return "nobody may trust a certificate that is over", ["renew the certificate of your DICOM service"]
    if "nobody that is trusted" in seen:
        return "we do not have the authority that signed its certificate", [
            "send us the certificate (PEM) of the authority that signed that of your DICOM service",
        ]
    if "does not speak TLS" in seen:
        return "the port answers in plain DICOM or another protocol", [
            "tell us the port on which your system speaks DICOM over TLS",
            "or tell us that it speaks plain DICOM, and we switch TLS off for it",
        ]
    if "asks for a certificate" in seen or "not accept our certificate" in seen or "not trust our" in seen:
        return "it takes only callers with a certificate that it trusts; ours is set in [tls], or for this peer", [
            "add the authority that signed our certificate to those that your system trusts (we send it)",
        ]
    return "both sides have no version, cipher suite or certificate in common", [
        "allow TLS 1.2 or 1.3 with ECDHE and AES-GCM (PS3.15 B.9, B.10)",
        "look at your system's log for the reason that it gives",
    ]


def to_associate(error: PacsError, peer: Peer, who: Asker, speaks_tls: bool) -> tuple[str, list[str]]:
    """Return what an association that did not come about means, and what to ask for."""
    if isinstance(error, AssociationRejected):
        return _rejected(error, peer, who)
    if speaks_tls:
        return "that port speaks TLS, and this peer is called without: set its tls to on", [
            "tell us the port for plain DICOM, or which authority signed your certificate",
        ]
    if isinstance(error, PeerSilent):
        return "something listens there and says nothing: another service, or a DICOM service that hangs", [
            f"see that {peer.port} is the port of the DICOM service, and restart the service if it hangs",
        ]
    if isinstance(error, AssociationAborted):
        return "its DICOM service saw the request and broke off", [
            "look at your system's log for the reason, at the time above",
            f"register our {who.us}",
        ]
    if isinstance(error, AssociationEnded):
        return "it closes the connection unheard: many systems do that to callers that they do not know", [
            f"register our {who.us} as a DICOM node; many systems check the address too",
            f"see that {peer.port} is the port of the DICOM service, and whether it wants TLS",
        ]
    return "the association did not come about", ["look at your system's log for the reason, at the time above"]


def _rejected(error: AssociationRejected, peer: Peer, who: Asker) -> tuple[str, list[str]]:
    codes = f"A-ASSOCIATE-RJ, result {error.result}, source {error.source}, reason {error.reason}"
    kind = (error.source, error.reason)
    if kind == (1, 3):
        return f"it does not know us as a caller ({codes})", [
            f"register our {who.us} as a DICOM node that may call; capitals matter",
        ]
    if kind == (1, 7):
        return f"it does not answer to the AE title that we call ({codes})", [
            f'tell us your system\'s AE title exactly as it is set; we call "{safe(peer.ae_title, 16)}"',
        ]
    if kind == (3, 2):
        return f"it has as many associations as it may ({codes}); it may pass", [
            "look for associations that nobody closes, or raise the limit of associations",
        ]
    if error.transient:
        return f"it says no for now ({codes}); it may pass", ["see whether the system is overloaded or being started"]
    return f"it says no without a reason that helps ({codes})", [
        f"look at your system's log for the reason; is our {who.us} registered?",
    ]
