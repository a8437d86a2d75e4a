"""The command line's way to the node: one call, standard library only, so that ``pacstui status`` is quick."""

from __future__ import annotations

import http.client
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pacstui import errors

SOCKET_NAME = "control.sock"
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
    folder = os.open(socket_path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{socket_path.name}"
    finally:
        os.close(folder)


def not_running(data_dir: Path) -> errors.NotRunning:
    """Return the error for a data directory whose node does not answer."""
    return errors.NotRunning(f"no node is running for {data_dir}", "start one with: pacstui serve")


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
        connection.request("POST", path, body=body, headers={"Content-Type": content})
        answer = connection.getresponse()
        text = answer.read()
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        raise not_running(data_dir) from None
    except PermissionError:
        raise errors.Denied(
            f"the node of {data_dir} belongs to another user", "run this as that user or as root"
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
