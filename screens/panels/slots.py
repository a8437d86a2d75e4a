"""Places for rows that come and go: a row keeps its place, and a new one takes a place that is free or at rest."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class Slots(Generic[T]):
    """Which rows have a place.

    Rows that move are never hidden by rows at rest, and no row changes its place while it is shown.
    """

    def __init__(self) -> None:
        self._places: list[T | None] = []

    def arrange(self, rows: Sequence[T], moving: Collection[T], room: int) -> list[T]:
        """Return the rows to show, at most ``room``, in their places.

        Parameters
        ----------
        rows
            All that there are, in the order in which newcomers are to be placed.
        moving
            Those of them that have something to show now.
        """
        here = set(rows)
        places: list[T | None] = [ident if ident in here else None for ident in self._places]
        while len(places) > room:
            spare = next((at for at in reversed(range(len(places))) if places[at] not in moving), len(places) - 1)
            places.pop(spare)
        for wanted in (moving, here):
            for ident in rows:
                if ident not in wanted or ident in places:
                    continue
                free = next((at for at, held in enumerate(places) if held is None), None)
                if free is not None:
                    places[free] = ident
                elif len(places) < room:
                    places.append(ident)
                elif wanted is moving:
                    rest = next((at for at, held in enumerate(places) if held not in moving), None)
                    if rest is not None:
                        places[rest] = ident
        self._places = [ident for ident in places if ident is not None]
        return [ident for ident in self._places if ident is not None]
