"""What settings mean to the node as a whole: what a reload changes, and what is set up once from them."""

from __future__ import annotations

from typing import Final

from pacstui.dicom.dictionary import tag_of, vr_of
from pacstui.errors import SettingsError
from pacstui.index import attributes, more
from pacstui.settings import OrdersSettings, QuerySettings, Settings

_AT_ONCE: Final = {
    ("node", "log_level"), ("query", "max_answers"), ("query", "fuzzy_names"), ("audit", "days"), ("audit", "seen_s"),
    ("audit", "server_ca"),
} | {
    ("orders", key) for key in OrdersSettings.model_fields
} | {
    ("tls", key) for key in ("certificate", "key", "ca", "client_certificates", "check_host", "oldest")
} | {
    ("dicom", key)
    for key in (
        "ae_title", "aliases", "check_called_ae", "unknown_callers", "check_peer_host", "max_associations",
        "max_associations_per_host", "unknown_sop_classes", "unknown_allow", "identity",
        "identity_names",
    )
}  # fmt: skip
"""Settings that a reload changes; peers are another. The console's own are read by each console."""


def _changed(old: Settings, new: Settings) -> list[tuple[str, str]]:
    """Return section and key of the node's settings that differ."""
    return [
        (section, key)
        for section in ("node", "dicom", "tls", "query", "archive", "database", "audit")
        for key in type(getattr(old, section)).model_fields
        if getattr(getattr(old, section), key) != getattr(getattr(new, section), key)
    ]


def index_more(query: QuerySettings) -> None:
    """Let further attributes be indexed.

    Raises
    ------
    SettingsError
        For a keyword that is none, or stands for what cannot be indexed.
    """
    for name, level in (
        ("study_attributes", more.STUDY_MORE), ("series_attributes", more.SERIES_MORE),
        ("image_attributes", more.IMAGE_MORE),
    ):  # fmt: skip
        for keyword in getattr(query, name):
            tag = tag_of(keyword)
            try:
                if not tag:
                    raise ValueError("is no keyword of the standard")
                more.also(level, [(tag, vr_of(tag))])
            except ValueError as fault:
                raise SettingsError(
                    f"[query] {name}: {keyword} {fault}", "use keywords of PS3.6 that stand for text, numbers or dates"
                ) from None
    attributes.renew()


def only_later(old: Settings, new: Settings) -> list[str]:
    """Return the settings that differ, and that a reload does not change."""
    return [f"[{section}] {key}" for section, key in _changed(old, new) if (section, key) not in _AT_ONCE]
