"""Regular expressions that cannot run away.

Python's engine backtracks. Patterns in which that could take exponential time are refused when they are compiled, and
what is left is polynomial: a value is refused that would take too many steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any, Final

_LONGEST: Final = 512
_STEPS: Final = 20_000_000
_WAYS: Final = 4096
_REPEATS: Final = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)
_BACK: Final = (_constants.GROUPREF, _constants.GROUPREF_EXISTS)


class BadPattern(ValueError):
    """The pattern cannot be used; the message says why."""


class TooLong(Exception):
    """The value is too long for the pattern."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern with what replaces its matches; ``power`` is that of the longest run in the length of the value,
    ``ways`` in how many ways its choices can be made."""

    pattern: re.Pattern[str]
    replacement: str
    power: int
    ways: int

    def replaced(self, text: str) -> str:
        """Return the text with all matches replaced.

        Raises
        ------
        TooLong
            Where that could take more than twenty million steps.
        """
        if len(text) ** self.power * self.ways > _STEPS:
            raise TooLong
        return self.pattern.sub(self.replacement, text)


def pattern(text: str, replacement: str) -> Pattern:
    """Compile a pattern of Python's `re`.

    Raises
    ------
    BadPattern
        Where it is none, might run away, or the replacement names a group that there is not.
    """
    if len(text) > _LONGEST:
        raise BadPattern(f"is longer than {_LONGEST} characters")
    try:
        compiled = re.compile(text)
        parsed = _parser.parse(text)
    except (re.error, OverflowError, RecursionError) as fault:
        raise BadPattern(f"is no regular expression: {fault}") from None
    power, ways = _power(parsed, False)
    if power > 4:
        raise BadPattern("has more than four open repetitions (* or +)")
    if ways > _WAYS:
        raise BadPattern("leaves too many choices (? or |), which may take for ever")
    try:
        _parser.parse_template(replacement, compiled)
    except (re.error, IndexError) as fault:
        raise BadPattern(f"has a replacement that does not fit: {fault}") from None
    return Pattern(compiled, replacement, power + 1, ways)


def _power(parsed: Iterable[tuple[Any, Any]], repeated: bool) -> tuple[int, int]:
    """Return how many repetitions of variable length follow each other, and in how many ways the choices between them
    can be made; refuse what nests repetitions."""
    total, ways = 0, 1
    for kind, argument in parsed:
        inside, choices = 0, 1
        if kind in _BACK:
            raise BadPattern("refers back to a group inside the pattern, which may take for ever")
        if kind in _REPEATS:
            least, most, inner = argument
            variable = least != most
            if variable and repeated:
                raise BadPattern("has a repetition inside a repetition, which may take for ever; write it flat")
            inside, choices = _power(inner, repeated or most > 1)
            if variable and most > 1:
                inside += 1
            elif variable:
                choices += 1
        elif kind is _constants.BRANCH:
            if repeated:
                raise BadPattern(
                    "has alternatives inside a repetition, which may take for ever; use [...] or write it flat"
                )
            branches = [_power(branch, repeated) for branch in argument[1]]
            inside, choices = max(each[0] for each in branches), sum(each[1] for each in branches)
        elif kind is _constants.SUBPATTERN:
            inside, choices = _power(argument[3], repeated)
        elif kind is _constants.ATOMIC_GROUP:
            inside, choices = _power(argument, repeated)
        elif kind in (_constants.ASSERT, _constants.ASSERT_NOT):
            inside, choices = _power(argument[1], repeated)
        total, ways = total + inside, min(ways * choices, 2 * _WAYS)
    return total, ways
