"""What can happen in a node, as frozen values on the bus.

Text fields hold what the network sent, unchanged: whoever shows or logs them passes them through
:func:`pacstui.text.safe`.
"""

from __future__ import annotations

from pacstui.events.associations import (
    AssociationClosed,
    AssociationOpened,
    AssociationRefused,
    PeerEchoed,
    PeersChanged,
    ServiceRefused,
)
from pacstui.events.base import Event
from pacstui.events.hl7 import Hl7Refused, MessageFailed, MessageNotSent, MessageTaken, ReceiverDown, ReceiverUp
from pacstui.events.jobs import JobBegan, JobEnded, JobTold
from pacstui.events.node import MaintenanceTold, NodeStarted, NodeStopping, OperatorActed
from pacstui.events.objects import (
    InstanceQuarantined,
    InstanceRefused,
    InstanceStored,
    InstanceUnreadable,
    ReconciliationDone,
    StoragePressure,
    StudyCorrected,
    TrashChanged,
)
from pacstui.events.orders import OrderChanged, PatientChanged, PerformedChanged, StepChanged, StudyMatched
from pacstui.events.retrieval import CommitmentAnswered, CommitmentTold, Retrieved, StudyFetched
from pacstui.events.sending import DestinationDown, DestinationUp, SendingEnded

__all__ = [
    "AssociationClosed",
    "AssociationOpened",
    "AssociationRefused",
    "CommitmentAnswered",
    "CommitmentTold",
    "DestinationDown",
    "DestinationUp",
    "Event",
    "Hl7Refused",
    "InstanceQuarantined",
    "InstanceRefused",
    "InstanceStored",
    "InstanceUnreadable",
    "JobBegan",
    "JobEnded",
    "JobTold",
    "MaintenanceTold",
    "MessageFailed",
    "MessageNotSent",
    "MessageTaken",
    "NodeStarted",
    "NodeStopping",
    "OperatorActed",
    "OrderChanged",
    "PatientChanged",
    "PeerEchoed",
    "PeersChanged",
    "PerformedChanged",
    "ReceiverDown",
    "ReceiverUp",
    "ReconciliationDone",
    "Retrieved",
    "SendingEnded",
    "ServiceRefused",
    "StepChanged",
    "StoragePressure",
    "StudyCorrected",
    "StudyFetched",
    "StudyMatched",
    "TrashChanged",
]
