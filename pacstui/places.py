"""Where things lie when nobody says otherwise (XDG Base Directory names, read at each call), and whose they are."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from pacstui.errors import Unavailable


def _base(variable: str, default: str) -> Path:
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else Path("~").expanduser() / default


def default_data_dir() -> Path:
    """Return ``$XDG_DATA_HOME/pacstui``, by default ``~/.local/share/pacstui``."""
    return _base("XDG_DATA_HOME", ".local/share") / "pacstui"


def user_configuration() -> Path:
    """Return ``$XDG_CONFIG_HOME/pacstui/pacstui.toml``, by default under ``~/.config``."""
    return _base("XDG_CONFIG_HOME", ".config") / "pacstui" / "pacstui.toml"


SYSTEM_CONFIGURATION = Path("/etc/pacstui/pacstui.toml")


def owner_of(path: Path) -> int:
    """Return the user id of the owner of ``path`` or, where it does not exist, of the folder it would be made in."""
    for each in (path, *path.parents):
        try:
            return each.stat().st_uid
        except OSError:
            continue
    return 0


def claim(data_dir: Path) -> None:
    """Make the data directory, for its owner's eyes only, or see that it may be used.

    Raises
    ------
    Unavailable
        When it cannot be made or written, or when root would leave files there that its owner cannot read.
    """
    owner = owner_of(data_dir)
    if os.geteuid() == 0 and owner != 0:
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = f"#{owner}"
        raise Unavailable(
            f"The data directory {data_dir} belongs to {name}, who could not read what root writes there",
            f"Do it as that user: sudo -u {name} pacstui ...",
        )
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if data_dir.stat().st_uid == os.getuid():
            data_dir.chmod(0o700)
        if not os.access(data_dir, os.W_OK | os.X_OK):
            raise PermissionError(13, "it is not writable by this user")
    except OSError as error:
        raise Unavailable(
            f"The data directory {data_dir} cannot be used: {error.strerror}",
            "Correct its rights, or choose another with [node] data_dir",
        ) from error
