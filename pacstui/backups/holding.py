"""Keeping all that a snapshot needs locked: its own files, and packs that snapshots of long ago brought."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from pacstui.backups import layout
from pacstui.backups.layout import Manifest
from pacstui.backups.object_lock import ObjectLock
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch

PARALLEL: Final = 4
_AT_ONCE: Final = 200


def hold(target: Target, lock: ObjectLock, manifest: Manifest, watch: Watch) -> None:
    """Lock what a snapshot consists of; packs that stay locked for as long as is promised are not asked again.

    Raises
    ------
    Cancelled
        When it was told to end; the next run goes on.
    PacsError
        When something cannot be locked.
    """
    now = datetime.now(UTC)
    until, enough = lock.until(now), (now + lock.days).timestamp()
    name = layout.manifest_name(manifest.id)
    own = [f"{layout.SNAPSHOTS}{manifest.id}/{file.name}" for file in (manifest.index, manifest.extra) if file]
    short = [pack for pack in manifest.packs if target.known.locked(pack.name) < enough]
    watch.tell(now="locking", unit="files", done=0, total=len(short), done_bytes=0, total_bytes=0)
    with ThreadPoolExecutor(PARALLEL, thread_name_prefix="pacstui-lock") as threads:
        list(threads.map(lambda each: lock.hold(each, until), [*own, layout.signature_name(name), name]))
        for at in range(0, len(short), _AT_ONCE):
            watch.check()
            part = short[at : at + _AT_ONCE]
            names = [layout.pack_name(pack.name, target.encrypted) for pack in part]
            names += [layout.list_name(pack.name) for pack in part]
            list(threads.map(lambda each: lock.hold(each, until), names))
            for pack in part:
                target.known.lock(pack.name, int(until.timestamp()))
            watch.add(done=len(part))
