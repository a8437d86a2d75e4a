"""Remembers whether the archive was closed in order, so that a start after a clean stop has nothing to compare.

The file ``session`` holds ``clean``, or ``open`` and the highest instance row at the time of opening; its modification
time is that of the opening, by the clock of the file system itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_NAME = "session"
_SLACK_S = 60.0


@dataclass(frozen=True, slots=True)
class Past:
    """How the last session ended: ``clean``, or with changes since ``since`` (seconds, 0 for ever) and rows above
    ``row``."""

    clean: bool
    since: float = 0.0
    row: int = 0


UNKNOWN = Past(clean=False)


def read(data_dir: Path) -> Past:
    """Return how the last session ended."""
    path = data_dir / _NAME
    try:
        words = path.read_text("ascii").split()
        modified = path.stat().st_mtime
    except (OSError, UnicodeDecodeError):
        return UNKNOWN
    if words == ["clean"]:
        return Past(clean=True)
    if len(words) == 2 and words[0] == "open" and words[1].isdigit():
        return Past(clean=False, since=modified - _SLACK_S, row=int(words[1]))
    return UNKNOWN


def mark_open(data_dir: Path, row: int) -> None:
    """Note that a session has begun; raises OSError."""
    _write(data_dir, f"open {row}\n")


def mark_clean(data_dir: Path) -> None:
    """Note that everything is in order and closed; raises OSError."""
    _write(data_dir, "clean\n")


def _write(data_dir: Path, text: str) -> None:
    new = data_dir / f"{_NAME}.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode("ascii"))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(new, data_dir / _NAME)
    folder = os.open(data_dir, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
