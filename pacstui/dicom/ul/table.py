"""The state table of the upper layer as data: PS3.8 9.2, Tables 9-1 to 9-10, with the standard's names."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple


class State(IntEnum):
    """States, PS3.8 Tables 9-1 to 9-5."""

    STA1 = 1
    STA2 = 2
    STA3 = 3
    STA4 = 4
    STA5 = 5
    STA6 = 6
    STA7 = 7
    STA8 = 8
    STA9 = 9
    STA10 = 10
    STA11 = 11
    STA12 = 12
    STA13 = 13


MEANINGS: Final = {
    State.STA1: "idle",
    State.STA2: "connection open, awaiting A-ASSOCIATE-RQ",
    State.STA3: "awaiting the local answer to A-ASSOCIATE-RQ",
    State.STA4: "awaiting the transport connection",
    State.STA5: "awaiting A-ASSOCIATE-AC or A-ASSOCIATE-RJ",
    State.STA6: "association established",
    State.STA7: "awaiting A-RELEASE-RP",
    State.STA8: "awaiting the local answer to A-RELEASE-RQ",
    State.STA9: "release collision, requestor: awaiting the local answer",
    State.STA10: "release collision, acceptor: awaiting A-RELEASE-RP",
    State.STA11: "release collision, requestor: awaiting A-RELEASE-RP",
    State.STA12: "release collision, acceptor: awaiting the local answer",
    State.STA13: "awaiting the end of the transport connection",
}


class Event(IntEnum):
    """Events, PS3.8 Table 9-10, left column."""

    ASSOCIATE_REQUEST = 1
    TRANSPORT_CONFIRMED = 2
    AC_RECEIVED = 3
    RJ_RECEIVED = 4
    TRANSPORT_INDICATED = 5
    RQ_RECEIVED = 6
    ACCEPT_RESPONSE = 7
    REJECT_RESPONSE = 8
    DATA_REQUEST = 9
    DATA_RECEIVED = 10
    RELEASE_REQUEST = 11
    RELEASE_RQ_RECEIVED = 12
    RELEASE_RP_RECEIVED = 13
    RELEASE_RESPONSE = 14
    ABORT_REQUEST = 15
    ABORT_RECEIVED = 16
    TRANSPORT_CLOSED = 17
    ARTIM_EXPIRED = 18
    INVALID_PDU = 19


class Action(NamedTuple):
    """What an action does and where it leads; two states where the action itself decides (PS3.8 Tables 9-6 to 9-9)."""

    name: str
    does: str
    leads_to: tuple[State, ...]


ACTIONS: Final = {
    action.name: action
    for action in (
        Action("AE-1", "ask for a transport connection", (State.STA4,)),
        Action("AE-2", "send A-ASSOCIATE-RQ", (State.STA5,)),
        Action("AE-3", "tell the user that it was accepted", (State.STA6,)),
        Action("AE-4", "tell the user that it was rejected, close", (State.STA1,)),
        Action("AE-5", "take the connection, start ARTIM", (State.STA2,)),
        Action("AE-6", "stop ARTIM; acceptable: tell the user; else reject, start ARTIM", (State.STA3, State.STA13)),
        Action("AE-7", "send A-ASSOCIATE-AC", (State.STA6,)),
        Action("AE-8", "send A-ASSOCIATE-RJ, start ARTIM", (State.STA13,)),
        Action("DT-1", "send P-DATA-TF", (State.STA6,)),
        Action("DT-2", "give the data to the user", (State.STA6,)),
        Action("AR-1", "send A-RELEASE-RQ", (State.STA7,)),
        Action("AR-2", "tell the user that the peer asks for release", (State.STA8,)),
        Action("AR-3", "tell the user that it is released, close", (State.STA1,)),
        Action("AR-4", "send A-RELEASE-RP, start ARTIM", (State.STA13,)),
        Action("AR-5", "stop ARTIM", (State.STA1,)),
        Action("AR-6", "give the data to the user", (State.STA7,)),
        Action("AR-7", "send P-DATA-TF", (State.STA8,)),
        Action("AR-8", "tell the user of the release collision", (State.STA9, State.STA10)),
        Action("AR-9", "send A-RELEASE-RP", (State.STA11,)),
        Action("AR-10", "tell the user that its release is confirmed", (State.STA12,)),
        Action("AA-1", "send A-ABORT, start ARTIM", (State.STA13,)),
        Action("AA-2", "stop ARTIM, close", (State.STA1,)),
        Action("AA-3", "tell the user that the peer aborted, close", (State.STA1,)),
        Action("AA-4", "tell the user that the connection was lost", (State.STA1,)),
        Action("AA-5", "stop ARTIM", (State.STA1,)),
        Action("AA-6", "ignore the PDU", (State.STA13,)),
        Action("AA-7", "send A-ABORT", (State.STA13,)),
        Action("AA-8", "send A-ABORT, tell the user, start ARTIM", (State.STA13,)),
    )
}

# One line an event, one column a state from Sta1 to Sta13; a dot where the event cannot happen.
_TABLE: Final = """
 1   AE-1 .    .    .    .    .    .    .    .    .     .    .    .
 2   .    .    .    AE-2 .    .    .    .    .    .     .    .    .
 3   .    AA-1 AA-8 .    AE-3 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 4   .    AA-1 AA-8 .    AE-4 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
 5   AE-5 .    .    .    .    .    .    .    .    .     .    .    .
 6   .    AE-6 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
 7   .    .    AE-7 .    .    .    .    .    .    .     .    .    .
 8   .    .    AE-8 .    .    .    .    .    .    .     .    .    .
 9   .    .    .    .    .    DT-1 .    AR-7 .    .     .    .    .
10   .    AA-1 AA-8 .    AA-8 DT-2 AR-6 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
11   .    .    .    .    .    AR-1 .    .    .    .     .    .    .
12   .    AA-1 AA-8 .    AA-8 AR-2 AR-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-6
13   .    AA-1 AA-8 .    AA-8 AA-8 AR-3 AA-8 AA-8 AR-10 AR-3 AA-8 AA-6
14   .    .    .    .    .    .    .    AR-4 AR-9 .     .    AR-4 .
15   .    .    AA-1 AA-2 AA-1 AA-1 AA-1 AA-1 AA-1 AA-1  AA-1 AA-1 .
16   .    AA-2 AA-3 .    AA-3 AA-3 AA-3 AA-3 AA-3 AA-3  AA-3 AA-3 AA-2
17   .    AA-5 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4 AA-4  AA-4 AA-4 AR-5
18   .    AA-2 .    .    .    .    .    .    .    .     .    .    AA-2
19   .    AA-1 AA-8 .    AA-8 AA-8 AA-8 AA-8 AA-8 AA-8  AA-8 AA-8 AA-7
"""


def _read(text: str) -> dict[tuple[State, Event], str]:
    cells: dict[tuple[State, Event], str] = {}
    for line in text.split("\n"):
        words = line.split()
        if words:
            for state, word in zip(State, words[1:], strict=True):
                if word != ".":
                    cells[state, Event(int(words[0]))] = word
    return cells


TABLE: Final = _read(_TABLE)
"""The action of each state and event; pairs that cannot happen are absent."""
