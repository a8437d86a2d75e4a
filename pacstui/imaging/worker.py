"""The process that decodes: what a broken or hostile stream does to a decoder ends this one and not the node.

It is told of an object by a line of JSON on standard input, ``{"source": ..., "target": ..., "size": ...}``, and its
data set follows. It answers ``{"size": ...}`` and the converted data set, or ``{"error": ...}``; then comes the next
object. It ends with its standard input, also in the middle of a decoder.
"""

from __future__ import annotations

import fcntl
import gc
import json
import logging
import os
import resource
import select
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

import psutil

from pacstui.dicom.uids import name_of
from pacstui.errors import PacsError
from pacstui.imaging.convert import NotConvertible, convert, reason
from pacstui.imaging.decode import Undecodable

__all__ = ["Undecodable", "ending_with", "main"]  # the decoders are loaded before memory is limited

_FREE: Final = 256 << 20
"""Bytes of address space that anything may take."""

_COPIES: Final = 12
"""How often what was sent, and what is decoded, is in memory at most."""

_AT_ONCE: Final = 8
"""How often a large picture is in the memory of this process and the node together."""


def main() -> int:
    """Convert one object after the other; return the exit code."""
    logging.disable()
    warnings.simplefilter("ignore")
    with suppress(OSError):  # when the machine's memory is short, this process ends first
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    given = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    base = _taken()
    while line := given.readline():
        told = json.loads(line)
        try:
            _serve(told, given, answers, base)
        except BrokenPipeError:
            return 0
        gc.collect()
    return 0


def _serve(told: dict[str, str | int], given: BinaryIO, answers: BinaryIO, base: int) -> None:
    size = int(told["size"])
    sent = _COPIES * size
    _limit(base + _FREE + sent)
    try:
        data = given.read(size)
        if len(data) < size:
            return  # who asked is gone
        with ending_with(given.fileno()):
            found = convert(
                data, str(told["source"]), str(told["target"]), lambda decoded: _room_for(decoded, base + _FREE + sent)
            )  # fmt: skip
    except PacsError as error:
        _refuse(error.message, answers)
    except BaseException as error:  # noqa: BLE001 - a panic of a decoder in Rust is no Exception
        _refuse(f"{name_of(str(told['source']))} cannot be decoded: {reason(error)}", answers)
    else:
        answers.write(json.dumps({"size": len(found)}).encode() + b"\n")
        answers.write(found)
    answers.flush()


def _room_for(decoded: int, besides: int) -> None:
    """Allow the memory that decoded pixel data take, where this machine has it: the node holds them too, once or twice.

    Raises
    ------
    NotConvertible
        When it has not.
    """
    free = psutil.virtual_memory().available
    if decoded * _AT_ONCE > free:
        raise NotConvertible(
            f"decoded it takes {decoded >> 20:,} MiB, too much for the {free >> 20:,} MiB of memory that are free here"
        )
    _limit(besides + _COPIES * decoded)


def _refuse(why: str, answers: BinaryIO) -> None:
    answers.write(json.dumps({"error": why}).encode() + b"\n")


@contextmanager
def ending_with(pipe: int) -> Iterator[None]:
    """End this process when the other end of ``pipe`` is closed meanwhile, whatever it is doing.

    The kernel sends SIGIO then, and nobody handles it. A thread that listens would not do: a decoder may hold the
    interpreter for ever. Nothing is to be written to the pipe meanwhile.
    """
    flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags | os.O_ASYNC)
    if select.select([pipe], [], [], 0)[0]:  # it was closed before
        os._exit(0)
    try:
        yield
    finally:
        fcntl.fcntl(pipe, fcntl.F_SETFL, flags)


def _taken() -> int:
    """Return the bytes of address space that this process takes by itself."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[0])
    except (OSError, ValueError):
        return 4 << 30  # no such count here; what decoders and numpy take at most
    return pages * resource.getpagesize()


def _limit(size: int) -> None:
    """Limit the address space; a decoder that wants more is refused it by the kernel."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if hard != resource.RLIM_INFINITY:
        size = min(size, hard)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))


if __name__ == "__main__":
    sys.exit(main())
