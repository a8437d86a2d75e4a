"""Who calls, as far as everything behind the control socket needs to know."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field

from pacstui.errors import BadRequest, Denied

OS_USER, TOKEN = "OS user", "token"


@dataclass(slots=True)
class Session:
    """Something that is signed in: a console or a command. ``began`` and ``seen`` are seconds of the monotonic clock.

    ``confirmed`` is when the password was said last, 0 if never. ``started`` tells processes of one number apart.
    ``token`` names the token that a service shows.
    """

    id: int
    account: str
    how: str
    uid: int
    os_user: str
    pid: int
    started: str
    began: float
    seen: float
    token: str = ""
    confirmed: float = 0.0

    def stir(self, at: float) -> None:
        """Note that it was used at a time, if that is news."""
        self.seen = max(self.seen, at)


@dataclass(frozen=True, slots=True)
class Caller:
    """One call's caller. ``session`` is none for somebody without account, ``why`` says then what is missing.

    ``trusted`` is the machine's root and the user that the node runs as.
    """

    uid: int
    pid: int
    os_user: str
    account: str = ""
    session: Session | None = None
    permissions: frozenset[str] = field(default=frozenset())
    trusted: bool = False
    why: str = ""
    hint: str = ""

    @property
    def name(self) -> str:
        """The account, or the OS user without one."""
        return self.account or self.os_user

    @property
    def origin(self) -> str:
        """From where, for the audit trail."""
        return f"{self.os_user}, process {self.pid}" if self.pid else self.os_user

    @property
    def how(self) -> str:
        """How the node knows who it is."""
        return self.session.how if self.session is not None else "no account"

    def may(self, permission: str) -> bool:
        """Return whether the caller holds a permission."""
        return not permission or permission in self.permissions


CURRENT: ContextVar[Caller] = ContextVar("caller")
"""Who the present call is from; unset outside of calls."""


def require_session(caller: Caller) -> Session:
    """Return the caller's session.

    Raises
    ------
    Denied
        For somebody without account.
    """
    if caller.session is None:
        raise Denied(caller.why or f"{caller.os_user} has no account on this node", caller.hint)
    return caller.session


def require_person(caller: Caller) -> Session:
    """Return the caller's session, which is not that of a service.

    Raises
    ------
    Denied, BadRequest
        For somebody without account, and for a token.
    """
    session = require_session(caller)
    if session.how == TOKEN:
        raise BadRequest(f"{caller.name} is a service, known by a token", "this is for people")
    return session
