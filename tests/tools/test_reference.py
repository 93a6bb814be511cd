"""docs/configuration.md has every key of the two files, with what it is where it is left out."""

from __future__ import annotations

import enum
import json
import re
import tomllib
from pathlib import Path

import pytest

from agent import member_file
from agent.kinds.kind import Kind
from agent.kinds.option import OPTION
from agent.kinds.pool import POOL
from agent.kinds.reservation import RESERVATION
from agent.kinds.subnet import SUBNET
from agent.model import parse_address
from tools.apply import file

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
TABLES = re.compile(r"^\| ([^|]+) \| default \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", re.MULTILINE)
ROW = re.compile(r"^\|(?: `\[(\w+)\]`)? `([\w-]+)` \| ([^|]*?) ?\|", re.MULTILINE)
TOLD = {
    title: [(table, key, default.strip("`")) for table, key, default in ROW.findall(rows)]
    for title, rows in TABLES.findall(TEXT)
}


@pytest.mark.parametrize(
    ("title", "kind", "known"),
    [
        ("key of `[[subnet]]`", SUBNET, file._SUBNET.keys() - file.TIMES.keys()),
        ("key of a pool", POOL, file._POOL.keys() - file.TIMES.keys()),
        (
            "key of `[[subnet.reservation]]`",
            RESERVATION,
            file._RESERVATION.keys() - file.TIMES.keys(),
        ),
        ("key of an option, where it is a table", OPTION, {"value", *file._OPTION}),
    ],
)
def test_every_key_of_a_kind_is_told_with_its_default(
    title: str, kind: Kind, known: set[str]
) -> None:
    told = {key: default for _, key, default in TOLD[title]}
    assert sorted(told) == sorted(known)
    for field in kind.fields:
        if field.toml:
            assert told[field.toml] == as_written(field.default), field.toml
    assert told["active"] == "true"


def as_written(value: object) -> str:
    """As TOML has it."""
    if isinstance(value, enum.Enum):
        value = value.name.lower().replace("_", "-")
    return json.dumps(value)


def test_times_and_shared_networks_have_tables_of_their_own() -> None:
    (times,) = [rows for title, rows in TOLD.items() if title.startswith("time, in")]
    assert [key for _, key, _ in times] == list(file.TIMES)
    for table in (file._SUBNET, file._POOL, file._RESERVATION, file._NETWORK):
        assert table.keys() >= file.TIMES.keys()
    network = {key for _, key, _ in TOLD["key of `[[shared-network]]`"]}
    assert network == file._NETWORK.keys() - file.TIMES.keys()


def test_no_kind_is_without_a_table() -> None:
    known = {"subnet", "shared-network", "options", "settings"}
    assert file._TOP.keys() == known, "a kind of its own needs a table above"


def test_every_key_of_a_members_own_file_is_told_with_its_default() -> None:
    tables: dict[str, dict[str, str]] = {}
    for table, key, default in TOLD["table and key"]:
        if table:
            tables[table] = {}
        tables[list(tables)[-1]][key] = default
    assert {table: list(keys) for table, keys in tables.items()} == {
        table: list(keys) for table, keys in member_file._KEYS.items()
    }
    made = tomllib.loads(member_file.MemberFile(7, "x", parse_address("192.0.2.7")).render())
    for table, keys in tables.items():
        for key, default in keys.items():
            if default:
                assert default == as_written(made[table].get(key, "")), (table, key)
