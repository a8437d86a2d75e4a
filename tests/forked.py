"""Nodes that are forked from a process which has imported everything already: most of a start is imports.

They are processes of their own like any other, with their own session, environment and streams. Where starting is what
a test is about, or memory, or what ends with the interpreter, a node is started the long way.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["uvloop", "pacstui.cli.serve", "pacstui.node", "tests.forked"])


class Forked:
    """``pacstui ARGUMENTS`` with the output to a file; what tests use of `subprocess.Popen`."""

    def __init__(self, arguments: list[str], log: Path, environment: dict[str, str]) -> None:
        self._process = _FORKS.Process(target=_run, args=(arguments, str(log), environment, os.getcwd()), daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, negative for a signal; none while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """Return the exit code, as `returncode`."""
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for the end; return the exit code."""
        self._process.join(timeout)
        code = self.returncode
        if code is None:
            raise subprocess.TimeoutExpired("pacstui", timeout)
        return code


def _run(arguments: list[str], log: str, environment: dict[str, str], folder: str) -> None:
    """Become what a shell would have started."""
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    for stream, (path, flags) in enumerate(
        ((os.devnull, os.O_RDONLY), (log, os.O_WRONLY | os.O_APPEND), (log, os.O_WRONLY | os.O_APPEND))
    ):
        fd = os.open(path, flags | os.O_CREAT, 0o666)
        os.dup2(fd, stream)
        os.close(fd)
    sys.argv = ["pacstui", *arguments]
    from pacstui.cli import main

    try:
        main()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
