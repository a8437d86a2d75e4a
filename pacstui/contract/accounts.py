"""The noun ``accounts``: who may do what, signing in, and what an administrator does about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from pacstui.contract.action import Danger, action
from pacstui.contract.privacy import SecretText


@dataclass(frozen=True, slots=True)
class Me:
    """Who the node takes the caller for.

    ``account`` is empty for somebody without one: ``text`` then says what to do. ``how`` is OS user, password,
    directory, or token (of a service). ``lock_s`` is how long a console may lie idle before it locks, 0 for ever;
    ``lockable`` tells whether the account has a password to unlock it. ``must_change`` asks for a new password before
    anything else, ``must_set_up`` for a second factor. With ``second_factor`` a sign-in takes a code too; ``directory``
    tells that the password is the directory's.
    """

    account: str
    full_name: str
    role: str
    permissions: tuple[str, ...]
    os_user: str
    how: str
    must_change: bool
    lockable: bool
    lock_s: float
    text: str = ""
    second_factor: bool = False
    must_set_up: bool = False
    directory: bool = False


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A session that was begun with a password. ``token`` goes with each later call of this OS user."""

    token: str
    me: Me


@dataclass(frozen=True, slots=True)
class AccountRow:
    """One account. ``kind`` is person or service.

    ``state`` is active, disabled, expired or locked (after wrong passwords, until ``locked_until``). ``password`` is
    set, one-time (to be changed at the next sign-in), none, directory, or passcode (services). ``sessions`` are open
    now. ``origin`` is local or directory; an account of the directory that this lets in no more is refused, and
    ``origin_text`` says why.
    """

    name: str
    full_name: str
    email: str
    kind: str
    role: str
    os_user: str
    state: str
    password: str
    second_factor: bool
    expires: datetime | None
    locked_until: datetime | None
    created: datetime
    last_sign_in: datetime | None
    sessions: int
    notes: str
    origin: str = "local"
    origin_text: str = ""
    recovery_left: int = 0


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A console, command or service that is signed in. ``how`` as in :class:`Me`; ``idle_s`` since its last call."""

    id: int
    account: str
    how: str
    os_user: str
    pid: int
    began: datetime
    idle_s: float


@dataclass(frozen=True, slots=True)
class UseRow:
    """A permission that an account holds, and when it was last used; none if never."""

    permission: str
    last: datetime | None
    uses: int


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A token of a service account, without its secret. ``id`` stands in the token itself, after ``pacstui_``.

    ``permissions`` are the patterns that it is for, none for all that the account may do. ``state`` is active, expired,
    or what is wrong with the account. ``last`` is when it was shown last and ``origin`` from where.
    """

    id: str
    account: str
    label: str
    permissions: tuple[str, ...]
    state: str
    created: datetime
    creator: str
    expires: datetime | None
    last: datetime | None
    origin: str
    uses: int


@dataclass(frozen=True, slots=True)
class AccountDetail:
    """An account, its open sessions, what it may do, and the tokens of a service."""

    row: AccountRow
    sessions: tuple[SessionRow, ...]
    permissions: tuple[UseRow, ...]
    tokens: tuple[TokenRow, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A secret that is told once and stored only as a digest. ``until`` is when it stops being good, none for never."""

    account: str
    secret: str
    until: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A second factor that is being set up: the secret in groups, and as an address that apps read (otpauth:)."""

    account: str
    secret: str
    uri: str


@dataclass(frozen=True, slots=True)
class RecoveryCodes:
    """Codes that stand for a lost device, each good once; told once, and stored only as digests."""

    account: str
    codes: tuple[str, ...]
    text: str


@dataclass(frozen=True, slots=True)
class DirectoryStep:
    """One step of a look at the directory. ``level`` is ok, warn or fail; ``hint`` what to do."""

    step: str
    level: str
    text: str
    hint: str


@dataclass(frozen=True, slots=True)
class PermissionRow:
    """A permission, and the actions that take it, in words."""

    name: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RoleRow:
    """A role. ``patterns`` is what was said, ``permissions`` what it comes to now; built-in ones cannot be changed."""

    name: str
    label: str
    built_in: bool
    patterns: tuple[str, ...]
    permissions: tuple[str, ...]
    accounts: int


@dataclass(frozen=True, slots=True)
class RolesView:
    """All permissions and all roles: a matrix."""

    permissions: tuple[PermissionRow, ...]
    roles: tuple[RoleRow, ...]


@dataclass(frozen=True, slots=True)
class ImportLine:
    """What one line of a CSV file would do: ``what`` is create, change, nothing or mistake; ``text`` says more."""

    line: int
    name: str
    what: str
    text: str


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What a CSV file would do, or did. ``secrets`` are one-time passwords of accounts that were made."""

    lines: tuple[ImportLine, ...]
    mistakes: int
    changes: int
    secrets: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """An account in the access review. ``findings`` says what to look at; ``unused`` are permissions never used."""

    account: AccountRow
    findings: tuple[str, ...]
    held: int
    unused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Review:
    """Who may do what, who has not signed in for ``days``, and which permissions nobody used."""

    at: datetime
    days: int
    rows: tuple[ReviewRow, ...]


class Accounts(Protocol):
    """Accounts, roles, sessions. An action without permission is open to everybody who reaches the node."""

    @action("me", "Show who this node takes you for and what you may do", permission="")
    async def me(self) -> Me: ...

    @action("sign-in", "Sign in with a password", permission="")
    async def sign_in(self, name: str, password: SecretText, code: SecretText = "") -> SignedIn: ...

    @action("sign-out", "End this session", permission="")
    async def sign_out(self) -> None: ...

    @action("confirm", "Say the password once more before something grave", permission="")
    async def confirm(self, password: SecretText, code: SecretText = "") -> None: ...

    @action("password", "Change your own password", permission="", audited=True)
    async def set_password(self, old: SecretText, new: SecretText, code: SecretText = "") -> None: ...

    @action("totp set-up", "Set up a second factor for your account", permission="")
    async def begin_totp(self) -> Enrolment: ...

    @action("totp switch-on", "Switch your second factor on with a first code", permission="", audited=True)
    async def finish_totp(self, code: SecretText) -> RecoveryCodes: ...

    @action("totp off", "Switch your second factor off", permission="", danger=Danger.CONFIRM, audited=True)
    async def stop_totp(self) -> None: ...

    @action("totp recovery-codes", "Make new recovery codes for your account", permission="", danger=Danger.CONFIRM,
            audited=True)  # fmt: skip
    async def renew_recovery(self) -> RecoveryCodes: ...

    @action("totp reset", "Take the second factor off an account whose device is lost", permission="accounts.manage",
            danger=Danger.CONFIRM, audited=True, key="t")  # fmt: skip
    async def reset_totp(self, name: str) -> None: ...

    @action("directory check", "Look at the directory step by step, and at what it gives somebody",
            permission="accounts.manage")  # fmt: skip
    async def check_directory(self, name: str = "") -> tuple[DirectoryStep, ...]: ...

    @action("list", "List accounts", permission="accounts.view")
    async def list(self, search: str = "") -> tuple[AccountRow, ...]: ...

    @action("show", "Show an account, its sessions and what it may do", permission="accounts.view")
    async def show(self, name: str) -> AccountDetail: ...

    @action("create", "Create an account", permission="accounts.manage", audited=True, key="n")
    async def create(
        self, name: str, role: str = "viewer", full_name: str = "", email: str = "", os_user: str = "",
        kind: str = "person", expires: str = "", notes: str = "",
    ) -> Secret: ...  # fmt: skip

    @action("edit", "Change an account", permission="accounts.manage", audited=True, key="e")
    async def edit(
        self, name: str, role: str | None = None, full_name: str | None = None, email: str | None = None,
        os_user: str | None = None, expires: str | None = None, notes: str | None = None,
    ) -> AccountRow: ...  # fmt: skip

    @action("reset", "Give an account a one-time password, or a service a new passcode", permission="accounts.manage",
            danger=Danger.CONFIRM, audited=True, key="p")  # fmt: skip
    async def reset_password(self, name: str) -> Secret: ...

    @action("disable", "Disable an account and end its sessions", permission="accounts.manage", danger=Danger.CONFIRM,
            audited=True, key="d")  # fmt: skip
    async def disable(self, name: str) -> None: ...

    @action("enable", "Enable an account again", permission="accounts.manage", audited=True)
    async def enable(self, name: str) -> None: ...

    @action("unlock", "Forget an account's wrong passwords", permission="accounts.manage", audited=True, key="u")
    async def unlock(self, name: str) -> None: ...

    @action("delete", "Delete an account", permission="accounts.manage", danger=Danger.TYPE_NAME, audited=True, key="D")
    async def delete(self, name: str) -> None: ...

    @action("sessions", "List open sessions", permission="accounts.view")
    async def sessions(self) -> tuple[SessionRow, ...]: ...

    @action("end-session", "End somebody's session", permission="accounts.manage", danger=Danger.CONFIRM, audited=True)
    async def end_session(self, id: int) -> None: ...

    @action("token list", "List the tokens of services", permission="accounts.view")
    async def list_tokens(self, name: str = "") -> tuple[TokenRow, ...]: ...

    @action("token create", "Make a token for a service account, which is told once", permission="accounts.manage",
            audited=True, key="n")  # fmt: skip
    async def create_token(
        self, name: str, label: str, permissions: tuple[str, ...] = (), expires: str = ""
    ) -> Secret: ...

    @action("token revoke", "Make a token good no longer", permission="accounts.manage", danger=Danger.CONFIRM,
            audited=True)  # fmt: skip
    async def revoke_token(self, token: str) -> None: ...

    @action("roles", "Show roles and permissions", permission="accounts.view")
    async def roles(self) -> RolesView: ...

    @action("save-role", "Make or change a role of your own", permission="accounts.manage", audited=True)
    async def save_role(self, name: str, permissions: tuple[str, ...], label: str = "") -> RoleRow: ...

    @action("delete-role", "Delete a role of your own", permission="accounts.manage", danger=Danger.TYPE_NAME,
            audited=True)  # fmt: skip
    async def delete_role(self, name: str) -> None: ...

    @action("preview-import", "Show what a CSV file of accounts would do", permission="accounts.manage")
    async def preview_import(self, csv: SecretText) -> ImportPlan: ...

    @action("import", "Create and change accounts from a CSV file", permission="accounts.manage",
            danger=Danger.CONFIRM, audited=True)  # fmt: skip
    async def import_csv(self, csv: SecretText) -> ImportPlan: ...

    @action("export", "Write all accounts as CSV", permission="accounts.view", audited=True)
    async def export_csv(self) -> str: ...

    @action("review", "Review access: who may do what, and does not use it", permission="accounts.view")
    async def review(self, days: int = 90) -> Review: ...

    @action("recover", "Make an account administrator, as the machine's root or the node's own user", permission="",
            danger=Danger.CONFIRM, audited=True)  # fmt: skip
    async def recover(self, name: str) -> Secret: ...
