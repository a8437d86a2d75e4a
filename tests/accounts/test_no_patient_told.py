"""Every action that only looks, called by who may not see patients, on a node in which names lie everywhere: none of
them is told, in no answer, refusal, command or log."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pacstui.api import plain
from pacstui.cli import main
from pacstui.contract import NOUNS, Action, Danger, all_actions
from pacstui.contract.privacy import MASK
from pacstui.errors import PacsError
from tests.archive.objects import Object
from tests.running import NodeProcess, free_port, running_node, until
from tests.services.test_mpps import Modality, begun
from tests.services.test_query import keep

SEEDED = ("Zebrafish", "Quokka", "ID-471147", "ACC-99")
ROLES = ("viewer", "operator", "auditor")
COMMANDS = (
    "studies list", "queue list", "events", "status --json", "storage missing", "space show", "space trash",
    "space plan", "jobs list", "backup targets", "backup list --target disk", "backup studies --target disk",
    "backup plan --target disk", "associations list", "associations refusals", "commitments list", "audit list",
    "audit export", "accounts list", "peers list", "worklist day", "worklist list", "worklist show 1",
    "worklist performed", "worklist unordered 2025-01-11",
)  # fmt: skip


class Seeded:
    """A node with a patient's studies in the archive, in the trash, in a plan, in a backup and in runs of jobs."""

    def __init__(self, node: NodeProcess) -> None:
        self.node = node
        first, second = (Object(name="Zebrafish^Quokka", patient="ID-471147", accession="ACC-99") for _ in range(2))
        keep(node, first, second)
        person = {"patient_id": "ID-471147", "patient_name": "Zebrafish^Quokka"}
        item = node.call("worklist", "add", accession="ACC-99", modality="CT", **person)
        node.call("worklist", "change", id=item["id"], accession="ACC-991")
        modality = Modality(node)
        modality.create(begun(item["study"], PatientName="Zebrafish^Quokka", AccessionNumber="ACC-99"), "2.25.471147")
        modality.close()
        self.studies = (first.study, second.study)
        self.target = "disk"
        self._run("backups", "run", target="disk")
        self.snapshot = node.call("backups", "snapshots", target="disk")[0]["id"]
        self._run("backups", "restore", target="disk", what="patient", key="ID-471147")
        node.call("space", "delete", study=second.study, why="sent twice")
        node.call("space", "pin", study=first.study)
        node.call("studies", "list", search="Zebrafish")
        self.tokens = {}
        for role in ROLES:
            node.call("accounts", "create", name=f"a-{role}", role=role, kind="service")
            self.tokens[role] = node.call("accounts", "create_token", name=f"a-{role}", label="test")["secret"]

    def _run(self, noun: str, method: str, **arguments: Any) -> None:
        run = self.node.call(noun, method, **arguments)["id"]
        until(lambda: self.node.call("jobs", "run", id=run)["state"] not in ("waiting", "running"), 120)

    def arguments(self, action: Action) -> list[dict[str, Any]]:
        """Return some arguments that fit an action, by what its parameters are called."""
        from pacstui.api.wire import methods

        method = methods(action.noun)[action.method]
        known: dict[str, list[Any]] = {
            "study": list(self.studies), "target": ["disk"], "snapshot": ["latest"], "before": [self.snapshot],
            "id": [1, 2, 3], "run": [1, 2], "name": ["backup disk", "a-viewer", "all"], "peer": ["nobody"],
            "job": ["backup disk"], "token": ["x"], "days": [90], "to": [["dead"]], "csv": ["name\nx\n"],
        }  # fmt: skip
        if not method.required:
            return [{}]
        most = max(len(known.get(each, ["7"])) for each in method.required)
        return [
            {each: known.get(each, ["7"])[at % len(known.get(each, ["7"]))] for each in method.required}
            for at in range(most)
        ]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    folder = tmp_path_factory.mktemp("seeded")
    config = (
        f'[archive]\nreserve_bytes = 0\n[[backups.targets]]\nname = "disk"\nurl = "{folder / "disk"}"\nschedule = ""\n'
        '[[space.rules]]\nname = "old"\ndays = 1\nby = "study date"\nonly_if_backed_up = false\n'
        f'[[peers]]\nname = "dead"\nae_title = "DEAD"\nhost = "127.0.0.1"\nport = {free_port()}\n'
        '[[routes]]\nname = "all"\nto = ["dead"]\n'
    )
    with running_node(folder / "node", config) as node:
        yield Seeded(node)


def told(text: str) -> list[str]:
    return [seed for seed in SEEDED if seed.lower() in text.lower()]


@pytest.mark.parametrize("role", ROLES)
def test_no_action_that_looks_tells_who_a_patient_is(
    seeded: Seeded, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACSTUI_TOKEN", seeded.tokens[role])
    masked, answered = set(), set()
    for action in all_actions().values():
        if action.audited or action.danger is not Danger.NONE or action.noun not in NOUNS:
            continue
        for arguments in seeded.arguments(action):
            try:
                answer = plain.call(seeded.node.data_dir, action.noun, action.method, **arguments)
                text = json.dumps(answer, ensure_ascii=False)
                answered.add(action.name)
            except PacsError as fault:
                text = f"{fault.message} {fault.hint}"
            assert not told(text), (action.name, arguments, text[:2000])
            if MASK in text:
                masked.add(action.name)
    assert masked >= {"studies.list", "studies.show"}
    if role != "auditor":
        assert masked >= {
            "space.trash",
            "space.plan",
            "space.pins",
            "backups.studies",
            "queue.sendings",
            "queue.sending",
            "routes.trial",
            "worklist.steps",
            "worklist.step",
            "worklist.performed",
        }, answered
    if role == "auditor":
        assert "audit.list" in masked


@pytest.mark.parametrize("role", ROLES)
def test_no_command_prints_one(
    seeded: Seeded, role: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PACSTUI_TOKEN", seeded.tokens[role])
    for words in COMMANDS:
        with pytest.raises(SystemExit):
            main(["--config", str(seeded.node.folder / "pacstui.toml"), *words.split()])
        out = capsys.readouterr()
        assert "No such" not in out.err, words
        assert not told(out.out + out.err), words


def test_the_log_names_nobody_and_neither_do_files_beside_the_archive(seeded: Seeded) -> None:
    assert not told(seeded.node.log)
    for path in seeded.node.data_dir.rglob("*"):
        assert not told(str(path))
    for path in Path(seeded.node.folder.parent / "disk").rglob("*"):
        assert not told(str(path))


def test_who_may_see_patients_sees_them_there(seeded: Seeded) -> None:
    for noun, method, arguments in (
        ("studies", "list", {}), ("space", "trash", {}), ("backups", "studies", {"target": "disk"}),
        ("audit", "list", {"kind": "patients seen"}),
    ):  # fmt: skip
        assert told(json.dumps(seeded.node.call(noun, method, **arguments))), (noun, method)
