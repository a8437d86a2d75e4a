"""Text for the clipboard of the terminal in front of the person, through any number of SSH hops: OSC 52."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping

LIMIT = 74_000
"""Bytes that terminals take at most; longer text is cut."""


def osc52(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """Return the sequence that sets the clipboard; inside tmux wrapped, so that tmux hands it through."""
    data = base64.b64encode(text.encode("utf-8", "replace")[:LIMIT]).decode("ascii")
    sequence = f"\x1b]52;c;{data}\x07"
    if environ.get("TMUX"):
        return f"\x1bPtmux;{sequence.replace(chr(27), chr(27) * 2)}\x1b\\"
    return sequence
