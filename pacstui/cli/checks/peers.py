"""Those that images and messages are sent to: do their names resolve, and do their ports answer?"""

from __future__ import annotations

import json
import shlex
import socket
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

from pacstui.archive.paths import DATABASE
from pacstui.cli.checks.finding import Finding, Patient
from pacstui.settings import PeerSettings

_TCP_S = 3.0


def peers(patient: Patient) -> Iterator[Finding]:
    """Do the peers' names resolve, and do their ports answer?"""
    known = [*patient.settings.peers, *_registered(patient)]
    if not known:
        yield Finding("peers", "ok", "none configured")
        return
    with ThreadPoolExecutor(max_workers=16) as pool:
        yield from pool.map(_reach, known)


def _registered(patient: Patient) -> list[PeerSettings]:
    """Return the peers of the register; none where the database has none, or cannot be read."""
    from pacstui.equipment.peer import of_body

    found: list[PeerSettings] = []
    names = {peer.name for peer in patient.settings.peers}
    try:
        with closing(
            sqlite3.connect(f"{(patient.data_dir / DATABASE).resolve().as_uri()}?mode=ro", uri=True, timeout=5)
        ) as connection:
            for name, body in connection.execute("SELECT name, body FROM peers WHERE configured = 0 ORDER BY name"):
                if name not in names:
                    found.append(of_body({**json.loads(body), "name": name}))
    except (sqlite3.Error, ValueError):  # the check of the database tells of it
        return found
    return found


def _reach(peer: PeerSettings) -> Finding:
    more = f"takes connections; pacstui peers echo {shlex.quote(peer.name)} asks for more"
    return _connects(f"peer {peer.name}", peer.host, peer.port, more, "DICOM service")


def hl7_receivers(patient: Patient) -> Iterator[Finding]:
    """Can those be reached that HL7 messages are sent to?"""
    more = "takes connections; pacstui hl7 receivers says how it answers"
    for each in patient.settings.hl7.receivers:
        if each.enabled:
            yield _connects(f"HL7 to {each.name}", each.host, each.port, more, "HL7 listener")


def _connects(check: str, host: str, port: int, taken: str, what: str) -> Finding:
    where = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=_TCP_S):
            return Finding(check, "ok", f"{where} {taken}")
    except socket.gaierror:
        return Finding(check, "warn", f"the host {host} is not known", "correct its host, or the name service")
    except TimeoutError:
        return Finding(check, "warn", f"{where} does not answer", "is it switched on, is a firewall between?")
    except OSError as fault:
        text = f"{where} cannot be reached: {fault.strerror or fault}"
        return Finding(check, "warn", text, f"is its {what} running on that port?")
