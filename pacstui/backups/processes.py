"""Processes of this machine: a number alone may be another one's by now."""

from __future__ import annotations

from pathlib import Path


def started_at(pid: int) -> str:
    """Return when a process of this machine began, in its clock's ticks; empty when there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19].decode()
    except (OSError, IndexError):
        return ""


def alive(pid: int, started: str) -> bool:
    """Return whether a process that began then is still there."""
    return bool(started) and started_at(pid) == started
