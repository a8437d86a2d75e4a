"""Objects on their way to a target: read, compared, packed, encrypted, written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pacstui.backups import packs, source
from pacstui.backups.packs import Finished, Packing, pack_file
from pacstui.backups.source import Source
from pacstui.backups.store import translate
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, NotFound, Unavailable

PARALLEL: Final = 2


@dataclass(frozen=True, slots=True)
class _Packed:
    finished: Finished | None
    failed: tuple[tuple[Source, str], ...]


class Sending:
    """Sends objects in packs, some at once; what was sent is noted in the order in which it arrives.

    ``missing`` are paths of objects that could not be read and of which the target has no copy, each with the reason;
    ``packs`` the names of those that were written; ``objects`` and ``bytes`` what is in them.
    """

    def __init__(self, target: Target, data_dir: Path, watch: Watch) -> None:
        self._target = target
        self._data_dir = data_dir
        self._watch = watch
        self.missing: dict[str, str] = {}
        self.packs: set[str] = set()
        self.objects = self.bytes = 0

    def send(self, wanted: Iterator[Source]) -> None:
        """Send all of them; raises `Cancelled`, or `PacsError` when the target takes no more."""
        running: set[Future[_Packed]] = set()
        threads = ThreadPoolExecutor(PARALLEL, thread_name_prefix="pacstui-backup")
        try:
            for batch in _batches(wanted):
                while len(running) > PARALLEL:
                    running = self._arrived(running)
                self._watch.check()
                running.add(threads.submit(self._pack, batch))
            while running:
                running = self._arrived(running)
        finally:
            threads.shutdown(cancel_futures=True)
            for each in running:  # what arrived while the run ends counts for the next one
                with suppress(Exception):
                    if each.done() and not each.cancelled():
                        self._note(each.result())

    def _arrived(self, running: set[Future[_Packed]]) -> set[Future[_Packed]]:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for each in done:
            self._note(each.result())
        return running

    def _note(self, packed: _Packed) -> None:
        for each, why in packed.failed:
            if self._target.known.has(each.key):
                self._watch.note(f"{each.path}: {why}; the copy that the target has stays in use", "warn")
                continue
            self.missing[each.path] = why
            self._watch.note(f"{each.path}: {why}", "fail")
            self._watch.add(errors=1)
        if packed.finished is not None:
            finished = packed.finished
            self._target.known.add(finished.digest, finished.size, finished.listing, finished.members)
            self.packs.add(finished.digest)
            self.objects += len(finished.members)
            self.bytes += sum(member.size for member in finished.members)

    def _pack(self, batch: Sequence[Source]) -> _Packed:
        """Read, pack, encrypt and write some objects; on a thread."""
        target, watch = self._target, self._watch
        failed: list[tuple[Source, str]] = []
        if len(batch) == 1 and batch[0].size > packs.PACK_BYTES:
            finished = self._pack_large(batch[0], failed)
        else:
            packing = Packing()
            for each in batch:
                watch.check()
                try:
                    data = self._read(each)
                except (NotFound, Corrupt, Unavailable) as error:
                    failed.append((each, error.message))
                    continue
                packing.add(each.path, data, each.key, each.head, each.modified)
            watch.tell(now=batch[-1].path)
            finished = packing.finish(target.keys) if packing.members else None
        if finished is not None:
            try:
                watch.pace(finished.size)
                watch.check()
                finished.put(target.store, target.encrypted)
            finally:
                finished.discard()
        watch.add(done=len(batch), done_bytes=sum(each.size for each in batch))
        return _Packed(finished, tuple(failed))

    def _read(self, each: Source) -> bytes:
        try:
            return source.read(self._data_dir, each)
        except (NotFound, Corrupt):
            moved = source.elsewhere(self._data_dir, each)
            if not moved:
                raise
            return source.read(self._data_dir, replace(each, path=moved))

    def _pack_large(self, each: Source, failed: list[tuple[Source, str]]) -> Finished | None:
        target, watch = self._target, self._watch
        watch.tell(now=each.path)
        for path in (each.path, source.elsewhere(self._data_dir, each)):
            try:
                pieces = source.pieces(self._data_dir, replace(each, path=path), watch)
                return pack_file(target.plain_spool(), target.store.spool(), target.keys, each, pieces)
            except OSError as error:
                raise translate(error, target.store.url) from error
            except (NotFound, Corrupt, Unavailable) as error:
                failed[:] = [(each, error.message)]
            if not path:
                break
        return None


def _batches(wanted: Iterator[Source]) -> Iterator[list[Source]]:
    """Yield what goes into one pack each: some megabytes of small ones, or one large one."""
    batch: list[Source] = []
    total = 0
    for each in wanted:
        if each.size > packs.PACK_BYTES:
            yield [each]
            continue
        if batch and total + each.size > packs.PACK_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(each)
        total += each.size
    if batch:
        yield batch
