"""Whether pixels or sound may tell who the patient is: what attributes say of it (PS3.15 E.3.1, E.3.2)."""

from __future__ import annotations

from typing import Final

from pacstui.transform.tree import PIXELS, Item

_ROOT: Final = "1.2.840.10008.5.1.4.1.1."
_BURNED_ENDS: Final = "3 3.1 6 6.1 6.2 6.3 7 7.1 7.2 7.3 7.4 77.1.1 77.1.1.1 77.1.2.1 77.1.4 77.1.4.1 77.1.5.1 77.1.5.2"
_BURNED: Final = frozenset(_ROOT + end for end in _BURNED_ENDS.split())
"""Ultrasound, secondary capture, endoscopy, photographs and videos: often there is text, or a face, in the picture."""
_SPOKEN: Final = (_ROOT + "9.4.1", _ROOT + "9.4.2")
_MODALITIES: Final = frozenset(("US", "IVUS", "ES", "XC", "GM", "SC", "OT", "DOC", "HC", "DG", "FILM", "OP", "RG"))
_SCREENS: Final = ("SCREEN SAVE", "SCREENSAVE", "CSA REPORT", "DOSE_INFO", "PROTOCOL", "REPORT")


def doubt(root: Item) -> str:
    """Return why a person has to look at an object, empty where attributes give no reason to."""
    sop_class = root.text(0x00080016)
    if sop_class in _SPOKEN:
        return "it is a voice recording"
    if root.elements.keys().isdisjoint(PIXELS):
        return ""
    for group in range(0x6000, 0x6020, 2):
        if group << 16 | 0x0102 in root.elements and group << 16 | 0x3000 not in root.elements:
            return f"an overlay (group {group:04X}) is stored in its pixels"
    if root.text(0x00280302).upper() == "YES":
        return "its pixels show recognizable features of the patient (RecognizableVisualFeatures is YES)"
    burned = root.text(0x00280301).upper()
    if burned == "YES":
        return "its pixels hold identifying text (BurnedInAnnotation is YES)"
    if root.text(0x00480010).upper() == "YES" or "LABEL" in _kinds(root):
        return "the label of the slide is in the picture (SpecimenLabelInImage, ImageType)"
    return "" if burned == "NO" else _likely(root, sop_class)


def _kinds(root: Item) -> set[str]:
    """Return the values of Image Type."""
    return {kind.strip() for kind in root.text(0x00080008).upper().split("\\")}


def _likely(root: Item, sop_class: str) -> str:
    """Return why text in the picture is likely in an object that does not say."""
    untold = "and does not say whether its pixels hold identifying text (BurnedInAnnotation)"
    if sop_class in _BURNED:
        return f"it is of a kind that often has text in the picture {untold}"
    modality = root.text(0x00080060).upper()
    if modality in _MODALITIES:
        return f"its modality is {modality} {untold}"
    conversion = root.text(0x00080064).upper()
    if conversion:
        return f"it was captured or digitized ({conversion}) {untold}"
    kinds = _kinds(root)
    if any(screen in kinds for screen in _SCREENS) or {"DERIVED", "SECONDARY", "SCREEN"} <= kinds:
        return f"it is a picture of a screen {untold}"
    return ""
