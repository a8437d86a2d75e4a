"""Corrections at a shell: what somebody else changed meanwhile is shown, and asked about again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer

from pacstui.cli import corrections
from pacstui.errors import Stale

SHOWN: dict[str, Any] = {
    "token": "one", "sentence": "Changes the sex", "since": [], "changes": [], "already": [], "new_uids": False,
    "downstream": [], "doubts": [],
}  # fmt: skip


def test_a_preview_that_went_stale_is_shown_anew_and_asked_about_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def confirmed(data_dir: Path, method: str, noun: str, *, token: str, why: str) -> dict[str, Any]:
        if token == "one":
            raise Stale("something has changed since the preview")
        return {"token": token, "why": why}

    def renewed(data_dir: Path, noun: str, method: str, *, token: str) -> dict[str, Any]:
        assert (noun, method, token) == ("corrections", "renew", "one")
        return {**SHOWN, "token": "two", "since": ["op2 did correction 9"]}

    monkeypatch.setattr(corrections, "call_confirmed", confirmed)
    monkeypatch.setattr(corrections.plain, "call", renewed)
    monkeypatch.setattr(typer, "confirm", lambda text, default: asked.append(text) or True)
    assert corrections._done(Path(), SHOWN, "typo", yes=False) == {"token": "two", "why": "typo"}
    assert len(asked) == 2
    assert "since the last preview: op2 did correction 9" in capsys.readouterr().out
    with pytest.raises(Stale):
        corrections._done(Path(), SHOWN, "typo", yes=True)


def test_what_is_so_already_is_told() -> None:
    same = {"level": "patient", "attribute": "PatientID", "old": "P1", "new": "P1"}
    assert "already so: PatientID P1" in list(corrections.shown({**SHOWN, "already": [same]}))
