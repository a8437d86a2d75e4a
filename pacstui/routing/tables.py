"""The tables of what is sent on. Times are microseconds since 1970 (UTC), sizes bytes.

A sending is what one destination gets of one study (or series) by one route, or because somebody asked for it. The
outbox holds its objects. Counters are kept by the write, never counted at read.

States of an object: ``waiting`` for its turn, ``sent``, sent with a ``warning`` of the peer, ``failed``, ``cancelled``
by somebody, ``filtered`` (it may not leave as it is). What is on its way at this moment is only known in memory: after
a sudden end it waits.
"""

from __future__ import annotations

from typing import Final

WAITING, SENT, WARNING, FAILED, CANCELLED, FILTERED = "waiting", "sent", "warning", "failed", "cancelled", "filtered"
STATES: Final = (WAITING, SENT, WARNING, FAILED, CANCELLED, FILTERED)
"""Names of states in the outbox, and of their counters in the sendings."""

NEVER: Final = (1 << 62) - 1
"""A time that does not come."""
