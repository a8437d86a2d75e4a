"""Whether studies fit their orders and patients, and how they are put right."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pacstui.settings.base import AeTitle, Section
from pacstui.settings.routing import Pattern

Modality = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)]
Score = Annotated[int, Field(ge=1, le=100)]


class QcSettings(Section):
    """Matching of studies with orders and patients, corrections of studies, and rejection notes (IHE IOCM). A node that
    never had an order expects none, and shows no exceptions but studies with objects of two patients."""

    matched_score: Score = 80
    """Points (0 to 100) from which a study is taken as belonging to an order, where nothing that counts differs. The
    points of each attribute stand in docs/matching.md."""

    probable_score: Score = 40
    """Points from which a study probably belongs to an order, so that somebody should look; below it is unmatched."""

    orders_expected_from: tuple[AeTitle, ...] = ()
    """Only studies that one of these AE titles sent are expected to have an order; empty: all."""

    ignore_calling: tuple[Pattern, ...] = ()
    """Studies from these AE titles need no order: teleradiology, research, other archives. Here and below * stands for
    anything, ? for one character, and case does not matter."""

    ignore_modalities: tuple[Modality, ...] = ()
    """Studies that have series of these modalities only need no order."""

    ignore_descriptions: tuple[Pattern, ...] = ()
    """Studies with such a description need no order, as *phantom* or *QA*."""

    prior_days: Annotated[int, Field(ge=1, le=36500)] = 14
    """Studies whose study date lies so many days before they came are prior ones, and need no order."""

    settled_s: Annotated[float, Field(ge=1, le=3600)] = 10.0
    """Seconds without a new object after which a study is looked at."""

    warn_after_h: Annotated[float, Field(ge=0, le=8760)] = 24.0
    """Hours after which an exception that nobody has looked after degrades the node's health; 0: never."""

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
    """Whether a rejection note that a peer stores here, such as another archive, rejects what it names. Notes of
    callers that are no peers never do."""

    preview_s: int = 600
    """Seconds that a preview holds before it has to be made again."""
