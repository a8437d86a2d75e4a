"""Wrong passwords: who may not try again for a while.

Counted for each account together with who tries (an OS user, or the address of a program), so that somebody who
guesses locks the door for themselves and not for the one whose account it is.
"""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.clock import Clock

_LONGEST_S = 3600.0
_FORGOTTEN_S = 24 * 3600.0
_REMEMBERED = 4096


@dataclass(slots=True)
class _Tries:
    wrong: int = 0
    until: float = 0.0
    last: float = 0.0


class Lockout:
    """After ``most`` wrong passwords in a row the door is locked for ``first_s`` seconds, then for twice as long with
    each further one, up to an hour."""

    def __init__(self, clock: Clock, most: int, first_s: float) -> None:
        self._clock = clock
        self.most = most
        self.first_s = first_s
        self._tries: dict[tuple[str, int | str], _Tries] = {}

    def left(self, account: str, who: int | str) -> float:
        """Return for how many seconds the door is locked yet, 0 if it is open."""
        tries = self._tries.get((account, who))
        return max(0.0, tries.until - self._clock.monotonic()) if tries else 0.0

    def wrong(self, account: str, who: int | str) -> int:
        """Return how many wrong ones there were in a row."""
        tries = self._tries.get((account, who))
        return tries.wrong if tries else 0

    def longest(self, account: str) -> float:
        """Return for how many seconds it is locked for anybody."""
        return max((self.left(name, who) for name, who in list(self._tries) if name == account), default=0.0)

    def failed(self, account: str, who: int | str) -> float:
        """Count a wrong password; return for how many seconds the door is locked now."""
        now = self._clock.monotonic()
        self._forget(now)
        tries = self._tries.setdefault((account, who), _Tries())
        tries.wrong += 1
        tries.last = now
        if tries.wrong >= self.most:
            tries.until = now + min(_LONGEST_S, self.first_s * 2.0 ** min(tries.wrong - self.most, 12))
        return max(0.0, tries.until - now)

    def passed(self, account: str, who: int | str) -> None:
        """Forget the wrong ones after a right one."""
        self._tries.pop((account, who), None)

    def unlock(self, account: str) -> None:
        """Forget all wrong passwords of an account."""
        for key in [key for key in list(self._tries) if key[0] == account]:
            self._tries.pop(key, None)

    def _forget(self, now: float) -> None:
        if len(self._tries) >= _REMEMBERED:
            least = sorted(self._tries.items(), key=lambda each: (each[1].wrong, each[1].last))
            for key, _ in least[: _REMEMBERED // 4]:  # so that a flood of names makes no other one forgotten
                self._tries.pop(key, None)
        for key in [key for key, tries in list(self._tries.items()) if now - tries.last > _FORGOTTEN_S]:
            self._tries.pop(key, None)
