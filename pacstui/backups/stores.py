"""Which kind of place a target is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pacstui.backups.folder import FolderStore
from pacstui.backups.object_lock import ObjectLock
from pacstui.backups.spec import Spec, local_path
from pacstui.backups.store import Store
from pacstui.errors import SettingsError


def store_of(spec: Spec, folder: Path) -> tuple[Store, ObjectLock | None]:
    """Return where a target's files lie, and what locks them there if they are to be locked."""
    path = local_path(spec.url)
    if spec.lock_days and not spec.url.startswith("s3:"):
        raise SettingsError(f"lock_days of the target {spec.name} is for buckets", "take it out")
    if path is not None:
        return FolderStore(path), None
    if spec.url.startswith("sftp:"):
        from pacstui.backups.sftp import SftpStore  # like the bucket's

        return SftpStore(spec.url, spec.key_file, spec.known_hosts, folder / "spool"), None
    config: dict[str, Any] = {}
    for key, value in (("endpoint", spec.endpoint), ("region", spec.region), ("access_key_id", spec.access_key)):
        if value:
            config[key] = value
    if spec.secret_key_file:
        try:
            config["secret_access_key"] = Path(spec.secret_key_file).expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError):
            raise SettingsError(
                f"secret_key_file of the target {spec.name} cannot be read", "correct the path or its rights"
            ) from None
    from pacstui.backups.bucket import BucketStore  # its library takes as long as the rest, and folders need it not

    lock = ObjectLock(spec.url, config, spec.lock_mode, spec.lock_days) if spec.lock_days else None
    if lock is not None:
        config["checksum_algorithm"] = "SHA256"  # S3 takes no object without one where objects are locked
    return BucketStore(spec.url, config, folder / "spool"), lock
