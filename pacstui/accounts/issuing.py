"""Tokens of services as administrators have to do with them: who has which, making and revoking them."""

from __future__ import annotations

from pacstui.accounts.caller import CURRENT
from pacstui.accounts.drafts import last_moment
from pacstui.accounts.roles import expand
from pacstui.accounts.rules import Rules
from pacstui.accounts.store import SERVICE
from pacstui.accounts.tokens import LASTS
from pacstui.clock import microseconds, moment_or_none
from pacstui.contract.accounts import Secret, TokenRow
from pacstui.errors import BadRequest
from pacstui.text import safe

_MOST = 20


class Issuing:
    """Lists, issues and revokes tokens."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._tokens = rules.gate.tokens

    async def list(self, name: str) -> tuple[TokenRow, ...]:
        """Return the tokens of an account, or with an empty name of all."""
        if name.strip():
            account = self._rules.store.get(name)
            return tuple(self._tokens.row(each, account) for each in self._tokens.of(account))
        return tuple(self._tokens.row(*each) for each in self._tokens.all())

    async def create(self, name: str, label: str, permissions: tuple[str, ...], expires: str) -> Secret:
        """Return a new token of a service account.

        Raises
        ------
        NotFound, BadRequest, Denied
            For a person's account, a label that is taken, permissions that the account does not have, or more than
            the caller may do.
        """
        account = self._rules.store.get(name)
        self._rules.may_touch(account)
        if account.kind != SERVICE:
            raise BadRequest(
                f"{account.name} is a person, who signs in; tokens are for services",
                "pacstui accounts create NAME --kind service --role ROLE makes one",
            )
        label = safe(label.strip(), 64)
        held = self._tokens.of(account)
        if not label or any(each.label == label for each in held):
            what = "has a token of that name already" if label else "needs a name for its token: where it is used"
            raise BadRequest(f"{account.name} {what}", "such as grafana, or interface engine")
        if len(held) >= _MOST:
            raise BadRequest(f"{account.name} has {_MOST} tokens already", "revoke some: pacstui accounts token list")
        role = self._rules.store.role_of(account)
        for pattern in permissions:
            if not expand([pattern.lstrip("!")]):
                raise BadRequest(f"there is no permission {safe(pattern, 64)}", "pacstui accounts roles shows them")
        if permissions and not expand(permissions) & role.permissions:
            raise BadRequest(
                f"the role {role.name} of {account.name} gives nothing of that, so the token could do nothing",
                f"pacstui accounts edit {account.name} --role ROLE first",
            )
        now = self._rules.gate.clock.now()
        until = microseconds(now + LASTS) if not expires.strip() else last_moment(expires.strip())
        if until and until <= microseconds(now):
            raise BadRequest(f"{safe(expires, 40)} is over already", "a later day, or never")
        token, text = await self._tokens.make(account, label, permissions, until, CURRENT.get().name)
        told = f"the token {label} ({token.id}); it is told only now and goes with each call"
        return Secret(account.name, text, moment_or_none(until), told)

    async def revoke(self, name: str) -> None:
        """Make a token good no longer; whoever shows it is out at once."""
        token, account = self._tokens.get(name)
        if account is not None:
            self._rules.may_touch(account)
        await self._tokens.revoke(token)
        self._rules.gate.sessions.end(lambda each: each.token == token.id)
