"""``pacstui deidentify``: copies of files without what identifies the patient, and what a transform would change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO, cast

import typer

from pacstui.cli.doors import door, new_app
from pacstui.cli.out import say, say_json, table
from pacstui.errors import BadRequest, NotFound, PacsError
from pacstui.text import plural

if TYPE_CHECKING:
    from pacstui.configuration import Loaded
    from pacstui.transform import Plan
    from pacstui.transform.tree import Element, Item

app = new_app()
_WORDS = {"X": "removed", "Z": "emptied", "D": "dummy", "U": "new UID", "C": "cleaned", "K": "scrubbed"}
_PSEUDONYM = (0x00100010, 0x00100020)
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Row:
    """One change: tag and keyword, what was done, value before and after."""

    tag: str
    attribute: str
    action: str
    before: str
    after: str


@dataclass(slots=True)
class Result:
    """How it went with a file."""

    path: str
    result: str
    reason: str = ""
    hint: str = ""
    copy: str = ""
    sop_instance: str = ""
    changes: list[Row] = field(default_factory=list)


class _Nowhere:
    """Takes a copy that nobody wants."""

    def write(self, data: bytes) -> int:
        return len(data)


class Notes:
    """Collects the changes of one object; removed private attributes are one row for each block."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._blocks: dict[int, tuple[str, int]] = {}

    def __call__(self, item: Item, tag: int, action: str, before: Element | None, after: Element | None) -> None:
        creator = tag >> 16 << 16 | (tag >> 8 & 0xFF if tag & 0xFFFF > 0xFF else tag & 0xFF)
        if tag >> 16 & 1 and after is None and tag & 0xFFFF <= 0xFF:
            self._blocks[tag] = _value(item, before), 0
            return
        if tag >> 16 & 1 and after is None and creator in self._blocks:
            name, count = self._blocks[creator]
            self._blocks[creator] = name, count + 1
            return
        done = "pseudonym" if tag in _PSEUDONYM and action == "Z" else _WORDS.get(action, action)
        if after is None:
            done = "removed"
        was, becomes = _value(item, before), _value(item, after)
        if was != becomes:
            self._rows.append(Row(_tag(tag), _place(item, tag), done, was, becomes))

    def all(self) -> list[Row]:
        """Return all rows."""
        private = [
            Row(f"({tag >> 16:04X},{tag & 0xFF:02X}xx)", name, "removed", plural(count, "attribute"), "-")
            for tag, (name, count) in self._blocks.items()
        ]
        return self._rows + private


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _place(item: Item, tag: int) -> str:
    """Return where an element stands: ``RequestAttributesSequence[0].ScheduledProcedureStepID``."""
    from pacstui.dicom.dictionary import keyword_of

    steps: list[str] = []
    while item.parent is not None:
        for outer, element in item.parent.elements.items():
            found = next((at for at, each in enumerate(element.items or ()) if each is item), None)
            if found is not None:
                steps.append(f"{keyword_of(outer)}[{found}]")
                break
        item = item.parent
    keyword = keyword_of(tag)
    return ".".join([*reversed(steps), "" if keyword == _tag(tag) else keyword])


def _value(item: Item, element: Element | None) -> str:
    from pacstui.transform.source import Span
    from pacstui.transform.tree import raw, text_of

    if element is None:
        return "-"
    if element.items is not None:
        return plural(len(element.items), "item")
    size = element.value.size if isinstance(element.value, Span) else len(raw(element))
    return text_of(item, element)[:_SHOWN] or (f"({size:,} bytes)" if size else "(empty)")


def _plan(loaded: Loaded, transform: str, options: list[str], project: str, burned_in: str, key: Path | None) -> Plan:
    """Return the plan that the command line asks for: a transform of the configuration, or the profile."""
    from pydantic import ValidationError

    from pacstui.places import claim
    from pacstui.settings import TransformSettings
    from pacstui.transform import KEY, compile, read_key

    if transform:
        found = next((each for each in loaded.settings.transforms if each.name == transform), None)
        if found is None:
            known = ", ".join(each.name for each in loaded.settings.transforms) or "none"
            raise NotFound(f"the configuration has no transform {transform}", f"there are: {known}")
        settings = found
    else:
        given: dict[str, Any] = {"name": project, "profile": "basic", "options": options, "burned_in": burned_in}
        try:
            settings = TransformSettings.model_validate(given)
        except ValidationError as fault:
            raise BadRequest(f"--option and --burned-in: {fault.errors()[0]['msg']}") from None
    compile(settings, b"")
    data_dir = loaded.settings.node.data_dir
    if key is None:
        claim(data_dir)
    return compile(settings, read_key(key or data_dir / KEY))


def _copy(plan: Plan, path: Path, to: Path | None) -> Result:
    """Make the copy of a file, below its SOP Instance UID; only look at it where there is no folder."""
    from pacstui.transform import Context

    notes = Notes()
    try:
        with path.open("rb") as source:
            if to is None:
                outcome = plan.write(source, cast(BinaryIO, _Nowhere()), Context(), notes)
                return Result(str(path), "would be made", sop_instance=outcome.sop_instance, changes=notes.all())
            with NamedTemporaryFile(dir=to, suffix=".part", delete=False) as out:
                try:
                    outcome = plan.write(source, cast(BinaryIO, out), Context())
                    out.flush()
                    os.fsync(out.fileno())
                    target = to / f"{outcome.sop_instance}.dcm"
                    if target.exists():
                        return Result(str(path), "there", "a copy of this object is in the folder", copy=str(target))
                    os.replace(out.name, target)
                finally:
                    Path(out.name).unlink(missing_ok=True)
    except PacsError as fault:
        return Result(str(path), "refused", fault.message, fault.hint)
    except OSError as fault:
        return Result(str(path), "refused", fault.strerror or str(fault))
    return Result(str(path), "made", copy=str(target), sop_instance=outcome.sop_instance)


def _find(plan: Plan, pseudonym: str, among: Path) -> list[str]:
    """Return the patients of a list who have a pseudonym: lines with an ID, or ID, tab and issuer."""
    from pacstui.transform import Person, find_back

    try:
        lines = among.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as fault:
        raise BadRequest(f"{among} cannot be read: {fault}") from None
    people = [Person(patient, issuer) for patient, _, issuer in (line.partition("\t") for line in lines) if patient]
    return [person.patient_id for person in find_back(plan.pseudonyms, pseudonym, people)]


def _files(paths: list[Path]) -> Iterator[Path | Result]:
    """Yield the files at and below the paths, and what is wrong with a path."""
    for path in paths:
        if path.is_dir():
            yield from sorted(each for each in path.rglob("*") if each.is_file())
        elif path.exists():
            yield path
        else:
            yield Result(str(path), "refused", "there is no such file or folder")


def _tell(result: Result, as_json: bool) -> None:
    if as_json:
        say_json(asdict(result), line=True)
        return
    said = f"{result.result:<9}  {result.path}" + (f" -> {result.copy}" if result.copy else "")
    say(said + (f": {result.reason}" if result.reason else ""))
    if result.hint:
        say(f"           {result.hint}")
    if result.changes:
        rows = [(row.tag, row.attribute, row.action, row.before, row.after) for row in result.changes]
        for line in table(("tag", "attribute", "done", "before", "after"), rows):
            say(line)
        say()


@app.command()
def deidentify(
    context: typer.Context,
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH...", help="Files and folders.", show_default=False)
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for the copies.", show_default=False)] = None,
    show: Annotated[bool, typer.Option("--show", help="Write nothing; show each change, with values.")] = False,
    option: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="An option of the profile, such as retain-modified-dates.")
    ] = None,
    project: Annotated[str, typer.Option(help="Pseudonyms of different projects cannot be joined.")] = "deidentify",
    burned_in: Annotated[str, typer.Option(help="refuse or send what a person has to look at.")] = "refuse",
    transform: Annotated[
        str, typer.Option(metavar="NAME", help="Apply this transform of the configuration instead.")
    ] = "",
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Key of pseudonyms; else the node's, pseudonyms.key.")
    ] = None,
    find: Annotated[str, typer.Option(metavar="PSEUDONYM", help="Tell who it is, of those in the file --among.")] = "",
    among: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Patient IDs, one a line; an issuer after a tab.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a JSON line a file.")] = False,
) -> None:
    """Write copies without what identifies the patient (PS3.15 Annex E). Exit 0 when no file was refused, else 1.

    Copies are named by their new SOP Instance UID. The originals are only read. What cannot be de-identified without
    a person who looks at it is refused.
    """
    from pacstui.configuration import load

    plan = _plan(load(door(context).config), transform, option or [], project, burned_in, key)
    if find:
        if among is None:
            raise BadRequest("--find takes --among FILE, a list of the Patient IDs that it may be")
        found = _find(plan, find, among)
        say("\n".join(found) if found else "none of them, with this key and project")
        raise typer.Exit(0 if found else 1)
    if not paths or show == (to is not None):
        raise BadRequest("name files, and either a folder with --to DIR or --show")
    if to is not None:
        try:
            to.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise BadRequest(f"{to} cannot be made: {fault.strerror}") from None
    refused = made = 0
    for path in _files(paths):
        result = path if isinstance(path, Result) else _copy(plan, path, to)
        _tell(result, json)
        refused += result.result == "refused"
        made += result.result == "made"
    if not json and not show:
        say(f"{plural(made, 'copy', 'copies')}, {refused:,} refused")
    raise typer.Exit(1 if refused else 0)
