"""Room on the volume, and reports of how it is used."""

from __future__ import annotations

import os
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from pacstui.settings.base import AeTitle, Name, Section, Words


class RuleSettings(Section):
    """A rule by which studies are purged, that is, moved to the trash. All of its conditions have to hold."""

    name: Name
    """Name that the trash and the audit trail show; unique."""

    days: Annotated[int, Field(ge=1, le=36500)]
    """Studies older than so many days."""

    by: Literal["received", "study date"] = "received"
    """What counts for the age: the day on which the last object of a study came, or the study date in the objects
    (studies without one are kept then)."""

    modalities: tuple[Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)], ...] = ()
    """Only studies with a series of one of these modalities; empty: all."""

    calling: tuple[AeTitle, ...] = ()
    """Only studies that one of these AE titles sent; empty: all."""

    description: Annotated[str, StringConstraints(max_length=64)] = ""
    """Only studies with such a description; * stands for anything, ? for one character, case does not matter."""

    only_if_backed_up: bool = True
    """Only studies of which every object is in the newest snapshot of a backup target."""

    copies: Annotated[int, Field(ge=1, le=16)] = 1
    """So many targets have to have them."""

    only_if_sent_to: tuple[Name, ...] = ()
    """Only studies of which every object was sent to each of these destinations unchanged, and taken there without a
    warning, since it came."""

    when: Literal["always", "full"] = "always"
    """Purge every night what the rule is for, or only while the volume is fuller than purge_above_percent."""


class SpaceSettings(Section):
    """Room on the archive's volume: when to warn, what to purge, and how long the trash keeps it. Without rules nothing
    is ever purged."""

    warn_percent: Annotated[float, Field(ge=1, le=100)] = 85.0
    """Part of the volume in use from which a problem is shown."""

    purge_above_percent: Annotated[float, Field(ge=1, le=100)] = 90.0
    """Part in use from which the trash is emptied early, oldest first, and rules for a full volume apply."""

    purge_until_percent: Annotated[float, Field(ge=1, le=100)] = 80.0
    """Part in use at which that ends."""

    trash_days: Annotated[int, Field(ge=0, le=3650)] = 14
    """Days that the trash keeps what was deleted or purged."""

    keep_hours: Annotated[int, Field(ge=0, le=87600)] = 24
    """Studies of which an object came in the last so many hours are never purged."""

    schedule: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "daily 03:30"
    """When the trash is emptied of what is old, and rules are applied."""

    rules: tuple[RuleSettings, ...] = ()
    """Which studies are purged, in this order."""


class ReportsSettings(Section):
    """Reports on usage and operations: what was received, by whom, how it went, how backups stand. No patients."""

    folder: Annotated[str, AfterValidator(os.path.expanduser), Words("the path of a folder")] = ""
    """Folder that they are written to; empty: reports in the data directory."""

    schedule: Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)] = "monthly 1 06:00"
    """When the report of the month that is over is written; empty: by hand only. Others are jobs of the kind report."""

    formats: tuple[Literal["txt", "csv", "json", "html"], ...] = ("html", "csv")
    """As which files the report is written: text, CSV for a spreadsheet, JSON for programs, a page of HTML."""

    keep_days: Annotated[int, Field(ge=0, le=36500)] = 1100
    """Days that written reports are kept; 0 for ever."""
