"""The configuration of the demo's node: the practice hospital's devices as peers, and where studies are sent on to."""

from __future__ import annotations

import json
from pathlib import Path

from pacstui.practice.roster import DESTINATIONS, ISSUER, PEERS, ROOMS

AE_TITLE = "RADNODE1"
_ROUTES = """
[[routes]]
name = "everything"
to = ["VNA"]
[[routes]]
name = "night-reading"
modality = ["CT"]
to = ["TELERAD"]
send = "study"
stable_s = 5
[[routes]]
name = "chest-images"
description = ["*CHEST*"]
to = ["AI-CHEST"]
send = "study"
stable_s = 5
[[routes]]
name = "old-archive"
modality = ["US", "MG"]
to = ["OLDPACS"]
[[destinations]]
name = "TELERAD"
retries = 4
retry_s = 5
retry_most_s = 20
"""
"""Where the demo's archive sends what comes."""


def titles() -> list[str]:
    """Return the AE titles of everything that the node knows: devices, then destinations."""
    return [peer.title for peer in (*PEERS, *DESTINATIONS)]


def configuration(data_dir: Path, port: int, ports: dict[str, int], hl7: int = 0) -> str:
    """Return the configuration's text, with the node's ports and those of all the others by AE title."""

    def text(value: object) -> str:
        return json.dumps(str(value), ensure_ascii=False)  # a JSON string is a TOML basic string

    lines = [
        "[node]",
        f"data_dir = {text(data_dir)}",
        "[dicom]",
        f"ae_title = {text(AE_TITLE)}",
        'host = "127.0.0.1"',
        f"port = {port}",
        "[hl7]",
        f"port = {hl7}",
        "[orders]",
        f"local_issuer = {text(ISSUER)}",
        "[archive]",
        "reserve_bytes = 67108864",
        "[[backups.targets]]",
        'name = "usb"',
        f"url = {text(data_dir.parent / 'usb')}",
        'schedule = "every 2 min"',
        "objective_h = 0.1",
        'drill = ""',
    ]
    for peer in (*PEERS, *DESTINATIONS):
        lines += [
            "[[peers]]",
            f"name = {text(peer.title)}",
            f"ae_title = {text(peer.title)}",
            'host = "127.0.0.1"',
            f"port = {ports[peer.title]}",
            f"notes = {text(peer.notes)}",
        ]
    for room in ROOMS:
        lines += [
            "[[orders.procedures]]",
            f"code = [{text(room.prefix + '*')}]",
            f"modality = {text(room.modality)}",
            f"station_ae = [{text(room.station)}]",
            f"room = {text(room.room)}",
        ]
    return "\n".join(lines) + "\n" + _ROUTES
