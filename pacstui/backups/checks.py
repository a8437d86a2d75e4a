"""How verifications and restore drills went, kept in the target itself: who restores years later finds it there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final

from pacstui.backups import layout
from pacstui.backups.target import Target
from pacstui.errors import PacsError

VERIFY: Final = "verify"
DRILL: Final = "drill"
_KEPT: Final = 400


@dataclass(frozen=True, slots=True)
class Check:
    """A verification (``depth`` quick, sample or full) or a drill of one snapshot or of all (empty ``snapshot``).

    ``rate_bytes_per_s`` is how fast objects came back in a drill.
    """

    kind: str
    at: str
    depth: str
    snapshot: str
    ok: bool
    text: str
    by: str
    seconds: float
    objects: int
    bytes: int
    damaged: int
    rate_bytes_per_s: float = 0.0

    @property
    def moment(self) -> datetime:
        """When it ended."""
        return datetime.fromisoformat(self.at)


def write(target: Target, check: Check) -> None:
    """Keep a check, and drop the oldest ones."""
    name = f"{layout.CHECKS}{layout.stamp(check.moment)}-{token_hex(4)}.json"
    target.store.put(name, layout.sealed(asdict(check)))
    names = sorted(name for name, _ in target.store.list(layout.CHECKS))
    for old in names[:-_KEPT]:
        target.store.delete(old)


def read(target: Target, most: int = 60) -> list[Check]:
    """Return the last checks, newest first; what cannot be read is left out."""
    found: list[Check] = []
    for name in sorted((name for name, _ in target.store.list(layout.CHECKS)), reverse=True)[:most]:
        try:
            value: dict[str, Any] = layout.opened(target.store.get(name), name)
            value.pop("sha256")
            check = Check(**value)
            layout.typed(check)
            layout.zoned(check.at)
            found.append(check)
        except (PacsError, TypeError, ValueError, OverflowError):
            continue
    return found


def now() -> str:
    """Return the time as checks have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
