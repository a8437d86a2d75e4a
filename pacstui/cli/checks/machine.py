"""The machine under the node: data directory, disk, certificates, clock, limits and database.

None of the checks changes more than a scratch file.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil

from pacstui.archive.paths import DATABASE
from pacstui.cli.checks.finding import Finding, Patient
from pacstui.dicom.net.tls import expiries
from pacstui.text import plural, size

_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"}
_VOLATILE = {"tmpfs", "ramfs"}
_SLOW_SYNC_MS = 20.0
_QUICK_SYNC_MS = 0.02
_OLDEST_YEAR = 2025
_SOON_DAYS = 30
_DAMAGED = "see docs/operations.md, the index is damaged"


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
