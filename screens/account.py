"""One account: its sessions, what it may do, and when it last did."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from textual.widget import Widget

from pacstui.contract import Action
from pacstui.contract.accounts import AccountDetail
from pacstui.contract.overview import View
from pacstui.errors import PacsError
from pacstui.text import ago, count, duration, plural, safe
from screens import account_tokens as tokens
from screens import account_work as work
from screens import keymap
from screens.base import ConsoleScreen
from screens.door import HOW
from screens.widgets.line import Line, fit
from screens.widgets.panel import Item, Panel, Section, words

EVERY_S = 3.0


class AccountPanel(Panel):
    """The page."""

    def __init__(self) -> None:
        super().__init__(id="page")
        self.detail: AccountDetail | None = None
        self.fault: PacsError | None = None

    def sections(self, width: int, height: int) -> Sequence[Section]:
        title = Line("Account", "title")
        if self.fault is not None:
            lines = words(f"x {safe(self.fault.message, 300)}", width, "fail", 2)
            return [Section(title, [Item([*lines, *words(safe(self.fault.hint, 300), width, "dim")])])]
        if self.detail is None:
            return [Section(title, [Item([Line("asking the node", "dim")])])]
        return [
            Section(title, [Item(self._facts(self.detail, width))]),
            self._sessions(self.detail),
            *([self._tokens(self.detail)] if self.detail.row.kind == "service" else []),
            self._permissions(self.detail),
        ]

    def _facts(self, detail: AccountDetail, width: int) -> list[Line]:
        row, now = detail.row, self.console_app.now()
        lines: list[Line] = []

        def fact(label: str, text: str, role: str = "text") -> None:
            if text:
                lines.extend(words(text, width, role, 14, Line(fit(label, 14), "dim")))

        full = f", {safe(row.full_name, 128)}" if row.full_name else ""
        service = ", a service" if row.kind == "service" else ""
        fact("name", f"{safe(row.name, 64)}{full}{service}", "strong")
        fact("role", safe(row.role, 64))
        word, role = work.state(row)
        until = f" until {row.locked_until.astimezone():%H:%M:%S}, or u" if row.locked_until else ""
        fact("state", f"{word}{until}", role)
        fact("OS user", safe(row.os_user, 32) or "none: the machine recognises nobody as this account")
        if row.origin == "directory":
            fact("from", "the directory: name, role and e-mail follow it")
            fact("", row.origin_text and f"it {safe(row.origin_text, 200)}", "warn-text")
        left = plural(row.recovery_left, "recovery code")
        factor = f", with a second factor ({left} left)" if row.second_factor else ", no second factor"
        how = {
            "directory": "the directory's", "set": "set", "one-time": "one-time: to be changed at the next sign-in",
            "none": "none",
        }  # fmt: skip
        fact("password", f"{how.get(row.password, safe(row.password, 32))}{factor}")
        fact("e-mail", safe(row.email, 254))
        fact("last sign-in", ago(row.last_sign_in, now) if row.last_sign_in else "never")
        fact("made", f"{row.created.astimezone():%Y-%m-%d %H:%M}")
        fact("last day", work.expiry(row.expires) or "never expires")
        fact("notes", safe(row.notes, 500))
        return lines

    def _sessions(self, detail: AccountDetail) -> Section:
        items = []
        for each in detail.sessions:
            line = Line(fit(str(each.id), 6)).add(fit(HOW.get(each.how, safe(each.how, 16)), 16))
            line.add(fit(safe(each.os_user, 32), 10)).add(fit(f"process {each.pid}", 16), "dim")
            line.add(f"since {each.began.astimezone():%d %b %H:%M}  idle {duration(each.idle_s)}")
            items.append(Item([line], ("session", each.id)))
        title = Line("Sessions  ", "title").add(count(len(detail.sessions)), "strong")
        return Section(title, items or [Item([Line("nobody is signed in with it", "dim")])])

    def _tokens(self, detail: AccountDetail) -> Section:
        now, items = self.console_app.now(), []
        for each in detail.tokens:
            line = Line(fit(safe(each.label, 64), 18)).add(fit(safe(each.id, 16), 12), "dim")
            line.add(fit(safe(each.state, 20), 9), "good" if each.state == "active" else "warn")
            line.add(fit(f"used {ago(each.last, now)}" if each.last else "never used", 18), "" if each.last else "dim")
            line.add(f"to {work.expiry(each.expires)[:10]}" if each.expires else "never expires", "dim")
            item = [line]
            if each.permissions:
                item.append(Line(f"  for {safe(', '.join(each.permissions), 200)}", "dim"))
            items.append(Item(item, ("token", each.id)))
        title = Line("Tokens  ", "title").add(count(len(detail.tokens)), "strong")
        none = "none: n makes one, by which a program is this account"
        return Section(title, items or [Item([Line(none, "dim")])])

    def _permissions(self, detail: AccountDetail) -> Section:
        now = self.console_app.now()
        items = []
        for each in detail.permissions:
            line = Line(fit(safe(each.permission, 64), 24))
            if each.last is None:
                line.add("never used", "dim")
            else:
                line.add(fit(f"used {ago(each.last, now)}", 20)).add(plural(each.uses, "time"), "dim")
            items.append(Item([line], ("permission", each.permission)))
        unused = sum(each.last is None for each in detail.permissions)
        title = Line("May  ", "title").add(count(len(detail.permissions)), "strong")
        title.add(f"  {count(unused)} never used", "dim")
        return Section(title, items or [Item([Line("nothing: its role permits nothing, or is gone", "dim")])])


class AccountScreen(ConsoleScreen):
    """One account."""

    TITLE_WORDS = "Account"
    ABOUT = (
        "What the account is, who is signed in with it, and each permission that its role gives, with when it was last "
        "used. x ends the chosen session. A service has tokens, by which a program is this account: n makes one, x "
        "revokes the chosen one. Permissions that nobody uses are better taken away: m on Accounts shows the "
        "roles."
    )
    KEYS = (
        *work.KEYS,
        keymap.acts("accounts.end_session", "end_session", key="x"),
        keymap.acts("accounts.create_token", "create_token"),
        keymap.acts("accounts.revoke_token", "end_session", weight=2, key="x"),
    )

    def __init__(self, name: str) -> None:
        super().__init__()
        self._account = name
        self._busy = False
        self._loaded = 0.0

    def body(self) -> Iterable[Widget]:
        yield AccountPanel()

    @property
    def _page(self) -> AccountPanel:
        return self.query_one(AccountPanel)

    def show(self, view: View) -> None:
        if self.console_app.door.clock() - self._loaded >= EVERY_S:
            self.renew()

    def renew(self) -> None:
        """Fetch it."""
        if not self._busy and self._page.fault is None:
            self._busy = True
            self.console_app.keep(self._load())

    async def _load(self) -> None:
        app, page = self.console_app, self._page
        try:
            if app.away_since is None:
                page.detail = await app.client.accounts.show(self._account)
        except PacsError as error:
            page.fault = error
        except (OSError, TimeoutError):
            pass  # the head line says that the node is away
        finally:
            self._busy = False
            self._loaded = app.door.clock()
        page.redraw()

    def _do(self, do: Callable[..., None]) -> None:
        detail = self._page.detail
        if detail is not None and self._page.fault is None:
            do(self.console_app, detail.row, self.renew)

    def action_edit(self) -> None:
        """Change it."""
        self._do(work.edit)

    def action_reset(self) -> None:
        """Give it a one-time password."""
        self._do(work.reset)

    def action_reset_totp(self) -> None:
        """Take its second factor off."""
        self._do(work.reset_totp)

    def unfit(self, action: Action) -> str:
        detail = self._page.detail
        return work.unfit(detail.row if detail is not None else None, action.name)

    def action_disable(self) -> None:
        """Disable it, or enable it again."""
        self._do(work.disable)

    def action_enable(self) -> None:
        """Enable it again."""
        self._do(work.enable)

    def action_unlock(self) -> None:
        """Unlock it."""
        self._do(work.unlock)

    def action_delete(self) -> None:
        """Delete it."""
        self._do(work.delete)

    def action_create_token(self) -> None:
        """Make a token."""
        self._do(tokens.create)

    def action_end_session(self) -> None:
        """End the chosen session, or the only one; revoke the chosen token."""
        detail, chosen = self._page.detail, self._page.cursor
        token = next((t for t in (detail.tokens if detail else ()) if chosen == ("token", t.id)), None)
        if token is not None:
            tokens.revoke(self.console_app, token, self.renew)
            return
        sessions = [each.id for each in detail.sessions] if detail is not None else []
        match chosen:
            case ("session", int(ident)):
                work.end_session(self.console_app, ident, self._account, self.renew)
            case _ if len(sessions) == 1:
                work.end_session(self.console_app, sessions[0], self._account, self.renew)
            case _:
                self.console_app.say("choose a session first" if sessions else "nobody is signed in with it")
