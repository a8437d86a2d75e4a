"""The one who cleans up after a demo that could not: a tiny process that waits for the demo's end.

Run as a script, without the package, with the scratch directory as argument (or nothing, to keep it). Standard input
says which processes to end (``watch PID``, ``forget PID``); ``done`` means that there is nothing to do. When standard
input ends without ``done``, the demo was killed: the processes are ended and the directory is removed.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time

GRACE_S = 10.0


def _end(watched: dict[int, int]) -> None:
    """Send SIGTERM to processes (by pidfd, so that a reused number is never hit), SIGKILL to those that stay."""
    for number, seconds in ((signal.SIGTERM, GRACE_S), (signal.SIGKILL, 2.0)):
        for fd in watched.values():
            try:
                signal.pidfd_send_signal(fd, number)
            except ProcessLookupError:
                continue
        end = time.monotonic() + seconds
        for pid, fd in list(watched.items()):
            ready, _, _ = select.select([fd], [], [], max(0.0, end - time.monotonic()))
            if ready:
                del watched[pid]
                os.close(fd)


def keep(directory: str) -> None:
    """Follow standard input, then clean up if that is needed."""
    watched: dict[int, int] = {}
    for line in sys.stdin:
        word, _, argument = line.strip().partition(" ")
        if word == "done":
            return
        if word == "watch":
            try:
                watched[int(argument)] = os.pidfd_open(int(argument))
            except OSError:
                continue
        elif word == "forget" and int(argument) in watched:
            os.close(watched.pop(int(argument)))
    _end(watched)
    if directory:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    keep(sys.argv[1] if len(sys.argv) > 1 else "")
