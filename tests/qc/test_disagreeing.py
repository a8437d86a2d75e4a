"""Objects of one study that disagree: what most of them say counts, and where they disagree is shown."""

from __future__ import annotations

import json

from pacstui.qc.sayings import MOST, Sayings, loaded
from tests.archive.conftest import send
from tests.archive.objects import Object
from tests.qc.test_exceptions import BORN, SEX, Desk, desk  # noqa: F401 - a fixture

WHO = ("DA", "19700102")


def object_of(first: Object | None = None, **values: str) -> Object:
    """Return an object of patient P1 and order A1, of the study of ``first``."""
    given = {"patient": "P1", "name": "TEST^NUMBER 1", "accession": "A1", **values}
    made = Object(modality="CT", **given) if first is None else Object(modality="CT", study=first.study, **given)
    made.tags[BORN], made.tags[SEX] = WHO, ("CS", "F")
    return made


async def stored(desk: Desk, *objects: Object) -> str:  # noqa: F811
    for each in objects:
        await send(desk.archive, each, calling="CT1")
    await desk.settled()
    return objects[0].study


async def test_a_first_object_without_an_accession_number_hides_nothing(desk: Desk) -> None:  # noqa: F811
    await desk.order(1)
    first = object_of(accession="")
    study = await stored(desk, first, object_of(first), object_of(first))
    assert await desk.state(study) == ("matched", 1)
    view = await desk.room.show(study)
    (only,) = view.disagreements
    assert (only.attribute, [(v.value, v.objects) for v in only.values]) == ("accession number", [("A1", 2), ("", 1)])
    assert view.looked == 3


async def test_where_the_first_object_is_of_somebody_else_the_order_of_the_others_is_offered(
    desk: Desk,  # noqa: F811
) -> None:
    await desk.order(1)
    await desk.order(2)
    first = object_of(patient="P2", name="TEST^NUMBER 2", accession="A1")
    study = await stored(desk, first, object_of(first), object_of(first), object_of(first))
    row = (await desk.room.show(study)).row
    assert (row.state, row.order, row.patient_id) == ("conflicting", 1, "P1")
    assert "patient ID P1 in 3, P2 in 1 of its objects" in row.why
    told = {each.attribute: [(v.value, v.objects) for v in each.values] for each in (await view(desk, study))}
    assert told["patient ID"] == [("P1", 3), ("P2", 1)] and told["name"][0] == ("TEST^NUMBER 1", 3)


async def view(desk: Desk, study: str):  # type: ignore[no-untyped-def]  # noqa: F811
    return (await desk.room.show(study)).disagreements


async def test_one_with_objects_of_two_orders_is_looked_at_by_somebody(desk: Desk) -> None:  # noqa: F811
    await desk.order(1)
    first = object_of()
    study = await stored(desk, first, object_of(first), object_of(first, accession="A9"))
    row = (await desk.room.show(study)).row
    assert (row.state, row.order) == ("probable", 1)
    assert row.why == "its objects have several accession numbers: A1 in 2, A9 in 1"
    assert study in {each.study for each in (await desk.room.list_all()).rows}


async def test_what_comes_later_is_counted_with_what_came_before_and_notation_is_no_difference(
    desk: Desk,  # noqa: F811
) -> None:
    await desk.order(1)
    first = object_of()
    study = await stored(desk, first, object_of(first, name="Test^Number 1"))
    assert (await view(desk, study)) == ()
    assert await desk.state(study) == ("matched", 1)
    await stored(desk, object_of(first, accession="A9"))
    assert [(v.value, v.objects) for v in (await view(desk, study))[0].values] == [("A1", 2), ("A9", 1)]


async def test_what_nobody_counted_is_read_from_some_of_the_objects(
    desk: Desk,  # noqa: F811
) -> None:
    await desk.order(1)
    first = object_of()
    study = await stored(desk, first, object_of(first, accession="A9", patient="P1"))
    await desk.archive.db.write(lambda c: c.execute("UPDATE matches SET body=json_remove(body, '$.said')"))
    again = await desk.room.show(study)
    assert again.looked == 2 and [each.attribute for each in again.disagreements] == ["accession number"]


def test_a_flood_of_sayings_is_bounded_and_kept_as_it_was() -> None:
    said = Sayings()
    for number in range(MOST * 3):
        said.add(("N", f"P{number}", "", "", "", ""))
    assert len(said.counts) == MOST and said.total == MOST * 3
    assert loaded(json.dumps({"said": said.dumped()})) == said
    assert loaded("") == loaded("{}") == Sayings()
    assert Sayings().told() is None
