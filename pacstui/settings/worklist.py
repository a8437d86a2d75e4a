"""The modality worklist, and performed procedure steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pacstui.settings.base import Name, Section

Hidden = Literal["scheduled", "arrived", "in progress", "completed", "discontinued", "cancelled"]


class WorklistSettings(Section):
    """What modalities are told when they ask for their worklist (C-FIND)."""

    only_own_station: bool = False
    """Tell a caller only of steps for its own AE title, and of those that name no station."""

    hide: tuple[Hidden, ...] = ("completed", "discontinued", "cancelled")
    """Steps in these states are not told, unless the caller asks for a status (0040,0020)."""

    days_before: Annotated[int, Field(ge=0, le=3650)] = 1
    """Where a caller names neither a date nor whom or what it looks for: how many days before today are told. Where it
    names a Patient ID, accession number, UID or other ID all days are, and with a name or a part of an ID thirty days
    before and after."""

    days_after: Annotated[int, Field(ge=0, le=3650)] = 1
    """The same for days after today."""

    max_answers: Annotated[int, Field(ge=0)] = 0
    """Most answers to one query; who asks for more gets as many and is told (A700). 0 for no limit."""

    accession_prefix: Annotated[str, StringConstraints(strip_whitespace=True, max_length=4)] = "M"
    """What the Accession Number begins with that is made for items entered by hand without one; date and a number
    follow. Empty: they stay without."""

    no_images_min: Annotated[int, Field(ge=1, le=100000)] = 120
    """A step that was completed so many minutes ago and of which no image is here is a problem that the console
    shows."""


class MppsSettings(Section):
    """Modality performed procedure steps (MPPS)."""

    forward_to: tuple[Name, ...] = ()
    """Names of peers, such as a RIS, that are told everything that modalities tell this node, in its order."""

    retry_s: Annotated[int, Field(ge=1, le=3600)] = 15
    """Seconds until something that could not be passed on is tried again; doubled with each failure, up to an hour."""

    stuck_min: Annotated[int, Field(ge=1, le=100000)] = 30
    """Something that waits for so many minutes to be passed on is a problem that the console shows."""
