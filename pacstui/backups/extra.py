"""What a snapshot has beside index and objects: keys, configuration, secrets, and which files were set aside."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from pacstui.backups import signing
from pacstui.backups.source import Source
from pacstui.backups.target import Target
from pacstui.backups.watch import Watch
from pacstui.errors import Corrupt, SettingsError

AUDIT_KEY: Final = "audit.key"
OWN: Final = (AUDIT_KEY, "accounts.key", "pseudonyms.key", signing.SIGNERS)
"""What of the data directory the index is not complete without: keys of the audit trail and of second factors, and who
signs snapshots."""
SET_ASIDE: Final = "set-aside.json"
CONFIGURATION: Final = "restored-configuration"
_ARCHIVE: Final = "archive"


def gathered(
    target: Target, data_dir: Path, configuration: Path | None, secrets: Sequence[Path], aside: Iterable[Source],
    watch: Watch,
) -> bytes:  # fmt: skip
    """Return a tar of all that the target is to have, empty if that is nothing.

    The key that signs goes to encrypted targets only: who can read it can sign.
    """
    own = (*OWN, signing.KEY) if target.encrypted else OWN
    files = [(f"{_ARCHIVE}/{name}", data_dir / name) for name in own]
    if "configuration" in target.spec.include and configuration is not None:
        files.append((f"configuration/{configuration.name}", configuration))
    if "secrets" in target.spec.include:
        if not target.encrypted:
            raise SettingsError(
                f"the target {target.spec.name} is to have secrets and is not encrypted",
                "give it encrypt_to or passphrase_file, or take secrets out of include",
            )
        files += [(f"secrets/{path.name}", path) for path in secrets]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, path in files:
            try:
                data = path.read_bytes()
            except OSError as error:
                if os.path.lexists(path):
                    watch.note(f"{path} could not be read and is not saved: {error.strerror}", "warn")
                continue
            _add(tar, name, data)
        pairs = [[each.path, each.key.hex()] for each in aside]
        if pairs:
            _add(tar, SET_ASIDE, json.dumps(pairs).encode("ascii"))
        if not tar.getmembers():
            return b""
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o600
    tar.addfile(info, io.BytesIO(data))


def set_aside_in(extra: bytes) -> list[tuple[str, bytes]]:
    """Return path and key of each file in quarantine that a snapshot has; raises `Corrupt`."""
    if not extra:
        return []
    try:
        with tarfile.open(fileobj=io.BytesIO(extra)) as tar:
            try:
                content = tar.extractfile(SET_ASIDE)
            except KeyError:
                return []
            pairs = json.loads(content.read()) if content is not None else []
        return [(str(path), bytes.fromhex(key)) for path, key in pairs]
    except (tarfile.TarError, ValueError, TypeError, RecursionError):
        raise Corrupt("the list of what was set aside cannot be read", "restore another snapshot") from None


def audit_key_in(extra: bytes) -> bytes:
    """Return the key of the audit trail, empty where a snapshot has none."""
    if not extra:
        return b""
    with tarfile.open(fileobj=io.BytesIO(extra)) as tar:
        try:
            content = tar.extractfile(f"{_ARCHIVE}/{AUDIT_KEY}")
        except KeyError:
            return b""
        return content.read() if content is not None else b""


def lay_down(extra: bytes, to: Path) -> None:
    """Put keys where an archive has them, and what else there is into a folder beside, to be looked at.

    Nothing but those keys goes into the archive itself, whatever the tar names.
    """
    if not extra:
        return
    with tarfile.open(fileobj=io.BytesIO(extra)) as tar:
        for info in tar:
            content = tar.extractfile(info)
            folder, _, name = info.name.partition("/")
            if content is None or not name or "/" in name or name.startswith("."):
                continue
            own = folder == _ARCHIVE and name in (*OWN, signing.KEY)
            place = to / name if own else to / CONFIGURATION / name
            place.parent.mkdir(exist_ok=True, mode=0o700)
            place.write_bytes(content.read())
            place.chmod(0o600)
