"""pynetdicom as sender: as many contexts as an association can have, raw files, several at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE, AllStoragePresentationContexts, build_context
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation, UserIdentityNegotiation

from tests.interop.kept import kept
from tests.interop.relay import Relay
from tests.interop.samples import sample
from tests.running import NodeProcess

VERIFICATION = "1.2.840.10008.1.1"
FILES = ("CT_small.dcm", "693_J2KI.dcm", "SC_rgb_rle.dcm", "reportsi.dcm", "examples_overlay.dcm")


def title(path: Path) -> tuple[str, str, str]:
    data = dcmread(path, stop_before_pixels=True, force=True)
    return str(data.SOPClassUID), str(data.SOPInstanceUID), str(data.file_meta.TransferSyntaxUID)


def test_128_contexts_user_identity_and_a_window_are_answered(node: NodeProcess) -> None:
    ae = AE("MANY")
    ae.requested_contexts = [build_context(VERIFICATION), *AllStoragePresentationContexts[:127]]
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = window.maximum_number_operations_performed = 8
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.primary_field, identity.secondary_field = 2, b"anna", b"secret"
    identity.positive_response_requested = True
    association = ae.associate("127.0.0.1", node.port, ae_title="PACS", ext_neg=[window, identity])
    assert association.is_established
    assert len(association.accepted_contexts) == 128
    assert association.rejected_contexts == []
    assert association.send_c_echo().Status == 0
    association.release()
    assert association.is_released
    assert "secret" not in node.log


def send(port: int, calling: str, names: tuple[str, ...]) -> list[int]:
    """Send files on one association as they are; return the statuses."""
    ae = AE(calling)
    paths = [sample(name) for name in names]
    for sop_class, _, syntax in map(title, paths):
        ae.add_requested_context(UID(sop_class), UID(syntax))
    association = ae.associate("127.0.0.1", port, ae_title="PACS")
    assert association.is_established
    statuses = [int(association.send_c_store(path).Status) for path in paths]
    association.release()
    return statuses


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_four_senders_of_the_same_files_at_once(node: NodeProcess, relay: Relay) -> None:
    names = FILES
    with ThreadPoolExecutor(4) as pool:
        statuses = list(pool.map(lambda number: send(relay.port, f"PYNET{number}", names), range(4)))
    assert statuses == [[0] * len(names)] * 4
    there = {each.digest: each for each in kept(node)}
    sent = relay.sent()
    assert len(sent) == 4 * len(names)
    for each in sent:
        assert there[each.digest].instance == each.instance
        assert there[each.digest].syntax == each.syntax
        assert not there[each.digest].set_aside
    assert node.call("node", "status")["archive"]["instances"] == len(names)
