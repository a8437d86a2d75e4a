"""Finding identifiers where they do not belong, and leaving alone what only looks like one."""

from __future__ import annotations

import pytest

from tests.transform.making import basic, image, part10, read


def manufacturer(text: str, **values: str) -> str:
    data = image(SpecificCharacterSet="ISO_IR 192", Manufacturer=text, **values)
    return str(read(basic().apply(part10(data))).Manufacturer)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("for ERIKA TESTMANN", {}),
        ("Testmann", {}),
        ("erika_testmann_64", {}),
        ("no 4711-0815.", {}),
        ("患者北条早雲様", {"PatientName": "Hojo^Soun=北条^早雲"}),
        ("an der Uniklinik Nirgendwo", {"InstitutionName": "Uniklinik Nirgendwo"}),
        ("id x471, ", {"OtherPatientIDs": "X471"}),
        ("born 19610321", {"PatientBirthDate": "19610321"}),
        ("born 21.03.1961", {"PatientBirthDate": "19610321"}),
    ],
)
def test_identifiers_are_found(text: str, values: dict[str, str]) -> None:
    assert manufacturer(text, **values) == "REMOVED"


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("GE MEDICAL", {"InstitutionName": "GE"}),
        ("Here it is", {"InstitutionName": "Here"}),
        ("model A12345", {"PatientID": "1234"}),
        ("chestnut", {"PatientName": "Nut^Che"}),
        ("SIEMENS", {"PatientName": "Ema^Sie"}),
        ("Dr Li", {"OperatorsName": "Lia^Li"}),  # two letters in ASCII could not be told from a word
    ],
)
def test_what_only_looks_like_one_stays(text: str, values: dict[str, str]) -> None:
    assert manufacturer(text, **values) == text


def test_codes_that_are_names_too_stay_codes() -> None:
    data = image(PatientName="Chest^Primary", BodyPartExamined="CHEST", ImageType=["ORIGINAL", "PRIMARY", "AXIAL"])
    found = read(basic().apply(part10(data)))
    assert found.BodyPartExamined == "CHEST"
    assert list(found.ImageType)[0::2] == ["ORIGINAL", "AXIAL"]


def test_binary_values_are_not_taken_for_short_names() -> None:
    data = image(PatientName="Lee^Anna", PatientID="47AB")
    data.add_new("RedPaletteColorLookupTableData", "OW", b"..47AB..anna" * 3)
    data.add_new("GreenPaletteColorLookupTableData", "OW", b"..Lee^Anna.." * 3)
    found = read(basic().apply(part10(data)))
    assert found.RedPaletteColorLookupTableData == b"..47AB..anna" * 3
    assert "GreenPaletteColorLookupTableData" not in found
