"""Every setting, once: type, default, limits and, below it, what it means.

The docstrings under the fields are the documentation: config.example.toml and docs/configuration.md are generated from
them. Order of precedence: environment (``PACSTUI_DICOM__PORT=11113``), file, defaults. With no file everything works.
"""

from __future__ import annotations

import ipaddress

from pydantic import Field

from pacstui.settings.accounts import AccountsSettings, AuditSettings, DirectoryRoleSettings, DirectorySettings
from pacstui.settings.backups import BackupsSettings, TargetSettings
from pacstui.settings.base import AeTitle, Host, ListenPort, Name, PemFile, Port, Section, Words
from pacstui.settings.dicom import (
    SERVICES,
    CommitmentSettings,
    DicomSettings,
    Keyword,
    PeerSettings,
    QuerySettings,
    RetrieveSettings,
    Service,
    Services,
    TlsSettings,
    with_mpps,
)
from pacstui.settings.hl7 import Hl7Settings, SenderSettings
from pacstui.settings.hl7_outgoing import Hl7ForwardSettings, Hl7NotificationSettings, Hl7ReceiverSettings
from pacstui.settings.node import ArchiveSettings, ConsoleSettings, DatabaseSettings, NodeSettings
from pacstui.settings.orders import OrdersSettings, ProcedureSettings
from pacstui.settings.routing import (
    ChangeSettings,
    DestinationSettings,
    Option,
    Pattern,
    RouteSettings,
    RoutingSettings,
    Schedule,
    TransformSettings,
)
from pacstui.settings.space import ReportsSettings, RuleSettings, SpaceSettings
from pacstui.settings.worklist import MppsSettings, WorklistSettings

__all__ = [
    "SERVICES",
    "AccountsSettings",
    "AeTitle",
    "ArchiveSettings",
    "AuditSettings",
    "BackupsSettings",
    "ChangeSettings",
    "CommitmentSettings",
    "ConsoleSettings",
    "DatabaseSettings",
    "DestinationSettings",
    "DicomSettings",
    "DirectoryRoleSettings",
    "DirectorySettings",
    "Hl7ForwardSettings",
    "Hl7NotificationSettings",
    "Hl7ReceiverSettings",
    "Hl7Settings",
    "Host",
    "Keyword",
    "ListenPort",
    "MppsSettings",
    "Name",
    "NodeSettings",
    "Option",
    "OrdersSettings",
    "Pattern",
    "PeerSettings",
    "PemFile",
    "Port",
    "ProcedureSettings",
    "QuerySettings",
    "ReportsSettings",
    "RetrieveSettings",
    "RouteSettings",
    "RoutingSettings",
    "RuleSettings",
    "Schedule",
    "Section",
    "SenderSettings",
    "Service",
    "Services",
    "Settings",
    "SpaceSettings",
    "TargetSettings",
    "TlsSettings",
    "TransformSettings",
    "Words",
    "WorklistSettings",
    "is_loopback",
    "with_mpps",
]


class Settings(Section):
    """All sections."""

    node: NodeSettings = Field(default_factory=NodeSettings)
    dicom: DicomSettings = DicomSettings()
    tls: TlsSettings = TlsSettings()
    archive: ArchiveSettings = ArchiveSettings()
    query: QuerySettings = QuerySettings()
    retrieve: RetrieveSettings = RetrieveSettings()
    commitment: CommitmentSettings = CommitmentSettings()
    worklist: WorklistSettings = WorklistSettings()
    mpps: MppsSettings = MppsSettings()
    database: DatabaseSettings = DatabaseSettings()
    accounts: AccountsSettings = AccountsSettings()
    directory: DirectorySettings = DirectorySettings()
    audit: AuditSettings = AuditSettings()
    console: ConsoleSettings = ConsoleSettings()
    peers: tuple[PeerSettings, ...] = ()
    backups: BackupsSettings = BackupsSettings()
    space: SpaceSettings = SpaceSettings()
    routing: RoutingSettings = RoutingSettings()
    reports: ReportsSettings = ReportsSettings()
    routes: tuple[RouteSettings, ...] = ()
    transforms: tuple[TransformSettings, ...] = ()
    destinations: tuple[DestinationSettings, ...] = ()
    orders: OrdersSettings = OrdersSettings()
    # The section below is checked already; what it asks for comes with a later version.
    hl7: Hl7Settings = Hl7Settings()


def is_loopback(address: str) -> bool:
    """Return whether ``address`` (an IP address, with or without zone) is this machine's loopback."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address == "localhost"
    mapped = getattr(parsed, "ipv4_mapped", None)
    return (mapped or parsed).is_loopback
