"""Taking a snapshot.

The index is copied, every object that the copy names and the target lacks travels in packs, and when all are there the
manifest is written. What an interrupted run brought is found by the next one. A snapshot never names a pack that was
not written whole before.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sqlite3
import tarfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from pacstui import __version__
from pacstui.backups import layout, source
from pacstui.backups.folder import translate
from pacstui.backups.keys import sealed_file
from pacstui.backups.layout import FileRef, Manifest, PackRef
from pacstui.backups.packs import PACK_BYTES, Finished, Packing, pack_file
from pacstui.backups.restore import SET_ASIDE
from pacstui.backups.source import Source
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, NotFound, SettingsError, Unavailable
from pacstui.text import plural, size

PARALLEL: Final = 2
AUDIT_KEY: Final = "audit.key"
OWN_KEYS: Final = (AUDIT_KEY, "accounts.key", "pseudonyms.key")
"""Keys in the data directory that cannot be made again: of the audit trail, of second factors, of pseudonyms."""
_TOLD: Final = 1000
_PIECE: Final = 1 << 20
_WANTED = """
SELECT i.id, i.path, i.digest, i.meta_digest, i.data_offset, i.size, i.received FROM ix.instances i
WHERE i.id > ? AND NOT EXISTS (SELECT 1 FROM members m WHERE m.key = CAST(i.digest || i.meta_digest AS BLOB))
ORDER BY i.id LIMIT 2000
"""
_LEFT = """
SELECT count(*), coalesce(sum(i.data_offset + i.size), 0) FROM ix.instances i
WHERE NOT EXISTS (SELECT 1 FROM members m WHERE m.key = CAST(i.digest || i.meta_digest AS BLOB))
"""
_USED = """
SELECT DISTINCT m.pack FROM ix.instances i JOIN members m ON m.key = CAST(i.digest || i.meta_digest AS BLOB)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that is there, and what should be said of it."""

    manifest: Manifest
    text: str
    hint: str

    @property
    def warning(self) -> bool:
        """Whether something is missing in it."""
        return bool(self.manifest.missing_total)


@dataclass(frozen=True, slots=True)
class _Packed:
    finished: Finished | None
    failed: tuple[tuple[str, str], ...]
    sources: int
    bytes: int


class Taking:
    """One run.

    Parameters
    ----------
    target
        Where to; not opened yet.
    data_dir
        The archive.
    node
        What the snapshot calls this node.
    by
        Who started it.
    configuration
        The configuration file, if there is one.
    secrets
        Files that go to encrypted targets which are to have them.
    """

    def __init__(
        self, target: Target, data_dir: Path, node: str, by: str, watch: Watch, configuration: Path | None = None,
        secrets: Sequence[Path] = (),
    ) -> None:  # fmt: skip
        self._secrets = secrets
        self._target = target
        self._data_dir = data_dir
        self._node = node
        self._by = by
        self._watch = watch
        self._configuration = configuration
        self._missing: dict[str, str] = {}
        self._new = self._new_bytes = 0

    def run(self) -> Taken:
        """Take the snapshot.

        Raises
        ------
        Cancelled
            When it was told to end; what travelled stays for the next run.
        PacsError
            When archive or target cannot be used.
        """
        began = time.monotonic()
        try:
            with self._target.scratch("work") as work:
                index = work / "index.db"
                self._watch.tell(now="copying the index")
                at = datetime.now(UTC)
                source.copy_index(self._data_dir, index)
                with closing(source.connect(index)) as db:
                    held = source.counts(db)
                self._target.begin(held.archive, self._node)
                with self._target.writing("backup", self._by, self._watch):
                    return self._take(index, held, at, began)
        except OSError as error:
            raise translate(error, str(self._target.folder)) from error

    def _take(self, index: Path, held: source.Counts, at: datetime, began: float) -> Taken:
        target, watch, known = self._target, self._watch, self._target.known
        known.remember("unfinished", "yes")
        watch.tell(now="asking what the target has")
        gone, doubtful = known.learn(target.store, watch)
        if gone:
            watch.note(f"{plural(gone, 'pack')} that the target had are gone from it; what was in them travels anew "
                       "as far as the archive has it", "warn")  # fmt: skip
        if doubtful:
            watch.note(f"{plural(doubtful, 'pack')} without a list that can be read: of an interrupted run, not used")
        known.db.execute("ATTACH DATABASE ? AS ix", (f"file:{index}?mode=ro&immutable=1",))
        try:
            extra = [each for each in source.set_aside(known.db, self._data_dir, "ix") if not known.has(each.key)]
            left, left_bytes = known.db.execute(_LEFT).fetchone()
            watch.tell(
                total=left + len(extra), total_bytes=left_bytes + sum(each.size for each in extra), unit="objects"
            )
            self._send(self._wanted(known.db, extra))
            watch.check()
            missing_total = int(known.db.execute(_LEFT).fetchone()[0])
            used = {int(row[0]) for row in known.db.execute(_USED)}
            used |= self._packs_of_set_aside(known.db)
            packs = tuple(
                PackRef(str(name), int(length), str(listing))
                for row, name, length, listing in known.db.execute("SELECT id, name, size, list FROM packs ORDER BY id")
                if int(row) in used
            )
        finally:
            known.db.execute("DETACH DATABASE ix")
        self._see_that_all_is_there(packs)
        watch.tell(now="writing the index")
        manifest = self._manifest(index, held, at, began, packs, missing_total)
        target.store.put(layout.manifest_name(manifest.id), layout.encode_manifest(manifest))
        known.remember("unfinished", "")
        return Taken(manifest, *self._told(manifest))

    def _see_that_all_is_there(self, packs: tuple[PackRef, ...]) -> None:
        """See that nobody took packs away meanwhile: a snapshot never names what is not there."""
        target = self._target
        names = dict(target.store.list(layout.PACKS))
        gone = sum(
            names.get(layout.pack_name(pack.name, target.encrypted)) != pack.size
            or layout.list_name(pack.name) not in names for pack in packs
        )  # fmt: skip
        try:
            marker = layout.opened(target.store.get(layout.MARKER), layout.MARKER)
        except (NotFound, Corrupt):
            marker = {}
        if gone or marker.get("id") != target.marker.get("id"):
            raise Unavailable(
                f"{plural(gone, 'pack')} went from {target.store.url} while the backup ran", "who removes files there? "
                "Then start it again: what is gone travels anew",
            )  # fmt: skip

    def _told(self, manifest: Manifest) -> tuple[str, str]:
        text = (
            f"{plural(manifest.instances, 'instance')} of {plural(manifest.studies, 'study', 'studies')} are safe, "
            f"{plural(manifest.new_instances, 'object')} ({size(manifest.new_bytes)}) travelled"
        )
        if not manifest.missing_total:
            return text, ""
        first = next(iter(self._missing.items()), ("", ""))
        return (
            f"{plural(manifest.missing_total, 'instance')} could not be saved: {first[0]}: {first[1]}; {text}",
            "which: the log of this run; bring them back from an earlier snapshot or send them again",
        )

    def _wanted(self, db: sqlite3.Connection, extra: Sequence[Source]) -> Iterator[Source]:
        after = 0
        while True:
            rows = db.execute(_WANTED, (after,)).fetchall()
            if not rows:
                break
            after = int(rows[-1][0])
            for _, path, digest, meta, offset, length, received in rows:
                yield Source(str(path), bytes(digest) + bytes(meta), offset + length, offset, received // 1_000_000)
        seen = set()
        for each in extra:
            if each.key not in seen:
                seen.add(each.key)
                yield each

    def _send(self, wanted: Iterator[Source]) -> None:
        """Send all in packs, some at once; what was sent is noted in the order in which it arrives."""
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
        for path, why in packed.failed:
            self._missing[path] = why
            self._watch.note(f"{path}: {why}", "fail")
        if packed.finished is not None:
            finished = packed.finished
            self._target.known.add(finished.digest, finished.size, finished.listing, finished.members)
            self._new += len(finished.members)
            self._new_bytes += sum(member.size for member in finished.members)
        self._watch.add(errors=len(packed.failed))

    def _pack(self, batch: Sequence[Source]) -> _Packed:
        """Read, pack, encrypt and write some objects; on a thread."""
        target, watch = self._target, self._watch
        failed: list[tuple[str, str]] = []
        if len(batch) == 1 and batch[0].size > PACK_BYTES:
            finished = self._pack_large(batch[0], failed)
        else:
            packing = Packing()
            for each in batch:
                watch.check()
                try:
                    data = self._read(each)
                except (NotFound, Corrupt, Unavailable) as error:
                    failed.append((each.path, error.message))
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
        total = sum(each.size for each in batch)
        watch.add(done=len(batch), done_bytes=total)
        return _Packed(finished, tuple(failed), len(batch), total)

    def _read(self, each: Source) -> bytes:
        try:
            return source.read(self._data_dir, each)
        except (NotFound, Corrupt):
            elsewhere = source.replaced(self._data_dir, each)
            if not elsewhere:
                raise
            return source.read(self._data_dir, replace(each, path=elsewhere))

    def _pack_large(self, each: Source, failed: list[tuple[str, str]]) -> Finished | None:
        target, watch = self._target, self._watch
        watch.tell(now=each.path)
        for path in (each.path, source.replaced(self._data_dir, each)):
            try:
                pieces = source.pieces(self._data_dir, replace(each, path=path), watch)
                return pack_file(target.plain_spool(), target.store.spool(), target.keys, each, pieces)
            except OSError as error:
                raise translate(error, str(target.store.spool())) from error
            except (NotFound, Corrupt, Unavailable) as error:
                failed[:] = [(each.path, error.message)]
            if not path:
                break
        return None

    def _packs_of_set_aside(self, db: sqlite3.Connection) -> set[int]:
        used = set()
        for each in source.set_aside(db, self._data_dir, "ix"):
            row = db.execute("SELECT pack FROM members WHERE key=?", (each.key,)).fetchone()
            if row is not None:
                used.add(int(row[0]))
        return used

    def _manifest(
        self, index: Path, held: source.Counts, at: datetime, began: float, packs: tuple[PackRef, ...], missing: int
    ) -> Manifest:
        name = f"{layout.stamp(at)}-{token_hex(4)}"
        indexed, digest, length = self._put_index(name, index)
        return Manifest(
            id=name, at=at.isoformat(timespec="microseconds"), archive=held.archive, node=self._node,
            version=__version__, revision=held.revision, by=self._by, encrypted=self._target.encrypted,
            patients=held.patients, studies=held.studies, instances=held.instances - missing, bytes=held.bytes,
            last_row=held.last_row, new_instances=self._new, new_bytes=self._new_bytes,
            seconds=round(time.monotonic() - began, 1), index=indexed, index_sha256=digest, index_size=length,
            extra=self._put_extra(name, index), packs=packs, missing=tuple(list(self._missing)[:_TOLD]),
            missing_total=missing,
        )  # fmt: skip

    def _put_index(self, snapshot: str, index: Path) -> tuple[FileRef, str, int]:
        target = self._target
        spool = target.plain_spool() / token_hex(8)
        plain = sha256()
        try:
            with index.open("rb") as read, spool.open("xb") as raw, gzip.GzipFile("", "wb", 1, raw, 0) as packed:
                while piece := read.read(_PIECE):
                    self._watch.check()
                    plain.update(piece)
                    packed.write(piece)
                length = read.tell()
            path = sealed_file(target.keys, spool, target.store.spool())
            name = f"index.db.gz{layout.AGE if target.encrypted else ''}"
            return self._put_file(snapshot, name, path), plain.hexdigest(), length
        except OSError as error:
            raise translate(error, str(target.store.spool())) from error
        finally:
            spool.unlink(missing_ok=True)

    def _put_file(self, snapshot: str, name: str, path: Path) -> FileRef:
        digest = sha256()
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
            length = file.tell()
        self._watch.pace(length)
        try:
            self._target.store.put_file(f"{layout.SNAPSHOTS}{snapshot}/{name}", path)
        finally:
            path.unlink(missing_ok=True)
        return FileRef(name, length, digest.hexdigest())

    def _put_extra(self, snapshot: str, index: Path) -> FileRef | None:
        """Write configuration and secrets, as far as the target is to have them, and which files are set aside."""
        target = self._target
        files = [(f"archive/{name}", self._data_dir / name) for name in OWN_KEYS]
        if "configuration" in target.spec.include and self._configuration is not None:
            files.append((f"configuration/{self._configuration.name}", self._configuration))
        if "secrets" in target.spec.include:
            if not target.encrypted:
                raise SettingsError(
                    f"the target {target.spec.name} is to have secrets and is not encrypted",
                    "give it encrypt_to or passphrase_file, or take secrets out of include",
                )
            files += [(f"secrets/{path.name}", path) for path in self._secrets]
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, path in files:
                try:
                    data = path.read_bytes()
                except OSError as error:
                    if os.path.lexists(path):
                        self._watch.note(f"{path} could not be read and is not saved: {error.strerror}", "warn")
                    continue
                info = tarfile.TarInfo(name)
                info.size, info.mode = len(data), 0o600
                tar.addfile(info, io.BytesIO(data))
            with closing(source.connect(index)) as db:
                aside = [[each.path, each.key.hex()] for each in source.set_aside(db, self._data_dir)]
            if aside:
                listing = json.dumps(aside).encode("ascii")
                info = tarfile.TarInfo(SET_ASIDE)
                info.size, info.mode = len(listing), 0o600
                tar.addfile(info, io.BytesIO(listing))
            if not tar.getmembers():
                return None
        data = self._target.keys.seal(out.getvalue())
        name = f"extra.tar{layout.AGE if self._target.encrypted else ''}"
        self._target.store.put(f"{layout.SNAPSHOTS}{snapshot}/{name}", data)
        return FileRef(name, len(data), sha256(data).hexdigest())


def _batches(wanted: Iterator[Source]) -> Iterator[list[Source]]:
    """Yield what goes into one pack each: some megabytes of small ones, or one large one."""
    batch: list[Source] = []
    total = 0
    for each in wanted:
        if each.size > PACK_BYTES:
            yield [each]
            continue
        if batch and total + each.size > PACK_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(each)
        total += each.size
    if batch:
        yield batch


def result(taken: Taken) -> dict[str, Any]:
    """Return what is told of a snapshot that was taken."""
    manifest = taken.manifest
    return {
        "snapshot": manifest.id, "instances": manifest.instances, "studies": manifest.studies,
        "new_instances": manifest.new_instances, "new_bytes": manifest.new_bytes, "missing": manifest.missing_total,
        "text": taken.text, "hint": taken.hint, "warning": taken.warning,
    }  # fmt: skip
