"""Errors that a person can act on: each says what was wrong and, in ``hint``, what to do next."""

from __future__ import annotations


class PacsError(Exception):
    """A fault with a reason and a remedy.

    Parameters
    ----------
    message
        What was wrong, in one sentence, with the names involved.
    hint
        What to do about it; shown beside the message wherever it is shown.
    """

    code = "error"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SettingsError(PacsError):
    """The configuration cannot be used; ``problems`` holds every mistake found, one line each."""

    code = "settings"

    def __init__(self, message: str, hint: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(message, hint)
        self.problems = problems


class NotRunning(PacsError):
    """No node answers on the control socket."""

    code = "not-running"


class AlreadyRunning(PacsError):
    """Another node owns the data directory or the port."""

    code = "already-running"


class NotFound(PacsError):
    """The named thing does not exist (any more)."""

    code = "not-found"


class Denied(PacsError):
    """The caller may not do this; the message names the permission that it would take."""

    code = "denied"


class Unconfirmed(Denied):
    """The caller may do this, after the password was said once more."""

    code = "unconfirmed"


class CodeNeeded(Denied):
    """The password was right, and a code of the second factor is missing."""

    code = "code-needed"


class BadRequest(PacsError):
    """The call's arguments do not fit the action."""

    code = "bad-request"


class Stale(BadRequest):
    """What was previewed does not hold any more; a new preview says how it stands now."""

    code = "stale"


class Unavailable(PacsError):
    """A resource that is needed is out of reach for now: full disk, locked database, silent peer."""

    code = "unavailable"


class StorageFull(Unavailable):
    """Disk or database has no room; answered as A700H (PS3.4 B.2.3) and expected to pass."""

    code = "storage-full"


class Corrupt(PacsError):
    """Something stored no longer matches its digest or cannot be read."""

    code = "corrupt"


def told(code: str, message: str, hint: str = "") -> PacsError:
    """Return the error that another process told: of the kind that its code names, a plain one for an unknown code."""
    kinds = {each.code: each for each in globals().values() if isinstance(each, type) and issubclass(each, PacsError)}
    return kinds.get(code, PacsError)(message, hint)
