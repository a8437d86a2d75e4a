"""The writer that never waits for the terminal."""

from __future__ import annotations

import os
import threading

from screens.terminal import ROOM, PatientWriter


class Pipe:
    def __init__(self) -> None:
        self.out, self.into = os.pipe()

    def fileno(self) -> int:
        return self.into

    def drain(self, size: int) -> bytes:
        got = b""
        while len(got) < size:
            got += os.read(self.out, 65536)
        return got


def test_frames_are_dropped_while_nobody_reads_and_a_whole_one_is_asked_for_after():
    pipe, caught_up = Pipe(), threading.Event()
    writer = PatientWriter(pipe, caught_up.set)
    writer.start()
    for _ in range(200):
        writer.write("x" * 4096)
    writer.urgent("\x1b[?25h")
    assert writer.dropped > 0
    assert not caught_up.is_set()
    sent = (200 - writer.dropped) * 4096 + 6
    assert sent <= ROOM * 3
    got = pipe.drain(sent)
    assert b"\x1b[?25h" in got
    assert caught_up.wait(5)
    writer.write("after")
    assert pipe.drain(5) == b"after"
    writer.stop()
    assert not writer.is_alive()


def test_a_terminal_that_is_gone_makes_it_silent():
    pipe = Pipe()
    writer = PatientWriter(pipe, lambda: None)
    writer.start()
    os.close(pipe.out)
    writer.write("x")
    for _ in range(50):
        writer.write("y")
    writer.stop()
    assert not writer.is_alive()
    assert writer.lost
