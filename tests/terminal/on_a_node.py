"""The real console on a real node, in a pseudo-terminal whose other end reads only when a test says so."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_PIECES = re.compile(
    r"\x1b\[(?P<private>[?<>=]?)(?P<numbers>[\d;:]*)(?P<final>[@-~])|\x1b\].*?(?:\x07|\x1b\\)|\x1b[()].|\x1b[^\[\]()]"
    r"|(?P<text>[^\x1b\r\n]+)|(?P<control>[\r\n])",
    re.DOTALL,
)


class Screen:
    """What a terminal would show: the few sequences that matter for reading text off it."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells = [[" "] * width for _ in range(height)]
        self._row = self._column = 0

    def feed(self, text: str) -> None:
        """Take what was sent to the terminal."""
        for piece in _PIECES.finditer(text):
            if piece["text"] is not None:
                self._print(piece["text"])
            elif piece["control"] == "\r":
                self._column = 0
            elif piece["control"] == "\n":
                self._row = min(self._row + 1, self.height - 1)
            elif piece["final"] and not piece["private"]:
                numbers = [int(n) if n.isdigit() else 0 for n in piece["numbers"].split(";")]
                self._control(piece["final"], numbers)

    def _print(self, text: str) -> None:
        for char in text:
            if self._row < self.height and self._column < self.width:
                self._cells[self._row][self._column] = char
            self._column += 1

    def _control(self, final: str, numbers: list[int]) -> None:
        if final in "Hf":
            self._row, self._column = max(1, numbers[0]) - 1, max(1, (*numbers, 0)[1]) - 1
        elif final == "J" and numbers[0] == 2:
            self._cells = [[" "] * self.width for _ in range(self.height)]
        elif final == "K" and self._row < self.height:
            self._cells[self._row][self._column :] = [" "] * (self.width - self._column)

    @property
    def text(self) -> str:
        """All rows."""
        return "\n".join("".join(row).rstrip() for row in self._cells)


class Console:
    """``pacstui`` in a pseudo-terminal of its own session."""

    def __init__(
        self, command: Sequence[str], folder: Path, width: int = 100, height: int = 30, **environ: str
    ) -> None:
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self.before = termios.tcgetattr(self.slave)
        env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "TMUX", "NO_COLOR")}
        env |= {"TERM": "xterm-256color", "XDG_STATE_HOME": str(folder), "TZ": "UTC", **environ}
        self.process = subprocess.Popen(
            [*command],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, env=env, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self.screen = Screen(width, height)
        self.seen = ""
        self._rest = b""

    def read(self, wait: float = 0.05) -> bool:
        """Take what is there now, waiting a little for it; return whether there was something."""
        ready, _, _ = select.select([self.master], [], [], wait)
        if not ready:
            return False
        try:
            data = self._rest + os.read(self.master, 65536)
        except OSError:
            return False
        text = data.decode("utf-8", "ignore")
        whole = len(text.encode())
        cut = text.rfind("\x1b", max(0, len(text) - 64))  # the last sequence may go on in the next piece
        if cut >= 0 and not _PIECES.match(text, cut):
            whole, text = len(text[:cut].encode()), text[:cut]
        self._rest = data[whole:]
        self.seen += text
        self.screen.feed(text)
        return True

    def until(self, what: Callable[[str], object], seconds: float = 20) -> str:
        """Read until ``what`` holds for the text on the screen; return that text."""
        end = time.monotonic() + seconds
        while not what(self.screen.text):
            self.read()
            assert self.process.poll() is None, f"the console ended:\n{self.seen[-2000:]}"
            assert time.monotonic() < end, f"the screen stays at:\n{self.screen.text}"
        return self.screen.text

    def type(self, keys: str) -> None:
        """Press keys."""
        os.write(self.master, keys.encode())

    @property
    def stalled(self) -> bool:
        """Whether the terminal takes nothing more, because nobody reads it."""
        return not select.select([], [self.slave], [], 0)[1]

    def end(self, seconds: float = 15) -> int:
        """Read on until the console ends; return its exit code."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            self.read()
            assert time.monotonic() < end, f"it does not end:\n{self.screen.text}"
        while self.read():
            pass
        return self.process.returncode

    def sane(self) -> None:
        """Check that the terminal is as it was before."""
        assert termios.tcgetattr(self.slave)[:4] == self.before[:4]
        for on, off in (("\x1b[?1049h", "\x1b[?1049l"), ("\x1b[?25l", "\x1b[?25h"), ("\x1b[?1003h", "\x1b[?1003l")):
            assert self.seen.rfind(off) > self.seen.rfind(on), repr(off)

    def hang_up(self) -> None:
        """Close the terminal, as a lost SSH connection does."""
        for fd in (self.slave, self.master):
            os.close(fd)
        self.master = self.slave = -1

    def close(self) -> None:
        """End it however it is."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.master >= 0:
            self.hang_up()
