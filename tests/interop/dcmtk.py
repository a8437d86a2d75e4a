"""DCMTK's programs as a person would call them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

_ELSEWHERE = os.pathsep.join(
    folder for folder in os.get_exec_path() if Path(folder).absolute() != Path(sys.executable).parent.absolute()
)


def program(name: str) -> str:
    """Return the path of DCMTK's program; pynetdicom puts some of the same name beside Python."""
    return shutil.which(name, path=_ELSEWHERE) or name


needed = pytest.mark.skipif(program("storescu") == "storescu", reason="DCMTK is not installed")


@dataclass(frozen=True)
class Ran:
    """What a program said."""

    code: int
    out: str

    @property
    def answers(self) -> list[str]:
        """The statuses of C-STORE responses in storescu's words, in order."""
        return re.findall(r"Received Store Response \((.*)\)", self.out)

    @property
    def results(self) -> dict[str, str]:
        """The status by file, of storescu with ``-v`` and ``-nh``; also its words for files that it does not send."""
        found = dict(re.findall(r"Sending file: (.*)\n(?:(?!I: Sending file).*\n)*?I: Received Store Response \((.*)\)",
                                self.out))  # fmt: skip
        for words, path in re.findall(r"[WF]: (.*) in file: (.*?)(?:, ignoring file)?\n", self.out):
            found.setdefault(path, words)
        return found


def start(name: str, port: int, *arguments: str, called: str = "PACS") -> subprocess.Popen[str]:
    """Start the program ``name`` against a port of this machine.

    Without TCP_NODELAY DCMTK waits 40 ms for each message.
    """
    options, files = ([*arguments], []) if "--" not in arguments else (
        [*arguments[: arguments.index("--")]], [*arguments[arguments.index("--") + 1 :]],
    )  # fmt: skip
    return subprocess.Popen(
        [program(name), "-v", "-aec", called, *options, "127.0.0.1", str(port), *files],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        env={**os.environ, "TCP_NODELAY": "1"},
    )  # fmt: skip


def finish(process: subprocess.Popen[str], seconds: float = 60) -> Ran:
    """Wait for the end of a program."""
    try:
        out, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        raise AssertionError(f"{process.args} did not end:\n{process.communicate()[0]}") from None
    return Ran(process.returncode, out)


def run(name: str, port: int, *arguments: str, called: str = "PACS") -> Ran:
    """Run the program ``name`` with options, then ``--``, then files."""
    return finish(start(name, port, *arguments, called=called))
