"""What the settings say of a target, and where things of it are kept on this machine."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pacstui.backups.processes import alive

WORK = "backups"
"""The folder below the data directory for what is known of targets, and for temporary files."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What the settings say of a target; see `pacstui.settings.TargetSettings`."""

    name: str
    url: str
    encrypt_to: tuple[str, ...] = ()
    identity_file: str = ""
    passphrase_file: str = ""
    mounted: bool = False
    endpoint: str = ""
    region: str = ""
    access_key: str = ""
    secret_key_file: str = ""
    max_mb_per_s: float = 0.0
    keep: dict[str, int] = field(default_factory=dict)
    include: tuple[str, ...] = ("configuration",)
    signers: tuple[str, ...] = ()
    lock_days: float = 0.0
    lock_mode: str = "governance"
    key_file: str = ""
    known_hosts: str = ""

    @property
    def kind(self) -> str:
        """What it is: folder, bucket or sftp."""
        return {"s3": "bucket", "sftp": "sftp"}.get(self.url.partition(":")[0], "folder")


def local_path(url: str) -> Path | None:
    """Return the folder that a target's address stands for, none for one that is no folder of this machine."""
    if url.startswith(("s3:", "sftp:")):
        return None
    if url.startswith("file:"):
        return Path(unquote(urlsplit(url).path))
    return Path(url).expanduser()


def work_folder(data_dir: Path, name: str) -> Path:
    """Return where things of one target are kept on this machine."""
    plain = "".join(c if c.isalnum() or c in "-_" else "-" for c in name)[:40]
    return data_dir / WORK / f"{plain}-{sha256(name.encode()).hexdigest()[:8]}"


def sweep(folder: Path) -> None:
    """Remove what runs left in a target's `work_folder` that were cut off."""
    for what in ("work", "verify", "drill"):
        for old in folder.glob(f"{what}-*-*-*"):
            pid, started = old.name.split("-")[1:3]
            if not (pid.isdigit() and alive(int(pid), started)):
                shutil.rmtree(old, ignore_errors=True)
