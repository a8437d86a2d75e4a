"""Where things lie when nobody says otherwise (XDG Base Directory names, read at each call)."""

from __future__ import annotations

import os
from pathlib import Path


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
