"""UIDs: validity, padding, and the tables against those of the libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pacstui.dicom import syntaxes, uids


@pytest.mark.parametrize("text", ["1", "1.2.840.10008.1.1", "1.02.3", "2.25." + "9" * 39, "1." + "2" * 62])
def test_valid(text: str) -> None:
    assert uids.valid_uid(text)


@pytest.mark.parametrize(
    "text",
    ["", ".", "1.", ".1", "1..2", "1.2 ", "1.2\0", "1.2\n", "a.b", "1.2/3", "../1", "1." + "2" * 63, "1.٣", "1.2.²"],
)
def test_invalid(text: str) -> None:
    assert not uids.valid_uid(text)


@pytest.mark.parametrize("padded", [b"1.2\0", b"1.2 ", "1.2\0", " 1.2 ", b"1.2\0\0"])
def test_padding_is_trimmed(padded: bytes | str) -> None:
    assert uids.trim_uid(padded) == "1.2"


def test_storage_classes_are_those_of_the_libraries() -> None:
    from pydicom._uid_dict import UID_dictionary
    from pynetdicom import sop_class

    theirs = {str(uid) for uid in sop_class._STORAGE_CLASSES.values()}
    theirs |= {str(uid) for uid in sop_class._NON_PATIENT_OBJECT_CLASSES.values()}
    not_sent = ("Commitment", "Directory")
    theirs |= {
        uid
        for uid, (name, kind, *_) in UID_dictionary.items()
        if kind == "SOP Class" and "Storage" in name and not any(word in name for word in not_sent)
    }
    assert theirs == uids.STORAGE_CLASSES
    assert not uids.is_storage(uids.VERIFICATION)


def test_transfer_syntaxes_are_all_of_them() -> None:
    from pydicom._uid_dict import UID_dictionary

    theirs = {uid for uid, entry in UID_dictionary.items() if entry[1] == "Transfer Syntax"}
    assert theirs <= set(syntaxes.TRANSFER_SYNTAXES)


def test_names_are_for_people() -> None:
    assert uids.name_of("1.2.840.10008.5.1.4.1.1.2") == "CT Image Storage"
    assert uids.name_of("1.2.840.10008.1.2.4.90") == "JPEG 2000 Lossless"
    assert "FIND" in uids.name_of("1.2.840.10008.5.1.4.1.2.2.1")
    assert uids.name_of("1.2.3\x1b[2J") == "1.2.3\x1b[2J"
    assert uids.name_of("1.2.840.10008.999") == "1.2.840.10008.999"


def test_our_own_identifiers_fit_their_fields() -> None:
    assert uids.valid_uid(uids.IMPLEMENTATION_CLASS_UID)
    assert 1 <= len(uids.IMPLEMENTATION_VERSION_NAME) <= 16


def test_the_protocol_is_loaded_without_the_big_libraries() -> None:
    code = (  # also when a name is asked for that is not among the usual ones
        "import sys, pacstui.dicom.net.listener, pacstui.dicom.net.requestor, pacstui.dicom.uids as uids;"
        "assert 'FIND' in uids.name_of('1.2.840.10008.5.1.4.1.2.2.1');"
        "print([name for name in ('pydicom', 'pynetdicom', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
