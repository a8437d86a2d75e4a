"""Samples from the differences to what was predicted of them (ITU-T T.81 H.1.2.1, Table H.1), by numpy.

All arithmetic is modulo 2**16. What a sample is predicted from lies to its left (a), above (b), and above to the left
(c); the first row knows a alone, and the first column b alone.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from pacstui.imaging.huffman import BadStream

_ALL: Final = 0xFFFF


def samples(wide: Any, predictor: int, precision: int, transform: int) -> Any:
    """Return the samples of one component.

    Parameters
    ----------
    wide
        Differences, rows x columns, ``int32``.
    predictor
        From 1 to 7.
    precision, transform
        Bits of a sample, and how many low ones of them were left out.

    Raises
    ------
    BadStream
        When samples have more bits than that.
    """
    out = np.array(wide, "<i4", order="C")
    out[0, 0] += 1 << precision - transform - 1
    if predictor == 1:
        out[:, 0] = np.cumsum(out[:, 0], dtype="<i4")
        np.cumsum(out, axis=1, dtype="<i4", out=out)
    elif predictor == 2:
        out[0] = np.cumsum(out[0], dtype="<i4")
        np.cumsum(out, axis=0, dtype="<i4", out=out)
    elif predictor == 4:
        np.cumsum(out, axis=1, dtype="<i4", out=out)
        np.cumsum(out, axis=0, dtype="<i4", out=out)
    else:
        out[0] = np.cumsum(out[0], dtype="<i4") & _ALL
        (_by_rows if predictor in (3, 5) else _by_diagonals)(out, predictor)
    out &= _ALL
    if (out >> precision - transform).any():
        raise BadStream(f"it has samples of more than {precision} bits")
    return out << transform


def _by_rows(out: Any, predictor: int) -> None:
    """Predict c (3), or a + (b - c) / 2 (5): a whole row from the one above."""
    for above, row in zip(out[:-1], out[1:], strict=True):
        row[0] += above[0]
        if predictor == 3:
            row[1:] += above[:-1]
        else:
            row[1:] += above[1:] - above[:-1] >> 1
            np.cumsum(row, dtype="<i4", out=row)
        row &= _ALL


def _by_diagonals(out: Any, predictor: int) -> None:
    """Predict b + (a - c) / 2 (6), or (a + b) / 2 (7): what lies on a diagonal depends on earlier ones only."""
    rows, columns = out.shape
    out[:, 0] = np.cumsum(out[:, 0], dtype="<i4") & _ALL
    flat, step = out.reshape(-1), columns - 1
    for diagonal in range(2, rows + columns - 1):
        top, bottom = max(1, diagonal - columns + 1), min(rows - 1, diagonal - 1)
        if top > bottom:
            continue
        begin, end = top * step + diagonal, bottom * step + diagonal + 1
        a, b, here = (flat[begin - off : end - off : step] for off in (1, columns, 0))
        if predictor == 6:
            c = flat[begin - columns - 1 : end - columns - 1 : step]
            here += b + (a - c >> 1)
        else:
            here += a + b >> 1
        here &= _ALL
