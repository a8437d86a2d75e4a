"""What accounts need of the audit trail, which knows nothing of them."""

from __future__ import annotations

from typing import Protocol


class Trail(Protocol):
    """What of the audit trail is needed here."""

    def note(
        self,
        kind: str,
        outcome: str,
        who: str,
        *,
        how: str = "",
        origin: str = "",
        action: str = "",
        target: str = "",
        patient: str = "",
        detail: str = "",
    ) -> object:
        """Put an entry on its way."""
        ...

    async def record(self, kind: str, outcome: str, who: str, **more: str) -> None:
        """Write an entry."""
        ...
