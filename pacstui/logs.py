"""Logs on standard error: one line an event, for people or (``--log-json``) for machines; never a control character."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from pacstui.text import safe


def _harmless(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and key not in ("exception", "stack"):
            event[key] = safe(value)
        elif isinstance(value, str):
            event[key] = "\n".join(safe(line) for line in value.splitlines())
    return event


def _line(_: Any, __: str, event: MutableMapping[str, Any]) -> str:
    traceback = event.pop("exception", "")
    stamp, level, name = event.pop("timestamp"), event.pop("level", "info"), event.pop("logger", "pacstui")
    text = event.pop("event", "")
    more = "".join(f"  {key}={value}" for key, value in event.items())
    told = f"{stamp} {level:<7} {name.removeprefix('pacstui.'):<10} {text}{more}"
    return f"{told}\n{traceback}" if traceback else told


def configure(level: str = "info", *, as_json: bool = False) -> None:
    """Send the log to standard error at ``level``; a closed standard error never hurts the node."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: list[Any] = [structlog.processors.format_exc_info, _harmless]
    render.append(structlog.processors.JSONRenderer(ensure_ascii=True) if as_json else _line)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
    )
    handler: logging.Handler = logging.StreamHandler(sys.stderr) if sys.stderr is not None else logging.NullHandler()
    handler.setFormatter(formatter)
    logging.raiseExceptions = False
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(getattr(logging, level.upper()))
    logging.getLogger("aiosqlite").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
