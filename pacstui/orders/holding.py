"""Orders on hold: not to be done now, and told to no modality, until somebody releases them.

Who holds an order and why is in ``body``: ``held`` (true), ``hold`` (``by``, ``at``, ``why``). Of orders that were held
before that was kept, the history says who.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from pacstui.text import safe

ON_HOLD: Final = "on hold"
IS_HELD: Final = "instr(o.body, '\"held\":true') > 0"
"""Whether an order ``o`` is on hold, in SQL."""
BODY: Final = f"CASE WHEN {IS_HELD} THEN o.body ELSE '' END"
"""The body of an order ``o`` that is on hold, empty for others."""
_SENTENCE: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d) on hold(?:: (.*?))?,? by (.*)")


@dataclass(frozen=True, slots=True)
class Hold:
    """Who put an order on hold, when, and why; empty where that is not known."""

    by: str = ""
    at: str = ""
    why: str = ""

    @property
    def who(self) -> str:
        """Who and since when, in words."""
        return ", ".join(filter(None, (safe(self.by, 64), self.at and f"since {safe(self.at, 16)}"))) or "nobody knows"


NONE: Final = Hold()


def held(body: dict[str, Any], by: str, at: str, why: str) -> dict[str, Any]:
    """Return an order's body with it on hold."""
    return {**body, "held": True, "hold": {"by": by, "at": at, "why": why}}


def released(body: dict[str, Any]) -> dict[str, Any]:
    """Return an order's body without its hold."""
    return {key: value for key, value in body.items() if key not in ("held", "hold")}


def hold_of(text: str) -> Hold | None:
    """Return the hold that an order's body (JSON) tells, none where it is on none."""
    body = json.loads(text) if text else {}
    if not isinstance(body, dict) or not body.get("held"):
        return None
    told = body.get("hold")
    if isinstance(told, dict):
        return Hold(*(str(told.get(key, "")) for key in ("by", "at", "why")))
    for sentence in reversed(body.get("history", ())):
        found = _SENTENCE.fullmatch(str(sentence))
        if found is not None:
            return Hold(found[3], found[1], found[2] or "")
    return NONE
