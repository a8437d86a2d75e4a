"""One thing to do with a target, as it is told to the process that does it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from pacstui.backups.spec import Spec, work_folder

SURVEY: Final = "survey.json"
"""What the last survey of a target found, below `work_folder`."""


@dataclass(frozen=True, slots=True)
class Request:
    """One thing to do. ``data_dir`` is empty where there is no archive on this machine, ``work`` says then where things
    of the target are kept meanwhile. ``arguments`` are those of the operation."""

    op: str
    spec: Spec
    data_dir: str
    node: str = ""
    by: str = ""
    configuration: str = ""
    work: str = ""
    secrets: tuple[str, ...] = ()
    arguments: dict[str, Any] = field(default_factory=dict)

    def encode(self) -> str:
        """Return it as one line."""
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, line: str) -> Request:
        """Return what `encode` made."""
        value = json.loads(line)
        spec = value.pop("spec")
        for name in ("encrypt_to", "include", "signers"):
            spec[name] = tuple(spec[name])
        value["secrets"] = tuple(value["secrets"])
        return cls(spec=Spec(**spec), **value)

    @property
    def archive(self) -> Path | None:
        """The data directory, none without one."""
        return Path(self.data_dir) if self.data_dir else None

    @property
    def folder(self) -> Path:
        """Where things of the target are kept on this machine."""
        if self.work or not self.data_dir:
            return Path(self.work)
        return work_folder(Path(self.data_dir), self.spec.name)
