"""Peers that are added, changed and removed while the node runs count at once, and are there after a restart."""

from __future__ import annotations

from typing import Any

import pytest

from pacstui.cli.checks.finding import Patient
from pacstui.cli.checks.peers import peers
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.items import UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.peer import Peer, peer_of, texts_of
from pacstui.errors import BadRequest, NotFound
from pacstui.services.policy import Admission
from pacstui.settings import SERVICES, DicomSettings, NodeSettings, Settings
from tests.equipment.conftest import Site


def asks(calling: str) -> AssociateRequest:
    return AssociateRequest("RADNODE1", calling, (), UserInformation())


def admission(site: Site) -> Admission:
    return Admission(DicomSettings(ae_title="RADNODE1", unknown_callers="none"), site.book)


async def test_a_peer_that_is_added_is_let_in_at_once_and_after_a_restart(site: Site) -> None:
    policy = admission(site)
    assert isinstance(policy.authorise(asks("MR2"), ("192.0.2.20", 1)), Refusal)
    row = await site.room.add("MR two", "MR2", "192.0.2.20", port=11112, roles="modality", allow="store, echo")
    assert (row.allow, row.roles, row.configured) == (("echo", "store"), ("modality",), False)
    assert policy.authorise(asks("MR2"), ("192.0.2.20", 1)) is None
    assert isinstance(policy.authorise(asks("MR2"), ("192.0.2.21", 1)), Refusal)
    assert policy.allowed("MR2", "192.0.2.20")[0] == {"echo", "store"}
    after = await site.again()
    (peer,) = after.book.titled("MR2")
    assert (peer.name, peer.port, peer.allow) == ("MR two", 11112, ("echo", "store"))
    assert (await after.room.show("MR two")).changed_by == "op1"


async def test_a_change_tells_what_was_and_what_is(site: Site) -> None:
    await site.room.add("MR two", "MR2", "192.0.2.20")
    kept: list[tuple[str, str, str]] = []
    site.room.register.kept = lambda connection, who, made: kept.extend(made)
    await site.room.edit("MR two", host="192.0.2.21", notes="moved")
    assert kept == [("peer MR two host", "192.0.2.20", "192.0.2.21"), ("peer MR two notes", "", "moved")]
    assert site.noted[-1] == ("peers.edit", "MR two", "host: 192.0.2.20 -> 192.0.2.21; notes: - -> moved")
    await site.room.edit("MR two", notes="moved ")
    assert len(site.noted) == 2, "what changes nothing is no change"


async def test_of_a_peer_of_the_configuration_only_what_stands_beside_it_changes(site: Site) -> None:
    with pytest.raises(BadRequest, match="configuration, which says its host"):
        await site.room.edit("CT one", host="192.0.2.99")
    await site.room.edit("CT one", notes="in room 3", vendor="Example", host="192.0.2.17")
    after = await site.again()
    detail = await after.room.show("CT one")
    assert (detail.fields["notes"], detail.fields["vendor"], detail.row.configured) == ("in room 3", "Example", True)
    with pytest.raises(BadRequest, match="stands in the configuration"):
        await after.room.remove("CT one")


async def test_removing_tells_before_what_breaks_and_shuts_out_at_once(site: Site) -> None:

    async def uses(name: str) -> list[str]:
        return [f"the route {name.lower()} sends to it"]

    site.room.uses.append(uses)
    await site.room.add("VNA", "VNA", "192.0.2.30")
    assert (await site.room.removal("VNA")).breaks == ("the route vna sends to it",)
    await site.room.remove("VNA")
    assert isinstance(admission(site).authorise(asks("VNA"), ("192.0.2.30", 1)), Refusal)
    with pytest.raises(NotFound):
        await site.room.show("VNA")
    assert (await site.again()).book.named("VNA") is None


async def test_a_name_that_is_there_is_refused_whatever_its_capitals(site: Site) -> None:
    with pytest.raises(BadRequest, match="CT one already"):
        await site.room.add("ct ONE", "CT9", "192.0.2.9")
    with pytest.raises(NotFound) as told:
        await site.room.show("ct one")
    assert "CT one" in told.value.hint


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"ae_title": "A" * 17}, "at most 16 characters"),
        ({"ae_title": "A\x1b[2J"}, "printable ASCII"),
        ({"host": "a b"}, "host is a name or an IP address"),
        ({"port": "0"}, "port"),
        ({"port": "\u0661"}, "whole number"),
        ({"limit": "9999"}, "limit"),
        ({"tls": "maybe"}, "tls is one of"),
        ({"roles": "toaster"}, "toaster is not known"),
        ({"allow": "everything"}, "everything is not known"),
        ({"probe": "sometimes"}, "yes or no"),
        ({"ca": "/etc/ca.pem"}, "without TLS"),
    ],
)
def test_what_is_wrong_with_a_field_is_named(wrong: dict[str, str], told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        peer_of({"name": "X", "ae_title": "X", "host": "x", **wrong})


def test_texts_of_a_peer_make_the_same_peer() -> None:
    peer = Peer(
        name="VNA", ae_title="VNA", host="vna.example.org", port=2762, tls=True, check="certificate", ca="/ca.pem",
        roles=("archive", "router"), allow=(), probe=False, limit=3, serial="7",
    )  # fmt: skip
    assert peer_of(texts_of(peer)) == peer
    assert texts_of(peer)["tls"] == "certificate"
    assert set(peer_of({"name": "A", "ae_title": "A", "host": "a"}).allow) == set(SERVICES)


async def test_a_certificate_that_cannot_be_used_is_told_before_it_is_kept(site: Site, tmp_path: Any) -> None:
    with pytest.raises(BadRequest, match="cannot be used"):
        await site.room.add("VNA", "VNA", "vna", tls="on", ca=str(tmp_path / "none.pem"))
    assert site.book.named("VNA") is None


async def test_a_peer_gets_no_more_associations_than_its_limit(site: Site) -> None:
    await site.room.add("MR two", "MR2", "192.0.2.20", limit=2)
    policy = admission(site)
    policy.open_of = lambda calling: 1
    assert policy.authorise(asks("MR2"), ("192.0.2.20", 1)) is None
    policy.open_of = lambda calling: 2
    refusal = policy.authorise(asks("MR2"), ("192.0.2.20", 1))
    assert refusal is not None
    assert (refusal.result, refusal.source, refusal.reason) == (2, 3, 2), "a transient one: it may try again"


async def test_what_is_wrong_with_peers_is_a_problem(site: Site) -> None:
    await site.room.add("CT old", "CT1", "192.0.2.18")
    site.room.seen.ends.elsewhere("CT old", "192.0.2.99", site.clock.now())
    told = {name: text for name, _, text, _, _ in site.room.seen.problems()}
    assert "CT old (192.0.2.18)" in told["peer-title CT one"]
    assert "called from 192.0.2.99" in told["peer-elsewhere CT old"]
    await site.room.edit("CT old", host="192.0.2.99")
    assert "peer-elsewhere CT old" not in {problem[0] for problem in site.room.seen.problems()}


async def test_the_doctor_tries_the_peers_of_the_register_too(site: Site) -> None:
    await site.room.add("MR two", "MR2", "127.0.0.1", port=1)
    settings = Settings(node=NodeSettings(data_dir=site.database.path.parent))
    (told,) = peers(Patient(settings, None, None))
    assert (told.check, told.level) == ("peer MR two", "warn")
    assert "127.0.0.1:1 cannot be reached" in told.text
