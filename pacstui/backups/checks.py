"""How verifications and restore drills went, kept in the target itself: who restores years later finds it there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final

from pacstui.backups import layout, signing
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
    """Keep a check, signed where there is an archive to sign for, and drop the oldest ones."""
    name = f"{layout.CHECKS}{layout.stamp(check.moment)}-{token_hex(4)}.json"
    value = asdict(check)
    if target.archive is not None:
        signature = signing.own(target.archive).sign(layout.sealed(value), signing.CHECK)
        value["signature"] = signature.decode("ascii")
    target.store.put(name, layout.sealed(value))
    names = sorted(name for name, _ in target.store.list(layout.CHECKS))
    for old in names[:-_KEPT]:
        target.store.delete(old)


def read(target: Target, most: int = 60) -> list[Check]:
    """Return the last checks, newest first; what cannot be read is left out.

    Good news that may be somebody else's is left out too: who can write there must not tell that all is well.
    """
    found: list[Check] = []
    for name in sorted((name for name, _ in target.store.list(layout.CHECKS)), reverse=True)[:most]:
        try:
            value: dict[str, Any] = layout.opened(target.store.get(name), name)
            value.pop("sha256")
            signature = value.pop("signature", None)
            check = Check(**value)
            layout.typed(check)
            at = layout.zoned(check.at)
            plain = signature.encode("ascii") if signature is not None else None
            if not check.ok or target.trust.seal(layout.sealed(value), plain, at, signing.CHECK).believed:
                found.append(check)
        except (PacsError, TypeError, ValueError, OverflowError, AttributeError):
            continue
    return found


def now() -> str:
    """Return the time as checks have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")
