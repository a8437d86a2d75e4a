"""The base of all events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events; ``at`` is aware, UTC."""

    at: datetime
