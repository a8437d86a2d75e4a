"""Tokens: how a program proves that it is a service account, where it has a line of text to send and no password.

A token is ``pacstui_`` with ten characters that name it and 160 random bits that nobody can guess. Only the SHA-256 of
the latter is stored, so that nobody reads a token from the database; that it is random makes a slow hash needless.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields, replace
from datetime import timedelta

from pacstui.accounts.caller import TOKEN
from pacstui.accounts.passwords import digest, passcode
from pacstui.accounts.roles import expand
from pacstui.accounts.store import SERVICE, Account, Store
from pacstui.accounts.trail import Trail
from pacstui.clock import Clock, microseconds, moment_or_none
from pacstui.contract.accounts import TokenRow
from pacstui.db import Database
from pacstui.errors import Denied, NotFound
from pacstui.text import plural, safe

PREFIX = "pacstui_"
LASTS = timedelta(days=365)
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_QUIET_S, _WRONG_S = 900.0, 60.0
_REMEMBERED = 4096
_SOON = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Token:
    """One token of the account number ``account``. Times are microseconds since 1970, 0 for never.

    ``id`` is what names it in the token itself, ``digest`` the SHA-256 of the rest. ``patterns`` is a JSON list of the
    permissions that it is for; an empty one stands for all that the account has.
    """

    id: str
    account: int
    label: str
    digest: str
    patterns: str
    created: int
    creator: str
    expires: int
    last: int = 0
    origin: str = ""
    uses: int = 0

    def within(self, permissions: frozenset[str]) -> frozenset[str]:
        """Return what the token permits of what its account may do."""
        patterns: list[str] = json.loads(self.patterns)
        return permissions & expand(patterns) if patterns else permissions


_COLUMNS = ", ".join(f.name for f in fields(Token))
_INSERT = f"INSERT INTO tokens ({_COLUMNS}) VALUES ({', '.join('?' * len(fields(Token)))})"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Held:
    """What a token that was shown stands for."""

    token: Token
    account: Account
    permissions: frozenset[str]


class Tokens:
    """The tokens of a node: in memory, and written through to the database."""

    def __init__(self, store: Store, database: Database, clock: Clock, trail: Trail) -> None:
        self._store = store
        self._db = database
        self._clock = clock
        self._trail = trail
        self._tokens: dict[str, Token] = {}
        self._fresh: set[str] = set()
        self._said: dict[tuple[str, str], float] = {}

    async def load(self) -> None:
        """Read them."""
        rows = await self._db.read(lambda c: c.execute(f"SELECT {_COLUMNS} FROM tokens").fetchall())  # noqa: S608
        self._tokens = {row[0]: Token(*row) for row in rows}

    def _now(self) -> int:
        return microseconds(self._clock.now())

    # what programs show

    def held(self, text: str, origin: str) -> Held:
        """Return what a token stands for, and note that it was used. Quick: it may be asked for each message.

        Parameters
        ----------
        origin
            From where it was shown: an OS user and process, or an address.

        Raises
        ------
        Denied
            When there is no such token, it has expired, or its account is not in force.
        """
        name, _, secret = text.removeprefix(PREFIX).partition("_")
        token = self._tokens.get(name) if text.startswith(PREFIX) else None
        right = hmac.compare_digest(token.digest if token else digest(""), digest(secret))
        if token is None or not right:
            self._wrong("(unknown)", origin, "a token that there is not, or that was revoked")
            raise Denied("this token is none of this node's, or was revoked", "pacstui accounts token create")
        account = self._owner(token)
        why = self._why_not(token, account)
        if account is None or why:
            who = account.name if account is not None else "(unknown)"
            self._wrong(who, origin, f"the token {token.label}: {why}")
            raise Denied(f"the token {token.label} is good no longer: {why}", "an administrator makes another one")
        self._tokens[name] = replace(token, last=self._now(), origin=safe(origin, 128), uses=token.uses + 1)
        self._fresh.add(name)
        if self._is_new((name, origin), _QUIET_S):
            self._trail.note("sign-in", "ok", account.name, how=TOKEN, origin=origin, detail=f"token {token.label}")
        return Held(token, account, token.within(self._store.role_of(account).permissions))

    def check(self, text: str, permission: str, origin: str) -> Account:
        """Return the account of a token that permits something. This is all that a port needs to ask.

        Raises
        ------
        Denied
            When the token is none or is not for that; what to do stands in it.
        """
        held = self.held(text, origin)
        if permission not in held.permissions:
            if self._is_new((held.token.id, permission), _WRONG_S):
                self._trail.note(
                    "denied", "denied", held.account.name, how=TOKEN, origin=origin,
                    detail=f"token {held.token.label}: it takes the permission {permission}",
                )  # fmt: skip
            raise Denied(
                f"the token {held.token.label} of {held.account.name} is not for this: it takes {permission}",
                "pacstui accounts token list shows what each is for",
            )
        return held.account

    def _owner(self, token: Token) -> Account | None:
        return next((each for each in self._store.accounts.values() if each.id == token.account), None)

    def _why_not(self, token: Token, account: Account | None) -> str:
        now = self._now()
        if account is None or account.kind != SERVICE:
            return "its account is gone"
        if token.expires and token.expires <= now:
            return "it has expired"
        if not account.in_force(now):
            return f"the account {account.name} is {'disabled' if account.disabled else 'expired'}"
        return ""

    def _wrong(self, who: str, origin: str, detail: str) -> None:
        if self._is_new(("", origin.partition(", process ")[0] + detail), _WRONG_S):
            self._trail.note("sign-in", "failed", who, how=TOKEN, origin=origin, detail=safe(detail, 200))

    def _is_new(self, what: tuple[str, str], seconds: float) -> bool:
        """Return whether something was not written down within the last seconds; it counts as written then."""
        now = self._clock.monotonic()
        if self._said.get(what, -seconds) > now - seconds:
            return False
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        self._said[what] = now
        return True

    # what administrators do

    async def make(
        self, account: Account, label: str, patterns: tuple[str, ...], expires: int, creator: str
    ) -> tuple[Token, str]:
        """Return a new token, and its text, which is told once."""
        name, secret = "".join(secrets.choice(_LETTERS) for _ in range(10)), passcode()
        token = Token(
            name, account.id, label, digest(secret), json.dumps(list(patterns)), self._now(), creator, expires
        )  # fmt: skip
        await self._db.write(lambda c: c.execute(_INSERT, astuple(token)))
        self._tokens[name] = token
        return token, f"{PREFIX}{name}_{secret}"

    def get(self, name: str) -> tuple[Token, Account | None]:
        """Return a token by the characters that name it, and whose it is.

        Raises
        ------
        NotFound
            When there is none.
        """
        token = self._tokens.get(name.strip().removeprefix(PREFIX).partition("_")[0])
        if token is None:
            raise NotFound(f"there is no token {safe(name, 24)}", "pacstui accounts token list shows all")
        return token, self._owner(token)

    async def revoke(self, token: Token) -> None:
        """Make a token good no longer."""
        self._tokens.pop(token.id, None)
        await self._db.write(lambda c: c.execute("DELETE FROM tokens WHERE id=?", (token.id,)))

    def forget(self, account: Account) -> None:
        """Forget the tokens of an account that was deleted."""
        self._tokens = {name: each for name, each in self._tokens.items() if each.account != account.id}

    def of(self, account: Account) -> list[Token]:
        """Return an account's tokens, oldest first."""
        return sorted((t for t in self._tokens.values() if t.account == account.id), key=lambda t: (t.created, t.id))

    def all(self) -> list[tuple[Token, Account]]:
        """Return all tokens with their accounts, by the accounts' names."""
        accounts = sorted(self._store.accounts.values(), key=lambda each: each.name.casefold())
        return [(token, account) for account in accounts for token in self.of(account)]

    def row(self, token: Token, account: Account) -> TokenRow:
        """Return a token as it is shown."""
        why = self._why_not(token, account)
        patterns: list[str] = json.loads(token.patterns)
        return TokenRow(
            token.id, account.name, token.label, tuple(patterns), why.removeprefix("it has ") if why else "active",
            moment_or_none(token.created) or self._clock.now(), token.creator, moment_or_none(token.expires),
            moment_or_none(token.last), token.origin, token.uses,
        )  # fmt: skip

    def findings(self, account: Account, days: int) -> Iterable[str]:
        """Yield what the access review says about an account's tokens."""
        now = self._clock.now()
        for token in self.of(account):
            last, made = moment_or_none(token.last), moment_or_none(token.created) or now
            if now - (last or made) > timedelta(days=days):
                yield f"token {token.label} was not used for {(now - (last or made)).days} days"
            if not token.expires:
                yield f"token {token.label} never expires"

    def problems(self) -> Iterable[tuple[str, str, str, str, str]]:
        """Yield which tokens end soon, for ``monitor.problems``: what uses them stops then."""
        now = self._clock.now()
        for token, account in self.all():
            ends = moment_or_none(token.expires)
            if ends is not None and token.last and ends - now < _SOON and account.in_force(self._now()):
                when = "has expired" if ends <= now else f"expires in {plural(max(1, (ends - now).days), 'day')}"
                yield (
                    f"token {token.id}", "warn", f"the token {token.label} of {account.name} {when}",
                    f"pacstui accounts token create {account.name}, put it where the old one is, revoke that",
                    "accounts",
                )  # fmt: skip

    async def flush(self) -> None:
        """Write when they were used."""
        fresh, self._fresh = self._fresh, set()
        rows = [(t.last, t.origin, t.uses, t.id) for t in map(self._tokens.get, fresh) if t is not None]
        if rows:
            await self._db.write(lambda c: c.executemany("UPDATE tokens SET last=?, origin=?, uses=? WHERE id=?", rows))
