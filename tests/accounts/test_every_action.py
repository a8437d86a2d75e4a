"""Each action of the contract, called by each role over the socket: done or denied as declared, and written down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from pacstui.accounts.roles import BUILT_IN
from pacstui.api import plain, wire
from pacstui.api.server import ControlServer
from pacstui.contract import IMPORT, NOUNS, Danger, all_actions, permissions, privacy
from pacstui.errors import Denied, NotFound, PacsError, StorageFull, Unconfirmed
from tests.accounts.making import ME, Doors, opened


class Reached:
    """A room in which each action only tells that it was reached."""

    def __getattr__(self, name: str) -> Any:
        async def method(**_: Any) -> None:
            raise NotFound("the room was reached")

        return method


async def _import(*_: Any) -> dict[str, Any]:
    raise NotFound("the room was reached")


@asynccontextmanager
async def serving(folder: Path) -> AsyncIterator[tuple[Doors, Path]]:
    async with opened(folder) as doors:
        socket = folder / "s"
        socket.mkdir()
        server = ControlServer(socket, {n: Reached() for n in NOUNS}, _import, doors.gate, doors.audit, doors.bus,
                               doors.clock)  # fmt: skip
        await server.start()
        try:
            yield doors, socket
        finally:
            await server.close()


def argument(hint: Any) -> Any:
    """Return some value of a type."""
    if privacy.marked(hint):
        return ""
    if get_origin(hint) is dict:
        return {}
    kind = get_args(hint)[0] if privacy.secret(hint) else hint
    if kind in (str, int, bool, float):
        return kind("7") if kind is not bool else True
    return [7] if int in get_args(kind) else ["node.view"]


def arguments(name: str) -> dict[str, Any]:
    noun, _, method = name.partition(".")
    hints = get_type_hints(getattr(NOUNS[noun], method), include_extras=True)
    return {each: argument(hints[each]) for each in wire.methods(noun)[method].required}


async def call(folder: Path, name: str, **more: Any) -> PacsError:
    noun, _, method = name.partition(".")
    try:
        if name == IMPORT.name:
            await asyncio.to_thread(plain.exchange, folder, "/v1/import?source=x", iter([b"x"]))
        else:
            await asyncio.to_thread(plain.call, folder, noun, method, **{**arguments(name), **more})
    except PacsError as fault:
        return fault
    raise AssertionError("nothing answers in this test")


@pytest.mark.parametrize("role", [*BUILT_IN, "nothing at all"])
async def test_each_action_is_done_or_denied_as_declared_and_leaves_an_entry(tmp_path: Path, role: str) -> None:
    async with serving(tmp_path) as (doors, folder):
        await doors.gate.store.update(doors.gate.store.get(ME), role=role)
        held = BUILT_IN[role].permissions if role in BUILT_IN else frozenset()
        for action in [*all_actions().values(), IMPORT]:
            before = len(await doors.entries())
            answer = await call(folder, action.name)
            if not action.permission or action.permission in held:
                assert answer.message == "the room was reached", action.name
                wanted = [("action", "failed")] if action.audited and action is not IMPORT else []
                wanted = [("import", "ok")] if action is IMPORT else wanted
            else:
                assert isinstance(answer, Denied), action.name
                assert action.permission in answer.message
                wanted = [("denied", "denied")]
            fresh = (await doors.entries())[before:]
            told = [
                ("action" if each.kind in ("export", "recovery") else each.kind, each.outcome)
                for each in fresh if each.kind != "sign-in"
            ]  # fmt: skip
            assert told == wanted, action.name
            assert all(each.who == ME and each.action in ("", action.name) for each in fresh)


async def test_nobody_without_an_account_gets_further_than_the_sign_in(tmp_path: Path) -> None:
    async with serving(tmp_path) as (doors, folder):
        await doors.gate.store.update(doors.gate.store.get(ME), os_user="")
        for action in all_actions().values():
            answer = await call(folder, action.name)
            if action.permission:
                assert isinstance(answer, Denied), action.name
                assert answer.message == f"{ME} has no account on this node"
                assert f"--os-user {ME}" in answer.hint
            else:
                assert answer.message == "the room was reached", action.name


def test_every_permission_is_one_that_somebody_holds_and_somebody_does_not() -> None:
    administrator, viewer = BUILT_IN["administrator"].permissions, BUILT_IN["viewer"].permissions
    assert administrator == set(permissions())
    assert viewer < administrator
    assert not viewer & {"patients.view", "accounts.view", "audit.view", "accounts.manage", "node.stop"}
    for role in BUILT_IN.values():
        if role.name != "administrator":
            assert "accounts.manage" not in role.permissions


async def test_who_may_not_see_patients_may_not_look_for_them_either(tmp_path: Path) -> None:
    async with serving(tmp_path) as (doors, folder):
        await doors.gate.store.update(doors.gate.store.get(ME), role="viewer")
        answer = await call(folder, "studies.list", search="doe")
        assert isinstance(answer, Denied)
        assert "patients.view" in answer.message
        assert (await call(folder, "studies.list", search="  ")).message == "the room was reached"
        await doors.gate.store.update(doors.gate.store.get(ME), role="radiologist")
        assert (await call(folder, "studies.list", search="doe")).message == "the room was reached"


async def test_what_asks_for_the_name_asks_for_the_password_too(tmp_path: Path) -> None:
    async with serving(tmp_path) as (doors, folder):
        grave = [action.name for action in all_actions().values() if action.danger is Danger.TYPE_NAME]
        assert grave
        for name in grave:
            assert (await call(folder, name)).message == "the room was reached"
        await doors.gate.store.update(doors.gate.store.get(ME), password="something")
        for name in grave:
            assert isinstance(await call(folder, name), Unconfirmed)
        assert (await call(folder, "peers.list")).message == "the room was reached"


async def test_nothing_is_done_that_cannot_be_written_down(tmp_path: Path) -> None:
    async with serving(tmp_path) as (doors, folder):

        async def full(_: Any) -> None:
            raise StorageFull("the disk is full")

        write, doors.database.write = doors.database.write, full  # type: ignore[method-assign, assignment]
        for _ in range(1000):
            doors.trail.note("action", "ok", "somebody")
        answer = await call(folder, "node.stop")
        assert "audit trail cannot be written" in answer.message
        assert (await call(folder, "peers.list")).message == "the room was reached"
        doors.database.write = write  # type: ignore[method-assign]
        assert len(await doors.entries()) > 1000 - 1
        assert (await call(folder, "node.stop")).message == "the room was reached"
