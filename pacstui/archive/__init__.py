"""The archive: objects on disk that are acknowledged only when they are durable and indexed."""

from pacstui.archive.imports import IncomingFile, Skipped
from pacstui.archive.incoming import Incoming
from pacstui.archive.refusal import Refused
from pacstui.archive.store import Archive, Stats
from pacstui.archive.work import Stored

__all__ = ["Archive", "Incoming", "IncomingFile", "Refused", "Skipped", "Stats", "Stored"]
