"""``pacstui deidentify``, and what check-config says of transforms."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest

from pacstui.cli import main
from tests.transform.making import image, part10

US = "1.2.840.10008.5.1.4.1.1.6.1"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data directory, and a configuration with a transform."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACSTUI_NODE__DATA_DIR", str(tmp_path / "data"))
    for number, values in enumerate(
        ({}, {"SOPInstanceUID": "1.2.3.4.7", "SOPClassUID": US}, {"SOPInstanceUID": "1.2.3.4.9"})
    ):
        (tmp_path / f"{number}.dcm").write_bytes(part10(image(StudyDescription="Thorax Testmann", **values)))
    (tmp_path / "pacstui.toml").write_text(
        '[[transforms]]\nname = "mine"\n'
        '[[transforms.change]]\nattribute = "PatientID"\naction = "prefix"\nvalue = "X-"\n'
    )
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    said = capsys.readouterr()
    return int(ended.value.code or 0), said.out, said.err


def test_copies_are_written_and_what_cannot_be_is_refused(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "deidentify", "0.dcm", "1.dcm", "2.dcm", "none", "--to", "copies")
    assert code == 1
    assert "2 copies, 2 refused" in out
    assert "refused    1.dcm: a person has to look at it" in out
    assert "--burned-in send" in out
    assert "refused    none: there is no such file" in out
    made = [pydicom.dcmread(path) for path in sorted((node / "copies").iterdir())]
    assert len(made) == 2
    assert {f"{each.SOPInstanceUID}.dcm" for each in made} == {path.name for path in (node / "copies").iterdir()}
    assert len({each.PatientID for each in made}) == len({each.StudyInstanceUID for each in made}) == 1
    assert all(b"Testmann" not in path.read_bytes() for path in (node / "copies").iterdir())
    key = node / "data" / "pseudonyms.key"
    assert key.stat().st_mode & 0o777 == 0o600
    code, out, _ = run(capsys, "deidentify", "0.dcm", "1.dcm", "--burned-in", "send", "--to", "copies")
    assert code == 0
    assert "there      0.dcm" in out
    assert len(list((node / "copies").iterdir())) == 3


def test_show_writes_nothing(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "deidentify", "0.dcm", "--show", "--option", "clean-descriptors")
    assert code == 0
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "(0008,1030) StudyDescription cleaned Thorax Testmann Thorax" in lines
    assert any(line.startswith("(0010,0010) PatientName pseudonym Testmann^Erika P") for line in lines)
    assert not (node / "copies").exists()


def test_a_pseudonym_is_found_back(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "deidentify", "0.dcm", "--show", "--json", "--project", "p")
    changes: list[dict[str, Any]] = json.loads(out)["changes"]
    pseudonym = next(each["after"] for each in changes if each["attribute"] == "PatientID")
    (node / "ids").write_text("1\n4711-0815\n4711-0815\tissuer\n2\n")
    find = ("deidentify", "--find", pseudonym, "--among", "ids", "--project")
    assert run(capsys, *find, "p") == (0, "4711-0815\n", "")
    assert run(capsys, *find, "q")[0] == 1


def test_a_transform_of_the_configuration(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "deidentify", "0.dcm", "--transform", "mine", "--to", "copies")[0] == 0
    made = next((node / "copies").iterdir())
    assert pydicom.dcmread(BytesIO(made.read_bytes())).PatientID == "X-4711-0815"
    code, _, err = run(capsys, "deidentify", "0.dcm", "--transform", "other", "--to", "copies")
    assert code == 1
    assert "has no transform other" in err
    assert "mine" in err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("0.dcm",), "either a folder with --to DIR or --show"),
        (("--show",), "name files"),
        (("0.dcm", "--show", "--option", "nonsense"), "--option"),
        (("0.dcm", "--show", "--option", "retain-full-dates", "--option", "retain-modified-dates"), "either kept"),
        (("--find", "P1"), "--among"),
    ],
)
def test_wrong_usage_says_what_is_missing(
    node: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    code, _, err = run(capsys, "deidentify", *words)
    assert code in (1, 2)
    assert says in err


def test_check_config_tells_every_mistake_with_its_line(node: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check-config")[0] == 0
    (node / "pacstui.toml").write_text(
        '[[transforms]]\nname = "a"\noptions = ["retain-uids"]\n\n[[transforms.change]]\nattribute = "PatientIDD"\n'
        'action = "set"\nvalue = "{nothing}"\n\n[[transforms]]\nname = "b"\nprofile = "basic"\n'
        "[[transforms.change]]\nattribute = 'StudyDate'\naction = 'set'\nvalue = 'today'\n"
    )
    code, out, _ = run(capsys, "check-config")
    assert code == 2
    for line in (
        'pacstui.toml:3: transforms[0].options: says nothing without profile = "basic"',
        'pacstui.toml:6: transforms[0].change[0].attribute: there is no attribute with the keyword "PatientIDD"',
        "pacstui.toml:8: transforms[0].change[0].value: {nothing}: there is no attribute",
        'pacstui.toml:16: transforms[1].change[0].value: "today" is no date',
        "4 mistakes;",
    ):
        assert line in out
    (node / "pacstui.toml").write_text(
        '[[transforms]]\nname = "a"\n[[transforms.change]]\nattribute = "PatientID"\naction = "sett"\n'
    )
    assert 'transforms[0].change[0].action: expected one of "set"' in run(capsys, "check-config")[1]
    (node / "pacstui.toml").write_text('[[transforms]]\nname = "a"\nprofile = "basic"\n' * 2)
    assert '"a" is the name of an earlier entry' in run(capsys, "check-config")[1]
