"""Small data sets: read what others write, write what others read, and never fail but with words."""

from __future__ import annotations

from io import BytesIO

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from pacstui.dicom import dataset
from pacstui.dicom.dataset import BIG_ENDIAN, DEFLATED, EXPLICIT, IMPLICIT, DataSet, DataSetError, Element
from pacstui.dicom.dictionary import keyword_of, tag_of, vr_of

SYNTAXES = [IMPLICIT, EXPLICIT, BIG_ENDIAN]


def theirs() -> Dataset:
    """A query as pydicom makes it."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientName = "MÜLLER*"
    ds.StudyInstanceUID = ["1.2.3", "1.2.4"]
    ds.AccessionNumber = ""
    ds.ReferencedFrameNumber = [1, 2]
    ds.NumberOfStudyRelatedInstances = None
    item = Dataset()
    item.Modality = "CT"
    item.ScheduledStationAETitle = ""
    ds.ScheduledProcedureStepSequence = Sequence([item, Dataset()])
    ds.ProcedureCodeSequence = Sequence([])
    return ds


def written(ds: Dataset, syntax: str, undefined: bool = False) -> bytes:
    out = DicomBytesIO()
    out.is_little_endian, out.is_implicit_VR = syntax != BIG_ENDIAN, syntax == IMPLICIT
    if undefined:
        for element in ds:
            element.is_undefined_length = element.VR == "SQ"
            for item in element.value if element.VR == "SQ" else ():
                item.is_undefined_length_sequence_item = True
    write_dataset(out, ds)
    return out.getvalue()


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_reads_what_pydicom_writes(syntax: str, undefined: bool) -> None:
    found = dataset.decode(written(theirs(), syntax, undefined), syntax)
    assert found.text(0x00080052) == "STUDY"
    assert found.text(0x00100010) == "MÜLLER*"
    assert found.uids(0x0020000D) == ["1.2.3", "1.2.4"]
    assert found[0x00080050].is_empty
    assert not found[0x0020000D].is_empty
    assert 0x00201208 in found
    first, second = found.items(0x00400100)
    assert first.text(0x00080060) == "CT"
    assert first[0x00400001].is_empty
    assert len(second) == 0
    assert found.items(0x00081032) == []
    assert found[0x00081032].is_empty


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_pydicom_reads_what_is_written(syntax: str) -> None:
    ours = dataset.decode(written(theirs(), syntax), syntax)
    back = read_dataset(
        BytesIO(dataset.encode(ours, syntax)), is_implicit_VR=syntax == IMPLICIT, is_little_endian=syntax != BIG_ENDIAN
    )
    assert back == theirs()


def test_deflated_data_sets() -> None:
    ours = dataset.decode(written(theirs(), EXPLICIT), EXPLICIT)
    packed = dataset.encode(ours, DEFLATED)
    assert len(packed) % 2 == 0
    assert dataset.decode(packed, DEFLATED) == ours
    with pytest.raises(DataSetError, match="deflated"):
        dataset.decode(b"\xff\xff\xff", DEFLATED)


def test_items_have_the_character_set_around_them() -> None:
    ds = theirs()
    ds.ScheduledProcedureStepSequence[0].ScheduledPerformingPhysicianName = "GÖTZ"
    found = dataset.decode(written(ds, EXPLICIT), EXPLICIT)
    assert found.items(0x00400100)[0].text(0x00400006) == "GÖTZ"


def test_what_is_put_is_padded_and_replaced() -> None:
    ds = DataSet()
    ds.put(0x0020000D, "1.2.3")
    ds.put(0x00100010, "Ωmega", codec="latin_1")
    assert ds[0x0020000D] == Element("UI", b"1.2.3\0")
    assert ds[0x00100010] == Element("PN", b"?mega ")


def test_a_long_value_of_a_short_vr_is_written_as_unknown() -> None:
    ds = DataSet({0x00080018: Element("UI", b"1.2\\" * 20000)})
    assert dataset.decode(dataset.encode(ds, EXPLICIT), EXPLICIT)[0x00080018].value == b"1.2\\" * 20000


def test_no_vr_in_an_explicit_data_set_is_read_by_the_dictionary() -> None:
    data = dataset.encode(DataSet({0x00080018: Element("UI", b"1.2.3\0")}), IMPLICIT)
    assert dataset.decode(data, EXPLICIT).uid(0x00080018) == "1.2.3"


def test_a_missing_sequence_delimiter_is_tolerated() -> None:
    ds = dataset.decode(written(theirs(), EXPLICIT), EXPLICIT)
    ds.pop(0x00081032)
    data = dataset.encode(ds, EXPLICIT)
    assert data.endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")
    assert dataset.decode(data[:-8], EXPLICIT) == ds


@pytest.mark.parametrize(("cut", "words"), [(5, "head"), (9, "value"), (-1, "value|head|item|sequence")])
def test_a_cut_data_set_is_told(cut: int, words: str) -> None:
    data = written(theirs(), EXPLICIT)
    with pytest.raises(DataSetError, match=words):
        dataset.decode(data[:cut], EXPLICIT)


def test_depth_is_bounded() -> None:
    inner = DataSet()
    for _ in range(40):
        outer = DataSet()
        outer.put_items(0x00081140, [inner])
        outer.put(0x00080018, "1.2")
        inner = outer
    with pytest.raises(DataSetError, match="deeply"):
        dataset.decode(dataset.encode(inner, EXPLICIT), EXPLICIT)


@given(st.binary(max_size=400), st.sampled_from([*SYNTAXES, DEFLATED]))
def test_any_bytes_are_read_or_refused_with_words(data: bytes, syntax: str) -> None:
    try:
        dataset.decode(data, syntax)
    except DataSetError as error:
        assert str(error)


values = st.binary(max_size=40).map(lambda value: value + bytes(len(value) & 1))
plain = st.builds(Element, st.sampled_from(["LO", "PN", "UI", "OB", "UT", "UN"]), values)
tags = st.integers(0x00080001, 0x00FFFFFF).filter(lambda tag: tag & 0xFFFF)


def _sets(items: st.SearchStrategy[DataSet]) -> st.SearchStrategy[DataSet]:
    sequences = st.builds(lambda found: Element("SQ", items=found), st.lists(items, max_size=3))
    return st.dictionaries(tags, plain | sequences, max_size=5).map(DataSet)


@given(st.recursive(st.dictionaries(tags, plain, max_size=5).map(DataSet), _sets, max_leaves=8))
def test_what_is_written_is_read(ds: DataSet) -> None:
    for syntax in (EXPLICIT, BIG_ENDIAN, DEFLATED):
        assert dataset.decode(dataset.encode(ds, syntax), syntax) == ds


def test_the_dictionary_is_pydicoms() -> None:
    assert (vr_of(0x00100010), vr_of(0x00404052), vr_of(0x00280106), vr_of(0x00080000)) == ("PN", "DT", "US", "UL")
    assert (vr_of(0x00091001), vr_of(0x00090010), vr_of(0x7FFE9999)) == ("UN", "LO", "UN")
    assert (keyword_of(0x00080050), keyword_of(0x00091001)) == ("AccessionNumber", "(0009,1001)")
    assert (tag_of("PatientID"), tag_of("Nonsense")) == (0x00100020, 0)
    assert vr_of(0x00100020) == pydicom.datadict.dictionary_VR(0x00100020)
