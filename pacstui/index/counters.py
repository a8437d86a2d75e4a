"""What a transaction adds to the counters of series, studies and days."""

from __future__ import annotations

import sqlite3
from collections import defaultdict


class Counters:
    """Gathers, and writes at once: a series that gets 64 objects is updated once. ``patients``, ``studies`` and
    ``series`` are how many rows were made."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget what was gathered."""
        self._series: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self._studies: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        self.patients = self.studies = self.series = 0
        self._instances = self._bytes = 0

    def add(self, series: int, study: int, count: int, size: int) -> None:
        """Count instances of a series, by its row and that of its study; ``size`` is in bytes."""
        for totals in (self._series[series], self._studies[study]):
            totals[0] += count
            totals[1] += size
        self._instances += count
        self._bytes += size

    def flush(self, connection: sqlite3.Connection, day: str, received: int) -> None:
        """Write everything since the last time; ``received`` is in microseconds since 1970."""
        for key, (count, size) in self._series.items():
            connection.execute("UPDATE series SET instances=instances+?, bytes=bytes+? WHERE id=?", (count, size, key))
        for key, (count, size) in self._studies.items():
            connection.execute(
                "UPDATE studies SET instances=instances+?, bytes=bytes+?, changed=? WHERE id=?",
                (count, size, received, key),
            )
        if self._series:
            connection.execute(
                "INSERT INTO daily (day, patients, studies, series, instances, bytes) VALUES (?,?,?,?,?,?)"
                " ON CONFLICT (day) DO UPDATE SET patients=patients+excluded.patients,"
                " studies=studies+excluded.studies, series=series+excluded.series,"
                " instances=instances+excluded.instances, bytes=bytes+excluded.bytes",
                (day, self.patients, self.studies, self.series, self._instances, self._bytes),
            )
        self.clear()
