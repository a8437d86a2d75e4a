"""The command line's way to the node: one call, standard library only, so that ``pacstui status`` is quick."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from pacstui import errors

SOCKET_NAME = "control.sock"
TOKEN_FILE = "PACSTUI_TOKEN_FILE"  # noqa: S105 - its name, no token
"""Variable with the name of a file that holds a token; the option ``--token-file`` sets it."""
_PATH_LIMIT = 100  # sun_path holds 108 bytes

_ERRORS = {c.code: c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.PacsError)}


@contextmanager
def reachable(socket_path: Path) -> Iterator[str]:
    """Yield a path for ``socket_path`` that fits into a socket address, however deep its folder lies.

    A path over the limit is reached through an open descriptor of its folder.
    """
    direct = str(socket_path)
    if len(os.fsencode(direct)) <= _PATH_LIMIT:
        yield direct
        return
    folder = os.open(socket_path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket_path.name}"
    finally:
        os.close(folder)


def token_path(data_dir: Path) -> Path:
    """Return where the command line keeps the token of a sign-in at the node of ``data_dir``."""
    base = os.environ.get("XDG_STATE_HOME", "")
    state = Path(base) if base.startswith("/") else Path.home() / ".local" / "state"
    name = sha256(os.fsencode(data_dir.absolute())).hexdigest()[:16]
    return state / "pacstui" / f"sign-in-{name}"


def kept_token(data_dir: Path) -> str:
    """Return the token of a service or a sign-in: ``PACSTUI_TOKEN``, else what is in ``PACSTUI_TOKEN_FILE``, else the
    one of a sign-in that was kept; empty if there is none.

    Raises
    ------
    BadRequest
        When the file that is named cannot be read, or holds something else: it is not gone on as somebody else.
    """
    told = os.environ.get("PACSTUI_TOKEN", "").strip()
    if told:
        return told
    file = os.environ.get(TOKEN_FILE, "")
    if file:
        return _token_in(Path(file))
    try:
        return token_path(data_dir).read_text("ascii").strip()
    except (OSError, ValueError, RuntimeError):
        return ""


def _token_in(file: Path) -> str:
    try:
        with file.open("rb") as inside:
            told = inside.read(1024).decode("ascii").strip()
    except OSError as error:
        raise errors.BadRequest(f"the token file {file} cannot be read: {error.strerror}", "see --token-file") from None
    except ValueError:
        told = ""
    if not told or len(told.split()) > 1 or not told.isprintable():
        raise errors.BadRequest(
            f"the token file {file} holds no token", "one line, as pacstui accounts token create told it"
        )
    return told


def keep_token(data_dir: Path, token: str) -> None:
    """Keep the token of a sign-in for commands to come, for this user's eyes only; an empty one ends that."""
    path = token_path(data_dir)
    if not token:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(token + "\n")


start_command = "pacstui serve"
"""What starts the node that commands of this process mean."""


def not_running(data_dir: Path) -> errors.NotRunning:
    """Return the error for a data directory whose node does not answer."""
    return errors.NotRunning(f"no node is running for {data_dir}", f"start one with: {start_command}")


def error_from(body: object) -> errors.PacsError:
    """Return the error that an answer's body stands for."""
    told = body.get("error") if isinstance(body, dict) else None
    if not isinstance(told, dict):
        return errors.PacsError("the node's answer could not be read", "are node and caller of one version?")
    kind = _ERRORS.get(str(told.get("code")), errors.PacsError)
    return kind(str(told.get("message", "")), str(told.get("hint", "")))


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("node", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with reachable(self._path) as path:
            self.sock.connect(path)


def _headers(data_dir: Path, content: str) -> dict[str, str]:
    token = kept_token(data_dir)
    return {"Content-Type": content} | ({"Authorization": f"Bearer {token}"} if token else {})


def exchange(
    data_dir: Path,
    path: str,
    body: bytes | Iterable[bytes],
    *,
    timeout: float = 30.0,
    content: str = "application/json",
) -> Any:
    """Send one POST to the node of ``data_dir`` and return its decoded JSON answer.

    Raises
    ------
    NotRunning
        Nobody listens on the control socket.
    PacsError
        The node's own answer, as it was raised there.
    """
    connection = _UnixConnection(data_dir / SOCKET_NAME, timeout)
    try:
        connection.request("POST", path, body=body, headers=_headers(data_dir, content))
        answer = connection.getresponse()
        text = answer.read()
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise not_running(data_dir) from None
    except PermissionError:
        raise errors.Denied(
            f"the node of {data_dir} lets only its own user in",
            "run this as that user, or let others in: [accounts] reach",
        ) from None
    except TimeoutError:
        raise errors.Unavailable(
            f"the node of {data_dir} did not answer within {timeout:.0f} s",
            "look at its log; is the machine overloaded?",
        ) from None
    except (OSError, http.client.HTTPException) as fault:
        raise errors.Unavailable(f"the node of {data_dir} ended the call: {fault}", "is it just stopping?") from None
    finally:
        connection.close()
    try:
        decoded = json.loads(text)
    except ValueError:
        raise error_from(None) from None
    if answer.status != 200:
        raise error_from(decoded)
    return decoded


def call(data_dir: Path, noun: str, method: str, *, timeout: float = 30.0, **arguments: Any) -> Any:
    """Call one contract action of the node of ``data_dir``; return its result as JSON values (see `exchange`)."""
    return exchange(data_dir, f"/v1/{noun}/{method}", json.dumps(arguments).encode(), timeout=timeout)
