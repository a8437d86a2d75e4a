"""Accounts as somebody wants them to be: from arguments or a line of a CSV file, checked before anything is written."""

from __future__ import annotations

import csv
import io
import pwd
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from pacstui.accounts.store import NAME, PERSON, SERVICE, Account, Store
from pacstui.clock import microseconds, moment_or_none
from pacstui.errors import BadRequest
from pacstui.text import safe

COLUMNS = ("name", "role", "full_name", "email", "os_user", "kind", "expires", "disabled", "notes")
_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
_LINES = 5000


def drafted(account: Account, given: Mapping[str, str | None], store: Store, now: datetime) -> Account:
    """Return ``account`` with what is given; what is None stays.

    Raises
    ------
    BadRequest
        For a role that there is not, an OS user that there is not or who has an account, a date that is none.
    """
    if account.from_directory:
        for field in ("role", "full_name", "email"):
            if given.get(field) not in (None, getattr(account, field)):
                raise BadRequest(
                    f"{field.replace('_', ' ')} of {account.name} follows the directory", "change it there"
                )
    changed = account
    for field, longest in (("full_name", 128), ("email", 254), ("notes", 500)):
        value = given.get(field)
        if value is not None:
            changed = replace(changed, **{field: safe(value.strip(), longest)})  # type: ignore[arg-type]
    if changed.email and not _EMAIL.fullmatch(changed.email):
        raise BadRequest(f"{changed.email} is no e-mail address")
    role = given.get("role")
    if role is not None:
        if role not in store.roles:
            raise BadRequest(f"there is no role {safe(role, 64)}", f"one of {', '.join(store.roles)}")
        changed = replace(changed, role=role)
    os_user = given.get("os_user")
    if os_user is not None:
        changed = replace(changed, os_user=_os_user(os_user.strip(), account, store))
    expires = given.get("expires")
    if expires is not None:
        changed = replace(changed, expires=last_moment(expires.strip()))
    if changed.kind == SERVICE and changed.os_user:
        raise BadRequest("a service account has a passcode and is bound to no OS user")
    return changed


def fresh(name: str, kind: str, store: Store, now: datetime) -> Account:
    """Return a new account without anything.

    Raises
    ------
    BadRequest
        For a name that is taken or cannot be one, and an unknown kind.
    """
    if not NAME.fullmatch(name):
        raise BadRequest(
            f'"{safe(name, 64)}" cannot be the name of an account',
            "letters, digits and . _ @ - , beginning with a letter or digit, 64 at most",
        )
    if store.find(name) is not None:
        raise BadRequest(f"there is an account {name} already", "pacstui accounts edit changes it")
    if kind not in (PERSON, SERVICE):
        raise BadRequest(f"{safe(kind, 20)} is no kind of account", f"{PERSON} or {SERVICE}")
    return Account(0, name, kind=kind, created=microseconds(now))


def _os_user(name: str, account: Account, store: Store) -> str:
    if not name:
        return ""
    try:
        pwd.getpwnam(name)
    except KeyError:
        raise BadRequest(f"this machine has no user {safe(name, 32)}", "write the name that id -un prints") from None
    other = store.bound_to(name)
    if other is not None and other.id != account.id:
        raise BadRequest(f"the OS user {name} is bound to the account {other.name}")
    return name


def last_moment(text: str) -> int:
    """Return the end of a last day, or a moment, in microseconds since 1970; 0 for never.

    Raises
    ------
    BadRequest
        When it is no date.
    """
    if text in ("", "never"):
        return 0
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadRequest(f"{safe(text, 40)} is no date", "write 2026-01-31, or never") from None
    if len(text) <= 10:
        at += timedelta(days=1)  # good to the end of that day
    return microseconds(at if at.tzinfo else at.astimezone())


def expiry_text(account: Account) -> str:
    """Return when an account expires, as `drafted` understands it."""
    at = moment_or_none(account.expires)
    return at.isoformat(timespec="seconds") if at else ""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a CSV file: the account as it would be, or the mistake in it."""

    number: int
    name: str
    before: Account | None
    after: Account | None
    mistake: str = ""


def read_csv(text: str, store: Store, now: datetime) -> Iterator[Line]:
    """Yield what each line of a CSV file asks for.

    Raises
    ------
    BadRequest
        When the first line does not name columns that are known.
    """
    reader = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""), skipinitialspace=True)
    try:
        names = [name.strip().lower().replace(" ", "_") for name in reader.fieldnames or ()]
    except csv.Error as error:
        raise BadRequest(f"this is no CSV file: {error}") from None
    unknown = [name for name in names if name not in COLUMNS]
    if "name" not in names or unknown:
        what = f"does not know {', '.join(safe(name, 30) for name in unknown)}" if unknown else "has no column name"
        raise BadRequest(f"the first line of the file {what}", f"columns are {', '.join(COLUMNS)}; only name is needed")
    reader.fieldnames = names
    seen: dict[str, int] = {}
    users: dict[str, str] = {}
    try:
        for row in reader:
            number = reader.line_num
            if number > _LINES:
                raise BadRequest(f"the file has more than {_LINES} lines")
            name = (row.get("name") or "").strip()
            before = store.find(name)
            try:
                if None in row or None in row.values():
                    raise BadRequest("it has another number of columns than the first line")
                if name.casefold() in seen:
                    raise BadRequest(f"{safe(name, 64)} stands in line {seen[name.casefold()]} already")
                seen[name.casefold()] = number
                yield Line(number, name, before, _line(row, name, before, store, now, users))
            except BadRequest as mistake:
                told = mistake.message + (f" ({mistake.hint})" if mistake.hint else "")
                yield Line(number, safe(name, 64), before, None, told)
    except csv.Error as error:
        raise BadRequest(f"this is no CSV file: {error}") from None


def _line(
    row: Mapping[str, str], name: str, before: Account | None, store: Store, now: datetime, users: dict[str, str]
) -> Account:
    base = before if before is not None else fresh(name, (row.get("kind") or PERSON).strip(), store, now)
    given = {key: value.strip() for key, value in row.items() if key not in ("name", "kind", "disabled")}
    if before is None and not given.get("role"):
        given["role"] = "viewer"
    after = drafted(base, {key: value for key, value in given.items() if key != "role" or value}, store, now)
    if after.os_user and users.setdefault(after.os_user, name) != name:
        raise BadRequest(f"the OS user {after.os_user} stands at {users[after.os_user]} already")
    disabled = (row.get("disabled") or "").strip().lower()
    if disabled not in ("", "yes", "no", "true", "false", "1", "0"):
        raise BadRequest(f"{safe(disabled, 20)} stands under disabled", "yes or no")
    return replace(after, disabled=int(disabled in ("yes", "true", "1"))) if disabled else after
