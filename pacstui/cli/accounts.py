"""``pacstui accounts``: who may do what, signing in, and the access review."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from pacstui.api import plain
from pacstui.cli.actions import below, call_confirmed, group, with_code
from pacstui.cli.doors import door
from pacstui.cli.out import fields, moment, say, say_json, table
from pacstui.errors import BadRequest
from pacstui.text import plural


def _list(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["name", "full name", "role", "state", "OS user", "password", "2nd", "from", "last sign-in", "sessions",
         "kind"],
        (
            [r["name"], r["full_name"], r["role"], r["state"], r["os_user"] or "-", r["password"],
             "yes" if r["second_factor"] else "-", r["origin"], moment(r["last_sign_in"]), r["sessions"], r["kind"]]
            for r in rows
        ),
        empty="no accounts",
    )  # fmt: skip


def _sessions(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["id", "account", "how", "OS user", "process", "since", "idle s"],
        ([r["id"], r["account"], r["how"], r["os_user"], r["pid"], moment(r["began"]), r["idle_s"]] for r in rows),
        empty="nobody is signed in",
    )


def _show(detail: dict[str, Any]) -> Iterator[str]:
    yield from fields(detail["row"])
    yield ""
    yield from _sessions(detail["sessions"])
    yield ""
    yield from table(
        ["permission", "last used", "uses"],
        ([u["permission"], moment(u["last"]), u["uses"]] for u in detail["permissions"]),
        empty="it may do nothing",
    )


def _secret(told: dict[str, Any]) -> Iterator[str]:
    yield f"{told['account']}: {told['text']}"
    if told["secret"]:
        yield f"  {told['secret']}"


def _roles(view: dict[str, Any]) -> Iterator[str]:
    roles = view["roles"]
    yield from table(
        ["permission", *(role["name"] for role in roles)],
        (
            [row["name"], *("yes" if row["name"] in role["permissions"] else "-" for role in roles)]
            for row in view["permissions"]
        ),
    )
    yield ""
    yield from table(
        ["role", "accounts", "", "what"],
        ([r["name"], r["accounts"], "built in" if r["built_in"] else "own", r["label"]] for r in roles),
    )


def _plan(plan: dict[str, Any]) -> Iterator[str]:
    yield from table(["line", "name", "", ""], ([r["line"], r["name"], r["what"], r["text"]] for r in plan["lines"]))
    yield f"{plural(plan['changes'], 'change')}, {plural(plan['mistakes'], 'mistake')}"
    for secret in plan["secrets"]:
        yield from _secret(secret)


def _review(view: dict[str, Any]) -> list[str]:
    return table(
        ["account", "role", "last sign-in", "may", "never used", "look at"],
        (
            [r["account"]["name"], r["account"]["role"], moment(r["account"]["last_sign_in"]), r["held"],
             len(r["unused"]), "; ".join(r["findings"]) or "-"]
            for r in view["rows"]
        ),
    )  # fmt: skip


def _me(me: dict[str, Any]) -> Iterator[str]:
    if not me["account"]:
        yield f"{me['os_user']}: {me['text']}"
        return
    yield f"{me['account']} ({me['role']}), known by {me['how']}"
    yield f"may: {', '.join(me['permissions']) or 'nothing'}"
    if me["text"]:
        yield me["text"]


def _tokens(rows: list[dict[str, Any]]) -> list[str]:
    return table(
        ["token", "account", "used in", "for", "state", "last used", "from", "uses", "expires"],
        (
            [r["id"], r["account"], r["label"], " ".join(r["permissions"]) or "all it may", r["state"],
             moment(r["last"]), r["origin"] or "-", r["uses"], moment(r["expires"]) if r["expires"] else "never"]
            for r in rows
        ),
        empty="no tokens: pacstui accounts token create NAME LABEL makes one for a service",
    )  # fmt: skip


def _codes(told: dict[str, Any]) -> Iterator[str]:
    yield f"recovery codes of {told['account']}: {told['text']}"
    yield from (f"  {code}" for code in told["codes"])


def _steps(rows: list[dict[str, Any]]) -> Iterator[str]:
    for row in rows:
        yield f"{row['level']:<4}  {row['step']}: {row['text']}"
        if row["hint"] and row["level"] != "ok":
            yield f"      {row['hint']}"


app = group(
    "accounts",
    "Who may do what, and signing in.",
    {
        "list": _list, "sessions": _sessions, "show": _show, "create": _secret, "reset_password": _secret,
        "recover": _secret, "roles": _roles, "review": _review, "me": _me, "edit": fields,
        "list_tokens": _tokens, "renew_recovery": _codes, "check_directory": _steps,
        "export_csv": lambda text: text.rstrip().split("\n"),
    },
    words={
        "name": "The account's (or role's) name.",
        "search": "Only accounts with these words.",
        "role": "Its role; pacstui accounts roles shows them.",
        "full_name": "The person's name.",
        "email": "Where to reach them.",
        "os_user": "OS user of this machine who is recognised as this account.",
        "kind": "person, or service for a program with a passcode.",
        "expires": "Last day, as 2026-12-31, or never.",
        "notes": "Anything worth knowing.",
        "id": "The session's number.",
        "days": "Not signed in for so many days.",
        "permissions": "Permissions; * stands for anything, a leading ! takes away.",
        "label": "What the role is for.",
        "token": "The ten characters that name it, as token list shows.",
    },
    leave_out=("sign_in", "sign_out", "confirm", "set_password", "preview_import", "import_csv", "begin_totp",
               "finish_totp", "create_token"),
    positional=("check_directory.name", "list_tokens.name"),
    groups={
        "token": "Tokens, by which programs are service accounts.",
        "totp": "The second factor: codes of a device (TOTP).", "directory": "The directory (LDAP).",
    },
    failed=lambda method, answer: method == "check_directory" and any(s["level"] == "fail" for s in answer),
)  # fmt: skip


def ask(prompt: str) -> str:
    """Return a password that was typed, or the first line of standard input where nobody types.

    Raises
    ------
    BadRequest
        When there is neither.
    """
    if sys.stdin.isatty():
        return getpass.getpass(f"{prompt}: ")
    line = sys.stdin.readline().rstrip("\n")
    if not line:
        raise BadRequest(f"{prompt}: nobody is there to type it", "write it to standard input")
    return line


@app.command("sign-in")
def sign_in(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The account's name.", show_default=False)],
    print_token: Annotated[
        bool, typer.Option("--print-token", help="Print the token for PACSTUI_TOKEN instead of keeping it.")
    ] = False,
) -> None:
    """Sign in with a password: commands of this user are this account's then, until sign-out."""
    data_dir = door(context).data_dir()
    told = with_code(data_dir, "sign_in", name=name, password=ask("Password"))
    if print_token:
        say(told["token"])
        return
    plain.keep_token(data_dir, told["token"])
    say(f"signed in as {told['me']['account']} ({told['me']['role']})")
    if told["me"]["must_change"]:
        say("now choose a password: pacstui accounts password")
    elif told["me"]["text"]:
        say(told["me"]["text"])


@below(app, "token create").command("create")
def create_token(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The service account's name.", show_default=False)],
    label: Annotated[str, typer.Argument(help="Where the token will be used.", show_default=False)],
    permission: Annotated[
        list[str] | None, typer.Option(help="Only for this, * stands for anything; else all that the account may.")
    ] = None,
    expires: Annotated[str, typer.Option(help="Last day, as 2026-12-31, or never; else in a year.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write it to a new file that only you can read.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Make a token for a service account, which is told once."""
    data_dir = door(context).data_dir()
    if out is not None and out.exists():
        raise BadRequest(f"{out} is there already", "name a new file")
    made = call_confirmed(
        data_dir, "create_token", name=name, label=label, permissions=permission or [], expires=expires
    )
    if out is not None:
        _write_secret(out, made["secret"])
        made["secret"] = ""
    if json:
        say_json(made)
        return
    until = f", good until {moment(made['until'])}" if made["until"] else ", without end"
    say(f"{made['account']}: {made['text']}{until}")
    say(f"  {made['secret']}" if out is None else f"written to {out}")


def _write_secret(path: Path, secret: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secret + "\n")
    except OSError as error:
        raise BadRequest(
            f"{path} cannot be written: {error.strerror}",
            "the token was made and nobody has it: pacstui accounts token revoke, then make another one",
        ) from None


@below(app, "totp set-up").command("set-up")
def set_up(context: typer.Context) -> None:
    """Set up a second factor for your account.

    Shows the secret, takes a first code, tells recovery codes.
    """
    data_dir = door(context).data_dir()
    begun = call_confirmed(data_dir, "begin_totp")
    if sys.stdout.isatty():
        from pacstui.qr import ansi

        for line in ansi(begun["uri"]):
            typer.echo(line)
    say(f"account {begun['account']}, secret {begun['secret']}")
    say(begun["uri"])
    say("enter it in an app for one-time codes (TOTP), or scan it, then say the code that the app shows")
    for line in _codes(plain.call(data_dir, "accounts", "finish_totp", code=ask("Code"))):
        say(line)


@app.command("sign-out")
def sign_out(context: typer.Context) -> None:
    """End this session, which sign-in began."""
    data_dir = door(context).data_dir()
    try:
        plain.call(data_dir, "accounts", "sign_out")
    finally:
        plain.keep_token(data_dir, "")
    say("signed out")


@app.command("password")
def password(context: typer.Context) -> None:
    """Change your own password."""
    data_dir = door(context).data_dir()
    old = ask("Present password (empty if there is none)") if sys.stdin.isatty() else ask("Present password")
    new = ask("New password")
    if sys.stdin.isatty() and ask("New password once more") != new:
        raise BadRequest("these were two different passwords", "nothing was changed")
    with_code(data_dir, "set_password", old=old, new=new)
    say("the password is changed")


@app.command("import")
def import_csv(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file; its first line names the columns.", show_default=False)],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only what would be done is shown.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Create and change accounts from a CSV file: all of it, or nothing."""
    plan = _import(context, "import_csv" if yes else "preview_import", file, json)
    if not yes and not json and plan["changes"]:
        say("nothing was done yet: --yes does it")


@app.command("preview-import")
def preview_import(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV file; its first line names the columns.", show_default=False)],
    json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Show what a CSV file of accounts would do."""
    _import(context, "preview_import", file, json)


def _import(context: typer.Context, method: str, file: Path, as_json: bool) -> dict[str, Any]:
    try:
        text = file.read_text("utf-8-sig")
    except OSError as error:
        raise BadRequest(f"{file}: {error.strerror}") from None
    except ValueError:
        raise BadRequest(f"{file} is no text in UTF-8", "save it as CSV UTF-8") from None
    plan: dict[str, Any] = plain.call(door(context).data_dir(), "accounts", method, csv=text)
    if as_json:
        say_json(plan)
    else:
        for line in _plan(plan):
            say(line)
    if plan["mistakes"]:
        raise typer.Exit(1)
    return plan
