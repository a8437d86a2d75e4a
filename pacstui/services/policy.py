"""Who may associate, and which presentation contexts are taken (PS3.8 7.1.1, 9.3.3, 9.3.4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pacstui.dicom import uids
from pacstui.dicom.net.policy import Refusal
from pacstui.dicom.ul.pdu import AssociateRequest, UserIdentity
from pacstui.equipment.book import PeerBook
from pacstui.settings import DicomSettings, is_loopback

VERIFICATION = "1.2.840.10008.1.1"
_IMPLICIT = "1.2.840.10008.1.2"
