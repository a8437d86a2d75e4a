"""The state table against the standard's (PS3.8 Table 9-10), cell by cell, and the machine against the table."""

from __future__ import annotations

import pytest

from pacstui.dicom.ul.effects import Role, Send, StartTimer, StopTimer
from pacstui.dicom.ul.faults import invalid
from pacstui.dicom.ul.items import ProposedContext, UserInformation
from pacstui.dicom.ul.machine import Machine, NotPossible
from pacstui.dicom.ul.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest, Release
from pacstui.dicom.ul.table import ACTIONS, MEANINGS, TABLE, Event, State

RQ = AssociateRequest("CALLED", "CALLING", (ProposedContext(1, "1.2", ("1.2.840.10008.1.2",)),), UserInformation(16384))
AC = AssociateAccept("CALLED", "CALLING", (), UserInformation(16384))
SUBJECTS: dict[Event, object] = {
    Event.ASSOCIATE_REQUEST: RQ,
    Event.AC_RECEIVED: AC,
    Event.RJ_RECEIVED: AssociateReject(1, 1, 1),
    Event.RQ_RECEIVED: RQ,
    Event.ACCEPT_RESPONSE: AC,
    Event.REJECT_RESPONSE: AssociateReject(1, 1, 7),
    Event.RELEASE_RQ_RECEIVED: Release(False),
    Event.RELEASE_RP_RECEIVED: Release(True),
    Event.ABORT_REQUEST: Abort(0, 0),
    Event.ABORT_RECEIVED: Abort(2, 1),
    Event.INVALID_PDU: invalid("for the test"),
}
CELLS = [(state, event) for state in State for event in Event]


def test_every_cell_is_that_of_an_independent_copy_of_the_table() -> None:
    from pynetdicom.fsm import TRANSITION_TABLE

    theirs = {(State(int(state[3:])), Event(int(event[3:]))): name for (event, state), name in TRANSITION_TABLE.items()}
    assert theirs == TABLE


def test_every_state_and_action_has_its_words() -> None:
    from pynetdicom.fsm import ACTIONS as THEIRS

    assert set(MEANINGS) == set(State)
    assert set(ACTIONS) == set(THEIRS) == set(TABLE.values())
    for name, action in ACTIONS.items():
        leads_to = THEIRS[name][2]
        names = (leads_to,) if isinstance(leads_to, str) else leads_to
        assert {f"Sta{state.value}" for state in action.leads_to} == set(names), name


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(("state", "event"), CELLS, ids=lambda value: getattr(value, "name", str(value)))
def test_machine_does_what_the_cell_says(state: State, event: Event, role: Role) -> None:
    machine = Machine(role)
    machine.state = state
    machine._request = RQ
    name = TABLE.get((state, event))
    if name is None:
        with pytest.raises(NotPossible):
            machine._do(event, SUBJECTS.get(event))
        assert machine.state is state
        return
    effects = machine._do(event, SUBJECTS.get(event))
    assert machine.state in ACTIONS[name].leads_to
    sent = [effect.data[0] for effect in effects if isinstance(effect, Send)]
    expected = {"AE-2": 1, "AE-7": 2, "AE-8": 3, "AR-1": 5, "AR-4": 6, "AR-9": 6, "AA-1": 7, "AA-7": 7, "AA-8": 7}
    assert sent == ([expected[name]] if name in expected else [])
    if name in ("AE-5", "AE-8", "AR-4", "AA-1", "AA-8"):
        assert StartTimer() in effects
    if name in ("AA-2", "AR-5", "AA-5", "AE-6"):
        assert StopTimer() in effects


def test_release_collision_leads_each_side_its_own_way() -> None:
    for role, state in ((Role.REQUESTOR, State.STA9), (Role.ACCEPTOR, State.STA10)):
        machine = Machine(role)
        machine.state = State.STA7
        machine.feed(b"\x05\x00\x00\x00\x00\x04\x00\x00\x00\x00")
        assert machine.state is state
