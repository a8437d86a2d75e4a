"""The process that a node runs in: signals, event loop, standard streams, exit code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable

from pacstui import logs
from pacstui.configuration import Loaded
from pacstui.errors import PacsError
from pacstui.node.node import Node
from pacstui.places import claim

log = logging.getLogger("pacstui.node")


async def _main(loaded: Loaded) -> None:
    loop = asyncio.get_running_loop()
    node = Node(loaded)
    reloads: set[asyncio.Task[None]] = set()

    def reload() -> None:
        task = loop.create_task(node.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.stop, f"signal {signal.Signals(number).name}")
    loop.add_signal_handler(signal.SIGHUP, reload)
    await node.run()


def _run_loop(main: Awaitable[None]) -> None:
    factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    if os.environ.get("PACSTUI_LOOP", "uvloop") == "uvloop":
        with contextlib.suppress(ImportError):
            import uvloop

            factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main)  # type: ignore[arg-type]


def _hold_standard_streams() -> None:
    """Open /dev/null for each standard stream that is closed, so that no socket or database gets its number."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)


def run(loaded: Loaded, *, log_json: bool = False) -> int:
    """Run the node until SIGTERM or SIGINT; return the exit code: 0, or 1 when it could not start."""
    _hold_standard_streams()
    logs.configure(loaded.settings.node.log_level, as_json=log_json)
    try:
        claim(loaded.settings.node.data_dir)
        _run_loop(_main(loaded))
    except PacsError as fault:
        log.error("%s", fault)
        return 1
    return 0
