"""QR codes of half blocks, two rows of modules in one line of text."""

from __future__ import annotations

_QUIET = 2
_INK = "\033[30;107m"
_PLAIN = "\033[0m"


def half_blocks(text: str) -> list[str]:
    """Return ``text`` as a QR code (ISO/IEC 18004, error correction L) for dark ink on a light ground.

    Around it are two modules of quiet: readers manage with less than the four of the standard, and the code of an
    address of up to 106 characters fits 41 columns and 21 lines.
    """
    import segno

    made = segno.make(text, error="l", micro=False, boost_error=False)
    rows = [tuple(bool(module) for module in row) for row in made.matrix_iter(border=_QUIET)]
    if len(rows) % 2:
        rows.append((False,) * len(rows[0]))
    picture = {(True, True): "\u2588", (True, False): "\u2580", (False, True): "\u2584", (False, False): " "}
    return [
        "".join(picture[pair] for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def ansi(text: str) -> list[str]:
    """Return the code in black on white, for a terminal of any colours."""
    return [f"{_INK}{line}{_PLAIN}" for line in half_blocks(text)]
