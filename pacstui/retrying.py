"""How long to wait before something that failed is tried again."""

from __future__ import annotations

import random
from collections.abc import Callable


def delay(attempt: int, first_s: float, most_s: float, chance: Callable[[], float] = random.random) -> float:
    """Return the seconds before a further try, after so many: each twice the one before, a fifth more or less, so that
    what failed together is not tried again together."""
    plain = min(most_s, first_s * 2.0 ** min(max(attempt - 1, 0), 40))
    return plain * (0.8 + 0.4 * chance())
