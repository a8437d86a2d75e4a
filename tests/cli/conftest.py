"""A node that is none: a Unix socket that answers each action with what a test put there."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pacstui.api import wire
from pacstui.api.plain import SOCKET_NAME
from pacstui.cli import main
from pacstui.errors import NotFound, PacsError


@dataclass
class FakeNode:
    """Answers by action name; a `PacsError` among the answers is raised at the caller's end."""

    data_dir: Path
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    imports: list[tuple[str, bytes]] = field(default_factory=list)
    import_answer: Callable[[str, bytes], Any] = lambda source, body: {
        "result": "stored",
        "reason": "",
        "sop_instance": "1.2",
    }

    def will_answer(self, name: str, value: Any) -> None:
        """Let the action ``noun.method`` answer ``value``: a contract value, plain JSON or an error."""
        noun, _, method = name.partition(".")
        if isinstance(value, PacsError):
            self.answers[name] = value
        else:
            adapter = wire.methods(noun)[method].result
            self.answers[name] = adapter.dump_python(adapter.validate_python(value), mode="json")

    def answer(self, path: str, body: bytes) -> tuple[int, Any]:
        """Return HTTP status and JSON for one request."""
        parts = urlsplit(path)
        if parts.path == "/v1/import":
            source = parse_qs(parts.query).get("source", [""])[0]
            self.imports.append((source, body))
            return 200, self.import_answer(source, body)
        noun, method = parts.path.removeprefix("/v1/").split("/")
        given = json.loads(body or b"{}")
        wire.methods(noun)[method].arguments(given)
        self.calls.append((f"{noun}.{method}", given))
        value = self.answers.get(f"{noun}.{method}", NotFound(f"no answer to {noun}.{method}"))
        if isinstance(value, list) and value and isinstance(value[0], StopIteration):
            raise AssertionError("no more answers")
        if isinstance(value, PacsError):
            return wire.error_status(value), wire.error_body(value)
        return 200, value


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "unix"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while length := int(self.rfile.readline().strip() or b"0", 16):
                body += self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", "0")))

    def do_POST(self) -> None:
        status, value = self.server.node.answer(self.path, self._body())  # type: ignore[attr-defined]
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data directory of the commands under test."""
    folder = tmp_path / "data"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("PACSTUI_NODE__DATA_DIR", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def fake_node(data_dir: Path) -> Iterator[FakeNode]:
    """A socket in the data directory that answers."""
    node = FakeNode(data_dir)
    with _Server(str(data_dir / SOCKET_NAME), _Handler) as server:
        server.node = node  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield node
        server.shutdown()
        thread.join()


@dataclass(frozen=True)
class Run:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


@pytest.fixture
def run(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Run a command in this process."""

    def command(*words: str) -> Run:
        with pytest.raises(SystemExit) as ended:
            main(list(words))
        printed = capsys.readouterr()
        code = ended.value.code
        return Run(code if isinstance(code, int) else 0 if code is None else 1, printed.out, printed.err)

    return command
