"""Taking a snapshot.

The index is copied, every object that the copy names and the target lacks travels in packs, and when all are there the
manifest is written. What an interrupted run brought is found by the next one. A snapshot never names a pack that was
not written whole before.
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from pacstui import __version__
from pacstui.backups import extra, layout, signing, source
from pacstui.backups.holding import hold
from pacstui.backups.keys import sealed_file
from pacstui.backups.layout import FileRef, Manifest, PackRef
from pacstui.backups.patience import asked
from pacstui.backups.sending import Sending
from pacstui.backups.signing import Signer
from pacstui.backups.store import translate
from pacstui.backups.target import Target
from pacstui.backups.wanted import Wants
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, NotFound, PacsError, Unavailable
from pacstui.jobs.kinds import Cancelled
from pacstui.text import plural, size

_TOLD: Final = 1000
_PIECE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Taken:
    """A snapshot that is there, what should be said of it, and whether somebody should look at that."""

    manifest: Manifest
    text: str
    hint: str
    warning: bool


@dataclass(frozen=True, slots=True)
class _Copy:
    """The copy of the index that becomes the snapshot's, what it holds, and when it was made."""

    path: Path
    held: source.Counts
    at: datetime
    began: float


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
        self._sending = Sending(target, data_dir, watch)

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
                signer = signing.own(
                    self._data_dir
                )  # before the moment of the snapshot: it is none from before the key
                self._watch.tell(now="copying the index")
                at = datetime.now(UTC)
                source.copy_index(self._data_dir, index)
                with closing(source.connect(index)) as db:
                    held = source.counts(db)
                self._target.begin(held.archive, self._node)
                with self._target.writing("backup", self._by, self._watch):
                    return self._take(_Copy(index, held, at, began), signer)
        except OSError as error:
            raise translate(error, str(self._target.folder)) from error

    def _take(self, copy: _Copy, signer: Signer) -> Taken:
        target, watch, known = self._target, self._watch, self._target.known
        known.remember("unfinished", "yes")
        watch.tell(now="asking what the target has")
        gone, doubtful = target.learn(watch)
        if gone:
            watch.note(f"{plural(gone, 'pack')} that the target had are gone from it; what was in them travels anew "
                       "as far as the archive has it", "warn")  # fmt: skip
        if doubtful:
            watch.note(f"{plural(doubtful, 'pack')} that no snapshot names: of an interrupted run, not used")
        with known.beside(copy.path):
            wants = Wants(known, self._data_dir)
            if wants.thin:
                watch.note(f"{size(wants.thin)} travel anew out of packs that are needed less than by half")
            left, left_bytes = wants.left()
            watch.tell(total=left, total_bytes=left_bytes, unit="objects")
            self._sending.send(wants.sources())
            watch.check()
            missing = wants.missing()
            packs = wants.packs(self._sending.packs)
        self._see_that_all_is_there(packs)
        watch.tell(now="writing the index")
        manifest = self._manifest(copy, packs, missing)
        name, data = layout.manifest_name(manifest.id), layout.encode_manifest(manifest)
        target.store.put(layout.signature_name(name), signer.sign(data, signing.MANIFEST))
        target.store.put(name, data)
        known.remember("unfinished", "")
        known.remember("newest", manifest.id)
        text, hint = self._told(manifest)
        return Taken(manifest, *self._held(manifest, text, hint))

    def _held(self, manifest: Manifest, text: str, hint: str) -> tuple[str, str, bool]:
        """Lock it where that is wanted; a snapshot that cannot be locked is there all the same, and is told of."""
        lock = self._target.lock
        if lock is None:
            return text, hint, bool(manifest.missing_total)
        try:
            hold(self._target, lock, manifest, self._watch)
        except Cancelled:
            raise
        except PacsError as error:
            self._watch.note(str(error), "fail")
            return f"{error.message}: the snapshot is there and not locked; {text}", hint or error.hint, True
        days = lock.days.total_seconds() / 86400
        return f"{text}; locked for {days:g} days at least", hint, bool(manifest.missing_total)

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
        first = next(iter(self._sending.missing.items()), ("", ""))
        return (
            f"{plural(manifest.missing_total, 'instance')} could not be saved: {first[0]}: {first[1]}; {text}",
            "which: the log of this run; bring them back from an earlier snapshot or send them again",
        )

    def _manifest(self, copy: _Copy, packs: tuple[PackRef, ...], missing: int) -> Manifest:
        name = f"{layout.stamp(copy.at)}-{token_hex(4)}"
        held, sending = copy.held, self._sending
        indexed, digest, length = self._put_index(name, copy.path)
        return Manifest(
            id=name, at=copy.at.isoformat(timespec="microseconds"), archive=held.archive, node=self._node,
            version=__version__, revision=held.revision, by=self._by, encrypted=self._target.encrypted,
            patients=held.patients, studies=held.studies, instances=held.instances - missing, bytes=held.bytes,
            last_row=held.last_row, new_instances=sending.objects, new_bytes=sending.bytes,
            seconds=round(time.monotonic() - copy.began, 1), index=indexed, index_sha256=digest, index_size=length,
            extra=self._put_extra(name, copy.path), packs=packs, missing=tuple(list(sending.missing)[:_TOLD]),
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
                    with asked(target.store.url):
                        packed.write(piece)
                length = read.tell()
            path = sealed_file(target.keys, spool, target.store.spool())
            name = f"index.db.gz{layout.AGE if target.encrypted else ''}"
            return self._put_file(snapshot, name, path), plain.hexdigest(), length
        except OSError as error:
            raise translate(error, target.store.url) from error
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
        target = self._target
        with closing(source.connect(index)) as db:
            aside = list(source.set_aside(db, self._data_dir))
        plain = extra.gathered(target, self._data_dir, self._configuration, self._secrets, aside, self._watch)
        if not plain:
            return None
        data = target.keys.seal(plain)
        name = f"extra.tar{layout.AGE if target.encrypted else ''}"
        target.store.put(f"{layout.SNAPSHOTS}{snapshot}/{name}", data)
        return FileRef(name, len(data), sha256(data).hexdigest())


def result(taken: Taken) -> dict[str, Any]:
    """Return what is told of a snapshot that was taken."""
    manifest = taken.manifest
    return {
        "snapshot": manifest.id, "instances": manifest.instances, "studies": manifest.studies,
        "new_instances": manifest.new_instances, "new_bytes": manifest.new_bytes, "missing": manifest.missing_total,
        "text": taken.text, "hint": taken.hint, "warning": taken.warning,
    }  # fmt: skip
