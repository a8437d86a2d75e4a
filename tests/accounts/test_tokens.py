"""Tokens of service accounts: what they permit, for how long, and what is written down about them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.accounts.caller import Caller
from pacstui.accounts.tokens import PREFIX
from pacstui.errors import BadRequest, Denied, NotFound, PacsError
from pacstui.settings import AccountsSettings
from tests.accounts.making import Doors, opened
from tests.running import running_node

UID = 4712
FROM = "10.0.4.9"


async def service(doors: Doors, name: str = "metrics", role: str = "viewer") -> str:
    await doors.as_me("create", name, role=role, kind="service")
    told = await doors.as_me("create_token", name, "grafana")
    return str(told.secret)


async def by(doors: Doors, token: str, pid: int = 7, uid: int = UID) -> Caller:
    return await doors.caller("prometheus", uid, pid, token)


async def said(doors: Doors) -> list[tuple[str, str, str, str]]:
    return [(e.kind, e.outcome, e.who, e.detail) for e in await doors.entries() if e.how == "token"]


async def test_whoever_shows_it_is_the_service_with_what_its_role_may(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        token = await service(doors)
        assert token.startswith(PREFIX)
        assert len(token) == 59
        caller = await by(doors, token)
        assert (caller.account, caller.how, caller.why) == ("metrics", "token", "")
        assert caller.permissions == doors.room._store.roles["viewer"].permissions
        assert doors.gate.tokens.check(token, "node.view", FROM).name == "metrics"
        with pytest.raises(Denied, match=r"is not for this: it takes jobs\.run"):
            doors.gate.tokens.check(token, "jobs.run", FROM)
        (row,) = await doors.as_me("list_tokens")
        assert (row.label, row.state, row.uses, row.origin, row.creator) == (
            "grafana", "active", 3, FROM, (await doors.caller()).account,
        )  # fmt: skip
        assert await said(doors) == [
            ("sign-in", "ok", "metrics", "token grafana"),
            ("sign-in", "ok", "metrics", "token grafana"),
            ("denied", "denied", "metrics", "token grafana: it takes the permission jobs.run"),
        ]
        assert token.rpartition("_")[2] not in repr(await doors.entries())
        assert all(token.rpartition("_")[2] not in repr(row) for row in await doors.as_me("list_tokens"))
        assert token.rpartition("_")[2].encode() not in (tmp_path / "index.db").read_bytes()


async def test_it_is_known_after_a_restart_with_when_it_was_used(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        token = await service(doors)
        await by(doors, token)
        await doors.gate.tick()
    async with opened(tmp_path) as doors:
        assert (await by(doors, token)).account == "metrics"
        (row,) = await doors.as_me("list_tokens", "metrics")
        assert row.uses == 2


async def test_it_may_be_for_less_than_the_account_may(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.as_me("create", "engine", role="operator", kind="service")
        told = await doors.as_me("create_token", "engine", "hl7", ("queue.view", "patients.view", "node.*"))
        caller = await by(doors, told.secret)
        role = doors.room._store.roles["operator"].permissions
        assert caller.permissions == {"queue.view", *(each for each in role if each.startswith("node."))}
        with pytest.raises(BadRequest, match="gives nothing of that"):
            await doors.as_me("create_token", "engine", "other", ("patients.view",))
        with pytest.raises(BadRequest, match="there is no permission nonsense"):
            await doors.as_me("create_token", "engine", "other", ("nonsense",))


async def test_it_ends_at_once_when_it_is_revoked_or_its_account_is_disabled_or_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        token = await service(doors)
        other = str((await doors.as_me("create_token", "metrics", "other")).secret)
        assert (await by(doors, token)).account == "metrics"
        await doors.as_me("disable", "metrics")
        assert "the account metrics is disabled" in (await by(doors, token)).why
        await doors.as_me("enable", "metrics")
        assert (await by(doors, token)).permissions
        row = next(each for each in await doors.as_me("list_tokens") if each.label == "grafana")
        await doors.as_me("revoke_token", row.id)
        refused = await by(doors, token)
        assert (refused.account, refused.permissions) == ("", frozenset())
        assert "was revoked" in refused.why
        assert [s.token for s in doors.gate.sessions.of("metrics")] == []
        assert (await by(doors, other)).account == "metrics"
        await doors.as_me("delete", "metrics")
        assert (await by(doors, other)).why == "this token is none of this node's, or was revoked"
        with pytest.raises(NotFound):
            await doors.as_me("revoke_token", row.id)
    async with opened(tmp_path) as doors:
        assert (await by(doors, other)).account == ""


async def test_it_expires_and_says_so_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        token = await service(doors)
        never = str((await doors.as_me("create_token", "metrics", "for ever", (), "never")).secret)
        with pytest.raises(BadRequest, match="is over already"):
            await doors.as_me("create_token", "metrics", "late", (), "2020-01-01")
        await by(doors, token)
        doors.clock.advance(355 * 86400)
        (problem,) = doors.gate.tokens.problems()
        assert problem[2] == "the token grafana of metrics expires in 10 days"
        review = await doors.as_me("review")
        findings = next(row.findings for row in review.rows if row.account.name == "metrics")
        assert "token grafana was not used for 355 days" in findings
        assert "token for ever never expires" in findings
        doors.clock.advance(11 * 86400)
        assert (await by(doors, token)).why == "the token grafana is good no longer: it has expired"
        assert (await by(doors, never)).account == "metrics"
        (problem,) = doors.gate.tokens.problems()
        assert problem[2] == "the token grafana of metrics has expired"


async def test_it_is_for_services_and_no_more_than_who_makes_it_may(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.as_me("create", "eva", role="viewer")
        with pytest.raises(BadRequest, match="tokens are for services"):
            await doors.as_me("create_token", "eva", "script")
        await doors.as_me("create", "root-like", role="administrator", kind="service")
        await doors.as_me("save_role", "clerk", ("accounts.*", "node.view"))
        await doors.as_me("create", "clerk", role="clerk", os_user="daemon")
        clerk = await doors.caller("daemon", 1)
        with doors.calling(clerk), pytest.raises(Denied, match="cannot give or take what clerk may not do"):
            await doors.room.create_token("root-like", "mine", ("node.view",))
        for label in ("", "  "):
            with pytest.raises(BadRequest, match="needs a name"):
                await doors.as_me("create_token", "root-like", label)
        await doors.as_me("create_token", "root-like", "one")
        with pytest.raises(BadRequest, match="of that name already"):
            await doors.as_me("create_token", "root-like", "one")


async def test_a_service_cannot_do_what_is_for_people(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        token = await service(doors, role="administrator")
        doors.gate.replace(AccountsSettings(second_factor="everybody", second_factor_os_users=True))
        caller = await by(doors, token)
        assert caller.permissions, "nobody asks a program for a code"
        calls: list[tuple[str, tuple[Any, ...]]] = [
            ("set_password", ("", "a password of its own")), ("begin_totp", ()), ("finish_totp", ("123456",)),
            ("confirm", ("x",)), ("sign_out", ()), ("stop_totp", ()), ("renew_recovery", ()),
        ]  # fmt: skip
        for name, arguments in calls:
            with doors.calling(caller), pytest.raises(BadRequest, match="is a service, known by a token"):
                await getattr(doors.room, name)(*arguments)
        assert not doors.room._store.get("metrics").password


async def test_a_session_of_a_token_can_be_ended_for_its_process(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        token = await service(doors)
        await by(doors, token, pid=7)
        (session,) = doors.gate.sessions.of("metrics")
        await doors.as_me("end_session", session.id)
        assert "was ended by" in (await by(doors, token, pid=7)).why
        assert (await by(doors, token, pid=8)).account == "metrics"


async def test_guesses_are_written_down_once_in_a_while_and_lock_nobody(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        token = await service(doors)
        name, _, secret = token.removeprefix(PREFIX).partition("_")
        for guess in (f"{PREFIX}{name}_{'0' * 40}", f"{PREFIX}{name}", f"{PREFIX}{name}_", f"{PREFIX}_{secret}", PREFIX,
                      f"{PREFIX}aaaaaaaaaa_{secret}", token.upper(), token + " ", token[:-1]):  # fmt: skip
            for _ in range(20):
                assert (await by(doors, guess)).account == ""
        entries = await said(doors)
        assert entries == [("sign-in", "failed", "(unknown)", "a token that there is not, or that was revoked")]
        assert (await by(doors, token)).account == "metrics"


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_whatever_is_shown_raises_nothing_else(text: str) -> None:
    tokens = _empty()
    for shown in (text, PREFIX + text, f"{PREFIX}{text}_{text}"):
        with pytest.raises(PacsError):
            tokens.held(shown, FROM)


def _empty() -> Any:
    from pacstui.accounts.tokens import Tokens
    from pacstui.clock import FakeClock

    class Nothing:
        accounts: dict[str, Any] = {}

        def note(self, *_: str, **__: str) -> None: ...

    return Tokens(Nothing(), None, FakeClock(), Nothing())  # type: ignore[arg-type]


def test_a_script_is_a_service_by_a_file_or_a_variable(tmp_path: Path) -> None:
    with running_node(tmp_path / "node") as node:

        def run(*words: str, **more: str) -> tuple[int, str]:
            done = subprocess.run(
                [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), *words],
                env={**os.environ, "XDG_STATE_HOME": str(tmp_path), **more}, text=True, capture_output=True, timeout=60,
            )  # fmt: skip
            return done.returncode, done.stdout + done.stderr

        assert run("accounts", "create", "cron", "--kind", "service", "--role", "operator")[0] == 0
        file = tmp_path / "cron.token"
        code, told = run("accounts", "token", "create", "cron", "nightly", "--permission", "jobs.*", "--permission",
                         "accounts.view", "--out", str(file))  # fmt: skip
        assert (code, f"written to {file}" in told) == (0, True)
        assert file.stat().st_mode & 0o777 == 0o600
        code, told = run("--token-file", str(file), "accounts", "me")
        assert "cron (operator), known by token" in told
        assert "may: jobs.run, jobs.view" in told
        assert run("jobs", "list", PACSTUI_TOKEN=file.read_text())[0] == 0
        code, told = run("studies", "list", PACSTUI_TOKEN_FILE=str(file))
        assert (code, "cron may not do this" in told) == (1, True)
        code, told = run("accounts", "token", "list")
        assert "nightly" in told
        assert "jobs.* accounts.view" in told
        code, told = run("accounts", "token", "revoke", told.split("\n")[1].split()[0], "--yes")
        assert code == 0, told
        code, told = run("--token-file", str(file), "jobs", "list")
        assert (code, "this token is none of this node's, or was revoked" in told) == (1, True)
        file.write_text("\n")
        code, told = run("--token-file", str(file), "jobs", "list")
        assert (code, "holds no token" in told) == (1, True)
        code, told = run("--token-file", str(tmp_path / "none"), "jobs", "list")
        assert (code, "cannot be read: No such file" in told) == (1, True)
