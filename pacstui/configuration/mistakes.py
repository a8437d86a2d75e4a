"""What is wrong in a configuration, each mistake with its place."""

from __future__ import annotations

from dataclasses import dataclass

from pacstui.errors import SettingsError
from pacstui.text import safe

HINT = "every setting is explained in docs/configuration.md; config.example.toml has them all"


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing that is wrong in a configuration.

    ``file`` is the file, or the environment variable, it stands in; ``line`` counts from 1 and is 0 where unknown.
    """

    file: str
    line: int
    key: str
    text: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return safe(f"{where}: {self.key}: {self.text}" if self.key else f"{where}: {self.text}", 600)


class ConfigurationError(SettingsError):
    """The configuration has mistakes; ``mistakes`` holds them apart, ``problems`` as lines to show."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        count = len(mistakes)
        message = "the configuration cannot be used: " + (
            str(mistakes[0]) if count == 1 else f"{count} mistakes, the first is {mistakes[0]}"
        )
        super().__init__(message, HINT, tuple(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


def unusable(file: str, text: str, line: int = 0) -> ConfigurationError:
    """Return the error for a file that cannot be taken at all."""
    return ConfigurationError([Mistake(file, line, "", text)])
