"""A test of a peer says at which step it fails, what that means, and what to ask the other side."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pacstui.contract.peers import TestStep, TestView
from pacstui.dicom.dataset import decode
from pacstui.dicom.net import certificates
from pacstui.dicom.net.service import OpenPolicy
from pacstui.dicom.net.tls import server_context
from pacstui.dicom.ul.faults import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.specimen import DESCRIPTION, PATIENT_ID, SECONDARY_CAPTURE
from pacstui.errors import Unavailable
from tests.dicom.serving import serving
from tests.equipment.conftest import Site
from tests.services.certificates import Authority, needed

CT = "1.2.840.10008.5.1.4.1.1.2"


class Strict(OpenPolicy):
    """Knows nobody."""

    def __init__(self, *codes: int) -> None:
        self.codes = codes

    def authorise(self, rq: AssociateRequest, address: tuple[str, int]) -> Refusal | None:
        result, source, reason = self.codes
        return Refusal(result, source, reason, "no", "")


class CtOnly(OpenPolicy):
    """Takes CT and echoes only, and CT in little endian only."""

    def accepts(self, abstract_syntax: str, transfer_syntaxes: object, rq: AssociateRequest) -> tuple[int, str]:
        if abstract_syntax not in (CT, SECONDARY_CAPTURE, "1.2.840.10008.1.1"):
            return 3, ""
        known = [each for each in list(transfer_syntaxes) if each == "1.2.840.10008.1.2"]  # type: ignore[call-overload]
        return (0, known[0]) if known else (4, "")


async def outcome(site: Site, port: int, *, store: bool = False, host: str = "127.0.0.1", **more: str) -> TestView:
    """Add a peer, test it to the end, and return what it came to."""
    await site.room.add("VNA", "VNA", host, port=port, **more)
    await (site.room.test_object("VNA") if store else site.room.test("VNA"))
    while site.room._running:
        await asyncio.wait(site.room._running)
    return await site.room.tested("VNA")


def states(view: TestView) -> dict[str, str]:
    return {step.name: step.state for step in view.steps}


def step(view: TestView, name: str) -> TestStep:
    return next(each for each in view.steps if each.name == name)


async def test_a_peer_that_works_tells_what_it_takes_and_gets_a_marked_object(site: Site) -> None:
    async with serving(policy=CtOnly()) as served:
        view = await outcome(site, served.port, store=True)
        (data,) = served.store.objects.values()
    assert set(states(view).values()) == {"ok"}
    assert (view.failed, view.letter, view.running) == ("", "", False)
    taken = {each.name: each.accepted for each in view.takes if each.accepted}
    assert taken == {
        "CT Image Storage": ("Implicit VR Little Endian",),
        "Secondary Capture Image Storage": ("Implicit VR Little Endian",),
    }
    assert next(each for each in view.takes if each.name == "MR Image Storage").refused == "SOP class not supported"
    stored = decode(data, "1.2.840.10008.1.2")
    assert stored.text(0x00100020) == PATIENT_ID
    assert stored.text(0x00081030) == DESCRIPTION
    assert len(stored[0x7FE00010].value) == 64 * 64
    out = (await site.room.show("VNA")).ends[1]
    assert out.associations == 4, "what is negotiated in a test is what is negotiated in practice"
    assert any(each.name == "CT Image Storage" and each.accepted for each in out.contexts)


async def test_nothing_is_stored_unless_asked(site: Site) -> None:
    async with serving(policy=CtOnly()) as served:
        view = await outcome(site, served.port)
        assert served.store.objects == {}
    assert "test object" not in states(view)


@pytest.mark.parametrize(
    ("codes", "means", "asks"),
    [
        ((1, 1, 3), "does not know us as a caller", 'register our AE title "RADNODE1", calling from 127.0.0.1'),
        ((1, 1, 7), "does not answer to the AE title that we call", 'we call "VNA"'),
        ((2, 3, 2), "as many associations as it may", "raise the limit"),
    ],
)
async def test_a_rejection_is_told_in_plain_words(site: Site, codes: tuple[int, ...], means: str, asks: str) -> None:
    async with serving(policy=Strict(*codes)) as served:
        view = await outcome(site, served.port)
    assert view.failed == "association"
    assert states(view)["TCP"] == "ok"
    assert states(view)["echo"] == "skipped"
    assert means in view.meaning
    assert asks in view.letter
    assert f"127.0.0.1 port {served.port}" in view.letter
    assert "2026-01-01" in view.letter


async def test_a_port_where_nothing_listens_fails_at_tcp(site: Site) -> None:
    async with serving() as served:
        port = served.port
    view = await outcome(site, port)
    assert view.failed == "TCP"
    assert "no program listens on that port" in view.meaning
    assert f"we use {port}" in view.letter


async def test_a_name_that_is_unknown_fails_at_the_name(site: Site) -> None:
    view = await outcome(site, 104, host="no.such.host.invalid")
    assert view.failed == "name"
    assert "IP address" in view.letter


async def test_a_test_that_runs_is_not_begun_twice(site: Site) -> None:
    await site.room.test("CT one")
    with pytest.raises(Unavailable, match="being tested"):
        await site.room.test("CT one")


@asynccontextmanager
async def speaking_tls(context: ssl.SSLContext) -> AsyncIterator[int]:
    """Yield a port that speaks TLS, and nothing over it."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.read(1)
        except OSError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def context_of(authority: Authority, name: str, days: int = 90, address: str = "IP:127.0.0.1") -> ssl.SSLContext:
    pair = authority.sign(name, days, address)
    return server_context(str(pair.certificate), str(pair.key), "", mutual=False)


@needed
async def test_a_certificate_for_another_name_is_told_with_the_names_that_it_has(
    site: Site, authority: Authority
) -> None:
    ca = str(authority.pair.certificate)
    async with speaking_tls(context_of(authority, "elsewhere", address="DNS:vna.example.org")) as port:
        view = await outcome(site, port, tls="name", ca=ca)
    assert view.failed == "TLS"
    assert "vna.example.org" in view.meaning
    assert "subject alternative names hold 127.0.0.1" in view.letter


@needed
async def test_a_peer_that_wants_our_certificate_is_told(site: Site, authority: Authority) -> None:
    pair, ours, ca = authority.sign("mutual"), authority.sign("ours"), str(authority.pair.certificate)
    context = server_context(str(pair.certificate), str(pair.key), ca, mutual=True)
    async with speaking_tls(context) as port:
        view = await outcome(site, port, tls="name", ca=ca)
        assert view.failed == "TLS"
        assert "only callers with a certificate that it trusts" in view.meaning
        await site.room.edit("VNA", certificate=str(ours.certificate), key=str(ours.key))
        await site.room.test("VNA")
        while site.room._running:
            await asyncio.wait(site.room._running)
        assert states(await site.room.tested("VNA"))["TLS"] == "ok"


@needed
async def test_a_certificate_of_an_authority_that_nobody_trusts(site: Site, authority: Authority) -> None:
    async with speaking_tls(context_of(authority, "untrusted")) as port:
        view = await outcome(site, port, tls="on")
    assert view.failed == "TLS"
    assert "send us the certificate (PEM) of the authority" in view.letter


@needed
async def test_a_certificate_that_ends_soon_is_a_warning_and_a_problem(site: Site, authority: Authority) -> None:
    site.clock.jump((datetime.now(UTC) - site.clock.now()).total_seconds())
    async with speaking_tls(context_of(authority, "soon", days=9)) as port:
        view = await outcome(site, port, tls="name", ca=str(authority.pair.certificate))
    assert step(view, "TLS").state == "warn"
    assert "TLSv1.3; soon for 127.0.0.1, by Test CA ca" in step(view, "TLS").detail
    row = next(row for row in await site.room.list() if row.name == "VNA")
    assert row.tls_until is not None
    (problem,) = [p for p in site.room.seen.problems() if p[0] == "peer-certificate VNA"]
    assert "days only, until" in problem[2]


@needed
async def test_a_peer_that_speaks_tls_where_plain_is_expected(site: Site, authority: Authority) -> None:
    async with speaking_tls(context_of(authority, "plain")) as port:
        view = await outcome(site, port)
    assert view.failed == "association"
    assert "set its tls to on" in view.meaning


async def test_a_port_that_speaks_no_tls(site: Site) -> None:
    async with serving() as served:
        view = await outcome(site, served.port, tls="on")
    assert view.failed == "TLS"
    assert "plain DICOM" in view.letter


@needed
def test_a_certificate_is_read_as_openssl_made_it(authority: Authority) -> None:
    pair = authority.sign("reader", 40, "DNS:a.example.org,DNS:b.example.org,IP:2001:db8::1")
    told = certificates.read(ssl.PEM_cert_to_DER_cert(pair.certificate.read_text()))
    assert (told.subject, told.issuer) == ("reader", "Test CA ca")
    assert told.names == ("a.example.org", "b.example.org", "2001:db8::1")
    assert (told.ends - told.begins).days == 40


@given(st.binary(max_size=200) | st.binary(max_size=80).map(lambda rest: b"\x30\x82\x00\x90\x30\x81\x80" + rest))
def test_bytes_that_are_no_certificate_are_refused_as_that(data: bytes) -> None:
    with pytest.raises(ValueError):
        certificates.read(data)
