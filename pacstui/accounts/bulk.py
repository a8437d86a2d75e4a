"""Many accounts at once: from and to CSV files, and the access review."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from pacstui.accounts import drafts
from pacstui.accounts.roles import MANAGE, Role
from pacstui.accounts.rules import Rules
from pacstui.accounts.store import PERSON, Account, difference
from pacstui.contract.accounts import AccountRow, ImportLine, ImportPlan, Review, ReviewRow, Secret
from pacstui.errors import BadRequest
from pacstui.text import guarded, plural

_SOON = timedelta(days=14)


class Bulk:
    """Imports, exports and reviews."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def preview(self, text: str) -> ImportPlan:
        """Return what a CSV file would do; raises BadRequest."""
        return self._plan(text)[0]

    async def apply(self, text: str) -> ImportPlan:
        """Do what a CSV file says, all or nothing; raises BadRequest and Denied."""
        plan, lines = self._plan(text)
        if plan.mistakes:
            bad = next(line for line in plan.lines if line.what == "mistake")
            raise BadRequest(
                f"the file has {plural(plan.mistakes, 'mistake')}, nothing was done; line {bad.line}: {bad.text}",
                "pacstui accounts preview-import shows all of them",
            )
        after = [line.after for line in lines if line.after is not None and line.after != line.before]
        for line in lines:
            for account in (line.before, line.after):
                if account is not None and line.before != line.after:
                    self._rules.may_touch(account)
        self._rules.somebody_manages(after)
        made: list[Account] = []
        secrets: list[Secret] = []
        for account in after:
            if account.id:
                continue
            fresh = account
            if not account.os_user:
                fresh, secret = await self._rules.with_secret(account)
                secrets.append(secret)
            made.append(fresh)
        await self._rules.store.add(*made)
        known = {line.name.casefold(): line.before for line in lines if line.before is not None}
        await self._rules.store.update_all(
            [(account, difference(known[account.name.casefold()], account)) for account in after if account.id]
        )
        for account in after:
            if account.disabled:
                self._rules.gate.sessions.end_of(account.name)
        return replace(plan, secrets=tuple(secrets))

    def _plan(self, text: str) -> tuple[ImportPlan, list[drafts.Line]]:
        lines = list(drafts.read_csv(text, self._rules.store, self._rules.gate.clock.now()))
        told = tuple(self._told(line) for line in lines)
        mistakes = sum(line.what == "mistake" for line in told)
        changes = sum(line.what in ("create", "change") for line in told)
        return ImportPlan(told, mistakes, changes), lines

    def _told(self, line: drafts.Line) -> ImportLine:
        if line.after is None:
            return ImportLine(line.number, line.name, "mistake", line.mistake)
        if line.before is None:
            way = f"OS user {line.after.os_user}" if line.after.os_user else "one-time password"
            return ImportLine(line.number, line.name, "create", f"{line.after.role}, {way}")
        if line.before == line.after:
            return ImportLine(line.number, line.name, "nothing", "is as the file says")
        what = [
            f"{field.replace('_', ' ')}: {getattr(line.before, field) or '-'} -> {getattr(line.after, field) or '-'}"
            for field in ("role", "full_name", "email", "os_user", "notes")
            if getattr(line.before, field) != getattr(line.after, field)
        ]
        what += [f"expires {drafts.expiry_text(line.after) or 'never'}"] * (line.before.expires != line.after.expires)
        what += ["disabled" if line.after.disabled else "enabled"] * (line.before.disabled != line.after.disabled)
        return ImportLine(line.number, line.name, "change", "; ".join(what))

    def export(self) -> str:
        """Return all accounts as CSV."""
        out = io.StringIO()
        writer = csv.writer(out)
        writer.writerow(drafts.COLUMNS)
        for each in sorted(self._rules.store.accounts.values(), key=lambda each: each.name.casefold()):
            row = (each.name, each.role, each.full_name, each.email, each.os_user, each.kind, drafts.expiry_text(each),
                   "yes" if each.disabled else "no", each.notes)  # fmt: skip
            writer.writerow(guarded(cell) for cell in row)
        return out.getvalue()

    def review(self, days: int) -> Review:
        """Return the access review."""
        now = self._rules.gate.clock.now()
        rows = []
        for account in sorted(self._rules.store.accounts.values(), key=lambda each: each.name.casefold()):
            row, role = self._rules.row(account), self._rules.store.role_of(account)
            held = sorted(role.permissions)
            unused = tuple(name for name in held if (account.id, name) not in self._rules.store.uses)
            rows.append(ReviewRow(row, tuple(self._findings(account, row, role, days)), len(held), unused))
        return Review(now, days, tuple(rows))

    def _findings(self, account: Account, row: AccountRow, role: Role, days: int) -> Iterable[str]:
        at = self._rules.gate.clock.now()
        if row.state in ("disabled", "expired"):
            yield row.state
        elif row.state == "refused":
            yield account.directory_state
        elif row.kind == PERSON:
            if row.last_sign_in is None:
                yield "never signed in"
            elif at - row.last_sign_in > timedelta(days=days):
                yield f"has not signed in for {(at - row.last_sign_in).days} days"
            if not account.password and not row.os_user and not account.from_directory:
                yield "cannot sign in: neither password nor OS user"
        if row.expires is not None and timedelta() < row.expires - at < _SOON:
            yield f"expires {row.expires:%Y-%m-%d}"
        if account.role not in self._rules.store.roles:
            yield f"its role {account.role} is gone"
        elif MANAGE in role.permissions:
            yield "can manage accounts"
        if row.kind == PERSON and not account.totp and self._rules.gate.must_have_code(account):
            yield "has no second factor yet"
        yield from self._rules.gate.tokens.findings(account, days)
        if row.state == "locked":
            yield "locked after wrong passwords"
