"""A damaged file goes to the quarantine before another takes its place; it is never deleted."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from pacstui.archive import paths
from pacstui.archive.disk import Disk
from pacstui.archive.reconcile import DAMAGED
from pacstui.clock import Clock, microseconds
from pacstui.db import Writer
from pacstui.index.ingest import IndexWriter

REPLACED = "its file was damaged, and was replaced"
"""Why such a file is in the quarantine."""


def do_set_damaged_aside(root: Path, disk: Disk, clock: Clock, sop_instance: str, writer: Writer) -> str:
    """Move the file of an instance into the quarantine; its row waits for another. On the lane.

    Returns
    -------
    str
        Where the file is now, empty if there was none.

    Raises
    ------
    OSError
        When it cannot be moved; it is where it was.
    """
    row = writer.connection.execute(
        "SELECT path FROM instances WHERE sop_instance = ? AND missing != 0", (sop_instance,)
    ).fetchone()
    return _aside(root, disk, clock, sop_instance, row[0], True, writer) if row is not None else ""


def do_set_old_aside(root: Path, disk: Disk, clock: Clock, sop_instance: str, old: str, writer: Writer) -> str:
    """Move a damaged file into the quarantine whose instance has a good one at another place by now. On the lane.

    Returns and raises as `do_set_damaged_aside`; nothing is moved that the instance's row stands for.
    """
    row = writer.connection.execute("SELECT path FROM instances WHERE sop_instance = ?", (sop_instance,)).fetchone()
    return "" if row is not None and row[0] == old else _aside(root, disk, clock, sop_instance, old, False, writer)


def _aside(root: Path, disk: Disk, clock: Clock, sop_instance: str, path: str, waits: bool, writer: Writer) -> str:
    old = root / path
    if not old.is_file():
        return ""
    with old.open("rb") as file:
        digest, size = hashlib.file_digest(file, "sha256").digest(), os.fstat(file.fileno()).st_size
    now = clock.now()
    folder = paths.quarantine_folder(now.astimezone().strftime("%Y-%m-%d"))
    place = f"{folder}/{paths.object_name(sop_instance, digest)}"
    index = IndexWriter()
    known = index.is_set_aside(writer.connection, sop_instance, digest)
    if not known:
        (root / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (root / place).exists():
            disk.link_path(old, root / place)
        with (root / place).open("rb") as file:
            disk.fsync(file.fileno())
        for each in (folder, paths.QUARANTINE, ""):
            _sync(disk, root / each)

    def commit(connection: object) -> None:
        find = "SELECT calling FROM instances WHERE sop_instance = ?"
        row = writer.connection.execute(find, (sop_instance,)).fetchone()
        if waits:
            writer.connection.execute(
                "UPDATE instances SET missing = ? WHERE sop_instance = ?", (DAMAGED, sop_instance)
            )
        if not known:
            calling = row[0] if row is not None else ""
            index.set_aside(writer.connection, microseconds(now), sop_instance, calling, REPLACED, place, size, digest)

    writer.transaction(commit)
    disk.unlink_path(old)
    _sync(disk, old.parent)
    return known or place


def _sync(disk: Disk, folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        disk.fsync_folder(fd)
    finally:
        os.close(fd)
