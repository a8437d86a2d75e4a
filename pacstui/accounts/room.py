"""The noun ``accounts``: what an administrator does about who may do what."""

from __future__ import annotations

import pwd
from collections.abc import Callable
from dataclasses import replace

from pacstui.accounts import drafts
from pacstui.accounts.bulk import Bulk
from pacstui.accounts.caller import CURRENT, OS_USER
from pacstui.accounts.gate import Gate
from pacstui.accounts.issuing import Issuing
from pacstui.accounts.own_factor import OwnFactor
from pacstui.accounts.proof import PASSWORD
from pacstui.accounts.roles import ADMINISTRATOR, BUILT_IN, Role, expand
from pacstui.accounts.rules import Rules
from pacstui.accounts.store import PERSON, difference
from pacstui.clock import moment_or_none
from pacstui.contract import IMPORT, all_actions, permissions
from pacstui.contract.accounts import (
    AccountDetail,
    AccountRow,
    DirectoryStep,
    Enrolment,
    ImportPlan,
    Me,
    PermissionRow,
    RecoveryCodes,
    Review,
    RoleRow,
    RolesView,
    Secret,
    SessionRow,
    SignedIn,
    TokenRow,
    UseRow,
)
from pacstui.contract.privacy import PERMISSION
from pacstui.errors import BadRequest, Denied, NotFound
from pacstui.text import plural, safe


def _words(name: str) -> str:
    return "see who patients are" if name == PERMISSION else ""


class AccountsRoom:
    """The noun ``accounts``. ``changed`` is called after each change of accounts."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._rules = Rules(gate)
        self._bulk = Bulk(self._rules)
        self._own = OwnFactor(gate)
        self._issuing = Issuing(self._rules)
        self._store = gate.store
        self.changed: Callable[[], None] = lambda: None

    async def open(self, os_user: str) -> None:
        """Read the accounts; the first start binds the user who starts the node as administrator."""
        await self._store.load()
        await self._gate.tokens.load()
        self._gate.factors.open()
        if not self._store.accounts:
            now = self._gate.clock.now()
            first = drafts.fresh(os_user, PERSON, self._store, now)
            await self._store.add(replace(first, role=ADMINISTRATOR, os_user=os_user, full_name=_gecos(os_user)))
            await self._gate.trail.record(
                "configuration",
                "ok",
                "node",
                action="accounts.create",
                target=os_user,
                detail="first start: the OS user who started the node is administrator",
            )

    def wide(self) -> bool:
        """Return whether OS users other than the node's own need to reach the control socket."""
        reach = self._gate.settings.reach
        if reach != "auto":
            return reach == "all"
        own = pwd_name(self._gate.node_uid)
        directory = self._gate.proof.directory
        return (directory is not None and directory.on) or any(
            (each.os_user not in ("", own, "root")) or each.password or self._gate.tokens.of(each)
            for each in self._store.accounts.values()
        )

    # for oneself

    async def me(self) -> Me:
        return await self._gate.me()

    async def sign_in(self, name: str, password: str, code: str = "") -> SignedIn:
        return await self._gate.sign_in(name, password, code)

    async def sign_out(self) -> None:
        await self._gate.sign_out()

    async def confirm(self, password: str, code: str = "") -> None:
        await self._gate.confirm(password, code)

    async def set_password(self, old: str, new: str, code: str = "") -> None:
        await self._gate.set_password(old, new, code)
        self.changed()

    async def begin_totp(self) -> Enrolment:
        return await self._own.begin()

    async def finish_totp(self, code: str) -> RecoveryCodes:
        return await self._own.finish(code)

    async def stop_totp(self) -> None:
        await self._own.stop()

    async def renew_recovery(self) -> RecoveryCodes:
        return await self._own.renew()

    # looking

    async def list(self, search: str = "") -> tuple[AccountRow, ...]:
        words = search.casefold().split()
        accounts = sorted(self._store.accounts.values(), key=lambda each: each.name.casefold())
        rows = (self._rules.row(each) for each in accounts)
        return tuple(
            row for row in rows
            if all(word in " ".join((row.name, row.full_name, row.email, row.role, row.os_user, row.state, row.kind,
                                     row.origin, row.notes)).casefold() for word in words)
        )  # fmt: skip

    async def show(self, name: str) -> AccountDetail:
        account = self._store.get(name)
        held = sorted(self._store.role_of(account).permissions)
        uses = []
        for permission in held:
            last, count = self._store.uses.get((account.id, permission), (0, 0))
            uses.append(UseRow(permission, moment_or_none(last), count))
        sessions = tuple(self._gate.sessions.row(each) for each in self._gate.sessions.of(account.name))
        tokens = await self._issuing.list(account.name)
        return AccountDetail(self._rules.row(account), sessions, tuple(uses), tokens)

    async def sessions(self) -> tuple[SessionRow, ...]:
        return tuple(self._gate.sessions.row(each) for each in self._gate.sessions.all())

    async def roles(self) -> RolesView:
        actions = [*all_actions().values(), IMPORT]
        rows = tuple(
            PermissionRow(
                name, tuple(each.label for each in actions if each.permission == name) or (_words(name).capitalize(),)
            )
            for name in permissions()
        )
        return RolesView(rows, tuple(self._role_row(role) for role in self._store.roles.values()))

    def _role_row(self, role: Role) -> RoleRow:
        count = sum(each.role == role.name for each in self._store.accounts.values())
        return RoleRow(role.name, role.label, role.built_in, role.patterns, tuple(sorted(role.permissions)), count)

    # changing

    async def create(
        self,
        name: str,
        role: str = "viewer",
        full_name: str = "",
        email: str = "",
        os_user: str = "",
        kind: str = PERSON,
        expires: str = "",
        notes: str = "",
    ) -> Secret:
        now = self._gate.clock.now()
        given = {"role": role, "full_name": full_name, "email": email, "os_user": os_user, "expires": expires,
                 "notes": notes}  # fmt: skip
        account = drafts.drafted(drafts.fresh(name.strip(), kind, self._store, now), given, self._store, now)
        self._rules.may_touch(account)
        if account.os_user:
            await self._store.add(account)
            secret = Secret(account.name, "", None, f"{account.os_user} is recognised by the machine, without password")
        else:
            account, secret = await self._rules.with_secret(account)
            await self._store.add(account)
        self.changed()
        return secret

    async def edit(
        self,
        name: str,
        role: str | None = None,
        full_name: str | None = None,
        email: str | None = None,
        os_user: str | None = None,
        expires: str | None = None,
        notes: str | None = None,
    ) -> AccountRow:
        account = self._store.get(name)
        given = {"role": role, "full_name": full_name, "email": email, "os_user": os_user, "expires": expires,
                 "notes": notes}  # fmt: skip
        self._rules.may_touch(account)
        after = drafts.drafted(account, given, self._store, self._gate.clock.now())
        self._rules.may_touch(after)
        self._rules.somebody_manages([after])
        await self._store.update(account, **difference(account, after))
        if after.os_user != account.os_user:
            self._gate.sessions.end(lambda each: each.account == account.name and each.how == OS_USER)
        self.changed()
        return self._rules.row(self._store.get(name))

    async def reset_password(self, name: str) -> Secret:
        account = self._store.get(name)
        self._rules.may_touch(account)
        if account.from_directory:
            raise BadRequest(f"the password of {account.name} is the directory's", "it is reset there")
        after, secret = await self._rules.with_secret(account)
        await self._store.update(account, **difference(account, after))
        self._gate.unlock(account)
        self._gate.sessions.end(lambda each: each.account == account.name and each.how == PASSWORD)
        self.changed()
        return secret

    async def reset_totp(self, name: str) -> None:
        account = self._store.get(name)
        self._rules.may_touch(account)
        if not account.totp:
            raise BadRequest(f"{account.name} has no second factor")
        await self._gate.factors.remove(account)
        self._gate.unlock(account)
        self._gate.sessions.end(lambda each: each.account == account.name and each.how != OS_USER)

    async def check_directory(self, name: str = "") -> tuple[DirectoryStep, ...]:
        directory = self._gate.proof.directory
        if directory is None:
            raise BadRequest("this node asks no directory", "[directory] servers names one")
        return await directory.steps(name.strip())

    async def disable(self, name: str) -> None:
        account = self._store.get(name)
        self._rules.may_touch(account)
        after = replace(account, disabled=1)
        self._rules.somebody_manages([after])
        await self._store.update(account, disabled=1)
        self._gate.sessions.end_of(account.name)
        self.changed()

    async def enable(self, name: str) -> None:
        account = self._store.get(name)
        self._rules.may_touch(account)
        await self._store.update(account, disabled=0)
        self._gate.unlock(account)
        self.changed()

    async def unlock(self, name: str) -> None:
        account = self._store.get(name)
        self._rules.may_touch(account)
        self._gate.unlock(account)

    async def delete(self, name: str) -> None:
        account = self._store.get(name)
        self._rules.may_touch(account)
        self._rules.somebody_manages([replace(account, disabled=1)])
        await self._store.remove(account)
        self._gate.tokens.forget(account)
        self._gate.sessions.end_of(account.name)
        self.changed()

    async def end_session(self, id: int) -> None:
        found = [each for each in self._gate.sessions.all() if each.id == id]
        if not found:
            raise NotFound(f"there is no session {id} any more", "pacstui accounts sessions lists them")
        self._rules.may_touch(self._store.get(found[0].account))
        self._gate.sessions.end(lambda each: each.id == id, CURRENT.get().name)

    async def save_role(self, name: str, permissions: tuple[str, ...], label: str = "") -> RoleRow:
        name = name.strip()
        if name in BUILT_IN:
            raise BadRequest(f"the role {name} is built in and stays as it is", "save it under another name")
        if not name.replace("-", "").replace(" ", "").isalnum() or len(name) > 32:
            raise BadRequest(f'"{safe(name, 40)}" cannot be the name of a role', "letters, digits, blanks and -")
        for pattern in permissions:
            if not expand([pattern.lstrip("!")]):
                raise BadRequest(f"there is no permission {safe(pattern, 64)}", "pacstui accounts roles shows them")
        role = Role(name, safe(label.strip(), 128), tuple(dict.fromkeys(permissions)))
        for each in (role, self._store.roles.get(name, role)):
            self._rules.may_grant(each)
        self._rules.somebody_manages([], roles={name: role})
        await self._store.save_role(role)
        self.changed()
        return self._role_row(role)

    async def delete_role(self, name: str) -> None:
        role = self._store.roles.get(name)
        if role is None:
            raise NotFound(f"there is no role {safe(name, 64)}", "pacstui accounts roles shows all")
        if role.built_in:
            raise BadRequest(f"the role {name} is built in and stays")
        having = [each.name for each in self._store.accounts.values() if each.role == name]
        if having:
            raise BadRequest(
                f"{plural(len(having), 'account')} have this role: {', '.join(having[:5])}", "give them another first"
            )
        self._rules.may_grant(role)
        await self._store.remove_role(name)

    # tokens of services

    async def list_tokens(self, name: str = "") -> tuple[TokenRow, ...]:
        return await self._issuing.list(name)

    async def create_token(self, name: str, label: str, permissions: tuple[str, ...] = (), expires: str = "") -> Secret:
        secret = await self._issuing.create(name, label, permissions, expires)
        self.changed()
        return secret

    async def revoke_token(self, token: str) -> None:
        await self._issuing.revoke(token)
        self.changed()

    # many at once

    async def preview_import(self, csv: str) -> ImportPlan:
        return self._bulk.preview(csv)

    async def import_csv(self, csv: str) -> ImportPlan:
        done = await self._bulk.apply(csv)
        self.changed()
        return done

    async def export_csv(self) -> str:
        return self._bulk.export()

    async def review(self, days: int = 90) -> Review:
        return self._bulk.review(days)

    # the way back in

    async def recover(self, name: str) -> Secret:
        caller = CURRENT.get()
        if not caller.trusted:
            raise Denied(
                "only the machine's root and the user that the node runs as can recover an account",
                "an administrator can reset a password: pacstui accounts reset NAME",
            )
        now = self._gate.clock.now()
        account = self._store.find(name) or drafts.fresh(name.strip(), PERSON, self._store, now)
        if account.kind != PERSON:
            raise BadRequest(f"{account.name} is a service")
        if account.from_directory:
            raise BadRequest(f"{account.name} is from the directory", "recover a local account, or one of a new name")
        back = replace(account, role=ADMINISTRATOR, disabled=0, expires=0, totp="", totp_step=0, recovery="")
        bind = not back.os_user and self._store.bound_to(caller.os_user) is None
        if bind:
            back = replace(back, os_user=caller.os_user)
        back, secret = await self._rules.with_secret(back)
        if account.id:
            await self._store.update(account, **difference(account, back))
        else:
            await self._store.add(back)
        self._gate.unlock(back)
        self.changed()
        return secret


def pwd_name(uid: int) -> str:
    """Return the name of an OS user."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _gecos(name: str) -> str:
    try:
        return safe(pwd.getpwnam(name).pw_gecos.partition(",")[0], 128)
    except KeyError:
        return ""
