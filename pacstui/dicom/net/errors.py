"""How an association with a peer can fail, with what to do about it."""

from __future__ import annotations

from pacstui.errors import PacsError, Unavailable


class AssociationEnded(PacsError):
    """The association is over; nothing can be sent on it.

    ``how`` is released, aborted by peer, aborted, lost, timed out or refused.
    """

    code = "association-ended"

    def __init__(self, message: str, hint: str = "", how: str = "lost") -> None:
        super().__init__(message, hint)
        self.how = how


class AssociationAborted(AssociationEnded):
    """One side sent A-ABORT."""

    code = "association-aborted"


class PeerSilent(AssociationEnded):
    """The peer did not answer in time."""

    code = "peer-silent"


class AssociationRejected(PacsError):
    """The peer answered A-ASSOCIATE-RJ; codes as in PS3.8 9.3.4."""

    code = "association-rejected"

    def __init__(self, result: int, source: int, reason: int, text: str, hint: str) -> None:
        super().__init__(text, hint)
        self.result = result
        self.source = source
        self.reason = reason
        self.text = text

    @property
    def transient(self) -> bool:
        """Whether trying again later makes sense."""
        return self.result == 2


class PeerUnreachable(Unavailable):
    """No connection to the peer. ``step`` is dns, refused, timeout, tls or network."""

    code = "peer-unreachable"

    def __init__(self, step: str, message: str, hint: str) -> None:
        super().__init__(message, hint)
        self.step = step


class ContextNotAccepted(PacsError):
    """The peer accepted no presentation context for what is to be sent."""

    code = "context-not-accepted"
