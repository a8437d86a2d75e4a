"""What is allowed in a configuration, and yet worth a word: doors that are open, and doors that let nobody in."""

from __future__ import annotations

from pacstui.settings import Settings, is_loopback
from pacstui.text import safe

_MAY = {
    "store": "send objects", "find": "search for patients", "get": "fetch images", "move": "send images to your peers",
    "worklist": "read the worklist",
}  # fmt: skip


def remarks(settings: Settings) -> list[str]:
    """Return what somebody should know of settings that can be used."""
    notes: list[str] = []
    directory = settings.directory
    if directory.servers and not directory.roles:
        notes.append("the directory lets nobody in: there are no [[directory.roles]]")
    if directory.servers and directory.user_dn and not directory.bind_dn:
        notes.append("[directory] has no bind_dn: who is signed in is not looked up again")
    if directory.plain and directory.servers:
        notes.append("[directory] plain: passwords can be read on the network")
    dicom = settings.dicom
    if not is_loopback(dicom.host):
        if dicom.unknown_callers == "all":
            notes.append(_open_to_all(settings))
        elif not settings.peers:
            notes.append("only programs on this machine may associate: there are no [[peers]]")
    hl7 = settings.hl7
    if hl7.enabled and not is_loopback(hl7.host):
        if hl7.unknown_senders == "all":
            notes.append(
                f'[hl7] unknown_senders = "all": whoever reaches {safe(hl7.host)} may change patients and orders;'
                ' name your [[hl7.senders]] and set it to "loopback"'
            )
        elif not hl7.senders:
            notes.append("only programs on this machine may send HL7: there are no [[hl7.senders]]")
        if not hl7.tls_port or hl7.plain:
            notes.append("[hl7] MLLP without TLS: patients' data can be read and changed on the network")
    if hl7.enabled and hl7.unknown_senders == "none" and not hl7.senders:
        notes.append('nobody may send HL7: [hl7] unknown_senders is "none" and there are no [[hl7.senders]]')
    if dicom.unknown_callers == "none" and not settings.peers:
        notes.append('nobody may associate: unknown_callers is "none" and there are no [[peers]]')
    return notes


def _open_to_all(settings: Settings) -> str:
    """Return what it means that whoever calls is let in."""
    dicom, tls = settings.dicom, settings.tls
    who = f"whoever reaches {safe(dicom.host)}"
    if tls.port and not tls.plain and tls.client_certificates:
        who += " with a certificate"
    if dicom.identity == "require":
        who += " as a service account"
    may = ", ".join(text for service, text in _MAY.items() if service in dicom.unknown_allow) or "associate"
    return (
        f'unknown_callers = "all": {who} may {may}; make your devices [[peers]] and set it to "loopback", or allow'
        " less by unknown_allow"
    )
