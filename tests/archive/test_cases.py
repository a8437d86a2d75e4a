"""Odd but real objects through the whole archive: the numbered cases, each with its right answer."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path

import pytest

from pacstui.archive import Archive, Refused
from pacstui.archive.refusal import comment_of
from pacstui.contract.studies import StudyRow
from pacstui.events import Event, InstanceQuarantined, InstanceRefused
from pacstui.settings import ArchiveSettings
from pacstui.text import person

from .conftest import files, send
from .objects import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    JPEG,
    Object,
    deflate,
    element,
    encapsulated,
    uid,
)


async def rows(archive: Archive, search: str = "") -> tuple[StudyRow, ...]:
    return (await archive.index.studies(search)).rows


async def kept_bytes(archive: Archive, sop: str) -> bytes:
    known = await archive.index.instance(sop)
    assert known is not None
    return archive.path_of(known.path).read_bytes()[known.data_offset :]


async def refused(archive: Archive, thing: Object | bytes, **how: str) -> Refused:
    with pytest.raises(Refused) as caught:
        await send(archive, thing, **how)
    assert len(caught.value.comment) <= 64
    assert caught.value.comment.isascii()
    assert caught.value.told
    return caught.value


@pytest.mark.parametrize("pad", [b"", b"\0"])
async def test_case_033_deflated_is_kept_as_sent(archive: Archive, pad: bytes) -> None:
    thing = Object()
    data = deflate(thing.encode()) + pad
    await send(archive, data, syntax=DEFLATED, sop=thing.sop, sop_class=thing.text(0x00080016))
    assert await kept_bytes(archive, thing.sop) == data


async def test_case_035_big_endian_keeps_its_name_and_bytes(archive: Archive) -> None:
    thing = Object()
    await send(archive, thing, syntax=BIG_ENDIAN)
    known = await archive.index.instance(thing.sop)
    assert known is not None
    assert known.transfer_syntax == BIG_ENDIAN
    assert await kept_bytes(archive, thing.sop) == thing.encode(BIG_ENDIAN)


@pytest.mark.parametrize(
    "bad", ["../../../../tmp/pwn", "/etc/cron.d/x", "1.2.3/../../4", "..", "1..2", ".1", "1.", "a.b", "١.٢"]
)
async def test_case_041_no_path_is_made_of_a_uid(archive: Archive, tmp_path: Path, bad: str) -> None:
    for where in ("sop", "study", "series"):
        fault = await refused(archive, Object(**{where: bad}))
        assert fault.status == 0xA900
        assert fault.offending
    await send(archive, Object())
    assert os.listdir(tmp_path) == ["data"]
    assert len(files(archive)) == 1
    assert files(archive, "incoming") == []


async def test_case_043_a_uid_of_more_than_64_characters(archive: Archive) -> None:
    fault = await refused(archive, Object(study="1.2." + "9" * 66))
    assert (fault.status, fault.offending) == (0xA900, (0x0020000D,))
    await send(archive, Object())


async def test_case_045_padding_makes_no_second_study(archive: Archive) -> None:
    await send(archive, Object(study=b"1.2.3.45 "))
    await send(archive, Object(study=b"1.2.3.45\0"))
    (row,) = await rows(archive)
    assert (row.study, row.instances) == ("1.2.3.45", 2)


@pytest.mark.parametrize("absent", [False, True])
async def test_case_047_patients_without_id_are_never_one(archive: Archive, absent: bool) -> None:
    for name in ("DOE^A", "ROE^B"):
        thing = Object(name=name, patient="")
        if absent:
            del thing.tags[0x00100020]
        await send(archive, thing)
        await send(archive, thing.beside())
    counts = await archive.index.counts()
    assert (counts.patients, counts.studies, counts.instances) == (2, 2, 4)
    for name in ("doe", "roe"):
        (row,) = await rows(archive, name)
        assert row.instances == 2


async def test_case_047_the_issuer_tells_patients_apart(archive: Archive) -> None:
    for issuer in ("", "HOSPITAL A", "HOSPITAL B"):
        await send(archive, Object({0x00100021: ("LO", issuer)}))
    assert (await archive.index.counts()).patients == 3


async def test_case_049_a_study_stays_with_its_first_patient(archive: Archive) -> None:
    first = Object(patient="P1")
    await send(archive, first)
    stored = await send(archive, first.beside(patient="P2", name="ROE^RICHARD"))
    assert stored.status == 0
    assert "P2" in stored.warnings[0]
    (row,) = await rows(archive)
    assert (row.patient_id, row.patient_name, row.instances) == ("P1", "DOE^JANE", 2)
    assert (await archive.index.counts()).patients == 1
    await send(archive, Object())
    assert await archive.index.doubts() == (0, 1)
    page = await archive.index.studies(only="conflicts")
    assert [(row.study, page.total, page.next) for row in page.rows] == [(first.study, 1, None)]
    assert page.rows[0].conflict == "objects of patient P2 came under a study of P1"
    assert (await archive.index.studies("nobody", only="conflicts")).rows == ()
    again = await send(archive, first.beside(patient="P2", name="ROE^RICHARD"))
    assert again.warnings == stored.warnings


async def test_case_051_repeats_and_other_content(archive: Archive, heard: list[Event]) -> None:
    first = Object(description="FIRST")
    other = first.copy(description="SECOND")
    assert (await send(archive, first)).new
    for _ in range(25):
        repeat, aside = await send(archive, first), await send(archive, other)
        assert (repeat.new, repeat.status) == (False, 0)
        assert (aside.new, aside.status, aside.set_aside) == (False, 0xB000, True)
    assert await kept_bytes(archive, first.sop) == first.encode()
    assert len(files(archive)) == 1
    (aside_file,) = files(archive, "quarantine")
    assert aside_file.read_bytes().endswith(other.encode())
    assert (await archive.index.counts()).instances == 1
    (listed,) = await archive.index.quarantine()
    assert archive.path_of(listed.path) == aside_file
    assert (await archive.index.counts()).quarantined == 1
    assert sum(isinstance(event, InstanceQuarantined) for event in heard) == 25


async def test_case_051_in_parallel(archive: Archive) -> None:
    first = Object(description="FIRST")
    versions = [first, first.copy(description="SECOND")] * 25
    results = await asyncio.gather(*(send(archive, version) for version in versions))
    assert sum(result.new for result in results) == 1
    (winner,) = files(archive)
    known = await archive.index.instance(first.sop)
    assert known is not None
    kept = winner.read_bytes()[known.data_offset :]
    assert hashlib.sha256(kept).digest() == known.digest
    (loser,) = files(archive, "quarantine")
    (other,) = {version.encode() for version in versions} - {kept}
    assert loser.read_bytes().endswith(other)


@pytest.mark.parametrize("policy", ["overwrite", "reject"])
async def test_case_051_other_policies(tmp_path: Path, policy: str) -> None:
    settings = ArchiveSettings(reserve_bytes=0, duplicates=policy)  # type: ignore[arg-type]
    archive = await Archive.open(tmp_path / "data", settings)
    try:
        first = Object(description="FIRST")
        other = first.copy(description="SECOND", series=uid(), study=uid())
        await send(archive, first)
        if policy == "reject":
            fault = await refused(archive, other)
            assert 0xC000 <= fault.status <= 0xCFFF
            assert await kept_bytes(archive, first.sop) == first.encode()
            assert files(archive, "quarantine") == []
            return
        for newer, older in ((other, first), (first, other), (other, first)):
            stored = await send(archive, newer)
            assert (stored.new, stored.status) == (True, 0)
            assert await kept_bytes(archive, first.sop) == newer.encode()
            assert len(files(archive)) == 1
            assert any(path.read_bytes().endswith(older.encode()) for path in files(archive, "quarantine"))
        counts = await archive.index.counts()
        assert (counts.instances, counts.bytes) == (1, len(other.encode()))
        by_study = {row.study: row.instances for row in (await archive.index.studies()).rows}
        assert by_study == {first.study: 0, other.study: 1}
    finally:
        await archive.close()


@pytest.mark.parametrize(
    "term", ["ISO IR 192", "ISO_2022_IR_6", "ISO-8859-1", "KLINGON", "ISO 2022 IR 100/ISO 2022 IR 6"]
)
async def test_case_053_and_055_storing_does_not_depend_on_text(archive: Archive, term: str) -> None:
    stored = await send(archive, Object(charset=term, name=b"M\xc3\xbcller^{X}"))
    assert stored.status == 0
    (row,) = await rows(archive)
    assert row.marked
    assert row.patient_name.endswith("ller^{X}")


async def test_case_057_old_dates_are_indexed_in_the_new_form_and_kept_as_sent(archive: Archive) -> None:
    thing = Object(date="2003.11.25", time="14:05:06")
    await send(archive, thing)
    (row,) = await rows(archive)
    assert (row.date, row.time) == ("20031125", "140506")
    assert await kept_bytes(archive, thing.sop) == thing.encode()


@pytest.mark.parametrize(
    "tag",
    [{0x00181152: ("IS", "14.5")}, {0x00180050: ("DS", "1,25")}, {0x00280008: ("IS", "0")}, {0x00280008: ("IS", "")}],
)
async def test_case_059_odd_numbers_are_kept(archive: Archive, tag: dict[int, tuple[str, str]]) -> None:
    assert (await send(archive, Object(tag))).status == 0


@pytest.mark.parametrize("cut", [1, 2, 100, 255])
async def test_case_061_a_cut_object_is_refused(archive: Archive, cut: int) -> None:
    thing = Object()
    fault = await refused(archive, thing.encode()[:-cut], sop=thing.sop, sop_class=thing.text(0x00080016))
    assert (fault.status & 0xF000, "(7FE0,0010)" in fault.comment) == (0xC000, True)
    assert files(archive) == files(archive, "incoming") == []
    assert (await archive.index.counts()).instances == 0


async def test_case_061_encapsulated_without_its_end_is_refused(archive: Archive) -> None:
    thing = Object({0x7FE00010: ("raw", encapsulated([bytes(200)], delimiter=False))})
    assert (await refused(archive, thing, syntax=JPEG)).status & 0xF000 == 0xC000


async def test_case_061_an_image_without_pixels_is_kept_with_a_warning(archive: Archive) -> None:
    stored = await send(archive, Object({0x7FE00010: None}))
    assert (stored.new, stored.status) == (True, 0xB007)
    assert "pixel" in stored.comment


@pytest.mark.parametrize("data", [bytes(range(256)) * 4, b"", Object({0x0020000D: None}).encode()])
async def test_case_065_nonsense_is_refused_and_told(archive: Archive, heard: list[Event], data: bytes) -> None:
    fault = await refused(archive, data, sop="1.2.3", sop_class="1.2.3")
    assert fault.status >= 0xA900
    (event,) = heard
    assert isinstance(event, InstanceRefused)
    assert (event.status, event.comment) == (fault.status, fault.comment)


def test_case_065_comments_have_64_characters_of_ascii() -> None:
    comment = comment_of("/very/long\\path/" * 20 + "ü")
    assert len(comment) == 64
    assert comment.isascii()
    assert "\\" not in comment


async def test_a_mismatch_with_the_command_is_refused(archive: Archive) -> None:
    for wrong in ({"sop": "1.2.3.4"}, {"sop_class": "1.2.840.10008.5.1.4.1.1.2"}):
        fault = await refused(archive, Object(), **wrong)
        assert fault.status == 0xA900
        assert fault.offending


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "(no name)"), ("^^^^", "(no name)"), ("DOE", "DOE"), ("DOE^^^", "DOE"), ("=山田^太郎", "山田, 太郎")],
)
async def test_case_069_short_names_have_a_label(archive: Archive, name: str, shown: str) -> None:
    await send(archive, Object(name=name))
    (row,) = await rows(archive)
    assert row.patient_name == name
    assert person(row.patient_name) == shown


async def test_an_ideographic_name_is_found(archive: Archive) -> None:
    await send(archive, Object(name="YAMADA^TARO=山田^太郎=やまだ^たろう"))
    for word in ("yamada", "山田", "YAMADA, Taro", "やまだ"):
        assert len(await rows(archive, word)) == 1, word


async def test_a_study_fills_blanks_but_keeps_what_it_was_told(archive: Archive) -> None:
    first = Object(description="", accession="A1")
    await send(archive, first)
    await send(archive, first.beside(description="CHEST", accession="B2"))
    (row,) = await rows(archive)
    assert (row.description, row.accession) == ("CHEST", "A1")
    await send(archive, first.beside(series=uid(), modality="SR"))
    (row,) = await rows(archive)
    assert (row.modalities, row.series, row.instances) == (("OT", "SR"), 2, 3)
    detail = await archive.index.study(first.study)
    assert sorted((each.modality, each.instances) for each in detail.series) == [("OT", 2), ("SR", 1)]
    assert detail.calling == ("SENDER",)


async def test_private_text_of_any_kind_never_breaks_the_index(archive: Archive) -> None:
    for text in ("[/]^A", "A\x1b[2JB", "=cmd|' /C calc'!A1", "\x00\x01", "A'1", "\U0001f600", "\u202eDOE"):
        await send(archive, Object(name=text, description=text, patient=text.replace("\\", "")))
    assert (await archive.index.counts()).instances == 7


async def test_un_elements_in_front_do_not_hide_the_uids(archive: Archive) -> None:
    stored = await send(archive, Object({0x00080001: ("raw", element(0x00080001, "UN", b"12", EXPLICIT))}))
    assert stored.new
