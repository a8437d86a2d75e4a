"""A target as one piece of work uses it: its files, its keys, what it is known to have, and who may write."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from pacstui.backups import layout
from pacstui.backups.keys import Keys
from pacstui.backups.known import Known, remove
from pacstui.backups.layout import Manifest
from pacstui.backups.lock import Lock
from pacstui.backups.processes import started_at
from pacstui.backups.signing import Seal, Trust
from pacstui.backups.spec import Spec, local_path, sweep
from pacstui.backups.stores import store_of
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, NotFound, PacsError, SettingsError, Unavailable

_STAMP: Final = 16
_NEW: Final = "right path, and mounted? For a new target, pacstui backup run makes the first"


class Target:
    """A target that is open.

    Parameters
    ----------
    spec
        What the settings say.
    folder
        Where things of it are kept on this machine (`work_folder`); any empty folder where there is no archive.
    archive
        The data directory of the archive that knows who signs its snapshots, if there is one.
    """

    def __init__(self, spec: Spec, folder: Path, archive: Path | None = None) -> None:
        self.spec = spec
        self.folder = folder
        self.archive = archive
        self.trust = Trust(archive, spec.signers)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            self.keys = Keys(spec.encrypt_to, spec.identity_file, spec.passphrase_file)
        except ValueError as error:
            raise SettingsError(f"encrypt_to of the target {spec.name}: {error}", "make one with age-keygen") from None
        self.store, self.lock = store_of(spec, folder)
        self.marker: dict[str, Any] = {}
        self._known: Known | None = None
        self._seals: dict[str, Seal] = {}

    @property
    def known(self) -> Known:
        """What it is known to have; opened at first use."""
        if self._known is None:
            self._known = Known(self.folder / "known.db")
        return self._known

    def close(self) -> None:
        """Close what is open here."""
        self.store.close()
        if self._known is not None:
            self._known.close()

    def known_is_damaged(self) -> bool:
        """Return whether the file of what it is known to have is damaged; forget it then. Which target it is stays
        known as far as it can be read."""
        path = self.folder / "known.db"
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                if str(db.execute("PRAGMA integrity_check(1)").fetchone()[0]) == "ok":
                    return False
        except sqlite3.Error:
            pass
        remove(path)
        return True

    @property
    def encrypted(self) -> bool:
        """Whether what is there is encrypted."""
        return bool(self.marker.get("encrypted"))

    def open(self) -> None:
        """See that it is there, and that it is the one that was used before.

        Raises
        ------
        NotFound
            When it was never begun.
        Unavailable
            When it is away, is another one, or another disk is mounted there.
        """
        before = self.known.about("id")
        try:
            self.store.open(make=False)
        except NotFound as error:
            if before:
                raise Unavailable(error.message, "is it mounted there?") from None
            raise
        except Unavailable:
            path = local_path(self.spec.url)
            if not before and path is not None and not path.exists() and path.parent.is_dir():
                raise NotFound(f"{path} is not there", _NEW) from None
            raise
        self._see_that_it_is_mounted()
        try:
            self.marker = layout.opened(self.store.get(layout.MARKER), layout.MARKER)
        except NotFound:
            if before:
                raise Unavailable(
                    f"{self.store.url} has no backups, and had some",
                    "mount the disk that was there; for a new one, give the target another name",
                ) from None
            raise NotFound(f"{self.store.url} has no backups", _NEW) from None
        if not isinstance(self.marker.get("id"), str):
            raise Corrupt(f"{layout.MARKER} in {self.store.url} has no id", "somebody else wrote there: look at it")
        if self.marker.get("format") != layout.FORMAT:
            raise Unavailable(f"{self.store.url} was written by a newer version", "use that version, or a newer one")
        if before and before != self.marker["id"]:
            raise Unavailable(
                f"{self.store.url} holds other backups than before",
                "mount the disk that was there; for another one, give the target another name",
            )
        if self.keys.wants_passphrase and self.encrypted:
            self.keys.use(self.store)

    def begin(self, archive: str, node: str) -> None:
        """Open it for a new snapshot; one that was never used is begun.

        Raises
        ------
        Unavailable
            As `open`; also when it is another archive's, or encrypted otherwise than the settings say now.
        """
        try:
            self.open()
        except NotFound:
            self.store.open(make=True)
            self._see_that_it_is_mounted()
            self._make(archive, node)
        if archive and self.marker.get("archive", archive) != archive:
            raise Unavailable(
                f"{self.store.url} holds backups of another archive ({self.marker.get('node', '?')})",
                "use a folder of its own for each archive",
            )
        if self.encrypted and not (self.keys.encrypted or self.keys.wants_passphrase):
            raise SettingsError(
                f"{self.store.url} is encrypted, the settings of {self.spec.name} say it is not",
                "give encrypt_to or passphrase_file as before, or use another folder",
            )
        if not self.encrypted and (self.keys.encrypted or self.keys.wants_passphrase):
            raise SettingsError(
                f"{self.store.url} was begun without encryption", "use another folder for an encrypted target"
            )
        if self.keys.wants_passphrase:
            self._see_recipient()
        self.known.remember("id", str(self.marker["id"]))
        if self.lock is not None:  # of all things the first, so that a bucket that cannot is told at once
            for name in (layout.MARKER, *((layout.IDENTITY,) if self.keys.wants_passphrase else ())):
                self.lock.hold(name, self.lock.until(datetime.now(UTC)))

    def _see_recipient(self) -> None:
        """Encrypt to whom the passphrase stands for. That is found out once on this machine, and kept."""
        own = self.known.about("recipient")
        if not own:
            own = self.keys.own_recipient()
            self.known.remember("recipient", own)
        self.keys.write_to(own)

    def _make(self, archive: str, node: str) -> None:
        names = [name for name, _ in self.store.list("")]
        if layout.MARKER in names:
            self.open()  # another first run was quicker
            return
        for name in names:
            if name == layout.IDENTITY:
                continue  # of a first run that was cut off before it had written anything else
            raise Unavailable(
                f"{self.store.url} is not empty ({name}) and no backup", "use an empty folder for a new target"
            )
        if self.keys.wants_passphrase:
            self.keys.make_identity(self.store)
        value = {
            "format": layout.FORMAT, "id": token_hex(16), "archive": archive, "node": node,
            "made": datetime.now(UTC).isoformat(timespec="seconds"), "encrypted": self.keys.encrypted,
            "recipients": list(self.keys.names), "passphrase": self.keys.wants_passphrase,
        }  # fmt: skip
        if self.store.create(layout.MARKER, layout.sealed(value)):
            self.marker = value
        else:  # somebody else begins it just now: what is there says whose it is
            self.open()

    def _see_that_it_is_mounted(self) -> None:
        path = local_path(self.spec.url)
        if self.spec.mounted and path is not None and path.stat().st_dev == self.folder.stat().st_dev:
            raise Unavailable(
                f"nothing is mounted at {path}: it is on the archive's own volume", "mount the disk, and start again"
            )

    def plain_spool(self) -> Path:
        """Return a folder for temporary files that are not encrypted yet: never in a target that is."""
        if not self.encrypted:
            return self.store.spool()
        folder = self.folder / "plain"
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder

    @contextmanager
    def scratch(self, what: str) -> Iterator[Path]:
        """Yield a new folder of this run's own; those of runs that were cut off are removed."""
        sweep(self.folder)
        path = self.folder / f"{what}-{os.getpid()}-{started_at(os.getpid())}-{token_hex(4)}"
        path.mkdir(parents=True, mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)

    @contextmanager
    def writing(self, what: str, by: str, watch: Watch) -> Iterator[None]:
        """Hold the lock meanwhile."""
        with Lock(self.store, what, by, watch.stop, hurried=lambda: watch.stopping):
            self.store.clear()
            shutil.rmtree(self.folder / "plain", ignore_errors=True)
            yield

    def snapshots(self) -> list[Manifest]:
        """Return all snapshots, newest first; manifests that cannot be read are left out (`verify` tells of them)."""
        found = []
        for name in self.snapshot_names():
            try:
                found.append(self.manifest(name))
            except (Corrupt, NotFound):
                continue
        return sorted(found, key=lambda each: (each.moment, each.id), reverse=True)

    def snapshot_names(self) -> list[str]:
        """Return the names of all snapshots, newest first."""
        names = (layout.snapshot_of(name) for name, _ in self.store.list(layout.SNAPSHOTS))
        return sorted((name for name in names if name), reverse=True)

    def manifest(self, snapshot: str) -> Manifest:
        """Return one snapshot's manifest, of one on this machine if it was read before."""
        name = layout.manifest_name(snapshot)
        kept = self.folder / "manifests" / f"{snapshot}.json"
        try:
            return layout.manifest_from(kept.read_bytes(), name)
        except (OSError, PacsError):
            pass
        data = self.store.get(name)
        manifest = layout.manifest_from(data, name)
        with suppress(OSError):  # it is only to be faster the next time
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            kept.write_bytes(data)
        return manifest

    def seal(self, manifest: Manifest) -> Seal:
        """Return what the signature of a snapshot tells."""
        found = self._seals.get(manifest.id)
        if found is None:
            name = layout.signature_name(layout.manifest_name(manifest.id))
            try:
                signature: bytes | None = self.store.get(name)
            except NotFound:
                signature = None
            found = self._seals[manifest.id] = self.trust.seal(
                layout.encode_manifest(manifest), signature, manifest.moment
            )
        return found

    def learn(self, watch: Watch) -> tuple[int, int]:
        """Bring what is known up to what the target has; see `Known.learn`."""
        return self.known.learn(self.store, watch, self._lists)

    def _lists(self) -> dict[str, str]:
        """Return the SHA-256 of the lists that snapshots name which nothing tells against, by pack."""
        found: dict[str, str] = {}
        for manifest in self.snapshots():
            if self.seal(manifest).believed:
                found |= {pack.name: pack.list for pack in manifest.packs}
        return found

    def forget(self, names: Iterable[str]) -> None:
        """Remove what is kept on this machine of snapshots that the target has no more; ``names`` are those it has."""
        there = set(names)
        for path in (self.folder / "manifests").glob("*.json"):
            if path.stem not in there:
                path.unlink(missing_ok=True)

    def doubted(self, manifests: Iterable[Manifest]) -> set[str]:
        """Return which of some snapshots may be somebody else's."""
        return {manifest.id for manifest in manifests if not self.seal(manifest).believed}

    def _latest(self, names: list[str]) -> list[str]:
        """Return the newest snapshot that nothing tells against, else the newest: one of a time to come was taken
        while the clock was wrong, one that is not signed as it should be may be anybody's."""
        ahead = layout.stamp(datetime.now(UTC) + timedelta(hours=1))
        fits = [name for name in names if name[:_STAMP] <= ahead] or names
        found: list[Manifest] = []
        for name in fits:
            if found and name[:_STAMP] != found[0].id[:_STAMP]:
                break  # but of several in one second, the last
            with suppress(Corrupt, NotFound):
                manifest = self.manifest(name)
                if self.seal(manifest).believed:
                    found.append(manifest)
        return [max(found, key=lambda each: each.moment).id] if found else fits[:1]

    def find(self, snapshot: str) -> Manifest:
        """Return a snapshot by its id, the beginning of one, or ``latest``; raises NotFound."""
        names = self.snapshot_names()
        if snapshot == "latest":
            fits = self._latest(names)
        else:
            fits = [name for name in names if name.startswith(snapshot)]
        if len(fits) != 1:
            told = "several snapshots begin so" if fits else f"there is no snapshot {snapshot}" if names else "none yet"
            raise NotFound(f"{self.spec.name}: {told}", f"pacstui backup list --target {self.spec.name}")
        return self.manifest(fits[0])
