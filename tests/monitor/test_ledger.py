"""What is remembered of callers."""

from __future__ import annotations

from pacstui.bus import Bus
from pacstui.clock import FakeClock
from pacstui.dicom.net.service import Refused
from pacstui.dicom.ul.items import ProposedContext, UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.book import PeerBook
from pacstui.monitor.arriving import Arriving
from pacstui.monitor.associations import Ledger
from pacstui.monitor.callers import software
from pacstui.monitor.rates import Throughput

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"


def ledger() -> Ledger:
    bus, clock = Bus(), FakeClock()
    return Ledger(bus, clock, PeerBook(), Throughput(clock), Arriving(bus, clock), 10, lambda _: None, lambda _: None)


def refusal(request: AssociateRequest | None) -> Refused:
    return Refused(7, "CT1", "OTHER", ("10.0.0.4", 4711), 1, 1, 7, "calls OTHER", "set it to PACS", request)


async def test_a_refused_caller_is_shown_with_what_it_proposed_and_its_software() -> None:
    ours = ledger()
    user = UserInformation(max_length=16384, implementation_uid="1.2.3", implementation_version="SCANNER_1")
    ours.refused(refusal(AssociateRequest("OTHER", "CT1", (ProposedContext(1, CT, (EXPLICIT, "1.2.9")),), user)))
    detail = await ours.show(7)
    assert (detail.implementation, detail.max_pdu) == ("SCANNER_1 (1.2.3)", 16384)
    (context,) = detail.contexts
    assert (context.id, context.abstract_name, context.result) == (1, "CT Image Storage", -1)
    assert context.proposed == ("Explicit VR Little Endian", "1.2.9")


async def test_what_a_refused_caller_proposes_is_kept_within_bounds() -> None:
    ours = ledger()
    wild = tuple(ProposedContext(2 * n + 1, "9." * 500, ("8." * 500,) * 60) for n in range(128))
    ours.refused(refusal(AssociateRequest("OTHER", "CT1", wild, UserInformation(implementation_version="\x1b[2J"))))
    detail = await ours.show(7)
    assert len(detail.contexts) == 32
    assert all(len(text) <= 64 for c in detail.contexts for text in (c.abstract_syntax, c.abstract_name, *c.proposed))
    assert max(len(c.proposed) for c in detail.contexts) == 8
    assert any("128 contexts" in moment.text for moment in detail.timeline)
    assert "\x1b" not in detail.implementation


async def test_a_caller_that_said_nothing() -> None:
    ours = ledger()
    ours.refused(refusal(None))
    detail = await ours.show(7)
    assert (detail.contexts, detail.implementation) == ((), "")


def test_software_in_words() -> None:
    assert software("OFFIS_DCMTK_367", "1.2.276") == "OFFIS_DCMTK_367 (1.2.276)"
    assert software("", "1.2.276") == "1.2.276"
    assert software("X", "") == "X"
