"""Routes that people make, and dry runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pacstui.errors import BadRequest, NotFound
from tests.archive.objects import Object
from tests.routing.house import house, peer, to

PEERS = [peer("ONE", 1), peer("TWO", 2)]


async def test_make_change_and_delete(tmp_path: Path) -> None:
    async with house(tmp_path, to("ONE", name="fixed"), peers=PEERS, begin=False) as here:
        made = await here.routes.create("chests", to=("TWO",), where=("BodyPartExamined = CHEST",), send="study")
        assert made.text == "BodyPartExamined = CHEST, when the study is complete (60 s)"
        assert (made.source, made.enabled, made.problem, made.changed_by) == ("console", True, "", "admin")
        assert [row.name for row in await here.routes.list()] == ["fixed", "chests"]
        changed = await here.routes.edit("chests", modality=("CR", "DX"), stable_s=20.0)
        assert changed.text == "CR or DX, BodyPartExamined = CHEST, when the study is complete (20 s)"
        await here.routes.disable("fixed")
        assert [row.enabled for row in await here.routes.list()] == [False, True]
        await here.routes.enable("fixed")
        await here.routes.delete("chests")
        assert [(row.name, row.enabled) for row in await here.routes.list()] == [("fixed", True)]
        with pytest.raises(BadRequest, match="stands in the configuration file"):
            await here.routes.delete("fixed")
        with pytest.raises(BadRequest, match="stands in the configuration file"):
            await here.routes.edit("fixed", to=("TWO",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"to": ("THREE",)}, "there is no destination THREE"),
        ({"to": ()}, "to: "),
        ({"to": ("ONE",), "where": ("Nonsense = 1",)}, "no keyword of the standard"),
        ({"to": ("ONE",), "hours": "25:00"}, "is not understood"),
        ({"to": ("ONE",), "send": "sometimes"}, "send: "),
        ({"to": ("ONE",), "transform": "mask"}, "there is no transformation mask"),
        ({"to": ("ONE",), "stable_s": 0.0}, "stable_s: "),
    ],
)
async def test_a_mistake_makes_no_route(tmp_path: Path, given: dict[str, object], said: str) -> None:
    async with house(tmp_path, peers=PEERS, begin=False) as here:
        with pytest.raises((BadRequest, NotFound), match=said):
            await here.routes.create("r", **given)  # type: ignore[arg-type]
        assert await here.routes.list() == ()
        await here.routes.create("r", to=("ONE",))
        with pytest.raises(BadRequest, match="there is a route r already"):
            await here.routes.create("r", to=("ONE",))


async def test_a_dry_run_says_what_would_have_gone_where(tmp_path: Path) -> None:
    ct = Object(patient="P1", modality="CT", description="Thorax")
    mr = Object(patient="P2", modality="MR", description="Head")
    async with house(tmp_path, peers=PEERS, begin=False) as here:
        await here.store(ct, ct.beside(), calling="CT1")
        here.clock.advance(3600)
        await here.store(mr, calling="ONE")
        run = await here.routes.trial_of(to=("ONE", "TWO"), modality=("CT", "MR"))
        assert (run.studies, run.instances, run.cut) == (2, 3, False)
        assert [(row.patient_id, row.instances, row.of, row.to) for row in run.rows] == [
            ("P2", 1, 1, ("TWO",)),  # ONE sent it
            ("P1", 2, 2, ("ONE", "TWO")),
        ]
        run = await here.routes.trial_of(to=("TWO",), past_hours=0.5)
        assert [row.patient_id for row in run.rows] == ["P2"]
        run = await here.routes.trial_of(to=("TWO",), where=("InstanceNumber > 5",))
        assert run.rows == ()
        assert await here.states() == {}
