"""Targets over SFTP, with OpenSSH's own server."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from pacstui.archive import Archive
from pacstui.backups import packs, prune
from pacstui.backups.sftp import SftpStore
from pacstui.backups.spec import Spec
from pacstui.errors import NotFound, SettingsError, Unavailable
from tests.backups.conftest import Place, contents, fill
from tests.running import free_port, until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(SSHD is None, reason="there is no sshd here")


class Server:
    """An sshd of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        for name in ("host", "user", "other"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", folder / name], check=True)
        shutil.copy(folder / "user.pub", folder / "authorized")
        self.known = folder / "known_hosts"
        self.known.write_text(f"[127.0.0.1]:{self.port} {(folder / 'host.pub').read_text()}")
        (folder / "sshd.conf").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host'}\nPidFile none\nUsePAM no\n"
            f"AuthorizedKeysFile {folder / 'authorized'}\nStrictModes no\nPasswordAuthentication no\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\nMaxSessions 20\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        assert SSHD
        self.process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", folder / "sshd.conf"], stderr=(folder / "log").open("wb"), start_new_session=True
        )
        until(self._answers)

    def _answers(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
            return True
        return False

    def url(self, place: Path) -> str:
        return f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{place}"

    def spec(self, place: Path) -> Spec:
        return Spec("server", self.url(place), key_file=str(self.folder / "user"), known_hosts=str(self.known))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("sshd"))
    try:
        yield made
    finally:
        made.process.terminate()
        made.process.wait(10)


@pytest.fixture
def store(server: Server, tmp_path: Path) -> Iterator[SftpStore]:
    spec = server.spec(tmp_path / "there")
    made = SftpStore(spec.url, spec.key_file, spec.known_hosts, tmp_path / "spool")
    made.open(make=True)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def place(server: Server, archive: Archive, tmp_path: Path) -> Place:
    return Place(server.spec(tmp_path / "there"), archive.data_dir)


def test_a_server_keeps_what_it_is_given(store: SftpStore, tmp_path: Path) -> None:
    store.put("a/b", b"first")
    store.put("a/b", b"second")
    assert store.get("a/b") == (tmp_path / "there" / "a" / "b").read_bytes() == b"second"
    assert store.part("a/b", 2, 3) == b"con"
    assert store.part("a/b", 4, 100) == b"nd"
    assert store.create("a/x", b"1")
    assert not store.create("a/x", b"2")
    large = store.spool() / "large"
    large.write_bytes(os.urandom(9 << 20))
    store.put_file("large", large)
    assert b"".join(store.pieces("large")) == store.get("large") == large.read_bytes()
    assert dict(store.list("")) == {"a/b": 6, "a/x": 1, "large": 9 << 20}
    assert dict(store.list("a/")) == {"a/b": 6, "a/x": 1}
    assert list(store.list("nowhere/")) == []
    store.delete("a/x")
    store.delete("a/x")
    with pytest.raises(NotFound):
        store.get("a/x")
    assert (store.free() or 0) > 0
    (tmp_path / "there" / "tmp" / "left").write_bytes(b"of a run that was killed")
    store.clear()
    assert list((tmp_path / "there" / "tmp").iterdir()) == []


def test_links_are_not_followed(store: SftpStore, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("mine")
    (tmp_path / "there" / "link").symlink_to(tmp_path / "secret")
    assert list(store.list("")) == []
    with pytest.raises(Unavailable, match="no ordinary file"):
        store.get("link")
    with pytest.raises(Unavailable, match="leads out"):
        store.get("../secret")


async def test_an_archive_goes_to_a_server_and_comes_back(
    place: Place, archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packs, "PACK_BYTES", 20_000)
    await fill(archive, 6)
    await fill(archive, 1, pixels=60_000)
    assert place.take().manifest.instances == 7
    assert place.take().manifest.new_instances == 0
    assert place.verify(fresh=True).ok
    target = place.target(keep={"last": 1})
    target.open()
    assert prune.prune(target, "tester", place.watch()).snapshots == 1
    target.close()
    assert place.restore(tmp_path / "back").failed_total == 0
    assert contents(tmp_path / "back") == contents(archive.data_dir)


async def test_another_host_key_is_refused(place: Place, archive: Archive, server: Server, tmp_path: Path) -> None:
    await fill(archive, 1)
    wrong = tmp_path / "known"
    wrong.write_text(f"[127.0.0.1]:{server.port} {(server.folder / 'other.pub').read_text()}")
    place.spec = replace(place.spec, known_hosts=str(wrong))
    with pytest.raises(Unavailable, match="host key"):
        place.take()
    place.spec = replace(place.spec, known_hosts=str(tmp_path / "nothing"))
    with pytest.raises(SettingsError, match="no host key is known") as told:
        place.take()
    assert "ssh-keyscan" in told.value.hint
    assert not (tmp_path / "there").exists()


async def test_a_key_that_is_not_let_in_is_told(place: Place, archive: Archive, server: Server, tmp_path: Path) -> None:
    await fill(archive, 1)
    place.spec = replace(place.spec, key_file=str(server.folder / "other"))
    with pytest.raises(Unavailable, match="does not let us in"):
        place.take()
    place.spec = replace(place.spec, key_file=str(tmp_path / "nothing"))
    with pytest.raises(SettingsError, match="key"):
        place.take()


def test_a_server_that_is_not_there_is_told(server: Server, tmp_path: Path) -> None:
    url = f"sftp://x@127.0.0.1:{free_port()}/there"
    store = SftpStore(url, str(server.folder / "user"), str(server.known), tmp_path / "spool")
    with pytest.raises(Unavailable, match="cannot be reached"):
        store.open(make=False)
    store.close()


async def test_a_server_that_stops_answering_ends_the_run(
    place: Place, archive: Archive, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacstui.backups.sftp._ANSWER_S", 1.0)
    monkeypatch.setattr("pacstui.backups.sftp._BYTES_PER_S", 1 << 40)
    await fill(archive, 2)
    place.take()
    target = place.target()
    target.open()
    children = [each.pid for each in psutil.Process(server.process.pid).children(recursive=True)]
    for pid in children:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="answer"):
            target.store.put("x", b"data")
    finally:
        for pid in children:
            os.kill(pid, signal.SIGCONT)
        target.close()


def test_the_node_does_not_load_it_at_its_start() -> None:
    script = (
        "import sys, pacstui.node\n"
        "print([each for each in ('asyncssh', 'cryptography', 'obstore', 'pyrage') if each in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
