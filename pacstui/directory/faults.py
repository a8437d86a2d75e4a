"""What can come of asking the directory."""

from __future__ import annotations

from pacstui.errors import PacsError, Unavailable


class Away(Unavailable):
    """The directory cannot be asked: it does not answer, is not trusted, or does not let the node search."""


class Wrong(PacsError):
    """Name or password is wrong. ``message`` is for the audit trail; ``told`` may be told, as it took the password."""

    code = "denied"

    def __init__(self, message: str, told: str = "") -> None:
        super().__init__(message)
        self.told = told
