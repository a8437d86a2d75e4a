"""Sessions: what is signed in, for how long it is good, and who ended it.

There are three kinds. A sign-in with a password has a secret that goes with each call. A process of an OS user, and one
that shows a service's token, has a session for as long as it calls.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta

from pacstui.accounts.caller import OS_USER, TOKEN, Caller, Session
from pacstui.accounts.passwords import digest
from pacstui.clock import Clock
from pacstui.contract.accounts import SessionRow
from pacstui.errors import Denied
from pacstui.settings import AccountsSettings
from pacstui.text import safe

_MOST, _EACH = 2000, 50
_COMMAND_S = 120.0
_Process = tuple[int, int, str, str]


class Sessions:
    """The sessions of a node, in memory: a restart ends those that were begun with a password.

    ``alive`` tells whether a process is still there.
    """

    def __init__(self, settings: AccountsSettings, clock: Clock) -> None:
        self.settings = settings
        self._clock = clock
        self.alive: Callable[[int], bool] = lambda pid: True
        self._numbers = 0
        self._signed_in: dict[str, Session] = {}
        self._processes: dict[_Process, Session] = {}
        self._ended: dict[_Process, str] = {}

    def begin(self, account: str, how: str, caller: Caller) -> tuple[str, Session]:
        """Begin a sign-in; return its secret, and it. Of an account that has many the one ends that was used least
        lately, so that nobody's sign-ins keep others out.

        Raises
        ------
        Denied
            When there are too many.
        """
        if len(self._signed_in) >= _MOST:
            self.tidy()
        if len(self._signed_in) >= _MOST:
            raise Denied("too many people are signed in", "end sessions: pacstui accounts sessions")
        mine = [each for each in self._signed_in.values() if each.account == account]
        if len(mine) >= _EACH:
            self.forget(min(mine, key=lambda each: each.seen))
        now, secret = self._clock.monotonic(), secrets.token_urlsafe(32)
        self._numbers += 1
        session = Session(
            self._numbers, account, how, caller.uid, caller.os_user, caller.pid, "", now, now, confirmed=now
        )  # fmt: skip
        self._signed_in[digest(secret)] = session
        return secret, session

    def of_secret(self, secret: str, uid: int, pid: int, idle_s: float) -> Session | None:
        """Return the sign-in with this secret, none if it is over or another OS user's. What its user did last, they
        did ``idle_s`` ago."""
        session = self._signed_in.get(digest(secret))
        if session is None or session.uid != uid or not self.is_open(session):
            return None
        session.pid = pid
        session.stir(self._clock.monotonic() - max(0.0, idle_s))
        return session

    def of_process(
        self, account: str, how: str, uid: int, pid: int, os_user: str, started: str, token: str = ""
    ) -> Session | str:
        """Return the session of a process, or who ended it."""
        key = (uid, pid, started, token)
        if key in self._ended:
            return self._ended[key]
        now, session = self._clock.monotonic(), self._processes.get(key)
        if session is None or session.account != account:
            self._numbers += 1
            if len(self._processes) >= _MOST:
                self.tidy()
            session = Session(self._numbers, account, how, uid, os_user, pid, started, now, now, token)
            self._processes[key] = session
        session.stir(now)
        return session

    def is_open(self, session: Session) -> bool:
        """Return whether a session is still good."""
        if session.how in (OS_USER, TOKEN):
            return (session.uid, session.pid, session.started, session.token) not in self._ended
        now = self._clock.monotonic()
        if now - session.began > self.settings.session_h * 3600 or now - session.seen > self.settings.idle_h * 3600:
            return False
        return session in self._signed_in.values()

    def all(self) -> list[Session]:
        """Return open sessions; commands that ended are not among them for long."""
        self.tidy()
        return sorted([*self._signed_in.values(), *self._processes.values()], key=lambda each: each.id)

    def of(self, account: str) -> list[Session]:
        """Return the open sessions of an account."""
        return [each for each in self.all() if each.account == account]

    def end_of(self, account: str) -> int:
        """End all sessions of an account; return how many."""
        return self.end(lambda each: each.account == account)

    def tidy(self) -> None:
        """Forget sessions that are over."""
        now = self._clock.monotonic()
        self._signed_in = {key: each for key, each in self._signed_in.items() if self.is_open(each)}
        self._processes = {
            key: each
            for key, each in self._processes.items()
            if now - each.seen < _COMMAND_S and self.alive(each.pid)
        }  # fmt: skip
        while len(self._ended) > _MOST:
            del self._ended[next(iter(self._ended))]

    def forget(self, session: Session) -> None:
        """End a sign-in, as its owner wants."""
        self._signed_in = {key: each for key, each in self._signed_in.items() if each is not session}

    def end(self, which: Callable[[Session], bool], by: str = "") -> int:
        """End sessions; return how many.

        With ``by``, who ended them, processes stay out for good; else only for as long as their account or token is.
        """
        over = [each for each in (*self._signed_in.values(), *self._processes.values()) if which(each)]
        self._signed_in = {key: each for key, each in self._signed_in.items() if each not in over}
        for key, each in list(self._processes.items()):
            if each in over:
                del self._processes[key]
                if by:
                    self._ended[key] = by
        return len(over)

    def row(self, session: Session) -> SessionRow:
        """Return a session as it is shown."""
        now = self._clock.monotonic()
        began = self._clock.now() - timedelta(seconds=now - session.began)
        return SessionRow(
            session.id, session.account, session.how, safe(session.os_user, 32), session.pid, began,
            round(now - session.seen, 1),
        )  # fmt: skip
