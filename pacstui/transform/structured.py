"""Structured content, annotations and documents: what is left of them in a de-identified copy.

With the option clean-structured-content all texts and names of a report are removed, whatever their concept, which is
more than PS3.15 Table E.3.4-1 asks; codes, measurements and references stay, the latter with new UIDs.
"""

from __future__ import annotations

from typing import Final

from pacstui.transform.tree import Element, Item

REMOVED: Final = "REMOVED"
_VALUE_TYPE, _CONTENT, _CONCEPT = 0x0040A040, 0x0040A730, 0x0040A043
_TEXTS: Final = {"TEXT": 0x0040A160, "PNAME": 0x0040A123}
_OF_PATIENTS: Final = frozenset((("121033", "DCM"), ("121032", "DCM"), ("121029", "DCM"), ("121030", "DCM")))
_OF_DEVICES: Final = frozenset((("121000", "DCM"),))


def code_item(parent: Item, value: str, scheme: str, meaning: str) -> Item:
    """Return an item with a code (PS3.3 8.8)."""
    item = Item(parent=parent, big=parent.big)
    item.put(0x00080100, "SH", value)
    item.put(0x00080102, "SH", scheme)
    item.put(0x00080104, "LO", meaning)
    return item


def codes(parent: Item, *items: Item) -> Element:
    """Return a sequence of items."""
    for item in items:
        item.parent = parent
    return Element("SQ", items=list(items))


def dummy_content(item: Item) -> Element:
    """Return what stands for the whole content of a report: one text that says so."""
    content = Item(parent=item, big=item.big)
    content.put(0x0040A010, "CS", "CONTAINS")
    content.put(_VALUE_TYPE, "CS", "TEXT")
    content.elements[_CONCEPT] = codes(content, code_item(content, "121106", "DCM", "Comment"))
    content.put(0x0040A160, "UT", REMOVED)
    return codes(item, content)


def clean_content(item: Item, element: Element, characteristics: bool, devices: bool) -> None:
    """Take texts, names and the patient's age and sex out of content items, and those of their children."""
    kept: list[Item] = []
    for content in element.items or ():
        below = content.elements.get(_CONTENT)
        if below is not None and below.items:
            clean_content(content, below, characteristics, devices)
            if not below.items:
                del content.elements[_CONTENT]
        kind = content.text(_VALUE_TYPE)
        concept = _concept(content)
        if (concept in _OF_PATIENTS and not characteristics) or (concept in _OF_DEVICES and not devices):
            continue
        if kind in _TEXTS:
            if _CONTENT not in content.elements:
                continue
            content.put(_TEXTS[kind], "UT" if kind == "TEXT" else "PN", REMOVED)
        kept.append(content)
    element.items = kept


def _concept(content: Item) -> tuple[str, str]:
    name = content.elements.get(_CONCEPT)
    for code in name.items or () if name is not None else ():
        return code.text(0x00080100), code.text(0x00080102)
    return "", ""


def dummy_annotations(item: Item, element: Element) -> Element:
    """Return annotations of which nothing is left but one text that says so (PS3.3 C.10.5)."""
    kept: list[Item] = []
    for before in (element.items or ())[:1]:
        annotation = Item(parent=item, big=item.big)
        for tag in (0x00700002, 0x00081140):
            if tag in before.elements:
                annotation.elements[tag] = before.elements[tag]
        annotation.elements[0x00700008] = codes(annotation, _text_object(annotation))
        kept.append(annotation)
    return codes(item, *kept)


def _text_object(parent: Item) -> Item:
    text = Item(parent=parent, big=parent.big)
    text.put(0x00700003, "CS", "DISPLAY")
    text.put(0x00700006, "ST", REMOVED)
    mark = ">f4" if parent.big else "<f4"
    text.elements[0x00700010] = Element("FL", _floats(mark, 0.0, 0.0))
    text.elements[0x00700011] = Element("FL", _floats(mark, 0.1, 0.1))
    text.put(0x00700012, "CS", "LEFT")
    return text


def _floats(mark: str, *numbers: float) -> bytes:
    from struct import pack

    return pack(f"{mark[0]}{len(numbers)}f", *numbers)


def clean_annotations(element: Element) -> None:
    """Take the texts out of annotations; what was drawn stays."""
    for annotation in element.items or ():
        texts = annotation.elements.get(0x00700008)
        for text in texts.items or () if texts is not None else ():
            text.put(0x00700006, "ST", REMOVED)


_PDF: Final = (
    b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
    b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\nxref\n0 4\n0000000000 65535 f \n"
    b"0000000009 00000 n \n0000000054 00000 n \n0000000105 00000 n \ntrailer<</Size 4/Root 1 0 R>>\nstartxref\n170\n"
    b"%%EOF\n"
)
_CDA: Final = b'<?xml version="1.0"?><ClinicalDocument xmlns="urn:hl7-org:v3"/>'
_DOCUMENTS: Final = {"104.1": _PDF, "104.2": _CDA, "104.3": bytes(84), "104.4": b"# removed\n", "104.5": b"# removed\n"}


def dummy_document(sop_class: str) -> bytes:
    """Return a document of the right kind with nothing in it: an empty page, an empty solid."""
    return _DOCUMENTS.get(sop_class.removeprefix("1.2.840.10008.5.1.4.1.1."), b"removed ")
