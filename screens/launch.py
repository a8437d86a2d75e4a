"""Running the console on this terminal, and what is said when it ends."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pacstui.text import safe
from screens import theme
from screens.app import ConsoleApp
from screens.terminal import Guard, Terminal


class ConsoleValues(Protocol):
    """What of the settings the console uses; ``settings.ConsoleSettings`` fits."""

    @property
    def refresh_s(self) -> float:
        """Seconds between views."""
        ...

    @property
    def theme(self) -> str:
        """auto, terminal or full."""
        ...

    @property
    def read_only(self) -> bool:
        """Whether to begin read-only."""
        ...


def log_path() -> Path:
    """Return where a crash of the console is written down, ``$XDG_STATE_HOME/pacstui/console.log``."""
    base = os.environ.get("XDG_STATE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".local" / "state") / "pacstui" / "console.log"


def write_log(text: str) -> str:
    """Append ``text`` to the console's log, readable by its owner only; return in words where it went."""
    path = log_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(fd, "a", encoding="utf-8", errors="backslashreplace") as out:
            out.write(f"--- {datetime.now(UTC).astimezone():%Y-%m-%d %H:%M:%S}\n{text}\n")
    except OSError as error:
        return f"it could not be written to {path}: {error.strerror}"
    return f"written to {path}"


def tell(text: str) -> None:
    """Say something on standard error, after the console or instead of it."""
    sys.stderr.write(f"pacstui: {text}\n")
    sys.stderr.flush()


def run_app(app: ConsoleApp) -> int:
    """Run ``app`` on this terminal and return the exit code; the terminal is always left as it was found."""
    guard = Guard(app.leave)
    guard.remember()
    app.on_ready = lambda: guard.watch(asyncio.get_running_loop())
    try:
        result = app.run()
    except Exception:  # noqa: BLE001 - whatever it was, it is written down and said in one line
        app.crash = app.crash or traceback.format_exc()
        result = 1
    finally:
        guard.restore()
        guard.finished()
    try:
        if app.crash:
            last = safe(app.crash.strip().rpartition("\n")[2], 200)
            tell(f"the console failed: {last} ({write_log(app.crash)}). The node is not affected.")
            return 1
        if app.parting:
            tell(app.parting)
    except OSError:  # the terminal is gone; there is nobody to tell
        pass
    return result if result is not None else (app.return_code or 0)


def run_console(socket: Path, *, start_node: Callable[[], None] | None, owned: bool, settings: ConsoleValues) -> int:
    """Open the console on the node behind ``socket`` and return the exit code.

    Parameters
    ----------
    start_node
        Starts a node in a session of its own; offered while none answers.
    owned
        Whether the caller has just started the node for this console.
    """
    if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
        tell("the console needs a terminal; without one there is: pacstui status")
        return 2
    from pacstui.api.client import ApiClient
    from pacstui.api.plain import kept_token

    app = ConsoleApp(
        ApiClient(socket, kept_token(socket.parent)),
        read_only=settings.read_only,
        refresh_s=settings.refresh_s,
        theme_kind=theme.choose(settings.theme),
        owned=owned,
        start_node=start_node,
        driver_class=Terminal,
    )
    return run_app(app)
