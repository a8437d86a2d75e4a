"""Corrections of studies."""

from __future__ import annotations

from typing import Literal

from pacstui.settings.base import Section


class QcSettings(Section):
    """Corrections of studies, and rejection notes (IHE IOCM)."""

    new_uids: Literal["when moved", "always", "never"] = "when moved"
    """When corrected copies get SOP Instance UIDs of their own: when their Study or Series Instance UID changes, or
    another patient gets what somebody has a copy of already (\"when moved\", as the standard has it); with each
    correction (\"always\"); or \"never\", for receivers that replace what they have."""

    study_uid: Literal["keep", "order"] = "keep"
    """Which Study Instance UID a study has after it was assigned to an order: its own, or that of the order."""

    show_rejected: bool = False
    """Whether what is rejected for quality reasons from now on stays in lists, queries and retrievals, beside its
    rejection note. What is rejected for other reasons never does."""

    honour_notes: bool = True
    """Whether a rejection note that a modality or another archive stores here rejects what it names."""

    preview_s: int = 600
    """Seconds that a preview holds before it has to be made again."""
