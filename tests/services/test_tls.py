"""DICOM over TLS, with DCMTK and openssl on the other side (PS3.15 B.9, B.10)."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from pacstui.dicom.net.listener import Listener
from pacstui.dicom.net.requestor import associate
from pacstui.dicom.net.service import EchoService, OpenPolicy
from pacstui.dicom.net.tls import _not_after, client_context, expiries, server_context
from pacstui.dicom.uids import VERIFICATION
from tests.archive.objects import Object
from tests.interop import dcmtk
from tests.interop.kept import kept
from tests.interop.samples import sample
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.certificates import Authority, Pair, needed
from tests.services.test_query import keep

pytestmark = needed


@dataclass
class World:
    ca: Authority
    ours: Pair
    theirs: Pair


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    ca = Authority(tmp_path_factory.mktemp("tls"))
    return World(ca, ca.sign("node"), ca.sign("peer"))


def config(world: World, port: int, *more: str) -> str:
    lines = [
        "[tls]", f"port = {port}", f'certificate = "{world.ours.certificate}"', f'key = "{world.ours.key}"',
        f'ca = "{world.ca.pair.certificate}"', *more,
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


@contextmanager
def place(world: World, folder: Path, *more: str) -> Iterator[tuple[NodeProcess, int]]:
    port = free_port()
    with running_node(folder, config(world, port, *more)) as node:
        yield node, port


def options(pair: Pair, world: World) -> list[str]:
    return ["+tls", str(pair.key), str(pair.certificate), "+cf", str(world.ca.pair.certificate)]


@dcmtk.needed
def test_dcmtk_echoes_stores_and_finds_over_tls(world: World, tmp_path: Path) -> None:
    with place(world, tmp_path / "node") as (node, port):
        told = dcmtk.run("echoscu", port, *options(world.theirs, world))
        if "not compiled" in told.out:
            pytest.skip("this DCMTK has no TLS")
        assert told.code == 0, told.out
        assert dcmtk.run("echoscu", node.port).code == 0, "the plain port is there too"
        ran = dcmtk.run("storescu", port, *options(world.theirs, world), "--", str(sample("CT_small.dcm")))
        assert ran.code == 0, ran.out
        assert len(kept(node)) == 1
        study = str(dcmread(sample("CT_small.dcm")).StudyInstanceUID)
        found = dcmtk.run("findscu", port, *options(world.theirs, world), "-S", "-k", "QueryRetrieveLevel=STUDY", "-k",
                          "StudyInstanceUID")  # fmt: skip
        assert (found.code, study in found.out) == (0, True), found.out


def hello(port: int, context: ssl.SSLContext) -> str:
    """Return the version that was agreed, or why it was not; that a certificate is missing is told later."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            with context.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
                return wrapped.version() or ""
    except (ssl.SSLError, ConnectionError) as error:
        return f"refused: {getattr(error, 'reason', error)}"


def caller(world: World, pair: Pair | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(world.ca.pair.certificate))
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context


def refusals(node: NodeProcess) -> list[str]:
    return [row["text"] for row in node.call("associations", "refusals")]


def test_who_has_no_trusted_certificate_is_refused_by_name(world: World, tmp_path: Path) -> None:
    with place(world, tmp_path / "node") as (node, port):
        hello(port, caller(world, None))
        until(lambda: "the caller has no certificate" in refusals(node))
        stranger = Authority(tmp_path / "other", "other").sign("stranger")
        hello(port, caller(world, stranger))
        until(lambda: "the certificate of the other side is signed by nobody that is trusted" in refusals(node))
        with socket.create_connection(("127.0.0.1", port)) as plain:
            plain.sendall(b"\x01\x00\x00\x00\x00\x80" + bytes(128))
            until(lambda: any("does not speak TLS" in text for text in refusals(node)))
        with socket.create_connection(("127.0.0.1", port)) as web:
            web.sendall(b"GET / HTTP/1.1\r\n\r\n")
            until(lambda: "an HTTP request came on the TLS port" in refusals(node))
        assert "Traceback" not in node.log


def test_old_versions_are_not_spoken_and_new_ones_are(world: World, tmp_path: Path) -> None:
    with place(world, tmp_path / "node", "client_certificates = false") as (node, port):
        context = caller(world, None)
        assert hello(port, context) == "TLSv1.3"
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert hello(port, context) == "TLSv1.2"
        context.set_ciphers("AES128-SHA256")  # without forward secrecy
        assert hello(port, context).startswith("refused")
        until(lambda: any("cipher suite" in text for text in refusals(node)))
    with place(world, tmp_path / "newer", "client_certificates = false", 'oldest = "1.3"', "plain = false") as (
        node, port,
    ):  # fmt: skip
        context = caller(world, None)
        assert hello(port, context) == "TLSv1.3"
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        assert hello(port, context).startswith("refused")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", node.port), timeout=5)


async def test_silent_handshakes_keep_nobody_out_and_delay_no_stop(world: World) -> None:
    context = server_context(str(world.ours.certificate), str(world.ours.key), "", mutual=False)
    listener = Listener(OpenPolicy(), lambda *_: EchoService(), max_connections=1)
    port = await listener.start("127.0.0.1", 0, lambda: context)
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(80)]
    trusting = client_context("", "", str(world.ca.pair.certificate), check_host=False)
    syntaxes = ("1.2.840.10008.1.2",)
    async with associate(
        "127.0.0.1", port, called="A", calling="B", contexts=[(VERIFICATION, syntaxes)], tls=trusting
    ) as association:
        assert await association.echo() == 0
    async with asyncio.timeout(2):
        await listener.close(9)
    assert not listener.connections
    for _, writer in silent:
        writer.close()


@dcmtk.needed
def test_peers_are_called_over_tls(world: World, tmp_path: Path) -> None:
    storescp = dcmtk.program("storescp")
    if "+tls" not in subprocess.run([storescp, "--help"], capture_output=True, text=True, check=False).stdout:
        pytest.skip("this DCMTK has no TLS")
    peer, port = free_port(), free_port()
    peers = (
        f'[[peers]]\nname = "safe"\nae_title = "WS1"\nhost = "127.0.0.1"\nport = {peer}\ntls = true\n'
        f'[[peers]]\nname = "plain"\nae_title = "WS2"\nhost = "127.0.0.1"\nport = {peer}\n'
    )
    (tmp_path / "got").mkdir()
    with running_node(tmp_path / "node", config(world, port) + peers) as node:
        receiver = subprocess.Popen(
            [storescp, "-aet", "WS1", "-od", str(tmp_path / "got"), "+tls", str(world.theirs.key),
             str(world.theirs.certificate), "+cf", str(world.ca.pair.certificate), str(peer)],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            until(lambda: node.call("peers", "echo", name="safe")["ok"])
            result = node.call("peers", "echo", name="plain")
            assert not result["ok"]
            first = Object()
            keep(node, first, first.beside())
            moved = dcmtk.run("movescu", node.port, "-S", "-aem", "WS1", "-k", "QueryRetrieveLevel=STUDY", "-k",
                              f"StudyInstanceUID={first.study}")  # fmt: skip
            assert moved.code == 0, moved.out
            assert len(list((tmp_path / "got").iterdir())) == 2
        finally:
            receiver.terminate()
            receiver.wait(10)


def doctor(node: NodeProcess) -> dict[str, dict[str, str]]:
    ran = subprocess.run(
        [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), "doctor", "--json"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return {each["check"]: each for each in json.loads(ran.stdout)["checks"]}


def test_the_doctor_knows_when_certificates_expire_and_a_reload_takes_new_ones(world: World, tmp_path: Path) -> None:
    ours = Pair(tmp_path / "ours.pem", tmp_path / "ours.key")
    short = world.ca.sign("short", days=10)
    shutil.copy(short.certificate, ours.certificate)
    shutil.copy(short.key, ours.key)
    with place(World(world.ca, ours, world.theirs), tmp_path / "node", "client_certificates = false") as (node, port):
        found = doctor(node)
        assert found["certificate"]["level"] == "warn"
        assert "9 days" in found["certificate"]["text"] or "10 days" in found["certificate"]["text"]
        assert found["ca"]["level"] == "ok"

        def serial() -> str:
            with socket.create_connection(("127.0.0.1", port)) as raw:
                with caller(world, None).wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
                    return str(dict(wrapped.getpeercert() or {})["serialNumber"])

        before = serial()
        shutil.copy(world.ours.certificate, ours.certificate)
        shutil.copy(world.ours.key, ours.key)
        node.signal(signal.SIGHUP)
        until(lambda: serial() != before)
        assert doctor(node)["certificate"]["level"] == "ok"
        os.truncate(ours.certificate, 100)
        node.signal(signal.SIGHUP)
        until(lambda: "certificates were not read anew" in node.log)
        assert serial() != before, "the old ones stay in use"


@pytest.mark.parametrize("what", ["missing", "no certificate", "another's key"])
def test_certificates_that_cannot_be_used_are_told_at_the_start(world: World, tmp_path: Path, what: str) -> None:
    ours = {
        "missing": Pair(tmp_path / "nowhere.pem", world.ours.key),
        "no certificate": Pair(world.ours.key, world.ours.key),
        "another's key": Pair(world.ours.certificate, world.theirs.key),
    }[what]
    node = NodeProcess(tmp_path / "node", config=config(World(world.ca, ours, world.theirs), free_port()))
    with pytest.raises(AssertionError, match="ended at start with 1"):
        node.start()
    assert "[tls] certificate" in node.log
    assert "Traceback" not in node.log


def test_until_when_a_certificate_is_valid(world: World) -> None:
    (ends,) = expiries(world.ours.certificate)
    assert timedelta(days=88) < ends - datetime.now(UTC) < timedelta(days=91)
    with pytest.raises(ValueError, match="no certificate"):
        expiries(world.ours.key)


@given(st.binary(max_size=200))
def test_any_bytes_for_a_certificate_are_refused_with_words(data: bytes) -> None:
    try:
        _not_after(data)
    except (ValueError, IndexError, UnicodeDecodeError):
        return
