"""The terminal side of Textual, made to survive what terminals do: stop reading, hang up, vanish.

The driver never waits for the terminal. While it reads nothing, frames are dropped, and when it reads again the
whole screen is drawn once. A closed input ends the console, instead of being read for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import selectors
import signal
import termios
import threading
from codecs import getincrementaldecoder
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, cast

from textual._xterm_parser import XTermParser
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from screens.app import ConsoleApp

SWITCH = 48
"""Sequences shorter than this switch something on or off; frames are longer."""

ROOM = 64 * 1024
"""Characters that may wait for the terminal before frames are dropped."""


class PatientWriter(WriterThread):
    """Writes on a thread of its own, straight to the file descriptor; a lost terminal makes it silent, not dead."""

    def __init__(self, file: IO[str], caught_up: Callable[[], None]) -> None:
        super().__init__(file)
        self._fd = file.fileno()
        self._caught_up = caught_up
        self._ready = threading.Condition()
        self._waiting: list[str] = []
        self._size = 0
        self._ends = False
        self._missed = False
        self.lost = False
        self.dropped = 0

    def write(self, text: str) -> None:
        """Queue ``text``, or drop it if the terminal is too far behind."""
        with self._ready:
            if self.lost:
                return
            if self._size + len(text) > ROOM and self._size:
                self._missed = True
                self.dropped += 1
                return
            self._waiting.append(text)
            self._size += len(text)
            self._ready.notify()

    def urgent(self, text: str) -> None:
        """Queue ``text`` whatever waits; for the sequences that put the terminal right."""
        with self._ready:
            if not self.lost and self._size < 4 * ROOM:
                self._waiting.append(text)
                self._size += len(text)
                self._ready.notify()

    def run(self) -> None:
        """Write until stopped."""
        while True:
            with self._ready:
                while not self._waiting and not self._ends:
                    self._ready.wait()
                if not self._waiting:
                    return
                text = "".join(self._waiting)
                self._waiting.clear()
            try:
                self._put(text.encode("utf-8", "replace"))
            except OSError:
                with self._ready:
                    self.lost = True
                    self._waiting.clear()
            with self._ready:
                self._size = sum(map(len, self._waiting))
                missed, self._missed = self._missed, False
            if missed and not self.lost:
                self._caught_up()

    def _put(self, data: bytes) -> None:
        while data:
            try:
                data = data[os.write(self._fd, data) :]
            except BlockingIOError:
                select.select([], [self._fd], [], 1.0)

    def stop(self) -> None:
        """End after what waits was written, or after a second without progress."""
        with self._ready:
            self._ends = True
            self._ready.notify()
        self.join(1.0)


class Terminal(LinuxDriver):
    """Textual's driver with the patient writer and an input that can end."""

    @property
    def _writer_thread(self) -> PatientWriter | None:
        return self._patient

    @_writer_thread.setter
    def _writer_thread(self, thread: WriterThread | None) -> None:
        self._patient = None if thread is None else PatientWriter(cast("IO[str]", self._file), self._caught_up)

    def start_application_mode(self) -> None:
        """Take the terminal over; after a suspension also draw it whole, its size being no news to Textual."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self._caught_up()

    def _sigcont_application(self, *_: object) -> None:
        if not self._must_signal_resume:  # stopped by SIGSTOP: the terminal was not given back, and is the shell's now
            self.suspend_application_mode()
        self.resume_application_mode()

    def _caught_up(self) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(cast("ConsoleApp", self._app).redraw_all)

    def write(self, data: str) -> None:
        """Queue ``data`` for the terminal; switches of its modes are never dropped, frames may be."""
        if self._patient is None:
            return
        if len(data) < SWITCH:
            self._patient.urgent(data)
        else:
            self._patient.write(data)

    def run_input_thread(self) -> None:
        """Read keys until told to stop or until there is nobody to read from."""
        parser = XTermParser(self._debug)
        decode = getincrementaldecoder("utf-8")(errors="replace").decode
        with selectors.SelectSelector() as selector:
            selector.register(self.fileno, selectors.EVENT_READ)
            while not self.exit_event.is_set():
                for _key, mask in selector.select(0.1):
                    if not mask & selectors.EVENT_READ:
                        continue
                    try:
                        data = os.read(self.fileno, 4096)
                    except BlockingIOError:
                        continue
                    except OSError:
                        data = b""
                    if not data:
                        self._hung_up()
                        return
                    for event in parser.feed(decode(data)):
                        self.process_message(event)
                for event in parser.tick():
                    self.process_message(event)

    def _hung_up(self) -> None:
        app = cast("ConsoleApp", self._app)
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(app.leave, 129, "the terminal is gone")


class Guard:
    """Signals that end the console, with a last resort if its loop does not answer in time."""

    def __init__(self, leave: Callable[[int, str], None], grace_s: float = 3.0) -> None:
        self._leave = leave
        self._grace = grace_s
        self._before: list[tuple[int, list[object]]] = []
        self._done = threading.Event()
        self._armed = False

    def remember(self) -> None:
        """Remember the terminal's settings."""
        for fd in (0, 1, 2):
            with contextlib.suppress(termios.error, OSError):
                self._before.append((fd, termios.tcgetattr(fd)))

    def restore(self) -> None:
        """Put the terminal's settings back; harmless if they are right already."""
        for fd, attributes in self._before:
            with contextlib.suppress(termios.error, OSError):
                termios.tcsetattr(fd, termios.TCSANOW, attributes)  # type: ignore[arg-type]

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take SIGHUP, SIGTERM and SIGINT."""
        for number, words in (
            (signal.SIGHUP, "hangup"),
            (signal.SIGTERM, "terminated"),
            (signal.SIGINT, "interrupted"),
        ):
            loop.add_signal_handler(number, self._got, int(number), words)

    def _got(self, number: int, words: str) -> None:
        if not self._armed:
            self._armed = True
            threading.Thread(target=self._last_resort, args=(128 + number,), daemon=True).start()
        self._leave(128 + number, words)

    def _last_resort(self, code: int) -> None:
        if not self._done.wait(self._grace):
            self.restore()
            os._exit(code)

    def finished(self) -> None:
        """Disarm."""
        self._done.set()
