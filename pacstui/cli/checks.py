"""What ``pacstui doctor`` looks at. Each check returns findings; none changes more than a scratch file."""

from __future__ import annotations

import errno
import json
import os
import resource
import socket
import sqlite3
import stat
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import psutil
import typer

from pacstui.api import plain
from pacstui.archive.paths import DATABASE
from pacstui.cli.finding import Check, Finding, Patient
from pacstui.cli.out import say, say_json
from pacstui.cli.servers import audit_server, directory, hl7_receivers
from pacstui.dicom.net.tls import expiries
from pacstui.errors import NotRunning, PacsError
from pacstui.settings import PeerSettings, Settings
from pacstui.text import plural, size

_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}
_VOLATILE = {"tmpfs", "ramfs"}
_SLOW_SYNC_MS = 20.0
_QUICK_SYNC_MS = 0.02
_TCP_S = 3.0
_OLDEST_YEAR = 2025
_SOON_DAYS = 30
_DAMAGED = "see docs/operations.md, the index is damaged"


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


def data_directory(patient: Patient) -> Iterator[Finding]:
    """May we write there, and nobody else read?"""
    folder = patient.data_dir
    if not folder.exists():
        above = patient.standing
        if os.access(above, os.W_OK | os.X_OK):
            yield Finding("data directory", "ok", f"{folder} will be made at the first start")
        else:
            yield Finding(
                "data directory",
                "fail",
                f"{folder} cannot be made: {above} is not writable",
                f"make it for this user, or set [node] data_dir: install -d -m 700 {folder}",
            )
        return
    if not folder.is_dir():
        yield Finding("data directory", "fail", f"{folder} is not a folder", "correct [node] data_dir")
        return
    found = folder.stat()
    if found.st_uid != os.geteuid():
        level = "warn" if os.geteuid() == 0 else "fail"
        yield Finding("data directory", level, f"{folder} belongs to another user", "run the node as its owner")
    elif not os.access(folder, os.W_OK | os.X_OK):
        yield Finding("data directory", "fail", f"{folder} is not writable", "correct its rights, or its mount options")
    open_to = stat.S_IMODE(found.st_mode) & 0o077
    if open_to & 0o066:
        yield Finding("data directory", "warn", f"{folder} is open to other users", f"chmod 700 {folder}")
    elif open_to:  # as the node itself sets it where accounts of other OS users sign in
        yield Finding("data directory", "ok", f"{folder}: others reach the control socket and read nothing else")
    else:
        yield Finding("data directory", "ok", f"{folder}, readable by its owner only")


def _file_system(folder: Path) -> tuple[str, str]:
    """Return type and mount point of the file system that holds ``folder``."""
    best = ("", "")
    real = str(folder.resolve())
    for part in psutil.disk_partitions(all=True):
        point = part.mountpoint
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[1]):
            best = (part.fstype, point)
    return best


def disk(patient: Patient) -> Iterator[Finding]:
    """Is the disk local, lasting, roomy and quick?"""
    folder = patient.standing
    kind, point = _file_system(folder)
    if kind in _REMOTE:
        yield Finding(
            "disk",
            "warn",
            f"{point} is a network file system ({kind})",
            "SQLite's locks and fsync need a local disk: set [node] data_dir to one",
        )
    elif kind in _VOLATILE:
        yield Finding("disk", "warn", f"{point} is {kind}: all is lost at power-off", "set [node] data_dir to a disk")
    else:
        yield Finding("disk", "ok", f"{point or folder} is {kind or 'of unknown kind'}")
    usage = psutil.disk_usage(str(folder))
    reserve = patient.settings.archive.reserve_bytes
    if usage.free <= reserve:
        yield Finding(
            "space",
            "fail",
            f"{size(usage.free)} free, {size(reserve)} are the reserve: objects are refused with A700",
            "make room, or lower [archive] reserve_bytes",
        )
    elif usage.free < max(10 * reserve, usage.total // 20):
        yield Finding("space", "warn", f"{size(usage.free)} free of {size(usage.total)}", "make room soon")
    else:
        yield Finding("space", "ok", f"{size(usage.free)} free of {size(usage.total)}")
    if os.access(folder, os.W_OK):
        yield _sync(folder)


def _sync(folder: Path) -> Finding:
    times = []
    try:
        with tempfile.TemporaryFile(dir=folder) as scratch:
            for _ in range(7):
                scratch.write(b"\0" * 4096)
                begun = time.perf_counter()
                scratch.flush()
                os.fsync(scratch.fileno())
                times.append((time.perf_counter() - begun) * 1000)
    except OSError as fault:
        return Finding("fsync", "fail", f"a file in {folder} cannot be synced: {fault.strerror}", "look at the disk")
    median = statistics.median(times)
    if median > _SLOW_SYNC_MS:
        return Finding(
            "fsync",
            "warn",
            f"{median:.1f} ms: every object waits that long for the disk",
            "a disk with a protected write cache or an SSD is ten times quicker",
        )
    if median < _QUICK_SYNC_MS:
        return Finding(
            "fsync",
            "warn",
            f"{median:.3f} ms is quicker than a disk can be",
            "make sure that the disk, or the virtual machine's cache mode, really writes on flush",
        )
    return Finding("fsync", "ok", f"{median:.1f} ms")


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


def certificates(patient: Patient) -> Iterator[Finding]:
    """Are the certificates there, and for how long?"""
    tls = patient.settings.tls
    if not tls.certificate and not tls.ca:
        return
    for name, path in (("certificate", tls.certificate), ("ca", tls.ca)):
        if not path:
            continue
        try:
            ends = min(expiries(Path(path)))
        except (OSError, ValueError) as fault:
            reason = fault.strerror if isinstance(fault, OSError) else str(fault)
            yield Finding(name, "fail", f"{path}: {reason}", f"correct [tls] {name}")
            continue
        days = (ends - datetime.now(UTC)).days
        until = f"{path} is valid until {ends:%Y-%m-%d}, {plural(max(0, days), 'day')}"
        if days < 0:
            yield Finding(name, "fail", f"{path} expired on {ends:%Y-%m-%d}: callers refuse it", "renew it, reload")
        elif days < _SOON_DAYS:
            yield Finding(name, "warn", until, "renew it, then reload the node")
        else:
            yield Finding(name, "ok", until)
    if tls.key and Path(tls.key).exists() and Path(tls.key).stat().st_mode & 0o077:
        yield Finding("key", "warn", f"{tls.key} is open to other users", f"chmod 600 {tls.key}")


def clock(patient: Patient) -> Iterator[Finding]:
    """Can the machine's time be true?"""
    now = time.time()
    year = time.gmtime(now).tm_year
    if year < _OLDEST_YEAR:
        yield Finding("clock", "fail", f"the machine says it is {year}", "set it by NTP: timedatectl set-ntp true")
        return
    for file in (patient.data_dir / DATABASE, Path(__file__)):
        try:
            ahead = file.stat().st_mtime - now
        except OSError:
            continue
        if ahead > 120:
            yield Finding(
                "clock",
                "warn",
                f"{file} was written {ahead / 60:.0f} minutes in the future",
                "the clock went back: check it against NTP",
            )
            return
    yield Finding("clock", "ok", time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now)))


def limits(patient: Patient) -> Iterator[Finding]:
    """May the process open enough files?"""
    wanted = 256 + 4 * patient.settings.dicom.max_associations
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        yield Finding(
            "open files",
            "warn",
            f"{soft} are allowed, {wanted} may be needed for {patient.settings.dicom.max_associations} associations",
            "raise the limit (ulimit -n, or LimitNOFILE= of the service), or lower [dicom] max_associations",
        )
    else:
        yield Finding("open files", "ok", f"{soft if soft != resource.RLIM_INFINITY else 'unlimited'} allowed")
    del hard


def database(patient: Patient) -> Iterator[Finding]:
    """Is the index sound? Looked at only while no node works with it."""
    file = patient.data_dir / DATABASE
    if patient.status is not None:
        yield Finding("database", "ok", "in use by the running node; stop it to have its pages checked")
        return
    if not file.exists():
        yield Finding("database", "ok", "not made yet")
        return
    try:
        connection = sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            said = [str(row[0]) for row in connection.execute("PRAGMA quick_check(5)")]
        finally:
            connection.close()
    except sqlite3.Error as fault:
        yield Finding("database", "fail", f"{file} cannot be read: {fault}", _DAMAGED)
        return
    if said == ["ok"]:
        yield Finding("database", "ok", f"{file}, {size(file.stat().st_size)}, pages sound")
    else:
        yield Finding("database", "fail", f"{file}: {'; '.join(said)}", _DAMAGED)


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
    label = f"peer {peer.name}"
    where = f"{peer.host}:{peer.port}"
    try:
        with socket.create_connection((peer.host, peer.port), timeout=_TCP_S):
            return Finding(label, "ok", f"{where} takes connections; pacstui peers echo {peer.name} asks for more")
    except socket.gaierror:
        return Finding(label, "warn", f"the host {peer.host} is not known", "correct its host, or the name service")
    except TimeoutError:
        return Finding(label, "warn", f"{where} does not answer", "is it switched on, is a firewall between?")
    except OSError as fault:
        text = f"{where} cannot be reached: {fault.strerror or fault}"
        return Finding(label, "warn", text, "is its DICOM service running on that port?")


def target_faults(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Return what would keep a target's jobs from running: its name, what is wrong, what mends it."""
    from pacstui.backups.keys import Keys
    from pacstui.jobs.schedule import schedule_of

    for target in settings.backups.targets:
        for key, text in (("schedule", target.schedule), ("drill", target.drill)):
            try:
                schedule_of(text)
            except PacsError as error:
                yield target.name, f"{key}: {error.message}", error.hint
        try:
            Keys(target.encrypt_to, target.identity_file, target.passphrase_file)
        except (ValueError, PacsError) as error:
            yield target.name, f"encrypt_to or identity_file: {error}", "make one with age-keygen"
        for path in (target.identity_file, target.passphrase_file, target.secret_key_file):
            if path and not os.access(path, os.R_OK):
                yield target.name, f"the file {path} cannot be read", "correct the path or its rights"


def backups(patient: Patient) -> Iterator[Finding]:
    """Is anything backed up? How it goes, the node's own problems tell."""
    targets = patient.settings.backups.targets
    if not targets:
        yield Finding(
            "backups", "warn", "nothing is backed up: there is no target",
            "write [[backups.targets]] with name and url; docs/backup-restore.md",
        )  # fmt: skip
        return
    for name, text, remedy in target_faults(patient.settings):
        yield Finding(f"backup {name}", "fail", text, remedy)
    told = (patient.status or {}).get("backups") or {}
    age = told.get("age_s", -1)
    what = f"{plural(len(targets), 'target')}: {', '.join(target.name for target in targets)}"
    if not told:
        yield Finding("backups", "ok", what)
    elif age < 0:
        yield Finding("backups", "warn", f"{what}; no snapshot yet", "make the first: pacstui backup run")
    else:
        yield Finding("backups", "ok", f"{what}; {told['unsaved']:,} instances since the newest snapshot")


CHECKS: tuple[Check, ...] = (
    node, data_directory, disk, port, hl7_port, association, control_socket, certificates, directory,
    audit_server, clock, limits, database, peers, hl7_receivers, backups,
)  # fmt: skip


def summary(findings: list[Finding]) -> str:
    """Return the last line: how many of each level."""
    fails, warns = (sum(f.level == level for f in findings) for level in ("fail", "warn"))
    return f"{plural(fails, 'failure')}, {plural(warns, 'warning')}, {plural(len(findings), 'check')}"


def tell(findings: Iterable[Finding], *, as_json: bool) -> NoReturn:
    """Print what was found, each as soon as it is; leave with 0, or 1 where something failed."""
    found = []
    for finding in findings:
        found.append(finding)
        if not as_json:
            say(f"{finding.level:<4}  {finding.check}: {finding.text}")
            if finding.advice and finding.level != "ok":
                say(f"      {finding.advice}")
    failed = any(finding.level == "fail" for finding in found)
    if as_json:
        say_json({"ok": not failed, "checks": [finding.as_json() for finding in found]})
    else:
        say(summary(found))
    raise typer.Exit(1 if failed else 0)
