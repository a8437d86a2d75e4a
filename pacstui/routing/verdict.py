"""What a receiver's answer to an object means, and whether trying again makes sense (PS3.4 B.2.3, PS3.7 C)."""

from __future__ import annotations

from typing import Final, NamedTuple

from pacstui.routing.tables import FAILED, SENT, WARNING
from pacstui.text import safe


class Verdict(NamedTuple):
    """``state`` is sent, warning or failed; ``again`` tells that another try may go better, ``full`` that nothing else
    will go well before the receiver has recovered."""

    state: str
    error: str = ""
    hint: str = ""
    again: bool = False
    full: bool = False


_WARNINGS: Final = {
    0xB000: "it changed elements of the object",
    0xB006: "it left out elements of the object",
    0xB007: "the object does not match its SOP class",
    0x0111: "it has an object of this UID already",
}
_FAILURES: Final = {
    0x0110: ("it could not process the object", "look at its log", True),
    0x0117: ("it takes the UID for invalid", "look at the object's UIDs", False),
    0x0118: ("it does not know the SOP class", "enable that SOP class at the receiver", False),
    0x0122: ("it does not support the SOP class", "enable that SOP class at the receiver", False),
    0x0124: ("this node is not allowed to store there", "have it allow our AE title to store", True),
    0x0213: ("it has no resources left", "look at its disk and its load", True),
    0xFF00: ("it says that it is still at it, which is no answer to C-STORE", "look at the receiver's log", True),
}


_MOVES: Final = {
    0xA701: ("it could not count what it has of the study", "look at its log"),
    0xA702: ("it could not send", "look at its log, and at who was to get it"),
    0xA801: ("it does not know the AE title that it shall send to", "add move_to as a destination there"),
    0xA900: ("it does not understand the request", "see whether it knows C-MOVE at study level"),
    0xB000: ("it could not send all of it", "look at its log, and at who was to get it"),
    0xFE00: ("it was cancelled there", "look at its log"),
}


def verdict_on_move(who: str, status: int, comment: str) -> Verdict:
    """Return what the final response to a C-MOVE means (PS3.4 C.4.2.1.5)."""
    if status == 0:
        return Verdict(SENT)
    why, hint = _MOVES.get(status, ("it did not do it", "look at its log"))
    told = f" ({safe(comment, 64)})" if comment.strip() else ""
    return Verdict(FAILED, f"{safe(who, 64)} answered {status:04X}H: {why}{told}", hint, again=status != 0xA801)


def verdict(who: str, status: int, comment: str) -> Verdict:
    """Return what a C-STORE response means.

    Parameters
    ----------
    who
        The receiver's name.
    status, comment
        Of the response (PS3.7 9.3.1.2); the comment is text from the network.
    """
    told = f" ({safe(comment, 64)})" if comment.strip() else ""
    if status == 0:
        return Verdict(SENT)
    name = safe(who, 64)
    if status in _WARNINGS or status & 0xF000 == 0xB000 or status in (0x0001, 0x0107, 0x0116):
        why = _WARNINGS.get(status, "it took the object with a warning")
        return Verdict(WARNING, f"{name} answered {status:04X}H: {why}{told}", "see whether it has what it needs")
    if status & 0xFF00 == 0xA700:
        return Verdict(
            FAILED,
            f"{name} answered {status:04X}H: it has no room or no resources{told}",
            "free space at the receiver",
            True,
            True,
        )
    if status & 0xFF00 == 0xA900:
        why, hint, again = "the object does not match its SOP class", "compare the object with what it takes", False
    elif status & 0xF000 == 0xC000:
        why, hint, again = "it cannot understand the object", "look at the receiver's log and at the object", True
    else:
        why, hint, again = _FAILURES.get(status, ("it refused the object", "look at the receiver's log", True))
    return Verdict(FAILED, f"{name} answered {status:04X}H: {why}{told}", hint, again)
