"""The process that touches targets: a dead share or a slow bucket holds up this one and not the node.

It is told one `Request` as a line on standard input and answers in lines of JSON: ``{"told": {...}}`` for progress and
notes, at the end ``{"result": {...}}`` or ``{"error": {...}}``. The line ``stop`` asks it to end at its next safe
point, and for good some seconds later; a place that has not answered for minutes ends it likewise. When standard input
ends, who asked is gone: it is told to end so.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import suppress
from typing import Any

import psutil

from pacstui.backups.ops import perform
from pacstui.backups.patience import tend
from pacstui.backups.request import Request
from pacstui.backups.watch import Watch
from pacstui.errors import PacsError


def main() -> int:
    """Do one request; return the exit code: 0 done, 1 told why not."""
    _stand_back()
    os.umask(0o077)
    out = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)  # what a library prints is no answer
    lock = threading.Lock()

    def say(value: dict[str, Any]) -> None:
        with lock:
            try:
                out.write(json.dumps(value) + "\n")
            except (OSError, ValueError):
                os._exit(1)  # nobody listens any more

    request = Request.decode(sys.stdin.readline())
    watch = Watch(lambda told: say({"told": told}), request.spec.max_mb_per_s * 1e6)
    threading.Thread(target=_listen, args=(watch,), daemon=True).start()

    def give_up(error: PacsError) -> None:
        say({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        os._exit(1)

    threading.Thread(target=tend, args=(watch, give_up), daemon=True).start()
    try:
        found = perform(request, watch)
    except PacsError as error:
        watch.flush()
        say({"error": {"code": error.code, "message": error.message, "hint": error.hint}})
        return 1
    say({"result": found})
    return 0


def _stand_back() -> None:
    """Let the node have processor and disk first."""
    with suppress(OSError):
        os.nice(10)
    with suppress(OSError, psutil.Error, AttributeError):
        psutil.Process().ionice(psutil.IOPRIO_CLASS_BE, 7)


def _listen(watch: Watch) -> None:
    for line in sys.stdin:
        if line.strip() == "stop":
            watch.stop()
    watch.stop("the node ended")


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # the thread that listens holds standard input
