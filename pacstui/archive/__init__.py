"""The archive: objects on disk that are acknowledged only when they are durable and indexed.

What this package offers is looked up when it is asked for, so that who needs only the form of a file or a path (a
backup's process, say) starts without database and queries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pacstui.archive.imports import IncomingFile, Skipped
    from pacstui.archive.incoming import Incoming
    from pacstui.archive.refusal import Refused
    from pacstui.archive.store import Archive, Stats
    from pacstui.archive.work import Stored
else:
    _HOMES: Final = {
        "Archive": "store", "Incoming": "incoming", "IncomingFile": "imports", "Refused": "refusal",
        "Skipped": "imports", "Stats": "store", "Stored": "work",
    }  # fmt: skip

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


__all__ = ["Archive", "Incoming", "IncomingFile", "Refused", "Skipped", "Stats", "Stored"]
