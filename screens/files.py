"""Files that a person at the console names: read whole, written anew, never over another."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from pacstui.errors import PacsError
from pacstui.text import safe, size

READ_LIMIT = 900_000
"""Bytes; what is read goes to the node in one call, which takes no more than 1 MiB."""


def named(text: str) -> Path:
    """Return the path that was typed, ``~`` being the home directory.

    Raises
    ------
    PacsError
        When nothing was typed.
    """
    if not text.strip():
        raise PacsError("no file is named", "type its path; ~ is your home directory")
    try:
        return Path(text.strip()).expanduser()
    except RuntimeError:
        raise PacsError("there is no such home directory") from None


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            data = stream.read(READ_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise PacsError(f"{safe(path, 200)}: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > READ_LIMIT:
        raise PacsError(f"{safe(path, 200)} has more than {size(READ_LIMIT)}", "import it in parts")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PacsError(f"{safe(path, 200)} is no text in UTF-8", "save it as CSV UTF-8") from None


def _write(path: Path, text: str) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8", newline="") as out:
            out.write(text)
    except FileExistsError:
        raise PacsError(f"{safe(path, 200)} is there already", "choose another name; nothing is overwritten") from None
    except (OSError, ValueError) as error:
        raise PacsError(f"{safe(path, 200)}: {getattr(error, 'strerror', None) or error}") from None


async def read_text(text: str) -> str:
    """Return the text of the file whose path was typed; raise `PacsError` with the reason when it cannot be had."""
    return await asyncio.get_running_loop().run_in_executor(None, _read, named(text))


def free(text: str) -> Path:
    """Return the path that was typed, if no file is there yet; raise `PacsError` otherwise."""
    path = named(text)
    if os.path.lexists(path):
        raise PacsError(f"{safe(path, 200)} is there already", "choose another name; nothing is overwritten")
    if not path.absolute().parent.is_dir():
        raise PacsError(f"there is no folder {safe(path.absolute().parent, 200)}")
    return path


async def write_new(path: Path, text: str) -> None:
    """Write a file that only its owner may read; raise `PacsError` with the reason when that fails."""
    await asyncio.get_running_loop().run_in_executor(None, _write, path, text)
