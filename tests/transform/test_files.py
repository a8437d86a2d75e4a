"""Real files of many makers, kinds and encodings go through the profile and stay readable; pixels stay as they are."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from io import BytesIO
from pathlib import Path

import pydicom
import pytest

from pacstui.transform import TransformError
from pacstui.transform.profile import OPTIONS
from tests.interop.samples import bundled
from tests.transform.making import basic, plan

FILES = [path for path in bundled() if path.stat().st_size < 4_000_000]
PLANS = {
    "basic": basic(burned_in="send"),
    "all options": basic(*(set(OPTIONS) - {"retain-full-dates"}), burned_in="send"),
    "a change": plan({"attribute": "InstitutionName", "action": "set", "value": "Füße 東京"}),
}
SEEN = ("PatientName", "PatientID", "AccessionNumber", "ReferringPhysicianName", "PatientBirthDate", "PatientAddress")


@pytest.mark.parametrize("which", PLANS)
def test_every_file_that_can_be_sent(which: str, tmp_path: Path) -> None:
    made = []
    for path in FILES if which == "basic" else FILES[::3]:
        data = path.read_bytes()
        try:
            copy = PLANS[which].apply(data)
        except TransformError as fault:
            assert _excused(path, fault), f"{path}: {fault}"
            continue
        before, after = pydicom.dcmread(path, force=True), pydicom.dcmread(BytesIO(copy))
        after.walk(lambda _, element: element.value)
        assert _pixels(before) in (_pixels(after), _pixels(after)[:-1]), path
        assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
        if which != "a change":
            for name in SEEN:
                seen = str(before.get(name) or "").strip().encode("utf-8", "replace")
                assert len(seen) < 5 or seen not in copy, (path, name)
        made.append(tmp_path / f"{len(made)}.dcm")
        made[-1].write_bytes(copy)
    assert len(made) > (200 if which == "basic" else 70)
    if shutil.which("dcmdump"):
        done = subprocess.run(["dcmdump", "-q", "+E", *made], capture_output=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_not_changed_stays_as_it_was() -> None:
    how = plan({"attribute": "StudyID", "action": "set", "value": "x"})
    compared = 0
    for path in FILES[::2]:
        data = path.read_bytes()
        try:
            copy = how.apply(data)
        except TransformError:
            continue
        assert _elements(copy) == _elements(data), path
        compared += 1
    assert compared > 100


def _elements(data: bytes) -> list[tuple[int, str, str]]:
    """Return all elements but the one that is changed and lengths of groups, as pydicom reads them."""
    read = pydicom.dcmread(BytesIO(data), force=True)
    return [
        (int(element.tag), element.VR, "" if element.VR == "SQ" else str(element.value))
        for element in read.iterall()
        if element.tag != 0x00200010 and element.tag.element
    ]


def _pixels(data: pydicom.Dataset) -> bytes:
    return bytes(data.get("PixelData") or b"")


def _excused(path: Path, fault: TransformError) -> bool:
    """Return whether a file cannot be sent anyway: no object, without UIDs, or cut off."""
    text = fault.message
    return text.startswith(("it has no ", "it is no DICOM", "the data set ends")) or text.endswith(
        "of the copy is no UID"
    )


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@pytest.mark.parametrize("which", ["basic", "all options"])
def test_copies_have_no_faults_that_their_originals_have_not(which: str, tmp_path: Path) -> None:
    for number, path in enumerate(FILES[::5]):
        try:
            copy = PLANS[which].apply(path.read_bytes())
        except TransformError:
            continue
        file = tmp_path / f"{number}.dcm"
        file.write_bytes(copy)
        assert _errors(file) - _errors(path) == Counter(), path


def _errors(path: Path) -> Counter[str]:
    """Return the errors that dciodvfy finds, without the UIDs in them."""
    done = subprocess.run(["dciodvfy", path], capture_output=True, timeout=60)
    lines = (done.stderr + done.stdout).decode("latin_1").splitlines()
    return Counter(line.rstrip("<>.0123456789") for line in lines if line.startswith("Error"))
