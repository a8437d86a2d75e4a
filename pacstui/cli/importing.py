"""``pacstui import``: files and folders into the archive, through the running node, else into the archive itself."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import quote

import typer

from pacstui.api import plain
from pacstui.cli.doors import door, new_app
from pacstui.cli.out import say, say_json
from pacstui.errors import NotRunning, PacsError
from pacstui.text import count, plural, safe, size

if TYPE_CHECKING:
    from pacstui.archive.importer import FileResult
    from pacstui.configuration import Loaded

app = new_app()
_PIECE = 1 << 20
_AT_ONCE = 4
_ANSWER_S = 600.0
_REDRAW_S = 0.1
_ORDER = ("stored", "duplicate", "set aside", "refused", "skipped", "unknown")


class Report:
    """Tells of each file as it is done, keeps a line of progress at a terminal's foot, and sums up."""

    def __init__(self, as_json: bool) -> None:
        self._as_json = as_json
        self._counts: Counter[str] = Counter()
        self._bytes = 0
        self._began = time.monotonic()
        self._live = sys.stderr.isatty()
        self._drawn = 0.0

    def __call__(self, result: FileResult) -> None:
        """Take one file's result."""
        self._counts[result.outcome] += 1
        self._bytes += result.bytes
        self.clear()
        if self._as_json:
            value = asdict(result)
            say_json({"path": value.pop("path"), "result": value.pop("outcome"), **value}, line=True)
        else:
            say(f"{result.outcome:<9}  {result.path}" + (f": {result.reason}" if result.reason else ""))
        self._draw()

    def _draw(self) -> None:
        if self._live and time.monotonic() - self._drawn > _REDRAW_S:
            self._drawn = time.monotonic()
            files = sum(self._counts.values())
            rate = files / max(0.001, self._drawn - self._began)
            sys.stderr.write(safe(f"{plural(files, 'file')}, {size(self._bytes)}, {rate:.0f} files/s") + "\r")
            sys.stderr.flush()

    def clear(self) -> None:
        """Take the line of progress away."""
        if self._live:
            sys.stderr.write("\x1b[K")
            sys.stderr.flush()

    def cut_short(self) -> None:
        """Sum up what was done before something ended it."""
        if self._counts:
            self.close()

    def close(self) -> int:
        """Print the summary and return the exit code: 1 when a file was refused or there was none."""
        self.clear()
        seconds = time.monotonic() - self._began
        counts = {name: self._counts[name] for name in _ORDER}
        if self._as_json:
            summary = {**counts, "files": self._counts.total(), "bytes": self._bytes, "seconds": round(seconds, 3)}
            say_json({"summary": summary}, line=True)
        elif not self._counts:
            say("no files there")
        else:
            told = ", ".join(f"{count(number)} {name}" for name, number in counts.items() if number)
            say(f"{plural(self._counts.total(), 'file')}: {told}; {size(self._bytes)} in {seconds:.1f} s")
            if self._counts["set aside"]:
                say("what is set aside: pacstui storage quarantine")
        return 1 if self._counts["refused"] or not self._counts else 0


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            yield piece


def _send(data_dir: Path, path: Path, source: str) -> FileResult:
    """Stream one file to the node."""
    from pacstui.archive.importer import FileResult

    try:
        with path.open("rb"):
            pass
        address = f"/v1/import?source={quote(source)}"
        answer = plain.exchange(data_dir, address, _pieces(path), timeout=_ANSWER_S, content="application/dicom")
    except OSError as fault:
        return FileResult(str(path), "refused", f"the file cannot be read: {fault.strerror or fault}")
    taken = answer.get("bytes", 0)
    return FileResult(str(path), answer["result"], answer["reason"], answer["sop_instance"], taken)


def through_node(data_dir: Path, paths: list[Path], report: Callable[[FileResult], None], source: str) -> None:
    """Stream the files to the running node, a few at once so that they share syncs and commits."""
    from pacstui.archive.importer import files_of

    waiting: deque[tuple[Path, Future[FileResult]]] = deque()
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool, _between_files() as look:
        try:
            for path in files_of(paths, report):
                waiting.append((path, pool.submit(_send, data_dir, path, source)))
                if len(waiting) > _AT_ONCE:
                    report(waiting[0][1].result())
                    waiting.popleft()
                look()
            while waiting:
                report(waiting[0][1].result())
                waiting.popleft()
                look()
        except (PacsError, KeyboardInterrupt):
            _tell_the_rest(waiting, report)
            raise


@contextmanager
def _between_files() -> Iterator[Callable[[], None]]:
    """Yield what raises KeyboardInterrupt if Ctrl+C was pressed.

    So it acts between two files and not in the middle of telling of one, which would be told twice then. A second
    Ctrl+C acts at once.
    """
    pressed = False

    def note(*_: object) -> None:
        nonlocal pressed
        pressed = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def look() -> None:
        if pressed:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, note)
    try:
        yield look
    finally:
        signal.signal(signal.SIGINT, before)


def _tell_the_rest(waiting: deque[tuple[Path, Future[FileResult]]], report: Callable[[FileResult], None]) -> None:
    """Report on the files that were under way when something ended the import; those not begun are left out."""
    from pacstui.archive.importer import FileResult

    begun = [(path, future) for path, future in waiting if not future.cancel()]
    for path, future in begun:
        try:
            report(future.result())
        except PacsError:
            report(FileResult(str(path), "unknown", "the node ended before it answered; import it again"))


async def directly(loaded: Loaded, paths: list[Path], report: Callable[[FileResult], None], source: str) -> None:
    """Put the files into the archive, which no node has open."""
    from pacstui.archive import Archive
    from pacstui.archive.importer import import_paths

    settings = loaded.settings
    archive = await Archive.open(settings.node.data_dir, settings.archive, busy_s=settings.database.busy_s)
    try:
        await import_paths(archive, paths, report, source)
    finally:
        await archive.close()


@app.command()
def import_files(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files and folders.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print a JSON line a file, then one with the summary.")] = False,
    source: Annotated[str, typer.Option(help="What the archive notes as the sender.")] = "IMPORT",
) -> None:
    """Take files and folders into the archive. Exit 0 when no file was refused, else 1.

    Each file is stored, a duplicate (that very content is there), set aside (other content under a known UID),
    refused, or skipped (no DICOM object); unknown where the node ended before it answered. Works with and without a
    running node.
    """
    from pacstui.configuration import load

    loaded = load(door(context).config)
    data_dir = loaded.settings.node.data_dir
    report = Report(json)
    try:
        plain.call(data_dir, "node", "status")
        through_it = True
    except NotRunning:
        through_it = False
    try:
        if through_it:
            through_node(data_dir, paths, report, source)
        else:
            asyncio.run(directly(loaded, paths, report, source))
    except (PacsError, KeyboardInterrupt):
        report.cut_short()
        raise
    raise typer.Exit(report.close())
