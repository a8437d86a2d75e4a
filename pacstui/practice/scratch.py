"""The demo's scratch directory and its processes, and that nothing of both stays behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pacstui.errors import PacsError
from pacstui.practice import keeper

PREFIX = "pacstui-demo-"
_LOCK = "demo.lock"


class Scratch:
    """A directory of one's own for the time of a ``with`` block, and the processes that work in it.

    Parameters
    ----------
    keep
        An empty or new directory to use and to leave there; by default one under the system's temporary directory,
        which is removed at the end, also when this process is killed.
    """

    def __init__(self, keep: Path | None = None) -> None:
        self._keep = keep
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._keeper: subprocess.Popen[bytes] | None = None
        self._lock = -1
        self.directory = Path()

    def __enter__(self) -> Scratch:
        sweep()
        try:
            if self._keep is None:
                self.directory = Path(tempfile.mkdtemp(prefix=PREFIX))
            else:
                self.directory = self._keep.absolute()
                self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if any(self.directory.iterdir()):
                    raise PacsError(f"{self.directory} is not empty", "name a new or an empty directory to keep")
            self._lock = os.open(self.directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", keeper.__file__, "" if self._keep else str(self.directory)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            self._remove()
            raise PacsError(
                f"no scratch directory: {error.strerror or error}", "set TMPDIR to a place with room"
            ) from error
        return self

    def __exit__(self, *exc: object) -> None:
        for process in list(self._processes.values()):
            self.end(process, 8.0)
        self._remove()
        if self._keeper is not None:
            self._tell("done")
            assert self._keeper.stdin is not None
            with contextlib.suppress(OSError):
                self._keeper.stdin.close()
            self._keeper.wait()

    def _remove(self) -> None:
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1
        if self._keep is None and self.directory != Path():
            shutil.rmtree(self.directory, ignore_errors=True)

    def _tell(self, words: str) -> None:
        assert self._keeper is not None
        assert self._keeper.stdin is not None
        with contextlib.suppress(OSError):
            self._keeper.stdin.write(words.encode() + b"\n")
            self._keeper.stdin.flush()

    def start(
        self, command: Sequence[str], log: IO[bytes], environment: dict[str, str], *, leash: bool = False
    ) -> subprocess.Popen[bytes]:
        """Start a process in a session of its own, its output into ``log``; with ``leash`` its input is a pipe."""
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if leash else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        self._processes[process.pid] = process
        self._tell(f"watch {process.pid}")
        return process

    def end(self, process: subprocess.Popen[bytes], grace_s: float) -> int:
        """End a process, by force after ``grace_s`` seconds; return its exit code, negative for a signal.

        One that follows its standard input ends with that: a signal would meet it when it heeds none any more.
        """
        if process.poll() is None:
            if process.stdin is not None:
                with contextlib.suppress(OSError):
                    process.stdin.close()
            else:
                process.terminate()
            try:
                process.wait(grace_s)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.pop(process.pid, None)
        self._tell(f"forget {process.pid}")
        return int(process.returncode)


def sweep() -> None:
    """Remove scratch directories that nobody uses any more: ours, and the lock in them is free."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            if directory.lstat().st_uid != os.getuid() or directory.is_symlink():
                continue
            lock = os.open(directory / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)
