"""The console on a real pseudo-terminal: what it leaves behind, how much it sends, how it ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("on_a_fake_node.py")


class Pty:
    """A pseudo-terminal with the console in it, in a session of its own like a login shell's child."""

    def __init__(self, tmp_path: Path, width: int = 80, height: int = 24, **environ: str) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "TMUX", "NO_COLOR")}
        env |= {"TERM": "xterm-256color", "XDG_STATE_HOME": str(tmp_path), "TZ": "UTC", **environ}
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=env,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self.seen = b""

    def read(self, seconds: float, until: bytes = b"") -> bytes:
        """Read what is sent for some seconds, or until it holds ``until``."""
        got = b""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self.master], [], [], min(left, 0.1))
            if ready:
                try:
                    data = os.read(self.master, 65536)
                except OSError:
                    break
                if not data:
                    break
                got += data
                self.seen += data
                if until and until in self.seen:
                    break
            elif self.process.poll() is not None:
                break
        return got

    def started(self) -> None:
        """Wait for the dashboard."""
        self.read(15, b"Storage")
        assert b"Storage" in self.seen
        self.read(15, b"RADNODE1")

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def end(self, seconds: float = 10) -> int:
        """Read on until it ends; return the exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None and time.monotonic() < end:
            self.read(0.2)
        assert self.process.poll() is not None, "it did not end"
        self.read(0.3)
        return self.process.returncode

    def sane(self) -> None:
        """Check that the terminal is as it was."""
        assert termios.tcgetattr(self.slave)[:4] == self.before[:4]
        for on, off in (
            (b"\x1b[?1049h", b"\x1b[?1049l"),
            (b"\x1b[?25l", b"\x1b[?25h"),
            (b"\x1b[?1003h", b"\x1b[?1003l"),
        ):
            assert self.seen.rfind(off) > self.seen.rfind(on), off
        assert b"\x1b[?2004l" in self.seen


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[type[Pty]]:
    made: list[Pty] = []

    def make(**options: str) -> Pty:
        made.append(Pty(tmp_path, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make  # type: ignore[misc]
    for one in made:
        with contextlib.suppress(ProcessLookupError):
            one.process.send_signal(signal.SIGCONT)
            one.process.kill()
        one.process.wait(5)
        for fd in (one.master, one.slave):
            with contextlib.suppress(OSError):
                os.close(fd)


def test_quitting_leaves_the_terminal_as_it_was(terminal):
    tty = terminal()
    tty.started()
    assert termios.tcgetattr(tty.slave)[3] != tty.before[3]
    tty.type(b"q")
    assert tty.end() == 0
    tty.sane()


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_console_and_leaves_the_terminal_sane(terminal, number):
    tty = terminal()
    tty.started()
    tty.process.send_signal(number)
    assert tty.end() == 128 + number
    tty.sane()


def test_a_crash_says_one_line_and_leaves_the_terminal_sane(terminal, tmp_path):
    tty = terminal(BROKEN="1", INTERVAL="0.2")
    tty.read(15, b"console failed")
    assert tty.end() == 1
    tty.sane()
    tail = tty.seen[tty.seen.rfind(b"\x1b[?1049l") :].decode()
    assert tail.count("pacstui: the console failed: ") == 1
    assert "Traceback" not in tail
    log = tmp_path / "pacstui" / "console.log"
    assert str(log) in tail
    assert "Traceback" in log.read_text()


def test_a_lost_terminal_ends_the_console_without_spinning(terminal):
    tty = terminal()
    tty.started()
    os.close(tty.slave)
    os.close(tty.master)
    assert tty.process.wait(8) in (128 + signal.SIGHUP, -signal.SIGHUP)


@pytest.mark.parametrize("how", ["key", "signal"])
def test_suspending_and_coming_back(terminal, how):
    tty = terminal()
    tty.started()
    if how == "key":
        tty.type(b"\x1a")
    else:
        tty.process.send_signal(signal.SIGSTOP)
    _, status = os.waitpid(tty.process.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    tty.read(0.5)
    if how == "key":
        tty.sane()
    tty.seen = b""
    tty.process.send_signal(signal.SIGCONT)
    tty.read(10, b"Storage")
    assert b"Storage" in tty.seen
    tty.type(b"q")
    assert tty.end() == 0
    tty.sane()


def test_an_idle_dashboard_sends_little(terminal):
    tty = terminal()
    tty.started()
    tty.read(2.0)
    sent = len(tty.read(6.0))
    assert sent / 6.0 < 2000, sent / 6.0


def test_a_terminal_that_stops_reading_does_not_stop_the_console(terminal):
    tty = terminal(SPEED="3", INTERVAL="0.2")
    tty.started()
    time.sleep(4)
    tty.process.send_signal(signal.SIGTERM)
    assert tty.end(8) == 128 + signal.SIGTERM


def test_first_paint_is_quick(terminal):
    start = time.monotonic()
    tty = terminal()
    tty.read(10, b"Storage")
    took = time.monotonic() - start
    assert took < 5.0, took


def test_over_ssh_only_the_terminals_own_colours_are_used(terminal):
    tty = terminal(SSH_CONNECTION="192.0.2.1 1 192.0.2.2 22", SPEED="1")
    tty.started()
    tty.read(2.0)
    assert b";5;" not in tty.seen.replace(b"\x1b[?", b"")
    assert b"38;2;" not in tty.seen


def test_no_color_sends_no_colour(terminal):
    tty = terminal(NO_COLOR="1", SPEED="1")
    tty.started()
    tty.read(1.5)

    for codes in re.findall(rb"\x1b\[([0-9;]*)m", tty.seen):
        numbers = {int(c) for c in codes.split(b";") if c}
        assert not numbers & (set(range(30, 38)) | set(range(40, 48)) | set(range(90, 108))), codes
