"""The node as a process, its archive and its database."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from pacstui.places import default_data_dir
from pacstui.settings.base import Section


def _data_dir(value: Path) -> Path:
    if value == Path() or "\0" in str(value):
        raise ValueError("the path of a folder is not empty")
    try:
        return value.expanduser()
    except RuntimeError:
        raise ValueError("the home folder that ~ stands for is not known; write the whole path") from None


class NodeSettings(Section):
    """The node as a process."""

    data_dir: Annotated[Path, AfterValidator(_data_dir)] = Field(default_factory=default_data_dir)
    """Folder for the archive, its index and the control socket. Made at first start, readable by its owner only."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least serious log lines that are written to standard error."""

    jobs: bool = True
    """Run jobs by their schedules. When false, they run by hand only."""

    rehearsal: bool = False
    """This is a copy of an archive that runs elsewhere, tried out: of itself it sends nothing to anybody (what waits in
    the queue, reports of storage commitment, audit messages), and runs no jobs."""

    drain_s: Annotated[float, Field(ge=0, le=9)] = 5.0
    """Seconds that running associations get to finish when the node is stopped, before they are aborted."""


class ArchiveSettings(Section):
    """The object store."""

    duplicates: Literal["keep", "overwrite", "reject"] = "keep"
    """When other content comes under a stored SOP Instance UID: keep the first and set the newcomer aside, overwrite
    (the first is set aside), or reject. An identical repeat always succeeds and changes nothing."""

    reserve_bytes: Annotated[int, Field(ge=0)] = 268435456
    """Free space below which objects are answered with A700 (out of resources), so that the disk never fills up."""

    max_object_bytes: Annotated[int, Field(ge=0)] = 0
    """Largest object that is taken, in bytes; 0 for no limit but the disk's."""

    journal_bytes: Annotated[int, Field(ge=0, le=4294967296)] = 67108864
    """Room on the disk for the journal, which makes small objects durable by one write and one sync; 0 to sync each
    file by itself."""


class DatabaseSettings(Section):
    """The index."""

    busy_s: Annotated[float, Field(ge=0.1, le=120)] = 10.0
    """Seconds to wait for a database that another program has locked, before objects are answered with A700."""


class ConsoleSettings(Section):
    """The console."""

    refresh_s: Annotated[float, Field(ge=0.2, le=60)] = 1.0
    """Seconds between two refreshes of the live panels."""

    theme: Literal["auto", "terminal", "full"] = "auto"
    """Colours: the terminal's own sixteen, the full theme, or chosen by whether the session came over SSH."""

    read_only: bool = False
    """Begin read-only: R allows actions that change something."""
