"""Addresses of a pool that are somebody's are told of by `check` and `apply`, and are no error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
from typer.testing import CliRunner

from agent.limits import CONFIG_ERRORS_MAX
from tools.apply.command import apply_file
from tools.apply.file import parse_file
from tools.apply.somebodys import tell_somebodys
from tools.asking import confirm
from tools.main import app
from tools.manager import Session
from tools.target import Place

SUBNET = '[[subnet]]\nprefix = "192.0.2.0/24"\npools = ["192.0.2.1-192.0.2.99"]\n'
ROUTER = SUBNET + '[subnet.options]\nrouters = "192.0.2.1"\n'
POOL = "pool 192.0.2.1-192.0.2.99"
NOTE = f"{POOL} holds 192.0.2.1, which routers name: no client is given it"


class Empty:
    """A member that has no row, and is not written to: the plan is shown only."""

    def table(self, table: object) -> dict[object, object]:
        return {}


class AtEmpty:
    def run(self, work: object) -> object:
        assert callable(work)
        return work(cast(Session, Empty()))


def told(text: str) -> list[str]:
    return tell_somebodys(parse_file("x.toml", text))


def test_one_address_is_told_once_with_all_that_name_it() -> None:
    text = '[options]\ndomain-name-servers = ["192.0.2.1", "192.0.2.200"]\n' + ROUTER
    text += 'classless-static-routes = "10.0.0.0/8 via 192.0.2.2, 0.0.0.0/0 via 192.0.2.1"\n'
    assert told(text) == [
        f"{POOL} holds 192.0.2.1, which domain-name-servers and routers and"
        " classless-static-routes name: no client is given it",
        f"{POOL} holds 192.0.2.2, which classless-static-routes name: no client is given it",
    ]


@pytest.mark.parametrize(
    "text",
    [
        SUBNET,
        SUBNET + '[subnet.options]\nrouters = "192.0.2.100"\n',
        SUBNET + '[subnet.options]\nrouters = { value = "192.0.2.1", active = false }\n',
        ROUTER.replace('["192', '[{ active = false, range = "192').replace('99"]', '99" }]'),
        ROUTER + '[[subnet.reservation]]\naddress = "192.0.2.1"\nclient-id = "router"\n',
    ],
)
def test_what_is_outside_reserved_or_not_in_service_is_not_told(text: str) -> None:
    assert told(text) == []


def test_sentences_have_a_bound() -> None:
    many = ", ".join(f'"192.0.2.{n}"' for n in range(1, 61))
    text = SUBNET + f"[subnet.options]\nrouters = [{many}]\n"
    pools = text.replace("192.0.2", "192.0.3")
    assert len(told(text + pools)) == CONFIG_ERRORS_MAX < 120


def test_check_tells_it_and_ends_well(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(ROUTER)
    answer = CliRunner().invoke(app, ["check", str(path)])
    assert answer.stdout.splitlines() == [f"{path}: note: {NOTE}", f"{path}: well, 3 rows"]
    assert answer.exit_code == 0
    answer = CliRunner().invoke(app, ["check", str(path), "--json"])
    assert json.loads(answer.stdout) == {"well": True, "rows": 3, "errors": [], "notes": [NOTE]}


def test_a_plan_tells_it_beside_the_steps(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(ROUTER)
    said: list[str] = []
    place = cast(Place, AtEmpty())
    steps = apply_file(path, place, confirm(False), only_plan=True, as_json=False, say=said.append)
    assert (len(steps), said) == (3, [f"dhcpsync: {path}: note: {NOTE}\n"])
    capsys.readouterr()
    apply_file(path, place, confirm(False), only_plan=True, as_json=True, say=said.append)
    assert json.loads(capsys.readouterr().out)["warnings"] == [NOTE]
    assert len(said) == 1, "it is in the JSON"
