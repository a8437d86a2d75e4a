"""The configuration: found, read, checked as a whole, and every mistake told at once.

Order of precedence: the environment (``PACSTUI_DICOM__PORT=11113``), one file, the defaults. The file is the one named
with ``--config``, else by ``PACSTUI_CONFIG``, else ``pacstui.toml`` in the current folder, else the user's, else the
system's. The schema is imported only when a configuration is checked, so that `data_dir` stays quick.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pacstui.configuration.file import CONFIG_VARIABLE, PREFIX, beside, locate, parsed, text_of
from pacstui.configuration.mistakes import HINT, ConfigurationError
from pacstui.places import default_data_dir

if TYPE_CHECKING:
    from pacstui.settings import Settings

__all__ = ["CONFIG_VARIABLE", "HINT", "PREFIX", "ConfigurationError", "Loaded", "data_dir", "load", "locate"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A checked configuration, the file it came from (none: defaults and environment), and remarks on it."""

    settings: Settings
    source: Path | None
    notes: list[str]


def data_dir(path: Path | None = None) -> Path:
    """Return the data directory alone, without checking the rest (commands that only ask a running node use this).

    Raises
    ------
    SettingsError
        The file cannot be read or the data directory is no path.
    """
    given: Any = os.environ.get(f"{PREFIX}NODE__DATA_DIR")
    file = None
    if given is None:
        file = locate(path)
        node = parsed(text_of(file), file).get("node") if file is not None else None
        given = node.get("data_dir") if isinstance(node, dict) else None
        if given is None:
            return default_data_dir()
    if not isinstance(given, str) or not given or "\0" in given:
        return load(path).settings.node.data_dir
    try:
        return beside(Path(given).expanduser(), file)
    except RuntimeError:
        return load(path).settings.node.data_dir


def load(path: Path | None = None) -> Loaded:
    """Return the settings of the file (see `locate`) and the environment.

    Raises
    ------
    SettingsError
        With every mistake at once in ``problems``: file and line, key, what was expected.
    """
    from pacstui.configuration.reading import Reading

    file = locate(path)
    text = text_of(file) if file is not None else ""
    values = parsed(text, file) if file is not None else {}
    reading = Reading(values, file, text)
    return Loaded(reading.settings(), file, reading.notes)
