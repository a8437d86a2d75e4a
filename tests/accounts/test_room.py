"""What an administrator does: accounts, roles, CSV files, the review, and the way back in."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pacstui.accounts import drafts
from pacstui.accounts.caller import Caller
from pacstui.accounts.roles import expand
from pacstui.accounts.store import Store
from pacstui.clock import FakeClock
from pacstui.contract import permissions
from pacstui.errors import BadRequest, Denied, NotFound
from tests.accounts.making import ME, Doors, opened


async def test_somebody_is_always_left_who_can_manage(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.as_me("create", "eva", role="administrator")
        for method, arguments in (
            ("disable", {}), ("delete", {}), ("edit", {"role": "viewer"}), ("edit", {"expires": "2020-01-01"}),
        ):  # fmt: skip
            await doors.as_me("disable", "eva")
            with pytest.raises(BadRequest, match="nobody would be left"):
                await doors.as_me(method, ME, **arguments)
            await doors.as_me("enable", "eva")
        await doors.as_me("disable", "eva")
        with pytest.raises(BadRequest, match="nobody would be left"):
            await doors.as_me("import_csv", f"name,disabled\n{ME},yes\n")
        await doors.as_me("enable", "eva")
        await doors.as_me("delete", ME)
        assert not (await doors.caller()).account


async def test_nobody_gives_what_they_do_not_hold(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.as_me("save_role", "desk", ("accounts.*", "node.view"))
        await doors.as_me("create", "dora", role="desk", os_user="nobody")
        with doors.calling(await doors.caller("nobody", 65534)):
            for call in (
                doors.room.create("friend", role="administrator"), doors.room.edit("dora", role="administrator"),
                doors.room.reset_password(ME), doors.room.delete(ME), doors.room.disable(ME),
                doors.room.save_role("desk", ("*",)), doors.room.import_csv("name,role\ndora,administrator\n"),
            ):  # fmt: skip
                with pytest.raises(Denied, match="may not do"):
                    await call
            await doors.room.create("clerk", role="desk")


async def test_roles_of_ones_own(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        role = await doors.as_me("save_role", "night shift", ("*.view", "!patients.view", "peers.echo"), "on call")
        assert "peers.echo" in role.permissions
        assert "patients.view" not in role.permissions
        for name, patterns in (("viewer", ("*",)), ("bad/name", ("*",)), ("x", ("no.such",))):
            with pytest.raises(BadRequest):
                await doors.as_me("save_role", name, patterns)
        await doors.as_me("create", "eva", role="night shift")
        with pytest.raises(BadRequest, match="1 account"):
            await doors.as_me("delete_role", "night shift")
        await doors.as_me("edit", "eva", role="viewer")
        await doors.as_me("delete_role", "night shift")
        with pytest.raises(NotFound):
            await doors.as_me("delete_role", "night shift")
        view = await doors.as_me("roles")
        assert {row.name for row in view.permissions} == set(permissions())
        assert all(row.actions for row in view.permissions)


def test_patterns() -> None:
    known = ("a.view", "a.do", "b.view", "b.do")
    assert expand(("*.view",), known) == {"a.view", "b.view"}
    assert expand(("*", "!b.*"), known) == {"a.view", "a.do"}
    assert expand(("!b.*", "*"), known) == set(known)
    assert expand((), known) == frozenset()


async def test_names_roles_and_os_users_are_checked(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        for name in ("", " ", "a b", "-x", "x" * 65, "\x1b[2J", "é", "a/b"):
            with pytest.raises(BadRequest):
                await doors.as_me("create", name)
        await doors.as_me("create", "Eva")
        for arguments in (
            {"name": "eva"}, {"name": "x", "role": "king"}, {"name": "x", "os_user": "no such user"},
            {"name": "x", "os_user": ME}, {"name": "x", "email": "nowhere"}, {"name": "x", "expires": "soon"},
            {"name": "x", "kind": "robot"}, {"name": "x", "kind": "service", "os_user": "nobody"},
        ):  # fmt: skip
            with pytest.raises(BadRequest):
                await doors.as_me("create", **arguments)
        assert [row.name for row in await doors.as_me("list")] == sorted(["Eva", ME], key=str.lower)


async def test_a_service_has_a_passcode(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        code = (await doors.as_me("create", "ris", kind="service")).secret
        assert doors.gate.service("RIS", code).name == "ris"
        await doors.gate.tick()
        (row,) = [each for each in await doors.as_me("list") if each.name == "ris"]
        assert row.last_sign_in == doors.clock.now()
        for name, given_code, kind in (("ris", code + "0", Denied), ("ris", "", Denied), (ME, "", NotFound)):
            with pytest.raises(kind):
                doors.gate.service(name, given_code)
        with pytest.raises(Denied):
            await doors.signed_in("ris", code)
        other = (await doors.as_me("reset_password", "ris")).secret
        with pytest.raises(Denied):
            doors.gate.service("ris", code)
        await doors.as_me("disable", "ris")
        with pytest.raises(Denied, match="disabled"):
            doors.gate.service("ris", other)


FILE = """name,role,full name,email,os_user,notes
eva,radiologist,"Example, Eva",eva@example.org,,first
otto,operator,Otto Sample,,nobody,
"""


async def test_a_csv_file_is_previewed_and_then_done_or_not_at_all(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        plan = await doors.as_me("preview_import", FILE)
        told = [(line.line, line.name, line.what) for line in plan.lines]
        assert told == [(2, "eva", "create"), (3, "otto", "create")]
        assert len(await doors.as_me("list")) == 1
        done = await doors.as_me("import_csv", FILE)
        assert [secret.account for secret in done.secrets] == ["eva"]
        assert not (await doors.signed_in("eva", done.secrets[0].secret)).permissions
        assert (await doors.caller("nobody", 65534)).account == "otto"
        again = await doors.as_me("preview_import", FILE)
        assert [line.what for line in again.lines] == ["nothing", "nothing"]
        changed = await doors.as_me("preview_import", FILE.replace("operator", "viewer"))
        assert changed.lines[1].text == "role: operator -> viewer"
        wrong = FILE.replace("operator", "viewer") + "bad name,viewer,,,,\neva,viewer,,,,\nzoe,king,,,,\nshort\n"
        told = await doors.as_me("preview_import", wrong)
        assert told.mistakes == 4
        with pytest.raises(BadRequest, match="nothing was done; line 4"):
            await doors.as_me("import_csv", wrong)
        (row,) = await doors.as_me("list", "otto")
        assert row.role == "operator"


async def test_what_is_exported_is_imported_without_a_change(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.as_me("import_csv", FILE)
        await doors.as_me("edit", "eva", expires="2027-01-31")
        text = await doors.as_me("export_csv")
        plan = await doors.as_me("preview_import", text)
        assert {line.what for line in plan.lines} == {"nothing"}, plan
        await doors.as_me("edit", "eva", notes="=cmd()")
        text = await doors.as_me("export_csv")
        assert "'=cmd()" in next(csv.reader(io.StringIO(text.split("\n")[1])))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300) | st.text(alphabet='name,role\n"\r\0x', max_size=60).map("name,role\n".__add__))
def test_any_text_is_a_plan_or_a_mistake(text: str) -> None:
    store = Store(None)  # type: ignore[arg-type]
    try:
        lines = list(drafts.read_csv(text, store, FakeClock().now()))
    except BadRequest:
        return
    assert all(line.mistake or line.after is not None for line in lines)


async def test_the_review_says_what_to_look_at(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        await doors.as_me("create", "eva", role="viewer", os_user="nobody")
        await doors.as_me("create", "old", role="operator")
        caller = await doors.caller("nobody", 65534)
        doors.gate.used(caller, "node.view")
        doors.clock.advance(100 * 86400)
        review = await doors.as_me("review", 90)
        rows = {row.account.name: row for row in review.rows}
        assert rows["eva"].findings == ("has not signed in for 100 days",)
        assert "node.view" not in rows["eva"].unused
        assert len(rows["eva"].unused) == rows["eva"].held - 1
        assert rows["old"].findings == ("never signed in",)
        assert "can manage accounts" in rows[ME].findings


async def recovering(doors: Doors, *, trusted: bool) -> str:
    with doors.calling(Caller(0 if trusted else 65534, 1, "root" if trusted else "nobody", trusted=trusted)):
        told = await doors.room.recover("eva")
    return str(told.secret)


async def test_the_machines_owner_gets_back_in(tmp_path: Path) -> None:
    async with opened(tmp_path) as doors:
        with pytest.raises(Denied, match="only the machine's root"):
            await recovering(doors, trusted=False)
        secret = await recovering(doors, trusted=True)
        (row,) = await doors.as_me("list", "eva")
        assert (row.role, row.password) == ("administrator", "one-time")
        assert (await doors.signed_in("eva", secret)).account == "eva"
