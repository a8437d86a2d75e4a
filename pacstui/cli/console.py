"""``pacstui`` without a command: the console, attached to the running node or to one that it starts.

The node is a process in a session of its own: neither a stalled terminal nor its hangup reaches it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from pacstui.api import plain
from pacstui.cli.doors import Door
from pacstui.configuration import CONFIG_VARIABLE, PREFIX, Loaded, load
from pacstui.errors import NotRunning, PacsError
from pacstui.places import claim

LOG_NAME = "node.log"
_LOG_LIMIT = 20 * 1024 * 1024
_START_S = 30.0
_LOOK_S = 0.02


def running(data_dir: Path) -> bool:
    """Return whether a node answers for ``data_dir``; raise when one is there that this user may not ask."""
    try:
        plain.call(data_dir, "accounts", "me", timeout=10)
    except NotRunning:
        return False
    return True


@dataclass
class Starter:
    """Starts a node as a separate process and waits until it answers."""

    loaded: Loaded
    started: list[int] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        """The node's data directory."""
        return self.loaded.settings.node.data_dir

    def __call__(self) -> None:
        """Start the node.

        Raises
        ------
        PacsError
            With the last lines of the node's log when it ended at once, or when it does not answer in time.
        """
        log = self._log_file()
        with log.open("ab") as stream:
            before = stream.tell()
            process = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                cwd="/",
                env=self._environment(),
                start_new_session=True,
            )
        end = time.monotonic() + _START_S
        while time.monotonic() < end:
            if process.poll() is not None:
                raise PacsError(f"the node ended at once: {_last_words(log, before)}", f"its log is {log}")
            try:
                if running(self.data_dir):
                    self.started.append(process.pid)
                    return
            except PacsError:  # it is there and busy starting
                pass
            time.sleep(_LOOK_S)
        raise PacsError(f"the node does not answer after {_START_S:.0f} s", f"its log is {log}")

    def _command(self) -> list[str]:
        source = self.loaded.source
        named = ["--config", os.path.abspath(source)] if source is not None else []
        return [sys.executable, "-P", "-m", "pacstui", *named, "serve"]

    def _environment(self) -> dict[str, str]:
        environment = dict(os.environ)
        environment.pop(CONFIG_VARIABLE, None)
        environment[f"{PREFIX}NODE__DATA_DIR"] = str(self.data_dir)
        return environment

    def _log_file(self) -> Path:
        claim(self.data_dir)
        log = self.data_dir / LOG_NAME
        if log.exists() and log.stat().st_size > _LOG_LIMIT:
            log.replace(log.with_name(f"{LOG_NAME}.1"))
        log.touch(mode=0o600)
        return log


def _last_words(log: Path, start: int) -> str:
    with log.open("rb") as stream:
        stream.seek(start)
        lines = stream.read()[-4096:].decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it left no word"


def open_console(door: Door) -> int:
    """Open the console on the configured node, starting it if it does not run; return the exit code."""
    loaded = load(door.config)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise PacsError("the console needs a terminal", "pacstui status, pacstui serve and the other commands do not")
    starter = Starter(loaded)
    owned = not running(starter.data_dir)
    if owned:
        starter()
    from screens.launch import run_console

    socket = starter.data_dir / plain.SOCKET_NAME
    return run_console(socket, start_node=starter, owned=owned, settings=loaded.settings.console)
