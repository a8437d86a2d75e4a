"""A configuration on its way from text to settings, with every mistake told at once and in words."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pacstui.configuration import together
from pacstui.configuration.environment import lay_over
from pacstui.configuration.file import beside
from pacstui.configuration.lines import Lines, key_of
from pacstui.configuration.mistakes import ConfigurationError, Mistake, unusable
from pacstui.configuration.remarks import remarks
from pacstui.configuration.words import did_you_mean, expected_at, model_at, shown
from pacstui.settings import Settings


class Reading:
    """One configuration: what the file says, and the environment over it. ``notes`` are remarks on it."""

    def __init__(self, values: dict[str, Any], file: Path | None, text: str) -> None:
        self._file = file
        self._lines = Lines(text)
        self._values = values
        overrides = lay_over(values, os.environ, Settings)
        self._variables = overrides.variables
        self._mistakes = overrides.mistakes
        self.notes = overrides.notes

    def settings(self) -> Settings:
        """Return the settings, or raise with all mistakes."""
        settings: Settings | None = None
        try:
            settings = Settings.model_validate_json(_as_json(self._values), strict=True)
        except ValidationError as fault:
            for error in fault.errors(include_url=False):
                self._explain(error)
        except RecursionError:
            raise unusable(str(self._file), "is nested too deeply") from None
        self.notes += together.names(self._values, self._lines, self._wrong)
        file = None if ("node", "data_dir") in self._variables else self._file
        if settings is not None:
            together.directory(settings.directory, self._wrong)
            together.targets(settings.backups.targets, beside(settings.node.data_dir, file), self._wrong)
        if self._mistakes or settings is None:
            self._mistakes.sort(key=lambda mistake: (mistake.file, mistake.line))
            raise ConfigurationError(self._mistakes)
        node = settings.node.model_copy(update={"data_dir": beside(settings.node.data_dir, file)})
        settings = settings.model_copy(update={"node": node})
        self.notes += remarks(settings)
        return settings

    def _wrong(self, loc: tuple[int | str, ...], text: str) -> None:
        for length in range(len(loc), 0, -1):
            variable = self._variables.get(tuple(str(step) for step in loc[:length]))
            if variable is not None:
                self._mistakes.append(Mistake(variable, 0, key_of(loc), text))
                return
        file = str(self._file) if self._file is not None else "environment"
        self._mistakes.append(Mistake(file, self._lines.of(loc), key_of(loc), text))

    def _explain(self, error: ErrorDetails) -> None:
        """Turn one of pydantic's complaints into a sentence that says what was expected."""
        loc, kind, value = error["loc"], error["type"], error.get("input")
        if kind == "extra_forbidden":
            model = model_at(Settings, loc[:-1])
            known = list(model.model_fields) if model is not None else []
            what = "section" if len(loc) == 1 else "key"
            offer = did_you_mean(str(loc[-1]), known) or f"; known here: {', '.join(known)}"
            self._wrong(loc, f"unknown {what}{offer}")
            return
        expected = expected_at(Settings, loc) or "something else"
        if kind == "missing":
            self._wrong(loc, f"is missing; expected {expected}")
        elif kind == "value_error":
            self._wrong(loc, f"{shown(value)}: {error['msg'].removeprefix('Value error, ')}")
        elif kind == "literal_error" and isinstance(value, str):
            choices = re.findall(r'"([^"]*)"', expected)
            self._wrong(loc, f"expected {expected}, not {shown(value)}{did_you_mean(value, choices)}")
        else:
            self._wrong(loc, f"expected {expected}, not {shown(value)}")


def _as_json(values: dict[str, Any]) -> str:
    """Return ``values`` as JSON, which pydantic checks strictly without minding lists for tuples; dates as text."""
    return json.dumps(values, default=str)
