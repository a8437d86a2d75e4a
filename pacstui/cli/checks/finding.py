"""What a check of ``pacstui doctor`` looks at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pacstui.api import plain
from pacstui.errors import PacsError
from pacstui.settings import Settings


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor: ``level`` is ok, warn or fail; ``advice`` what to do."""

    check: str
    level: str
    text: str
    advice: str = ""

    def as_json(self) -> dict[str, str]:
        """Return the finding as JSON values."""
        return asdict(self)


Check = Callable[["Patient"], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined: the settings, and the node's status or the reason why there is none."""

    settings: Settings
    status: dict[str, Any] | None
    silence: PacsError | None

    @property
    def data_dir(self) -> Path:
        """The data directory."""
        return self.settings.node.data_dir

    @property
    def standing(self) -> Path:
        """The data directory, or the nearest folder above it that exists."""
        folder = self.data_dir
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        return folder


def examine(settings: Settings) -> Patient:
    """Ask the node for its status and return what the checks need."""
    try:
        return Patient(settings, plain.call(settings.node.data_dir, "node", "status", timeout=10), None)
    except PacsError as fault:
        return Patient(settings, None, fault)
