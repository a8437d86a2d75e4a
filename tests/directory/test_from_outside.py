"""A node with a directory, by its command line: signing in, a second factor, the look step by step, a reload."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyotp

from tests.directory.slapd import ADMINS, PEOPLE, SEARCHER, Slapd, free_port, needed
from tests.running import NodeProcess, running_node, until

pytestmark = needed


def toml(slapd: Slapd, *servers: str) -> str:
    urls = ", ".join(f'"{url}"' for url in servers or (slapd.secure,))
    return (
        f'[accounts]\nsecond_factor = "administrators"\n[directory]\nservers = [{urls}]\n'
        f'ca = "{slapd.authority.pair.certificate}"\nbind_dn = "{SEARCHER}"\npassword_file = "{slapd.password_file}"\n'
        f'base = "{PEOPLE}"\n[[directory.roles]]\ngroup = "{ADMINS}"\nrole = "administrator"\n'
    )


def command(node: NodeProcess, *words: str) -> list[str]:
    return [sys.executable, "-m", "pacstui", "--config", str(node.folder / "pacstui.toml"), *words]


def environment(node: NodeProcess) -> dict[str, str]:
    return {**os.environ, "XDG_STATE_HOME": str(node.folder / "state"), "PYTHONUNBUFFERED": "1"}


def run(node: NodeProcess, *words: str, typed: str = "") -> tuple[int, str]:
    """Run a command as somebody types; return its exit code and what it said."""
    done = subprocess.run(
        command(node, *words), input=typed, text=True, capture_output=True, timeout=60, env=environment(node)
    )
    return done.returncode, done.stdout + done.stderr


def test_somebody_of_the_directory_gets_in_with_a_second_factor(tmp_path: Path, slapd: Slapd) -> None:
    with running_node(tmp_path / "node", toml(slapd)) as node:
        code, told = run(node, "accounts", "directory", "check", "dora")
        assert code == 0, told
        assert [line.split()[1].rstrip(":") for line in told.splitlines()] == [
            "connect",
            "TLS",
            "sign",
            "search",
            "groups",
            "role",
        ]
        code, told = run(node, "accounts", "directory", "check", "nora")
        assert code == 1
        assert "none of these groups gives a role here" in told

        code, told = run(node, "accounts", "sign-in", "dora", typed="wrong\n")
        assert (code, "name or password is wrong" in told) == (1, True)
        code, told = run(node, "accounts", "sign-in", "dora", typed="dora's password\n")
        assert code == 0
        assert "signed in as dora (administrator)" in told
        assert "a second factor has to be set up first" in told
        assert "takes the permission" not in run(node, "accounts", "me")[1]
        assert run(node, "accounts", "list")[0] == 1

        with subprocess.Popen(
            command(node, "accounts", "totp", "set-up"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=environment(node),
        ) as setting_up:  # fmt: skip
            assert setting_up.stdin is not None
            assert setting_up.stdout is not None
            lines = []
            while not lines or "say the code" not in lines[-1]:
                lines.append(setting_up.stdout.readline())
            totp = pyotp.parse_uri(lines[1].strip())
            assert isinstance(totp, pyotp.TOTP)
            told, _ = setting_up.communicate(totp.now() + "\n")
        assert setting_up.returncode == 0
        recovery = told.split()[-1]
        assert len(recovery) == 19

        assert run(node, "accounts", "list")[0] == 0
        run(node, "accounts", "sign-out")
        code, told = run(node, "accounts", "sign-in", "dora", typed="dora's password\n")
        assert code == 1
        assert "a code of your second factor is needed too" in told
        code, told = run(node, "accounts", "sign-in", "dora", typed=f"dora's password\n{recovery}\n")
        assert code == 0
        assert "with a recovery code, 9 left" in told
        run(node, "accounts", "sign-out")
        listed = next(line for line in run(node, "accounts", "list")[1].splitlines() if line.startswith("dora"))
        assert "directory" in listed
        assert "yes" in listed
        assert run(node, "accounts", "totp", "reset", "dora", "--yes")[0] == 0


def test_a_reload_takes_other_servers_and_what_is_wrong_stands_among_the_problems(tmp_path: Path, slapd: Slapd) -> None:
    nobody = f"ldap://127.0.0.1:{free_port()}"
    with running_node(tmp_path / "node", toml(slapd, nobody)) as node:
        code, told = run(node, "accounts", "sign-in", "dora", typed="dora's password\n")
        assert (code, "does not answer: Connection refused; local accounts still work" in told) == (1, True)
        assert any("the directory" in each["text"] for each in node.call("node", "status")["alerts"])
        code, told = run(node, "doctor")
        assert "fail  directory, connect: the directory at 127.0.0.1 does not answer" in told
        file = node.folder / "pacstui.toml"
        file.write_text(file.read_text().replace(nobody, slapd.secure))
        node.signal(signal.SIGHUP)
        until(lambda: "configuration reloaded" in node.log)
        assert run(node, "accounts", "sign-in", "dora", typed="dora's password\n")[0] == 0
        run(node, "accounts", "sign-out")
        assert not any("the directory" in each["text"] for each in node.call("node", "status")["alerts"])
        assert "ok    directory, search: below" in run(node, "doctor")[1]
