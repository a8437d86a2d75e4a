"""Whether a study is all here, as far as the modalities that performed it have said."""

from __future__ import annotations

import sqlite3
from typing import Final

from pacstui.orders.reading import IN_PROGRESS

_OF_STUDY: Final = (
    "SELECT state, images FROM performed WHERE study = ? UNION ALL SELECT q.state, q.images FROM performed q"
    ' WHERE q.study != ? AND q.id IN (SELECT l.performed FROM orders o JOIN steps s ON s."order" = o.id'
    " JOIN performed_steps l ON l.step = s.id WHERE o.study = ?)"
)


def all_here(connection: sqlite3.Connection, study: str) -> bool:
    """Return whether the performed steps of a study are over and as many objects are here as they name; false where
    none has been told of."""
    rows = connection.execute(_OF_STUDY, (study, study, study)).fetchall()
    if not rows or any(state == IN_PROGRESS for state, _ in rows):
        return False
    here = connection.execute("SELECT instances FROM studies WHERE study = ?", (study,)).fetchone()
    return here is not None and here[0] >= sum(images for _, images in rows)
