"""Whether studies fit their orders and patients, and how they are put right."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from pacstui.settings.base import AeTitle, Section
from pacstui.settings.routing import Pattern

Modality = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16)]
Score = Annotated[int, Field(ge=1, le=100)]


class QcSettings(Section):
    """Matching of studies with orders and patients. A node that never had an order expects none, and shows no
    exceptions but studies with objects of two patients."""

    matched_score: Score = 80
    """Points (0 to 100) from which a study is taken as belonging to an order, where nothing that counts differs. The
    points of each attribute stand in docs/corrections.md."""

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
