"""The command: exit codes, one line for an error, help that is quick and complete."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path

import pytest

from agent.member_file import FORMATS, LEVELS
from store import open_store
from tools.arguments import LogFormat, LogLevel

ROOT = Path(__file__).parents[2]


def dhcpsync(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.main", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )


def test_help_names_every_subcommand_and_ends_with_0() -> None:
    done = dhcpsync("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for name in (
        "init",
        "serve",
        "lab",
        "status",
        "events",
        "config",
        "audit",
        "member",
        "apply",
        "dump",
        "import",
        "bench",
        "simulate",
    ):
        assert f"\n  {name} " in done.stdout


def test_the_version_is_the_installed_distributions() -> None:
    done = dhcpsync("--version")
    assert (done.returncode, done.stdout) == (0, f"dhcpsync {version('dhcpsync')}\n")


def test_the_lab_offers_the_whole_contract() -> None:
    done = dhcpsync("lab", "--help")
    for name in ["up", "exec", "kill", "start", "wipe", "join", "cut", "heal", "status", "down"]:
        assert f"\n  {name} " in done.stdout
    for option in ("--members", "--clients", "--root", "--lease", "--mul"):
        assert option in dhcpsync("lab", "up", "--help").stdout


@pytest.mark.parametrize(("command", "option"), [("simulate", "--seeds"), ("model", "--only")])
def test_commands_with_options_of_their_own_tell_them(command: str, option: str) -> None:
    assert option in dhcpsync(command, "--help").stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, tools.main as m\n"
        "heavy = {'pysnmp', 'sqlalchemy', 'alembic', 'rich', 'cryptography'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--nonsense"], 2, "No such option"),
        (["init", "x"], 2, "--id"),
        (["init", "x", "--id", "one", "--address", "198.18.0.1"], 2, "valid integer"),
        (["init", "x", "--id", "0", "--address", "198.18.0.1"], 2, "dhcpsync: --id: is 0"),
        (["init", "x", "--id", "1", "--address", "198.18.0.1", "--mul", "5"], 2, "--mul: is 5 s"),
        (
            ["init", "x", "--id", "1", "--address", "198.18.0.1", "--mul", "90000"],
            2,
            "--mul: is 90000 s, longer than the lease of 86400 s",
        ),
        (
            ["init", "x", "--id", "1", "--address", "198.18.0.1", "--join"],
            2,
            "--join: without --credentials would make users that the group does not know",
        ),
        (["status"], 2, "dhcpsync: member: none is named"),
        (["status", "--address", "here", "--credentials", "x"], 2, "'here' is no IPv4 address"),
        (["status", "--address", "127.0.0.1:x", "--credentials", "x"], 2, "'x' is no UDP port"),
        (["status", "--address", f"127.0.0.1:{'9' * 5000}"], 2, "'99999999999999999999' is no UDP"),
        (["status", "--address", "127.0.0.1"], 2, "--credentials: is missing"),
        (["member", "retire"], 2, "Missing argument 'DIR'"),
        (["member", "vouch", "/nowhere"], 2, "/nowhere/member.toml: is missing"),
        (["status", "/nowhere"], 2, "/nowhere/member.toml: is missing"),
        (["apply", "/nowhere.toml", "--address", "127.0.0.1"], 2, "--credentials"),
        (["dump", "--address", "127.0.0.1"], 2, "--credentials: is missing"),
        (["serve", "/nowhere", "--log-level", "loud"], 2, "'loud' is not one of"),
        (["serve", "/nowhere", "--only", "foo"], 2, "'foo' is not one of"),
        (["serve", "/nowhere", "--only", "engine", "--log-level", "debug"], 2, "is missing"),
        (["lab", "kill", "x9"], 1, "dhcpsync: 'x9' names nothing in a lab"),
        (["lab", "kill", "c1"], 1, "takes a member"),
        (["lab", "up", "--members", "17"], 2, "--members"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(
    arguments: list[str], code: int, words: str
) -> None:
    done = dhcpsync(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if "dhcpsync:" in done.stderr:
        assert done.stderr.count("\n") == 1


def test_the_levels_are_those_of_the_member_file() -> None:
    assert tuple(level.value for level in LogLevel) == LEVELS
    assert tuple(form.value for form in LogFormat) == FORMATS


def test_init_makes_a_member_and_refuses_a_second_time(tmp_path: Path) -> None:
    folder = str(tmp_path / "m1")
    arguments = ["init", folder, "--id", "1", "--address", "198.18.0.1"]
    assert dhcpsync(*arguments).returncode == 0
    again = dhcpsync(*arguments)
    assert (again.returncode, again.stderr) == (
        2,
        f"dhcpsync: {folder}/store.db: is there already;"
        " a member is made once; name a new folder\n",
    )


def test_nobody_answers_is_1_with_the_address(tmp_path: Path) -> None:
    dhcpsync("init", str(tmp_path / "m1"), "--id", "1", "--address", "127.0.0.1", "--port", "9")
    done = dhcpsync("member", "join", str(tmp_path / "m1"), "--contact", "127.0.0.1:19")
    assert done.returncode == 1
    assert done.stderr == (
        "dhcpsync: m1 does not answer at 127.0.0.1:9, so it has not been taken into the group:"
        " start it (`dhcpsync serve`), and ask again: 127.0.0.1:9: no answer\n"
    )


def test_a_new_group_of_short_leases_has_a_mul_no_longer(tmp_path: Path) -> None:
    done = dhcpsync(
        "init", str(tmp_path / "m1"), "--id", "1", "--address", "198.18.0.1", "--lease", "600"
    )
    assert done.returncode == 0, done.stderr
    with closing(open_store(tmp_path / "m1" / "store.db")) as store, store.read() as tx:
        group = tx.group()
    assert group is not None
    assert (group.mul_s, group.lease_s) == (600, 600)


def test_output_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text("")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "tools.main", "check", str(file)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=ROOT,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "dhcpsync: [Errno 28] No space left on device\n"


def test_a_closed_standard_output_is_one_that_nobody_reads() -> None:
    script = 'exec "$0" -c "$1" >&-'
    code = "import sys, tools.console; tools.console.mend_streams(); sys.stdout.isatty()"
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, code],
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_letters_that_a_terminal_lacks_are_escaped(tmp_path: Path) -> None:
    file = tmp_path / "cluster.toml"
    file.write_text('"\u4e8b\u52d9" = 1')
    done = subprocess.run(
        [sys.executable, "-m", "tools.main", "check", str(file)],
        capture_output=True,
        check=False,
        cwd=ROOT,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"\\u4e8b\\u52d9: is no known key" in done.stdout
