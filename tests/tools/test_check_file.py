"""`dhcpsync check FILE.toml`: every error of a file at once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.errors import ConfigError
from agent.limits import CONFIG_ERRORS_MAX, CONFIG_KEY_PARTS_MAX
from tools.apply import command
from tools.apply.file import read_file
from tools.main import app

WRONG = """
color = 1
[options]
domain-nam = "example.org"
[[subnet]]
prefix = "198.18.0.0/15"
lease = "1h"
pols = []
pools = ["198.18.2.0", "10.0.0.1-10.0.0.9", "198.18.16.1-198.18.16.9"]
options = { router = "198.18.0.1", interface-mtu = "many" }
[[subnet.reservation]]
address = "198.18.1.1"
[[subnet.reservation]]
address = "198.18.1.999"
hardware-address = "02:00:00:00:00:01"
[[subnet]]
lease = -1
[[subnet]]
prefix = "192.0.2.1/24"
pools = ["192.0.2.10-192.0.2.20"]
options = { routers = "192.0.2.254" }
[[subnet.reservation]]
address = "192.0.2.30"
hardware-address = "02:00:00:00:00:01"
"""

EXPECTED = [
    ("color: is no known key",),
    ("options.domain-nam", "did you mean domain-name?"),
    ("198.18.0.0/15: lease", "must be a whole number"),
    ("subnet 1: pols", "did you mean pools?"),
    ("pools, item 1", "is no range"),
    ("options.router:", "did you mean routers?"),
    ("options.interface-mtu",),
    ("reservation 198.18.1.1", "names no client"),
    ("reservation 2: address", "198.18.1.999"),
    ("subnet 2: prefix", "is missing"),
    ("subnet 2: lease", "is -1"),
    ("did you mean 192.0.2.0/24?",),
    ("10.0.0.1", "lies in no subnet"),
]


def _write(folder: Path, text: str) -> str:
    path = folder / "cluster.toml"
    path.write_text(text)
    return str(path)


def test_every_error_is_told_once_with_file_key_and_remedy(tmp_path: Path) -> None:
    path = _write(tmp_path, WRONG)
    answer = CliRunner().invoke(app, ["check", path])
    *lines, last = answer.stdout.splitlines()
    assert answer.exit_code == 1
    assert all(line.startswith(f"{path}: ") for line in lines)
    for words in EXPECTED:
        assert sum(all(word in line for word in words) for line in lines) == 1, (words, lines)
    assert len(lines) == len(EXPECTED)
    assert last == f"{path}: {len(EXPECTED)} errors"


def test_errors_as_json(tmp_path: Path) -> None:
    path = _write(tmp_path, '[[subnet]]\nprefix = "192.0.2.0/24"\nlease = 2\n')
    answer = CliRunner().invoke(app, ["check", path, "--json"])
    told = json.loads(answer.stdout)
    assert (answer.exit_code, told["well"]) == (1, False)
    (error,) = told["errors"]
    assert error["file"] == path
    assert error["key"].endswith("lease, time")
    assert error["problem"] == "2 s is too short"
    assert error["remedy"].startswith("at least 10 s")


def test_a_file_that_is_right_is_well(tmp_path: Path) -> None:
    path = _write(tmp_path, '[[subnet]]\nprefix = "192.0.2.0/24"\n')
    answer = CliRunner().invoke(app, ["check", path])
    assert (answer.exit_code, answer.stdout) == (0, f"{path}: well, 1 rows\n")


def test_a_file_that_cannot_be_read_is_wrong_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools.main import main

    monkeypatch.setattr("sys.argv", ["dhcpsync", "check", str(tmp_path / "none.toml")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2


@pytest.mark.parametrize("second", ["192.0.2.0/24", "192.0.2.128/25"])
def test_a_subnet_in_the_way_of_another_is_one_error(second: str) -> None:
    text = '[[subnet]]\nprefix = "192.0.2.0/24"\npools = ["192.0.2.130-192.0.2.140"]\n'
    _, faults = read_file("x.toml", text + f'[[subnet]]\nprefix = "{second}"\n')
    assert len(faults) == 1


def test_what_belongs_to_a_wrong_reservation_is_no_error_of_its_own() -> None:
    text = '[[subnet]]\nprefix = "192.0.2.0/24"\n[[subnet.reservation]]\naddress = "192.0.2.0"\n'
    text += 'client-id = "lamp"\noptions = { boot-file-name = "x" }\n'
    _, faults = read_file("x.toml", text)
    assert [fault.problem.split(" of ")[0] for fault in faults] == [
        "is the network or broadcast address"
    ]


def test_errors_have_a_bound() -> None:
    pools = ", ".join(f'"10.0.{n}.1-10.0.{n}.9"' for n in range(CONFIG_ERRORS_MAX + 5))
    text = f'[[subnet]]\nprefix = "192.0.2.0/24"\npools = [{pools}]\n'
    assert len(read_file("x.toml", text)[1]) == CONFIG_ERRORS_MAX


@pytest.mark.parametrize(
    "inside",
    [
        "pools = [{ range = 5 }]",
        "[[subnet.reservation]]\naddress = 5\nclient-id = 'lamp'",
        "[[subnet.reservation]]\naddress = '192.0.2.9'\nclient-id = 5",
        "reservation = [5]",
    ],
)
def test_a_value_of_a_wrong_type_is_one_error_and_not_also_missing(inside: str) -> None:
    _, faults = read_file("x.toml", f'[[subnet]]\nprefix = "192.0.2.0/24"\n{inside}\n')
    assert len(faults) == 1, faults


def test_a_prefix_of_a_wrong_type_is_one_error_and_what_is_inside_is_read() -> None:
    _, faults = read_file("x.toml", '[[subnet]]\nprefix = 5\npools = ["192.0.2.1"]\n')
    assert [fault.key for fault in faults] == ["subnet 1: prefix", "subnet 1: pools, item 1"]


def test_a_subnet_there_twice_is_named_with_the_file() -> None:
    one = '[[subnet]]\nprefix = "192.0.2.0/24"\n'
    (fault,) = read_file("x.toml", one + one)[1]
    assert str(fault) == "x.toml: subnet 192.0.2.0/24: is there twice; keep one"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a = " + "[" * 5000, "a list is too deep"),
        ("a = " + "9" * 5000, "digits"),
        ("[options]\n[options]\n", "twice"),
    ],
)
def test_what_no_parser_of_toml_can_read_is_one_error(text: str, words: str) -> None:
    rows, faults = read_file("x.toml", text)
    assert rows == []
    assert [fault.problem.startswith("is no valid TOML: ") for fault in faults] == [True]
    assert words in faults[0].problem


def test_a_byte_order_mark_at_the_beginning_is_no_error(tmp_path: Path) -> None:
    path = _write(tmp_path, "\ufeff[options]\n")
    answer = CliRunner().invoke(app, ["check", path])
    assert (answer.exit_code, answer.stdout) == (0, f"{path}: well, 0 rows\n")


def test_numbers_of_thousands_of_digits_are_errors_where_they_are() -> None:
    digits = "9" * 5000
    text = f'[options]\n{digits} = "01"\n[[subnet]]\nprefix = "192.0.2.0/{digits}"\n'
    _, faults = read_file("x.toml", text)
    assert [fault.remedy for fault in faults] == ["use 1..254", 'write "198.18.0.0/15"']


PART = '"x\\".y"'


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * 20_000) + " = 1\n",
        f"[{' . '.join([PART] * 200)}]\n",
        "x = { " + ".".join(["'a b'"] * 128) + " = 1 }\n",
    ],
)
def test_a_key_of_very_many_parts_is_refused_before_it_is_read(text: str) -> None:
    rows, (error,) = read_file("x.toml", f"# a\n\n{text}")
    assert rows == []
    assert str(error) == "x.toml: line 3: has a key of more than 127 parts; write a table"


@pytest.mark.parametrize(
    "line",
    [
        ".".join("a" * CONFIG_KEY_PARTS_MAX) + " = 1",
        'domain-name = "' + ".".join("a" * 128) + '"',
        'domain-name = "of ' + ".".join("a" * CONFIG_KEY_PARTS_MAX) + '"',
    ],
)
def test_a_key_of_many_parts_and_a_text_of_more_are_read(line: str) -> None:
    faults = read_file("x.toml", f"[options]\n{line}\n")[1]
    assert "parts" not in "".join(map(str, faults))


def test_a_file_that_is_too_long_is_no_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "# 2 octets: \u00e9\r\n"
    monkeypatch.setattr(command, "CONFIG_FILE_OCTETS_MAX", len(text.encode()))
    path = Path(_write(tmp_path, text))
    path.write_bytes(text.encode())
    assert command.read_text(path) == "# 2 octets: \u00e9\n"
    path.write_bytes(text.encode() + b"#")
    with pytest.raises(ConfigError, match=r"cluster\.toml: is too long; at most 0 MiB are read"):
        command.read_text(path)
