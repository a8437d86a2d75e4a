"""While small objects come, the event loop and the lane share a processor; nothing else is ever bound to one."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE

import pytest

from pacstui import processors
from pacstui.archive import Archive, Refused
from pacstui.processors import start_program

from .conftest import OPTIONS, send
from .objects import Object

if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
    pytest.skip("a machine with one processor, or a system that chooses alone", allow_module_level=True)

LARGE = bytes(300_000)


@pytest.fixture
def everywhere() -> set[int]:
    return os.sched_getaffinity(0)


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Archive]:
    monkeypatch.setattr(processors, "WHILE_S", 3600.0)
    archive = await Archive.open(tmp_path / "data", OPTIONS)
    try:
        yield archive
    finally:
        await archive.close()


def places() -> set[frozenset[int]]:
    """Return where threads of this process are bound to, those that may run anywhere left out."""
    found = set()
    for name in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):  # it has ended
            found.add(frozenset(os.sched_getaffinity(int(name))))
    return {each for each in found if len(each) == 1}


def move(given: set[int]) -> None:
    """Let all threads of this process run there, and nowhere else."""
    for name in os.listdir("/proc/self/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(name), given)


async def test_small_objects_bring_loop_and_lane_together(opened: Archive, everywhere: set[int]) -> None:
    assert not places()
    await send(opened, Object())
    assert len(os.sched_getaffinity(0)) == 1
    assert places() == {frozenset(os.sched_getaffinity(0))}
    await opened.close()
    assert os.sched_getaffinity(0) == everywhere
    assert not places()


async def test_large_objects_part_them(opened: Archive, everywhere: set[int]) -> None:
    await send(opened, Object())
    await send(opened, Object(pixels=LARGE))
    assert os.sched_getaffinity(0) == everywhere
    assert not places()
    await send(opened, Object())  # among large ones it is not worth while
    assert not places()


async def test_the_largest_objects_part_them_too(opened: Archive) -> None:
    await send(opened, Object())
    assert places()
    await send(opened, Object(pixels=bytes(3 << 20)))  # it comes by way of a file
    assert not places()


async def test_they_are_let_go_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "WHILE_S", 0.0)
    archive = await Archive.open(tmp_path / "data", OPTIONS)
    await send(archive, Object())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not places()
    await archive.close()


async def test_between_two_whiles_the_system_has_time_to_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "WHILE_S", 0.0)
    monkeypatch.setattr(processors, "BETWEEN_S", 3600.0)
    archive = await Archive.open(tmp_path / "data", OPTIONS)
    await send(archive, Object())
    for _ in range(5):
        await asyncio.sleep(0)
    monkeypatch.setattr(processors, "WHILE_S", 3600.0)
    await send(archive, Object())
    assert not places()
    await archive.close()


async def test_a_thread_that_began_meanwhile_is_let_go_too(opened: Archive, everywhere: set[int]) -> None:
    await send(opened, Object())
    ready, end = threading.Event(), threading.Event()

    def work() -> None:
        ready.set()
        end.wait(20)

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(20)
    assert thread.native_id is not None
    await send(opened, Object(pixels=LARGE))
    try:
        assert os.sched_getaffinity(thread.native_id) == everywhere
    finally:
        end.set()
        thread.join()


async def test_a_thread_that_another_begins_while_they_are_let_go(
    opened: Archive, everywhere: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(opened, Object())
    begin, begun, end = threading.Event(), threading.Event(), threading.Event()
    found: list[int] = []

    def second() -> None:
        found.append(threading.get_native_id())
        begun.set()
        end.wait(20)

    def first() -> None:
        assert begin.wait(20)
        threading.Thread(target=second).start()
        end.wait(20)

    def look(path: str) -> list[str]:
        names = listdir(path)
        begin.set()
        assert begun.wait(20)  # the one before, too late for this look
        return names

    thread = threading.Thread(target=first)
    thread.start()
    listdir = os.listdir
    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", look)
        opened.db.turns.part()
    try:
        assert os.sched_getaffinity(found[0]) == everywhere
    finally:
        end.set()
        thread.join()


async def test_while_no_file_can_be_opened_nobody_stays_bound_and_objects_are_taken_afterwards(
    opened: Archive, everywhere: set[int]
) -> None:
    await send(opened, Object())
    end = threading.Event()
    thread = threading.Thread(target=end.wait)
    thread.start()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(Refused):
            await asyncio.wait_for(send(opened, Object(pixels=LARGE)), 20)
        assert os.sched_getaffinity(0) == everywhere
        opened.db.turns.take()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        assert (await asyncio.wait_for(send(opened, Object(pixels=LARGE)), 20)).new
        assert not places()  # those that began meanwhile are found now
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("same", [True, False])
async def test_a_place_that_the_process_is_given_meanwhile_holds(
    opened: Archive, everywhere: set[int], same: bool
) -> None:
    await send(opened, Object())
    (here,) = os.sched_getaffinity(0)
    given = {here} if same else {min(everywhere - {here})}
    move(given)  # as `taskset -ap` does
    try:
        await send(opened, Object(pixels=LARGE))
        assert places() == {frozenset(given)}
        assert os.sched_getaffinity(0) == given
    finally:
        move(everywhere)


async def test_a_thread_that_was_given_a_place_of_its_own_keeps_it(opened: Archive, everywhere: set[int]) -> None:
    given = {min(everywhere)}
    os.sched_setaffinity(0, given)
    try:
        await send(opened, Object())
        others = [each.native_id for each in threading.enumerate() if each is not threading.current_thread()]
        assert all(os.sched_getaffinity(each) == everywhere for each in others if each is not None)
        await send(opened, Object(pixels=LARGE))
        assert os.sched_getaffinity(0) == given
    finally:
        os.sched_setaffinity(0, everywhere)


async def test_a_closed_database_keeps_nobody(opened: Archive) -> None:
    await opened.close()
    opened.db.turns.take()
    assert not places()


async def test_a_program_is_started_where_there_is_room(opened: Archive, everywhere: set[int]) -> None:
    await send(opened, Object())
    program = await start_program(
        sys.executable, "-c", "import os; print(sorted(os.sched_getaffinity(0)))", stdout=PIPE
    )
    said, _ = await program.communicate()
    assert said.decode().strip() == str(sorted(everywhere))


def test_nobody_else_starts_programs_beside_an_event_loop() -> None:
    root = Path(processors.__file__).parent
    found = {
        str(path.relative_to(root)) for path in root.rglob("*.py")
        if "create_subprocess" in path.read_text(encoding="utf-8")
    }  # fmt: skip
    assert found == {"processors.py"}


async def test_where_it_is_forbidden_objects_are_taken_all_the_same(
    opened: Archive, everywhere: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "sched_setaffinity", forbidden)
        assert (await send(opened, Object())).new
    assert (await send(opened, Object())).new
    assert os.sched_getaffinity(0) == everywhere
