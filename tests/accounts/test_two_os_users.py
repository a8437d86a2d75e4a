"""A node as two OS users of one machine see it: one is its administrator, the other one may only watch."""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pkgutil
import pwd
import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import pacstui.cli
from pacstui.api import plain
from pacstui.cli import main
from pacstui.contract import all_actions
from pacstui.errors import Denied, PacsError
from tests.archive.objects import Object
from tests.running import NodeProcess, running_node
from tests.services.test_query import keep

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can be another user for a while")
NOBODY = pwd.getpwnam("nobody")
SEEDED = ("Zebrafish", "Quokka", "ID-471147", "ACC-99")


@pytest.fixture
def node() -> Iterator[NodeProcess]:
    folder = Path(tempfile.mkdtemp(prefix="pacstui-test-"))
    folder.chmod(0o755)
    try:
        with running_node(folder / "node") as running:
            (folder / "node").chmod(0o755)
            (folder / "node" / "pacstui.toml").chmod(0o644)
            keep(
                running,
                Object(name="Zebrafish^Quokka", patient="ID-471147", accession="ACC-99"),
                Object(name="Zebrafish^Quokka", patient="ID-471147", accession="ACC-99"),
            )
            yield running
    finally:
        shutil.rmtree(folder)


def as_nobody(work: Callable[[], Any]) -> Any:
    """Return what ``work`` returns (as JSON) in a process of another user."""
    for module in pkgutil.iter_modules(pacstui.cli.__path__):
        importlib.import_module(f"pacstui.cli.{module.name}")
    "".encode("idna").decode("ascii")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            os.setgroups([])
            os.setgid(NOBODY.pw_gid)
            os.setuid(NOBODY.pw_uid)
            os.environ["HOME"] = "/nonexistent"
            os.write(write, json.dumps(work()).encode())
            status = 0
        finally:
            os._exit(status)
    os.close(write)
    with os.fdopen(read, "rb") as told:
        text = told.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(text)


def call(node: NodeProcess, noun: str, method: str, **arguments: Any) -> Any:
    """Call as nobody; an error is its code and message."""

    def work() -> Any:
        try:
            return plain.call(node.data_dir, noun, method, **arguments)
        except PacsError as fault:
            return {"code": fault.code, "message": fault.message}

    return as_nobody(work)


def command(node: NodeProcess, *words: str) -> str:
    """Return everything that a command prints, for nobody."""

    def work() -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
            main(["--config", str(node.folder / "pacstui.toml"), *words])
        return out.getvalue()

    return str(as_nobody(work))


def test_who_has_no_account_does_not_even_reach_the_socket_until_there_is_a_reason(node: NodeProcess) -> None:
    assert call(node, "node", "status")["code"] == "denied"
    assert oct((node.data_dir / plain.SOCKET_NAME).stat().st_mode & 0o777) == "0o600"
    node.call("accounts", "create", name="eva", role="viewer", os_user="nobody")
    assert call(node, "node", "status")["health"] == "ok"
    node.call("accounts", "delete", name="eva")
    assert call(node, "node", "status")["code"] == "denied"
    assert oct(node.data_dir.stat().st_mode & 0o777) == "0o700"
    node.call("accounts", "create", name="otto", role="viewer")  # with a one-time password: nobody may sign in
    told = call(node, "node", "status")
    assert told == {"code": "denied", "message": "nobody has no account on this node"}


def test_nothing_but_the_socket_is_open_to_the_other_user(node: NodeProcess) -> None:
    node.call("accounts", "create", name="eva", role="viewer", os_user="nobody")

    def look() -> list[str]:
        found = []
        for name in ("index.db", "index.db-wal", "audit.key", "audit.head", "session", "lock", "objects", "journal",
                     "incoming", "."):  # fmt: skip
            path = node.data_dir / name
            with contextlib.suppress(PermissionError):
                os.listdir(path) if name in ("objects", "journal", "incoming", ".") else path.read_bytes()
                found.append(name)
        return found

    assert as_nobody(look) == []


def test_the_viewer_sees_no_patient_and_changes_nothing_and_the_administrator_reads_who_tried(
    node: NodeProcess,
) -> None:
    node.call("accounts", "create", name="eva", role="viewer", os_user="nobody")
    assert call(node, "accounts", "me")["account"] == "eva"
    assert call(node, "node", "stop") == {
        "code": "denied",
        "message": "eva may not do this (stop the node: finish running associations, then end): it takes the "
                   "permission node.stop",
    }  # fmt: skip
    texts = {
        words: command(node, *words)
        for words in (
            ("studies", "list"), ("studies", "list", "--json"), ("queue", "list"), ("events",), ("status", "--json"),
            ("storage", "missing"), ("accounts", "list"), ("audit", "list"), ("doctor",), ("associations", "list"),
        )
    }  # fmt: skip
    assert "\u2022" in texts["studies", "list"]
    assert "\\u2022" in texts["studies", "list", "--json"]
    assert "takes the permission" in texts["accounts", "list"]
    study = node.call("studies", "list")["rows"][0]["study"]
    texts["show",] = command(node, "studies", "show", study)
    assert study in texts["show",]
    texts["log",] = node.log
    for words, text in texts.items():
        assert not [seed for seed in SEEDED if seed.lower() in text.lower()], words
    assert "Zebrafish" in json.dumps(node.call("studies", "list"))
    tried = node.call("audit", "list", who="eva", kind="denied")["rows"]
    assert {row["action"] for row in tried} >= {"node.stop", "accounts.list", "audit.list"}
    assert node.call("node", "status")["health"] == "ok"


def test_an_administrator_of_another_os_user_may_what_root_may(node: NodeProcess) -> None:
    node.call("accounts", "create", name="eva", role="administrator", os_user="nobody")
    assert "Zebrafish" in command(node, "studies", "list")
    assert "eva" in command(node, "accounts", "list")
    assert "done" in command(node, "accounts", "disable", "root", "--yes")
    with pytest.raises(Denied, match="is disabled"):
        node.call("node", "status")
    node.call("accounts", "recover", name="root")
    assert node.call("node", "status")["health"] == "ok"
    assert call(node, "accounts", "recover", name="eva")["code"] == "denied"


def request(action: bytes, body: bytes, header: bytes = b"X: y", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"POST /v1/%s HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n%s" % (action, header, size, body)


def test_odd_and_oversized_requests_do_no_harm(node: NodeProcess) -> None:
    node.call("accounts", "create", name="eva", role="viewer", os_user="nobody")
    path = str(node.data_dir / plain.SOCKET_NAME)

    def attack() -> int:
        dice = random.Random(4711)
        kept: list[socket.socket] = []
        names = list(all_actions())
        for number in range(400):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            with contextlib.suppress(OSError):
                sock.connect(path)
                kind = number % 8
                name = dice.choice(names).replace(".", "/").encode()
                body = bytes(dice.randrange(256) for _ in range(dice.randrange(200)))
                if kind == 0:
                    sock.sendall(body)
                elif kind == 1:
                    sock.sendall(request(name, body))
                    sock.recv(100)
                elif kind == 2:
                    sock.sendall(request(name, b"", length=99999999))  # and nothing more
                elif kind == 3:
                    sock.sendall(b"GET /v1/" + b"a" * 70000 + b" HTTP/1.1\r\n\r\n")
                elif kind == 4:
                    sock.sendall(request(b"accounts/sign_in", b"{}", b"Authorization: Bearer " + b"\xff" * 50))
                    sock.recv(100)
                elif kind == 5:
                    sock.sendall(b"GET /v1/stream?interval=nan HTTP/1.1\r\nHost: x\r\n\r\n")
                    sock.recv(100)
                elif kind == 6:
                    sock.sendall(request(b"accounts/create", b"[" * 5000))
                    sock.recv(100)
                else:
                    sock.sendall(b"POST /v1/accounts/me HTTP/1.1\r\n")  # and nothing more
            if kind in (2, 7):
                kept.append(sock)
            else:
                sock.close()
        return len(kept)

    assert as_nobody(attack) > 64
    assert node.call("node", "status")["health"] == "ok"  # the owner gets in, however many the other one holds
    assert "Traceback" not in node.log
    assert node.call("audit", "verify")["flaws"] == []
