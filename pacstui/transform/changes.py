"""Changes of single attributes, compiled from the settings and made in an object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pacstui.dicom.dictionary import keyword_of
from pacstui.settings import ChangeSettings
from pacstui.transform.faults import TransformError, named
from pacstui.transform.paths import BadPath, Path, parse
from pacstui.transform.patterns import BadPattern, Pattern, TooLong, pattern
from pacstui.transform.pseudonyms import Pseudonyms
from pacstui.transform.source import Span
from pacstui.transform.templates import Context, Template, template
from pacstui.transform.tree import NUMBER_VRS, PIXELS, STRING_VRS, Element, Item, Note, text_of
from pacstui.transform.values import SETTABLE, element_of, split, vr_at, wrong

_SETTING: Final = ("set", "fill", "replace")
_TEXT: Final = ("regex", "prefix", "suffix", "map")
_NEEDED: Final = frozenset((0x00080016, 0x00080018, 0x0020000D, 0x0020000E))
_FIXED: Final = {
    0x00080005: "the character set follows the values by itself",
    0x00080016: "the class of an object cannot be changed",
}
_MEANINGLESS: Final = {
    "value": (*_SETTING, "prefix", "suffix", "regex"), "pattern": ("regex",), "table": ("map",), "otherwise": ("map",),
    "vr": (*_SETTING, *_TEXT, "uid"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """One change, checked."""

    path: Path
    action: str
    value: Template
    vr: str
    pattern: Pattern | None
    table: Mapping[str, str]
    otherwise: str

    def make(self, root: Item, context: Context, pseudonyms: Pseudonyms, note: Note) -> None:
        """Change an object.

        Raises
        ------
        TransformError
            When a value does not fit, or is not in the table.
        """
        made = self.action in ("set", "fill") and not self.path.everywhere
        places = list(self.path.made(root) if made else self.path.places(root))
        for item, tag in places:
            before = item.elements.get(tag)
            if self.action == "fill" and before is not None and not before.empty:
                continue
            after = self._new(root, item, tag, before, context, pseudonyms)
            if after is None:
                item.elements.pop(tag, None)
            else:
                item.elements[tag] = after
            if after is not before:
                note(item, tag, self.action, before, after)

    def _new(self, root: Item, item: Item, tag: int, before: Element | None, context: Context, pseudonyms: Pseudonyms
             ) -> Element | None:  # fmt: skip
        """Return what takes the place of ``before``, which may be absent; None to remove it."""
        if self.action == "remove":
            return None
        if self.action == "empty":
            return _emptied(before)
        vr = vr_at(item, tag, self.vr)
        if self.action in _SETTING:
            return self._checked(item, tag, vr, self.value.fill(root, context))
        if before is None or before.items is not None:
            return before
        if vr not in SETTABLE:
            raise TransformError(f"{named(tag)}: its VR is not known", "name it with vr in the transform's change")
        if isinstance(before.value, Span):
            raise TransformError(f"{named(tag)}: its value is too long to be changed")
        old = text_of(item, before if before.vr == vr else Element(vr, before.value))
        if not old:
            return before
        if self.action == "uid":
            return Element("UI", "\\".join(pseudonyms.uid(uid) if uid else "" for uid in old.split("\\")))
        if self.action == "map":
            return self._mapped(item, tag, vr, before, old)
        return self._checked(item, tag, vr, self._text(root, context, tag, vr, old))

    def _text(self, root: Item, context: Context, tag: int, vr: str, old: str) -> str:
        if self.pattern is not None:
            try:
                return "\\".join(self.pattern.replaced(value) for value in split(vr, old))
            except TooLong:
                raise TransformError(f"{named(tag)}: its value is too long for the regular expression") from None
        more = self.value.fill(root, context)
        return "\\".join(more + value if self.action == "prefix" else value + more for value in split(vr, old))

    def _mapped(self, item: Item, tag: int, vr: str, before: Element, old: str) -> Element | None:
        values = [value.strip() for value in split(vr, old)]
        unknown = [value for value in values if value not in self.table]
        if unknown and self.otherwise == "refuse":
            raise TransformError(f"{named(tag)}: a value is not in the table", "add it to the table of the transform")
        if unknown and self.otherwise == "remove":
            return None
        if unknown and self.otherwise == "keep" and len(unknown) == len(values):
            return before
        rest = {value: value if self.otherwise == "keep" else "" for value in unknown}
        return self._checked(item, tag, vr, "\\".join(self.table.get(value, rest.get(value, "")) for value in values))

    def _checked(self, item: Item, tag: int, vr: str, text: str) -> Element:
        why = wrong(vr, text, told=False)
        if why:
            raise TransformError(f"{named(tag)}: {why}", f"see the transform's change of {self.path.text}")
        return element_of(item, vr, text)


def _emptied(before: Element | None) -> Element | None:
    if before is None:
        return None
    return Element("SQ", items=[]) if before.items is not None else Element(before.vr)


class Mistake(ValueError):
    """A change cannot be made; ``key`` names the setting."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(text)
        self.key = key


def compile_change(settings: ChangeSettings) -> tuple[Change | None, list[Mistake]]:
    """Return the change that settings describe, and all that is wrong with them."""
    mistakes = list(_unused(settings))
    path, value, expression = None, Template(()), None
    try:
        path = parse(settings.attribute)
    except BadPath as fault:
        mistakes.append(Mistake("attribute", str(fault)))
    try:
        if settings.action != "regex":
            value = template(settings.value)
        else:
            expression = pattern(settings.pattern, settings.value)
    except BadPath as fault:
        mistakes.append(Mistake("value", str(fault)))
    except BadPattern as fault:
        mistakes.append(Mistake("pattern", str(fault)))
    if path is None:
        return None, mistakes
    mistakes += _forbidden(path, settings.action)
    mistakes += _misfits(path, settings, value)
    if mistakes:
        return None, mistakes
    table = {key.strip(): text for key, text in settings.table.items()}
    return Change(path, settings.action, value, settings.vr, expression, table, settings.otherwise), []


def _unused(settings: ChangeSettings) -> Iterator[Mistake]:
    for key in settings.model_fields_set & _MEANINGLESS.keys():
        if settings.action not in _MEANINGLESS[key] and getattr(settings, key):
            yield Mistake(key, f"says nothing with the action {settings.action}")
    if settings.action == "regex" and not settings.pattern:
        yield Mistake("pattern", "is missing; expected a regular expression")
    if settings.action == "map" and not settings.table:
        yield Mistake("table", "is missing; expected a table of texts")
    if settings.action in ("replace", "prefix", "suffix") and not settings.value:
        yield Mistake("value", "is missing; expected text")


def _forbidden(path: Path, action: str) -> Iterator[Mistake]:
    tag = path.tag
    if tag >> 16 in (0, 2) and tag:
        yield Mistake("attribute", "stands in no data set: what precedes one in a file is written anew")
    elif tag and tag & 0xFFFF == 0:
        yield Mistake("attribute", "is a group length; they are left out")
    elif tag in _FIXED:
        yield Mistake("attribute", _FIXED[tag])
    elif tag in _NEEDED and action in ("remove", "empty") and len(path.steps) == 1 and not path.everywhere:
        yield Mistake("attribute", f"no object can be sent without {keyword_of(tag)}")
    elif tag in PIXELS:
        yield Mistake("attribute", "pixels are never changed here")


def _misfits(path: Path, settings: ChangeSettings, value: Template) -> Iterator[Mistake]:
    """Yield what of action, VR and value does not go together."""
    action = settings.action
    if not path.one and action not in ("remove", "empty", "uid"):
        yield Mistake("attribute", f"stands for several attributes, of which none can be {_DONE.get(action, action)}")
        return
    vr = path.vr() if path.tag and not path.tag >> 16 & 1 else settings.vr or "UN"
    if settings.vr and path.tag and not path.tag >> 16 & 1 and vr not in ("UN", settings.vr):
        yield Mistake("vr", f"{keyword_of(path.tag)} has VR {vr}")
    if settings.vr and settings.vr not in SETTABLE:
        yield Mistake("vr", f"{settings.vr} is no VR whose value can be set by text")
        return
    if vr == "UN":
        if action in ("set", "fill"):
            yield Mistake("vr", "is missing; the dictionary has none for this attribute")
        return
    if action in _SETTING and vr not in SETTABLE:
        yield Mistake("attribute", f"has VR {vr}: it can be removed or emptied, not set by text")
    elif action == "uid" and vr != "UI":
        yield Mistake("attribute", f"has VR {vr}, not UI")
    elif action in _TEXT and vr not in (STRING_VRS if action != "map" else STRING_VRS | NUMBER_VRS.keys()):
        yield Mistake("attribute", f"has VR {vr}, which is no text")
    elif action in _SETTING and value.constant is not None:
        why = wrong(vr, value.constant)
        if why:
            yield Mistake("value", why)
    elif action == "map":
        for key, text in settings.table.items():
            why = wrong(vr, text)
            if why:
                yield Mistake("table", f'"{key}": {why}')


_DONE: Final = {"set": "set", "fill": "filled", "replace": "replaced", "map": "mapped", "regex": "replaced in",
                "prefix": "given a prefix", "suffix": "given a suffix"}  # fmt: skip
