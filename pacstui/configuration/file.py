"""The configuration's file: which it is, and what stands in it."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

from pacstui.configuration.mistakes import unusable
from pacstui.places import SYSTEM_CONFIGURATION, user_configuration

PREFIX = "PACSTUI_"
"""Begins the name of every environment variable of ours."""

CONFIG_VARIABLE = "PACSTUI_CONFIG"
_SIZE_LIMIT = 1024 * 1024


def locate(path: Path | None = None) -> Path | None:
    """Return the configuration file to read, none if there is none.

    A file that was named, by ``path`` or ``PACSTUI_CONFIG``, is returned whether it exists or not.
    """
    if path is not None:
        return path
    named = os.environ.get(CONFIG_VARIABLE, "")
    if named:
        return Path(named)
    for candidate in (Path("pacstui.toml"), user_configuration(), SYSTEM_CONFIGURATION):
        try:
            if candidate.is_file():
                return candidate
        except OSError:  # a folder that this user may not enter holds no file for this user
            continue
    return None


def text_of(file: Path) -> str:
    """Return the file's text; raise `ConfigurationError` that says why it cannot be read."""
    try:
        if file.is_dir():
            raise unusable(str(file), "is a folder, not a file")
        with file.open("rb") as stream:
            raw = stream.read(_SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise unusable(str(file), "there is no such file") from None
    except (OSError, ValueError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else str(fault)
        raise unusable(str(file), f"cannot be read: {why}") from None
    if len(raw) > _SIZE_LIMIT:
        raise unusable(str(file), "is longer than 1 MiB and thus no configuration")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise unusable(str(file), "is written as UTF-16; save it as UTF-8")
    try:
        return raw.removeprefix(b"\xef\xbb\xbf").decode()
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise unusable(str(file), "is not UTF-8; save it as UTF-8", line) from None


def parsed(text: str, file: Path) -> dict[str, Any]:
    """Return what the text says; raise `ConfigurationError` where it is no TOML."""
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise unusable(str(file), "is nested too deeply") from None
    except ValueError as fault:  # tomllib's own error is one; numbers beyond all measure raise the plain one
        place = re.search(r" \(at line (\d+), column (\d+)\)$", str(fault))
        words = str(fault)[: place.start()] if place else str(fault).removesuffix(" (at end of document)")
        line = int(place[1]) if place else 0
        raise unusable(str(file), f"is no valid TOML: {words}", line) from None


def beside(folder: Path, file: Path | None) -> Path:
    """Return ``folder`` as an absolute path: beside the configuration file, else in the current folder."""
    return Path(os.path.abspath(file.parent / folder if file is not None else folder))
