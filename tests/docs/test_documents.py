"""What the documents say exists: files, headings, commands, options, settings, tables that repeat the code's."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import click
import pytest
from pydantic import BaseModel

from pacstui.archive import Archive
from pacstui.archive.importer import import_paths
from pacstui.cli.checks import machine
from pacstui.cli.doors import root
from pacstui.dicom import syntaxes, uids
from pacstui.dicom.ul.items import UserInformation
from pacstui.dicom.ul.pdu import AssociateRequest
from pacstui.equipment.book import PeerBook
from pacstui.services.policy import Admission
from pacstui.settings import DicomSettings, Settings

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_HAND = [path for path in DOCUMENTS if path.name != "configuration.md"]


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _anchors(path: Path) -> set[str]:
    found = set()
    for heading in re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
        plain = re.sub(r"[^\w\- ]", "", heading.lower())
        found.add(plain.replace(" ", "-"))
    return found


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        file, _, anchor = target.partition("#")
        there = (document.parent / file) if file else document
        assert there.exists(), target
        if anchor:
            assert anchor in _anchors(there), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=_name)
def test_there_are_no_outside_addresses(document: Path) -> None:
    found = re.findall(r"\bhttps?://\S+|\bwww\.\S+", document.read_text(encoding="utf-8"))
    assert not [each for each in found if ".example.org" not in each]  # of which there is none (RFC 2606)


def _quoted(text: str) -> Iterator[str]:
    """Yield what stands in code: spans, and lines of indented and fenced blocks."""
    fenced = False
    for line in text.split("\n"):
        if line.startswith("```"):
            fenced = not fenced
        elif fenced or line.startswith("    "):
            yield line.strip()
        else:
            yield from re.findall(r"`([^`]+)`", line)


def _calls(text: str) -> Iterator[list[str]]:
    """Yield the words after ``pacstui`` of each call that is quoted, whoever runs it and with whatever environment."""
    for quoted in _quoted(text):
        for part in re.split(r"&&|\|\||;", quoted):
            try:
                words = shlex.split(part)
            except ValueError:
                continue
            if words[:3] == ["sudo", "-u", "pacstui"]:
                words = words[3:]
            while words and re.match(r"[A-Z_]+=", words[0]):
                words = words[1:]
            if words and (words[0] == "pacstui" or words[0].endswith("/bin/pacstui")):
                yield words[1:]


def _subcommand(context: click.Context, words: list[str]) -> tuple[click.Command, list[str]]:
    command: Any = context.command
    words = [word for n, word in enumerate(words) if word != "--config" and words[max(0, n - 1)] != "--config"]
    while words and hasattr(command, "get_command") and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        assert found is not None, f"there is no command {words[0]}"
        command, words = found, words[1:]
    return command, words


@pytest.mark.parametrize("document", BY_HAND, ids=_name)
def test_commands_and_options_exist(document: Path) -> None:
    command = root()
    context = click.Context(command)
    seen: list[list[str]] = []
    for words in _calls(document.read_text(encoding="utf-8")):
        seen.append(words)
        found, rest = _subcommand(context, words)
        options = {name for parameter in found.params for name in parameter.opts} | {"--help", "-h"}
        for word in rest:
            if word.startswith("-") and len(word) > 1:
                assert word.partition("=")[0] in options, f"{found.name} has no {word}"
    assert len(seen) > 20 or document.name != "operations.md"


def _section(name: str) -> type[BaseModel]:
    annotation: Any = Settings.model_fields[name].annotation
    parts = [part for part in (annotation, *get_args(annotation)) if isinstance(part, type)]
    return next(part for part in parts if issubclass(part, BaseModel))


@pytest.mark.parametrize("document", BY_HAND, ids=_name)
def test_settings_exist(document: Path) -> None:
    for section, key in re.findall(r"`\[(\w+)\](?: (\w+))?", document.read_text(encoding="utf-8")):
        assert section in Settings.model_fields, section
        if key:
            assert key in _section(section).model_fields, f"[{section}] {key}"


def test_the_install_page_names_every_port_that_the_node_listens_on() -> None:
    text = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    table = text[text.index("## Ports") : text.index("## Users")]
    for section, name in (("dicom", "port"), ("tls", "port"), ("hl7", "port"), ("hl7", "tls_port")):
        default = _section(section).model_fields[name].default
        row = next((line for line in table.splitlines() if f"`[{section}]" in line and f"{name}`" in line), "")
        assert row.startswith(f"| {default or 'none'}"), f"[{section}] {name}"


def test_the_doctor_refers_to_a_heading_that_is_there() -> None:
    file, _, heading = machine._DAMAGED.removeprefix("see ").partition(", ")
    assert heading.replace(" ", "-") in _anchors(ROOT / file)


def test_conformance_lists_the_transfer_syntaxes_that_are_taken() -> None:
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| .* \| (1\.2\.840\.10008\.1\.2\S*|1\.2\.840\.10008\.1\.20) \|$", text, re.MULTILINE))
    caller = AssociateRequest("PACSTUI", "CT1", (), UserInformation())
    policy: Any = Admission(DicomSettings(), PeerBook()).judge(caller, ("127.0.0.1", 1), 1)
    ct = "1.2.840.10008.5.1.4.1.1.2"
    taken = {syntax for syntax in syntaxes.TRANSFER_SYNTAXES if policy.accepts(ct, [syntax], caller) == (0, syntax)}
    assert listed == taken
    assert f"Storage: {len(uids.STORAGE_CLASSES)} SOP classes" in text
    assert uids.IMPLEMENTATION_CLASS_UID in text


def test_the_conformance_statement_says_what_the_code_does() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        import make_conformance
    finally:
        sys.path.pop(0)
    text = make_conformance.DOCUMENT.read_text("utf-8")
    assert text.count("<!-- from the code:") == len(make_conformance.BLOCKS)
    assert make_conformance.written(text) == text, "run: python docs/make_conformance.py"


async def test_the_check_of_a_copy_finds_what_was_changed(tmp_path: Path) -> None:
    import pydicom.data

    text = (ROOT / "docs" / "backup-restore.md").read_text(encoding="utf-8")
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    script = tmp_path / "check_copy.py"
    script.write_text(found.group(1), encoding="utf-8")
    files = [Path(str(pydicom.data.get_testdata_file(name))) for name in ("CT_small.dcm", "MR_small.dcm")]
    archive = await Archive.open(tmp_path / "data")
    try:
        await import_paths(archive, files, lambda result: None)
    finally:
        await archive.close()

    def check() -> tuple[int, str]:
        done = subprocess.run([sys.executable, script, tmp_path / "data"], capture_output=True, text=True)
        return done.returncode, done.stdout

    assert await asyncio.to_thread(check) == (0, "2 objects are as stored, 0 are not\n")
    stored = sorted((tmp_path / "data" / "objects").rglob("*.dcm"))[0]
    content = bytearray(stored.read_bytes())
    content[-200] ^= 1
    stored.write_bytes(content)
    code, told = await asyncio.to_thread(check)
    assert code == 1
    assert "1 objects are as stored, 1 are not" in told
    assert stored.name in told
