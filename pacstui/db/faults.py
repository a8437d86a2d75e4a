"""What SQLite says, as errors that a person can act on."""

from __future__ import annotations

import sqlite3

from pacstui.errors import Corrupt, PacsError, StorageFull, Unavailable

BUSY = frozenset((sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED))
_DAMAGED = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB))
_DISK = frozenset((sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM))


def primary_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, -1 where the driver gives none."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else -1


def is_environment(error: sqlite3.Error) -> bool:
    """Return whether the fault lies in disk, lock or file and not in the rows that were written."""
    code = primary_code(error)
    return code in BUSY or code in _DISK or code in _DAMAGED or code == sqlite3.SQLITE_FULL


def translate(error: sqlite3.Error) -> PacsError:
    """Return the node's own error for one of the driver's."""
    code = primary_code(error)
    if code == sqlite3.SQLITE_FULL:
        return StorageFull("The database has no room", "Free space on the volume of the data directory")
    if code in BUSY:
        return Unavailable(
            "The database is locked by another program", "End the program that holds it, a backup or an SQLite shell"
        )
    if code in _DISK:
        return Unavailable(f"The database cannot be written: {error}", "Check the disk and the permissions")
    if code in _DAMAGED:
        return Corrupt(f"The database is damaged: {error}", "Restore the index from a backup")
    return PacsError(f"The database refused a statement: {error}")
