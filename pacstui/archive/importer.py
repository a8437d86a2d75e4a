"""Files and folders into the archive, a clear result for each file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pacstui.archive.imports import Skipped
from pacstui.archive.refusal import Refused
from pacstui.archive.store import Archive
from pacstui.archive.work import Stored

_PIECE = 1 << 20
_AT_ONCE = 4
SOURCE = "IMPORT"


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of one file.

    ``outcome`` is ``stored``, ``duplicate`` (that very content was there), ``set aside`` (other content under a stored
    UID), ``refused`` or ``skipped``; ``reason`` says why in plain words, empty for a plain success. ``healed``
    is true for a duplicate whose file was gone or damaged and is whole again.
    """

    path: str
    outcome: str
    reason: str = ""
    sop_instance: str = ""
    bytes: int = 0
    healed: bool = False


def files_of(paths: Iterable[Path], problem: Callable[[FileResult], None]) -> Iterator[Path]:
    """Yield every regular file at or below ``paths``, folders in order of name; links to folders are not followed.

    What cannot be listed goes to ``problem``.
    """
    for path in paths:
        if path.is_dir():
            yield from _below(path, problem)
        elif path.exists():
            yield path
        else:
            problem(FileResult(str(path), "refused", "there is no such file or folder"))


def _below(folder: Path, problem: Callable[[FileResult], None]) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        problem(FileResult(str(folder), "refused", f"the folder cannot be read: {error.strerror}"))
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _below(Path(entry.path), problem)
        elif entry.is_file():
            yield Path(entry.path)


async def import_paths(
    archive: Archive, paths: Iterable[Path], on_result: Callable[[FileResult], None], source: str = SOURCE
) -> dict[str, int]:
    """Import every file at or below ``paths``, four at a time so that they share syncs and commits.

    Parameters
    ----------
    archive
        Where to.
    paths
        Files and folders.
    on_result
        Called for each file, in the order in which they are done.
    source
        What the index shows instead of a calling AE title.

    Returns
    -------
    dict
        Number of files by outcome.
    """
    counts: dict[str, int] = {}

    def note(result: FileResult) -> None:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
        on_result(result)

    files = files_of(paths, note)

    async def worker() -> None:
        # Listing is done in turn with the work: a folder of a million files is never held in memory.
        for path in files:
            note(await import_file(archive, path, source, onward=True))

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(worker())
    return counts


async def import_file(archive: Archive, path: Path, source: str = SOURCE, *, onward: bool = False) -> FileResult:
    """Import one file; never raises for what is wrong with the file. Routes send it on only if ``onward``."""
    incoming = archive.begin_import(source, onward)
    try:
        file = await asyncio.to_thread(open, path, "rb")
        try:
            while piece := await asyncio.to_thread(file.read, _PIECE):
                wait = incoming.write(piece)
                if wait is not None:
                    await wait
        finally:
            file.close()
        stored = await incoming.finish()
    except OSError as error:
        incoming.abandon()
        return FileResult(str(path), "refused", f"the file cannot be read: {error.strerror or error}")
    except Skipped as skipped:
        return FileResult(str(path), "skipped", skipped.message)
    except Refused as refused:
        return FileResult(str(path), "refused", reason_of(refused))
    except BaseException:
        incoming.abandon()
        raise
    return result_of(path, stored)


def result_of(path: Path, stored: Stored) -> FileResult:
    """Return the result of a file whose object was taken."""
    outcome, reason = outcome_of(stored)
    return FileResult(str(path), outcome, reason, stored.header.sop_instance, stored.size, stored.healed)


def outcome_of(stored: Stored) -> tuple[str, str]:
    """Return outcome and reason, as in `FileResult`, of an object that was taken."""
    outcome = "set aside" if stored.set_aside else "stored" if stored.new else "duplicate"
    comment = f"other content is stored under {stored.header.sop_instance}" if stored.set_aside else stored.comment
    return outcome, "; ".join(part for part in (comment, *stored.warnings) if part)


def reason_of(refused: Refused) -> str:
    """Return why an object was not taken, and what to do about it if that is known."""
    return f"{refused.message}. {refused.hint}" if refused.hint else refused.message
