"""What each role permits: a matrix. Roles of one's own are changed here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

from textual.strip import Strip
from textual.widget import Widget

from pacstui.contract import all_actions
from pacstui.contract.accounts import PermissionRow, RoleRow, RolesView
from pacstui.contract.overview import View
from pacstui.errors import PacsError
from pacstui.text import count, plural, safe
from screens import keymap
from screens.base import ConsoleScreen
from screens.modals.ask import Ask, Choice
from screens.modals.form import Form, Values, type_the_name
from screens.widgets import columns as cols
from screens.widgets.form import Field
from screens.widgets.line import Line
from screens.widgets.panel import Item, Panel, Section, words
from screens.widgets.row_table import RowTable

NAME, ROLE = 20, 7
SAVE = all_actions()["accounts.save_role"]


def expand(patterns: Sequence[str], known: Sequence[str]) -> frozenset[str]:
    """Return the permissions that patterns come to: ``*`` stands for anything, a leading ``!`` takes away."""
    chosen: set[str] = set()
    for pattern in patterns:
        meant = {name for name in known if fnmatchcase(name, pattern.lstrip("!"))}
        chosen = chosen - meant if pattern.startswith("!") else chosen | meant
    return frozenset(chosen)


def turned(patterns: Sequence[str], permission: str, known: Sequence[str]) -> tuple[str, ...]:
    """Return patterns that give ``permission`` if these do not, and take it away if they do; the rest stays."""
    wanted = permission not in expand(patterns, known)
    kept = tuple(each for each in patterns if each not in (permission, f"!{permission}"))
    if (permission in expand(kept, known)) is wanted:
        return kept
    return (*kept, permission if wanted else f"!{permission}")


class RolesTable(RowTable[PermissionRow]):
    """Permissions by roles; as many roles as there is room for, the chosen one among them."""

    def __init__(self, screen: RolesScreen) -> None:
        super().__init__((), screen.cells, lambda r: r.name, lambda r: f"{r.name} {' '.join(r.actions)}", id="matrix")
        self._of = screen
        self.first = 0

    def draw(self, width: int, height: int) -> list[Line | Strip]:
        roles, at = self._of.roles, self._of.at
        room = max(1, (width - 5 - NAME) // (ROLE + cols.GAP))
        self.first = max(0, min(max(self.first, at - room + 1), at, max(0, len(roles) - room)))
        shown = roles[self.first : self.first + room]
        wide = max(ROLE, min(13, (width - 5 - NAME) // max(1, len(shown)) - cols.GAP)) if shown else ROLE
        heads = [
            cols.Column(("\u25b8" if self.first + n == at else "") + safe(role.name, 32), wide)
            for n, role in enumerate(shown)
        ]
        self.columns = (cols.Column("permission", NAME, grow=1, most=32), *heads)
        return super().draw(width, height)


class RolePanel(Panel):
    """The chosen role and the chosen permission in words."""

    can_focus = False

    def __init__(self, screen: RolesScreen) -> None:
        super().__init__(id="role")
        self._of = screen

    def sections(self, width: int, height: int) -> Sequence[Section]:
        of = self._of
        role = of.role
        if role is None:
            return [Section(Line("Role", "title"))]
        kind = "built in: it stays as it is; n makes one of your own from it" if role.built_in else "your own"
        lines = words(f"{safe(role.label, 200)} ({kind}), {plural(role.accounts, 'account')}", width)
        patterns = of.drafts.get(role.name, role.patterns)
        lines += words(f"said as: {' '.join(safe(each, 64) for each in patterns) or '(nothing)'}", width, "dim")
        title = Line(safe(role.name, 32), "focus-title")
        if role.name in of.drafts:
            title.add("  not saved: s", "warn")
        chosen = of.table.selected
        sections = [Section(title, [Item(lines)])]
        if chosen is not None:
            told = "; ".join(safe(each, 200) for each in chosen.actions)
            sections.append(Section(Line(safe(chosen.name, 64), "title"), [Item(words(told, width))]))
        return sections


class RolesScreen(ConsoleScreen):
    """Permissions by roles."""

    TITLE_WORDS = "Roles"
    ABOUT = (
        "Each permission, and the roles that give it. Left and right choose a role, up and down a permission; below "
        "stands what both mean. Built-in roles stay as they are. n makes a role of your own from a copy of the chosen "
        "one; space gives or takes the chosen permission, s saves. A pattern such as *.view also gives permissions "
        "that a later version brings."
    )
    KEYS = (
        keymap.Key("left", "role", "The role before", "turn(-1)", palette=False, weight=9),
        keymap.Key("right", "role", "The next role", "turn(1)", palette=False, weight=9),
        keymap.Key("space", "give/take", "Give or take the chosen permission", "give", SAVE, shown="space"),
        keymap.Key("n", "new", "Make a role of your own from a copy of the chosen one", "new", SAVE),
        keymap.acts("accounts.save_role", "save", key="s"),
        keymap.acts("accounts.delete_role", "delete", key="D", weight=2),
    )

    def __init__(self) -> None:
        super().__init__()
        self.roles: list[RoleRow] = []
        self.known: tuple[str, ...] = ()
        self.at = 0
        self.drafts: dict[str, tuple[str, ...]] = {}
        self._begun = False

    def body(self) -> Iterable[Widget]:
        table = RolesTable(self)
        table.title = Line("Roles", "title")
        table.empty = ["asking the node"]
        yield table
        yield RolePanel(self)

    @property
    def table(self) -> RolesTable:
        """The matrix."""
        return self.query_one(RolesTable)

    @property
    def role(self) -> RoleRow | None:
        """The chosen role."""
        return self.roles[self.at] if self.at < len(self.roles) else None

    def cells(self, row: PermissionRow) -> Sequence[cols.Cell]:
        """Return a permission's line."""
        table = self.table
        out: list[cols.Cell] = [safe(row.name, 64)]
        for role in self.roles[table.first : table.first + len(table.columns) - 1]:
            draft = self.drafts.get(role.name)
            has = row.name in (expand(draft, self.known) if draft is not None else role.permissions)
            star = "*" if draft is not None and has != (row.name in role.permissions) else ""
            out.append((f"yes{star}", "warn" if star else "good") if has else (f"-{star}", "warn" if star else "dim"))
        return out

    def show(self, view: View) -> None:
        if not self._begun:
            self._begun = True
            self.renew()

    def renew(self, choose: str = "") -> None:
        """Fetch roles and permissions."""
        self.console_app.keep(self._load(choose))

    async def _load(self, choose: str) -> None:
        app = self.console_app
        view: RolesView | None = await app.fetch(app.client.accounts.roles())
        if not self.is_attached:
            return
        if view is None:
            self.table.empty = ["The node did not answer: esc, then m, tries again."]
            self.table.redraw()
            return
        chosen = choose or (self.role.name if self.role is not None else "")
        self.roles = list(view.roles)
        self.known = tuple(row.name for row in view.permissions)
        names = [role.name for role in self.roles]
        self.at = names.index(chosen) if chosen in names else min(self.at, max(0, len(names) - 1))
        table = self.table
        table.title = Line("Roles  ", "title").add(count(len(self.roles)), "strong")
        table.title.add("  permissions  ").add(count(len(self.known)), "strong")
        table.note = Line("left right choose a role", "dim")
        table.show(view.permissions)
        self._redraw()

    def _redraw(self) -> None:
        self.table.redraw()
        self.query_one(RolePanel).redraw()

    def chrome(self) -> None:
        """Redraw what tells of the chosen row, too."""
        super().chrome()
        for panel in self.query(RolePanel):
            panel.redraw()

    def on_key(self) -> None:
        """Follow the cursor."""
        self.call_after_refresh(self.query_one(RolePanel).redraw)

    def action_turn(self, by: int) -> None:
        """Choose another role."""
        self.at = max(0, min(self.at + by, len(self.roles) - 1))
        self._redraw()

    def _own(self, name: str) -> RoleRow | None:
        """Return the chosen role if it may be changed here; say why if not."""
        role, app = self.role, self.console_app
        if role is None or not app.allowed(name):
            return None
        if role.built_in:
            app.say(f"{role.name} is built in and stays as it is: n makes a role of your own from it", "warn")
            return None
        return role

    def action_give(self) -> None:
        """Give or take the chosen permission."""
        chosen = self.table.selected
        role = self._own("accounts.save_role")
        if role is None or chosen is None:
            return
        fresh = turned(self.drafts.get(role.name, role.patterns), chosen.name, self.known)
        self.drafts[role.name] = fresh
        if expand(fresh, self.known) == frozenset(role.permissions):
            del self.drafts[role.name]
        self._redraw()

    def action_save(self) -> None:
        """Save the chosen role."""
        role = self._own("accounts.save_role")
        if role is None:
            return
        if role.name not in self.drafts:
            self.console_app.say(f"{role.name} is saved as it is")
            return
        self.console_app.keep(self._save(role, self.drafts[role.name]))

    async def _save(self, role: RoleRow, patterns: tuple[str, ...]) -> None:
        app = self.console_app
        call = app.client.accounts.save_role(name=role.name, permissions=patterns, label=role.label)
        if await app.fetch(call) is not None:
            self.drafts.pop(role.name, None)
            app.say(f"{role.name} is saved; it holds at once for {plural(role.accounts, 'account')}")
            self.renew(role.name)

    def action_new(self) -> None:
        """Make a role from a copy."""
        app, chosen = self.console_app, self.role
        if chosen is None or not app.allowed("accounts.save_role"):
            return
        choices = tuple((role.name, safe(role.label, 100)) for role in self.roles)
        by_name = {role.name: role for role in self.roles}

        async def send(values: Values) -> str:
            name = values["name"].strip()
            if name in by_name:
                raise PacsError(f"there is a role {safe(name, 32)} already")
            patterns = self.drafts.get(values["from"], by_name[values["from"]].patterns)
            await app.client.accounts.save_role(name=name, permissions=patterns, label=values["label"])
            return name

        fields = [
            Field("name", "name", note="letters, digits, blanks and -"),
            Field("label", "what it is for"),
            Field("from", "copied from", chosen.name, choices=choices),
        ]
        form = Form("A role of your own", fields, send, intro="It begins as a copy; then space gives and takes.")
        app.push_screen(form, lambda name: self.renew(name) if name else None)

    def action_delete(self) -> None:
        """Delete the chosen role after its name was typed."""
        app, role = self.console_app, self._own("accounts.delete_role")
        if role is None:
            return
        name = role.name

        def deleted(yes: bool | None) -> None:
            if yes:
                self.drafts.pop(name, None)
                app.say(f"the role {name} is deleted")
                self.renew()

        text = f"No account may have it any more. To delete it, type {safe(name, 32)}"
        call = lambda: app.client.accounts.delete_role(name)  # noqa: E731
        app.push_screen(type_the_name(f"Delete the role {safe(name, 32)}", text, name, call), deleted)

    def action_back(self) -> None:
        """Go back; what is not saved is asked about."""
        if not self.drafts:
            super().action_back()
            return
        names = ", ".join(safe(name, 32) for name in self.drafts)
        choices = [Choice("stay", "stay", safe=True), Choice("drop", "forget the changes")]

        def answered(answer: str | None) -> None:
            if answer == "drop":
                self.drafts.clear()
                self.console_app.back()

        text = f"Changes of {names} are not saved: s saves them."
        self.console_app.push_screen(Ask("Not saved", [text], choices), answered)
