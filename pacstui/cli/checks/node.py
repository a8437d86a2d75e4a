"""The node itself and its doors: is it well, are its ports free or its own, and is a caller answered?"""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

from pacstui.api import plain
from pacstui.cli.checks.finding import Finding, Patient
from pacstui.errors import NotRunning
from pacstui.text import plural

_TCP_S = 3.0


def node(patient: Patient) -> Iterator[Finding]:
    """Is the node there, and is it well?"""
    if patient.status is None:
        silence = patient.silence or NotRunning("no node is running")
        level = "warn" if isinstance(silence, NotRunning) else "fail"
        yield Finding("node", level, silence.message, silence.hint)
        return
    part = patient.status["node"]
    yield Finding("node", "ok", f"version {part['version']}, pid {part['pid']}, {patient.status['health']}")
    for alert in patient.status["alerts"]:
        level = {"fail": "fail", "warn": "warn"}.get(alert["level"], "ok")
        yield Finding("node", level, alert["text"], alert["hint"])


def port(patient: Patient) -> Iterator[Finding]:
    """Is the DICOM port free, or ours?"""
    if patient.status is not None:
        yield Finding("port", "ok", f"the running node listens on {patient.status['node']['dicom']}")
        return
    yield from _free("port", patient.settings.dicom.host, patient.settings.dicom.port, "dicom")


def hl7_port(patient: Patient) -> Iterator[Finding]:
    """Is the port for HL7 free, or ours; and can TLS be spoken where it is wanted?"""
    hl7 = patient.settings.hl7
    if not hl7.enabled:
        return
    if hl7.tls_port and not patient.settings.tls.certificate:
        yield Finding("HL7 port", "fail", "[hl7] tls_port needs a certificate", "set [tls] certificate and key")
    if patient.status is not None:
        part = patient.status.get("hl7") or {}
        ports = [str(part[name]) for name in ("port", "tls_port") if part.get(name)]
        if ports:
            told = f"the running node takes HL7 on {hl7.host}, port {' and '.join(ports)}"
            yield Finding("HL7 port", "ok", f"{told}; {plural(part['connections'], 'connection')}")
        return  # that it does not is among the node's problems
    for number in [hl7.port] * (hl7.plain or not hl7.tls_port) + [hl7.tls_port] * bool(hl7.tls_port):
        yield from _free("HL7 port", hl7.host, number, "hl7")


def _free(check: str, host: str, number: int, section: str) -> Iterator[Finding]:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, number, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        yield Finding(check, "fail", f"the host {host} is not known", f"correct [{section}] host")
    except OSError as fault:
        advice = {
            errno.EADDRINUSE: f"see who has it with: ss -ltnp; stop that, or choose another [{section}] port",
            errno.EACCES: f"ports below 1024 need CAP_NET_BIND_SERVICE; or choose another [{section}] port",
            errno.EADDRNOTAVAIL: f"the address is none of this machine's: correct [{section}] host",
        }.get(fault.errno or 0, f"correct [{section}] host and port")
        yield Finding(check, "fail", f"{host}:{number} cannot be listened on: {fault.strerror}", advice)
    else:
        yield Finding(check, "ok", f"{host}:{number} is free")


def association(patient: Patient) -> Iterator[Finding]:
    """Does another implementation of the protocol get in, and is its echo answered?

    pynetdicom is the other one: a fault that our own requestor and acceptor share would not show between them.
    """
    if patient.status is None:
        return
    dicom = patient.settings.dicom
    if dicom.unknown_callers == "none" or "echo" not in dicom.unknown_allow:
        yield Finding("association", "ok", "not tried: only peers may call, or echo")
        return
    if dicom.identity == "require":
        yield Finding("association", "ok", "not tried: callers have to give a user identity")
        return
    host, _, number = str(patient.status["node"]["dicom"]).rpartition(":")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host.strip("[]"), host.strip("[]"))  # noqa: S104 - to connect
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

    entity = ApplicationEntity(ae_title="DOCTOR")
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = _TCP_S
    entity.add_requested_context(Verification)
    begun = time.perf_counter()
    made = entity.associate(host, int(number), ae_title=dicom.ae_title)
    if not made.is_established:
        said = "rejected" if made.is_rejected else "not established"
        yield Finding(
            "association",
            "fail",
            f"{said} on {host}:{number}, asked for by pynetdicom on this machine",
            "pacstui associations refusals, and the node's log, say why",
        )
        return
    answer = made.send_c_echo()
    spent = (time.perf_counter() - begun) * 1000
    made.release()
    if answer and answer.Status == 0:
        yield Finding("association", "ok", f"pynetdicom associates, its echo is answered, in {spent:.0f} ms")
    else:
        yield Finding("association", "fail", "pynetdicom's echo is not answered", "look at the node's log")


def control_socket(patient: Patient) -> Iterator[Finding]:
    """Is the control socket's path short enough for a socket address?"""
    path = patient.data_dir / plain.SOCKET_NAME
    length = len(os.fsencode(path))
    if length > 107 and not Path("/proc/self/fd").is_dir():
        yield Finding("control socket", "fail", f"its path has {length} bytes, 107 are allowed", "a shorter data_dir")
    else:
        yield Finding("control socket", "ok", str(path))
