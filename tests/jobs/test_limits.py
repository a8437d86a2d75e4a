"""What somebody may have done by jobs, and what cannot be said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pacstui.api import wire
from pacstui.errors import BadRequest, Denied
from pacstui.jobs.kinds import Parameter
from tests.jobs.running import room


async def test_a_job_gives_nobody_what_he_may_not_do_himself(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("mine", "short")
        it.room.register(replace(it.works.kinds()[0], permission="backups.restore"))
        it.room.may = lambda permission: permission != "backups.restore"
        with pytest.raises(Denied, match=r"backups\.restore"):
            await it.room.start("mine")
        with pytest.raises(Denied):
            await it.room.create("other", "short", "every 1 min")
        with pytest.raises(Denied):
            await it.room.edit("mine", schedule="every 1 min")
        it.room.may = lambda permission: True
        await it.room.start("mine")


async def test_parameters_that_name_patients_are_for_those_who_may_see_them(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        kind = it.works.kinds()[0]
        it.room.register(replace(kind, parameters=(*kind.parameters, Parameter("patients", "who"))))
        await it.room.create("mine", "short", parameters={"patients": "P1,P2"})
        assert (await it.job("mine")).parameters == {"patients": "P1,P2"}
        it.room.may = lambda permission: permission != "patients.view"
        assert (await it.job("mine")).parameters == {"patients": "\u2022" * 6}
        await it.room.edit("mine", schedule="daily 02:00")  # what is hidden stays
        for change in (it.room.edit("mine", parameters={"patients": "P3"}), it.room.start("mine", {"patients": "P3"}),
                       it.room.create("other", "short", parameters={"patients": "P3"})):  # fmt: skip
            with pytest.raises(Denied, match=r"patients\.view"):
                await change
        it.room.may = lambda permission: True
        assert (await it.job("mine")).parameters == {"patients": "P1,P2"}


async def test_a_run_with_parameters_of_its_own_takes_the_right_to_change_the_job(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        await it.room.create("mine", "short")
        it.room.may = lambda permission: permission != "jobs.edit"
        with pytest.raises(Denied, match=r"jobs\.edit"):
            await it.room.start("mine", {"how": "badly"})
        it.room.may = lambda permission: True
        with pytest.raises(BadRequest, match="no parameter"):
            await it.room.start("mine", {"what": "badly"})
        await it.room.start("mine", {"how": "badly"})
        await it.settle()
        assert it.works.ran[-1].parameters == {"how": "badly"}
        (line,) = await it.room.log(it.works.ran[-1].id)
        assert line.text == "this run was told: how badly"
        assert (await it.job("mine")).parameters == {}


async def test_a_job_is_not_made_without_what_it_needs(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        it.room.register(replace(it.works.kinds()[0], parameters=(Parameter("peers", "which", required=True),)))
        with pytest.raises(BadRequest, match="short needs peers"):
            await it.room.create("mine", "short")
        await it.room.create("mine", "short", parameters={"peers": "vna"})
        with pytest.raises(BadRequest, match="short needs peers"):
            await it.room.edit("mine", parameters={"peers": " "})


async def test_a_name_is_one_line(tmp_path: Path) -> None:
    async with room(tmp_path) as it:
        with pytest.raises(BadRequest):
            await it.room.create("mine\n", "short")


@pytest.mark.parametrize(
    ("noun", "name", "given"),
    [
        ("jobs", "run", {"id": 10**30}), ("jobs", "history", {"before": -(10**30)}),
        ("jobs", "history", {"job": "\ud800"}),
        ("jobs", "create", {"name": "a", "kind": "b", "retry_s": float("nan")}),
        ("jobs", "create", {"name": "a", "kind": "b", "retry_s": float("inf")}),
        ("jobs", "create", {"name": "a", "kind": "b", "retry_s": 1e308}),
        ("jobs", "create", {"name": "a", "kind": "b", "parameters": {"x": "\udc00"}}),
    ],
)  # fmt: skip
def test_what_no_database_keeps_is_refused_at_the_door(noun: str, name: str, given: dict[str, object]) -> None:
    with pytest.raises(BadRequest):
        wire.methods(noun)[name].arguments(given)
