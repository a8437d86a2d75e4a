"""What a setting expects, in words, and the line a key stands in."""

from __future__ import annotations

import pytest

from pacstui.configuration.lines import Lines, key_of
from pacstui.configuration.words import did_you_mean, expected_at, shown
from pacstui.settings import Settings


@pytest.mark.parametrize(
    ("loc", "words"),
    [
        (("dicom", "port"), "a whole number from 0 to 65535"),
        (("archive", "reserve_bytes"), "a whole number, 0 or more"),
        (("dicom", "artim_s"), "a number from 0.1 to 600"),
        (("dicom", "check_called_ae"), "true or false"),
        (("dicom", "aliases"), "a list, each entry an AE title of at most 16 characters"),
        (("dicom", "aliases", 3), "an AE title of at most 16 characters"),
        (("console", "theme"), 'one of "auto", "terminal", "full"'),
        (("peers", 0, "notes"), "text of at most 500 characters"),
        (("routes", 0, "to"), "a list, each entry text of 1 to 64 characters; not empty"),
        (("node", "data_dir"), "the path of a folder"),
        (("backups", "targets", 1, "url"), "a folder or an address"),
        (("dicom",), "a table"),
        (("dicom", "nothing"), ""),
        (("dicom", "port", "deeper"), ""),
    ],
)
def test_expectations(loc: tuple[int | str, ...], words: str) -> None:
    assert expected_at(Settings, loc) == words


def test_keys_are_found_in_tables_lists_of_tables_and_dotted_keys() -> None:
    lines = Lines(
        '# [not]\n[a]\nx = 1 # c\n[[b]]\ny = 2\n[[b]]\n"y" = 3\n[b.inner]\nz = 4\n[[c.d]]\ne.f = 5\n[[c.d]]\ne = 6\n'
    )
    wanted = {
        ("a",): 2,
        ("a", "x"): 3,
        ("a", "x", 0): 3,
        ("b", 0, "y"): 5,
        ("b", 1, "y"): 7,
        ("b", 1, "missing"): 6,
        ("b", 1, "inner", "z"): 9,
        ("c", "d", 0, "e", "f"): 11,
        ("c", "d", 1, "e"): 13,
        ("nowhere",): 0,
    }
    assert {loc: lines.of(loc) for loc in wanted} == wanted


def test_small_words() -> None:
    assert key_of(("backups", "targets", 0, "url")) == "backups.targets[0].url"
    assert did_you_mean("max-pdus", ["max_pdu", "port"]) == '; did you mean "max_pdu"?'
    assert did_you_mean("zzz", ["max_pdu"]) == ""
    assert [shown(value) for value in (True, "a\x1b", 5, [1], {"a": 1})] == [
        "true",
        '"a\N{SYMBOL FOR ESCAPE}"',
        "5",
        "a list",
        "a table",
    ]
