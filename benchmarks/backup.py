"""How long backups take, side by side with restic, borg and rsync: ``python -m benchmarks.backup``.

A node receives objects and is stopped; then each tool saves its data directory, saves it again with nothing changed,
reads all of it back, and restores it. pacstui is measured as its commands are used, without a node, with and without
encryption; restic and borg encrypt. rsync has no verification and no history; it shows what the disk gives. The table
shows seconds (median of the rounds) and each peer's as a multiple of pacstui's with encryption.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pyrage

from benchmarks.peers import free_port, receiver

CASES = ((10_240, 20_000), (524_288, 1500))
STEPS = ("first", "again", "verify", "restore")
Steps = dict[str, Callable[[], None]]


def run(*words: object, **more: str) -> None:
    """Run a command; raise with what it said if it fails."""
    done = subprocess.run(
        [str(word) for word in words], env={**os.environ, **more}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{words}: {done.stdout}{done.stderr}")


def pacstui(data: Path, folder: Path, encrypted: bool) -> Steps:
    """Return the steps with pacstui."""
    folder.mkdir()
    identity = pyrage.x25519.Identity.generate()
    secret = folder / "identity.txt"
    secret.write_text(f"{identity}\n")
    more = f'encrypt_to = ["{identity.to_public()}"]\nidentity_file = "{secret}"\n' if encrypted else ""
    toml = folder / "pacstui.toml"
    toml.write_text(
        f'[node]\ndata_dir = "{data}"\n[[backups.targets]]\nname = "x"\nurl = "{folder / "target"}"\n{more}'
    )
    tool = (sys.executable, "-m", "pacstui", "--config", toml, "backup")
    return {
        "first": lambda: run(*tool, "run"),
        "again": lambda: run(*tool, "run"),
        "verify": lambda: run(*tool, "verify", "--full"),
        "restore": lambda: run(*tool, "restore", "--to", folder / "back", "--yes"),
    }


def restic(data: Path, folder: Path) -> Steps:
    """Return the steps with restic."""
    folder.mkdir()
    secret = {"RESTIC_PASSWORD": "correct horse", "RESTIC_REPOSITORY": str(folder / "repo")}
    cache = f"--cache-dir={folder / 'cache'}"

    def first() -> None:
        run("restic", cache, "init", **secret)
        run("restic", cache, "backup", data, **secret)

    return {
        "first": first,
        "again": lambda: run("restic", cache, "backup", data, **secret),
        "verify": lambda: run("restic", cache, "check", "--read-data", **secret),
        "restore": lambda: run("restic", cache, "restore", "latest", "--target", folder / "back", **secret),
    }


def borg(data: Path, folder: Path) -> Steps:
    """Return the steps with borg."""
    folder.mkdir()
    secret = {"BORG_PASSPHRASE": "correct horse", "BORG_BASE_DIR": str(folder)}
    repo, back = folder / "repo", folder / "back"

    def first() -> None:
        run("borg", "init", "-e", "repokey-blake2", repo, **secret)
        run("borg", "create", "--compression", "none", f"{repo}::1", data, **secret)

    def restore() -> None:
        back.mkdir()
        run("sh", "-c", f"cd {back} && borg extract {repo}::1", **secret)

    return {
        "first": first,
        "again": lambda: run("borg", "create", "--compression", "none", f"{repo}::2", data, **secret),
        "verify": lambda: run("borg", "check", "--verify-data", repo, **secret),
        "restore": restore,
    }


def rsync(data: Path, folder: Path) -> Steps:
    """Return what of the steps rsync has."""
    folder.mkdir()
    return {
        "first": lambda: run("rsync", "-a", "--fsync", f"{data}/", folder / "copy"),
        "again": lambda: run("rsync", "-a", "--fsync", f"{data}/", folder / "copy"),
        "restore": lambda: run("rsync", "-a", "--fsync", f"{folder / 'copy'}/", folder / "back"),
    }


TOOLS: dict[str, Callable[[Path, Path], Steps]] = {
    "pacstui, encrypted": lambda data, folder: pacstui(data, folder, True),
    "pacstui": lambda data, folder: pacstui(data, folder, False),
    "restic": restic,
    "borg": borg,
    "rsync": rsync,
}


def measure(tool: str, data: Path, scratch: Path) -> dict[str, float]:
    """Return the seconds of each step."""
    folder = scratch / "work"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.rmtree(data / "backups", ignore_errors=True)  # what it knows of the target before
    seconds = {}
    for step, work in TOOLS[tool](data, folder).items():
        os.sync()
        began = time.perf_counter()
        work()
        seconds[step] = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tools", default="restic borg rsync", help="beside pacstui, as far as they are installed")
    parser.add_argument("--folder", type=Path, default=Path.cwd(), help="where the scratch folders go")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found: dict[str, dict[str, dict[str, float]]] = {}
    for size, count in CASES:
        with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as name:
            scratch = Path(name)
            with receiver("pacstui", scratch / "node", free_port()) as port:
                run(sys.executable, "-m", "benchmarks.sender", port, "BENCH", count, size, 4)
            data = next((scratch / "node").rglob("index.db")).parent
            rounds: dict[str, list[dict[str, float]]] = {}
            for _ in range(options.rounds):
                for tool in _names(options.tools.split()):
                    rounds.setdefault(tool, []).append(measure(tool, data, scratch))
            found[f"{count} x {size}"] = {
                tool: {step: statistics.median(each[step] for each in all_) for step in all_[0]}
                for tool, all_ in rounds.items()
            }
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for case, by_tool in found.items():
        mine = by_tool.get("pacstui, encrypted", {})
        print(f"\n{case}")
        for tool, seconds in by_tool.items():
            cells = [
                f"{step} {seconds[step]:7.2f} s" + (f" ({seconds[step] / mine[step]:4.1f}x)" if mine else "")
                for step in STEPS if step in seconds
            ]  # fmt: skip
            print(f"  {tool:<20}" + "  ".join(cells))


def _names(asked: list[str]) -> list[str]:
    return [name for name in TOOLS if name.startswith("pacstui") or (name in asked and shutil.which(name))]


if __name__ == "__main__":
    main()
