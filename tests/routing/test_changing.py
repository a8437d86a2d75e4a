"""Copies that are changed on their way out; what is archived stays as it is."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from pacstui.routing import changing
from pacstui.settings import ChangeSettings, DestinationSettings, TransformSettings
from tests.archive.objects import Object, element
from tests.routing.house import House, house, peer, receivers, to

SITE = TransformSettings(
    name="site", change=(ChangeSettings(attribute="PatientID", action="set", value="{PatientID}-{calling_ae}-{peer}"),)
)
CLEAN = {0x00280301: ("CS", "NO")}
"""Burned In Annotation: a secondary capture is not trusted otherwise."""
RESEARCH = TransformSettings(name="research", profile="basic")


def with_transforms(here: House, *transforms: TransformSettings) -> None:
    here.settings = here.settings.model_copy(update={"transforms": transforms})


async def test_a_route_changes_the_copy_and_not_what_is_kept(tmp_path: Path) -> None:
    thing = Object(patient="P1")
    async with receivers(1) as (one,):
        async with house(tmp_path, to("ONE", transform="site"), peers=[peer("ONE", one.port)], begin=False) as here:
            with_transforms(here, SITE)
            await here.store(thing, calling="CT1")
            await here.begin()
            await here.settled()
            (sent,) = one.store.objects.values()
            assert dcmread(BytesIO(sent), force=True).PatientID == "P1-CT1-ONE"
            (kept,) = (tmp_path / "data" / "objects").rglob("*.dcm")
            assert kept.read_bytes().endswith(thing.encode())


async def test_a_large_copy_is_not_held_in_memory_and_leaves_nothing(tmp_path: Path) -> None:
    pixels = bytes(range(256)) * 40_000
    thing = Object(patient="P1", pixels=pixels)
    async with receivers(1) as (one,):
        async with house(tmp_path, to("ONE", transform="site"), peers=[peer("ONE", one.port)], begin=False) as here:
            with_transforms(here, SITE)
            await here.store(thing)
            await here.begin()
            await here.settled()
            (sent,) = one.store.objects.values()
            assert sent.endswith(element(0x7FE00010, "OB", pixels))
            assert b"P1-SENDER-ONE" in sent
            assert list((tmp_path / "data" / "incoming").iterdir()) == []


async def test_a_full_disk_is_not_blamed_on_the_original(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = Object(patient="P1", pixels=bytes(range(256)) * 40_000)
    destinations = [DestinationSettings(name="ONE", retries=0)]
    async with (
        receivers(1) as (one,),
        house(
            tmp_path, to("ONE", transform="site"), peers=[peer("ONE", one.port)], destinations=destinations, begin=False
        ) as here,
    ):
        with_transforms(here, SITE)
        await here.store(thing)

        def full(*given: object, **more: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(changing, "NamedTemporaryFile", full)
        await here.begin()
        await here.settled()
        (reason,) = await here.queue.errors()
        assert reason.error == "there is no room here for its changed copy"
        assert list((tmp_path / "data" / "incoming").iterdir()) == []


async def test_de_identified_copies_keep_together_and_name_nobody(tmp_path: Path) -> None:
    first = Object(CLEAN, patient="SEEDED-ID", name="SEEDED^NAME")
    second = first.beside()
    async with receivers(1) as (one,):
        async with house(tmp_path, to("ONE", transform="research"), peers=[peer("ONE", one.port)], begin=False) as here:
            with_transforms(here, RESEARCH)
            await here.store(first, second)
            await here.begin()
            states = await here.settled()
            assert set(states) == {first.sop, second.sop}
            copies = [dcmread(BytesIO(sent), force=True) for sent in one.store.objects.values()]
            assert not set(one.store.objects) & {first.sop, second.sop}
            assert len({copy.StudyInstanceUID for copy in copies}) == 1
            assert len({copy.PatientID for copy in copies}) == 1
            assert not any(b"SEEDED" in sent for sent in one.store.objects.values())


async def test_what_may_not_leave_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    burned = Object({0x00280301: ("CS", "YES")})
    async with receivers(1) as (one,):
        async with house(tmp_path, to("ONE", transform="research"), peers=[peer("ONE", one.port)], begin=False) as here:
            with_transforms(here, RESEARCH)
            fine = Object(CLEAN, patient="P2")
            await here.store(burned, fine)
            await here.begin()
            states = await here.settled()
            assert states == {burned.sop: "filtered", fine.sop: "sent"}
            row = next(row for row in (await here.queue.sendings()).rows if row.filtered)
            assert row.state == "filtered"
            assert "research" in row.error


async def test_a_transformation_that_is_gone_sends_nothing_unchanged(tmp_path: Path) -> None:
    thing = Object()
    async with receivers(1) as (one,):
        async with house(tmp_path, to("ONE", transform="gone"), peers=[peer("ONE", one.port)]) as here:
            await here.store(thing)
            assert await here.settled() == {thing.sop: "failed"}
            assert one.store.objects == {}
            await here.queue.refresh()
            (problem,) = [p for p in here.onward.problems() if p[0].startswith("queue")]
            assert "could not be sent" in problem[2]
            (route,) = await here.routes.list()
            assert route.problem == "there is no transformation gone"
