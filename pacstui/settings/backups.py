"""Where backups go."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints

from pacstui.settings.base import Name, PemFile, Section, Words


def _target_url(value: str) -> str:
    url = value.strip()
    scheme = url.partition(":")[0] if ":" in url.partition("/")[0] else ""
    if not url or scheme not in ("", "file", "s3", "sftp"):
        raise ValueError("a backup target is a folder, or an address that begins with file:, s3: or sftp:")
    if scheme == "sftp":
        try:
            parts = urlsplit(url)
            fits = bool(parts.hostname) and parts.port != 0 and parts.path not in ("", "/") and not parts.password
        except ValueError:
            fits = False
        if not fits:
            raise ValueError("an SFTP target is sftp://user@host/folder, or sftp://user@host:22/folder")
    return url


class TargetSettings(Section):
    """A place that backups are written to. The jobs that do it are made from what stands here; they may be changed on
    the Jobs screen afterwards."""

    name: Name
    """Name that the console shows; unique."""

    url: Annotated[str, AfterValidator(_target_url), Words("a folder or an address")]
    """A folder, or an address that begins with file:, s3: (s3://bucket/folder) or sftp: (sftp://user@host/folder)."""

    schedule: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "daily 02:00"
    """When it is backed up to: daily 02:00, every 4 h, weekdays 22:30, or cron's five fields; empty: by hand only."""

    objective_h: Annotated[float, Field(gt=0, le=8760)] = 26.0
    """Hours that the newest good snapshot may be old (recovery point objective); older is a problem that is shown."""

    mounted: bool = False
    """Refuse the folder while it is on the archive's own volume: nothing is mounted there then."""

    keep_last: Annotated[int, Field(ge=1, le=10000)] = 3
    """So many of the newest snapshots are kept in any case."""

    keep_daily: Annotated[int, Field(ge=0, le=10000)] = 14
    """The newest snapshot of so many days is kept."""

    keep_weekly: Annotated[int, Field(ge=0, le=10000)] = 8
    """The same for weeks (ISO 8601)."""

    keep_monthly: Annotated[int, Field(ge=0, le=10000)] = 12
    """The same for months."""

    keep_yearly: Annotated[int, Field(ge=0, le=10000)] = 10
    """The same for years."""

    verify_percent: Annotated[float, Field(ge=0, le=100)] = 3.0
    """Share of the packs that is read back and compared after each backup, those first that were not read for longest;
    0 for none."""

    drill: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "monthly 1 05:00"
    """When a restore is rehearsed; empty for by hand only."""

    max_mb_per_s: Annotated[float, Field(ge=0)] = 0.0
    """Most megabytes a second to and from the target; 0 for no limit."""

    encrypt_to: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)], ...] = ()
    """Encrypt for these recipients of age (age1..., or an ssh public key); the node need not have the identity."""

    identity_file: PemFile = ""
    """File of an age identity that opens what is encrypted; drills, restores and verifying contents need it here."""

    passphrase_file: PemFile = ""
    """Instead of encrypt_to: a file with a passphrase that protects a key of the target's own. Keep a copy elsewhere:
    without it nothing can be restored."""

    include: tuple[Literal["configuration", "secrets"], ...] = ("configuration",)
    """What goes along with index and objects: the configuration file; secrets: keys that lie outside the data
    directory (only encrypted)."""

    endpoint: str = ""
    """Address of an S3 server that is not Amazon's, as https://s3.example.org."""

    region: str = ""
    """Region of the bucket."""

    access_key: str = ""
    """Access key of the bucket; without it AWS_ACCESS_KEY_ID and what else the environment has is used."""

    secret_key_file: PemFile = ""
    """File with the secret access key."""

    key_file: PemFile = ""
    """SFTP: file with the private key, without a passphrase."""

    known_hosts: PemFile = ""
    """SFTP: file with the server's host key, as ssh has it; empty for ~/.ssh/known_hosts of the node's user."""

    lock_days: Annotated[float, Field(ge=0, le=36500)] = 0.0
    """Object lock of a bucket: what a snapshot consists of cannot be removed for so many days from the newest snapshot
    that needs it; 0 for none. The bucket must have been made with object lock."""

    lock_mode: Literal["governance", "compliance"] = "governance"
    """Who can remove it all the same: governance, whoever has the permission to bypass it; compliance, nobody."""


class BackupsSettings(Section):
    """Backups."""

    targets: tuple[TargetSettings, ...] = ()
    """Where backups go. Three copies, on two kinds of storage, one of them elsewhere."""
