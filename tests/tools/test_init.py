"""`dhcpsync init`: what a new member's folder holds, and what it refuses."""

from __future__ import annotations

import stat
import time
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agent.errors import ConfigError
from agent.kinds.former_server import FormerServer
from agent.limits import FORMER_LEASE_MAX_S
from agent.member_file import MemberFile, load_member_file
from agent.model import ChangeKind, Member, MemberRole, parse_address
from agent.serve import main as serve
from agent.snmp.keys import derive_keys
from store import open_store
from tests.store.samples import held_open
from tools.credentials import load_credentials
from tools.init import (
    EVERY_NETWORK,
    Founding,
    NewMember,
    former_server,
    found,
    make_engine_id,
    make_member,
    read_identity,
)
from tools.main import app

NEW = NewMember(7, "north", "198.18.0.7", 1161, ("eth0", "eth1"))
FOUNDING = Founding("lab", 600, 3600)
CREDENTIALS = "".join(
    f"{role}_USER={role.lower()}\n{role}_AUTH={role}-auth-pass\n{role}_PRIV={role}-priv-pass\n"
    for role in ("OPERATOR", "MONITOR", "PEER")
)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_folder_is_complete_and_secrets_are_for_the_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "m7"
    said = make_member(folder, NEW, FOUNDING, None)
    assert any(str(folder / "credentials.env") in line for line in said)
    assert load_member_file(folder) == MemberFile(
        7, "north", parse_address("198.18.0.7"), 1161, ("eth0", "eth1")
    )
    assert mode(folder / "member.toml") == 0o640
    assert mode(folder / "store.db") == 0o600
    assert mode(folder / "credentials.env") == 0o600
    passphrases = [
        word
        for user in load_credentials(folder / "credentials.env").values()
        for word in (user.authentication, user.privacy)
    ]
    assert len(set(passphrases)) == 6
    for file in (folder / "member.toml", folder / "store.db"):
        assert not any(word.encode() in file.read_bytes() for word in passphrases)


def test_the_founder_is_the_group_and_a_joiner_has_none(tmp_path: Path) -> None:
    make_member(tmp_path / "a", NEW, FOUNDING, None)
    make_member(tmp_path / "b", NEW, None, None)
    store = open_store(tmp_path / "a" / "store.db")
    with store.read() as tx:
        group, local = tx.group(), tx.local()
    store.close()
    assert group is not None
    assert (group.name, group.generation, group.mul_s, group.lease_s) == ("lab", 1, 600, 3600)
    assert group.members == (Member(7, "north", NEW.number + 0xC6120000, 1161, local.engine_id),)
    store = open_store(tmp_path / "b" / "store.db")
    with store.read() as tx:
        assert tx.group() is None
    store.close()


def test_keys_are_localized_and_only_the_peer_keeps_master_keys(tmp_path: Path) -> None:
    file = tmp_path / "users.env"
    file.write_text(CREDENTIALS)
    make_member(tmp_path / "m", NEW, FOUNDING, file)
    assert not (tmp_path / "m" / "credentials.env").exists()
    identity = read_identity(tmp_path / "m")
    store = open_store(tmp_path / "m" / "store.db")
    with store.read() as tx:
        users = {user.role: user for user in tx.snmp_users()}
    store.close()
    assert set(users) == {"operator", "monitor", "peer"}
    for role, user in users.items():
        master = derive_keys(f"{role.upper()}-auth-pass", f"{role.upper()}-priv-pass")
        own = master.localize(identity.engine_id)
        assert (user.auth_key, user.priv_key) == (own.authentication, own.privacy)
        kept = (master.authentication, master.privacy) if role == "peer" else (None, None)
        assert (user.auth_master, user.priv_master) == kept


def test_an_engine_id_has_the_form_of_rfc_3411_and_no_zeros() -> None:
    made = {make_engine_id() for _ in range(50)}
    assert len(made) == 50
    for engine_id in made:
        assert engine_id[:5].hex() == "80007ed905"
        assert len(engine_id) == 17
        assert 0 not in engine_id[5:]


def test_a_folder_with_a_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    make_member(tmp_path / "m", NEW, FOUNDING, None)
    before = {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir()}
    with pytest.raises(ConfigError, match=r"store\.db: is there already"):
        make_member(tmp_path / "m", NEW, FOUNDING, None)
    assert {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir()} == before


def test_the_longest_user_name_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "users.env"
    file.write_text(CREDENTIALS.replace("_USER=peer", f"_USER={'p' * 32}"))
    make_member(tmp_path / "m", NEW, FOUNDING, file)
    store = open_store(tmp_path / "m" / "store.db")
    with store.read() as tx:
        assert "p" * 32 in {user.name for user in tx.snmp_users()}
    store.close()


@pytest.mark.parametrize("name", ["a\\q", 'a"b', "c'd", "\\", "Knötchen \U0001f600"])
def test_a_name_is_kept_whatever_toml_makes_of_its_characters(tmp_path: Path, name: str) -> None:
    make_member(tmp_path / "m", replace(NEW, name=name), FOUNDING, None)
    assert load_member_file(tmp_path / "m").name == name


@pytest.mark.parametrize(
    ("new", "option"),
    [
        (NewMember(0, "m", "198.18.0.1", 161, ()), "--id"),
        (NewMember(2**31, "m", "198.18.0.1", 161, ()), "--id"),
        (NewMember(1, "", "198.18.0.1", 161, ()), "--name"),
        (NewMember(1, "a\nb", "198.18.0.1", 161, ()), "--name"),
        (NewMember(1, "2", "198.18.0.1", 161, ()), "--name"),
        (NewMember(1, "\udcff", "198.18.0.1", 161, ()), "--name"),
        (NewMember(1, "m", "localhost", 161, ()), "--address"),
        (NewMember(1, "m", "0.0.0.0", 161, ()), "--address"),
        (NewMember(1, "m", "224.0.0.1", 161, ()), "--address"),
        (NewMember(1, "m", "255.255.255.255", 161, ()), "--address"),
        (NewMember(1, "m", "198.18.0.1", 0, ()), "--port"),
        (NewMember(1, "m", "198.18.0.1", 161, ("far-too-long-name",)), "--interface"),
    ],
)
def test_a_bad_argument_is_named_and_nothing_is_made(
    tmp_path: Path, new: NewMember, option: str
) -> None:
    with pytest.raises(ConfigError, match=f"^{option}: "):
        make_member(tmp_path / "m", new, FOUNDING, None)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CREDENTIALS.replace("PEER_PRIV=PEER-priv-pass\n", ""), "PEER_PRIV: is missing"),
        (CREDENTIALS.replace("PEER", "OTHER"), "PEER_USER: is missing"),
        (CREDENTIALS.replace("PEER-priv-pass", "short"), "PEER_PRIV: is too short"),
        (CREDENTIALS.replace("_USER=peer", f"_USER={'p' * 33}"), "PEER_USER: is no user name"),
        (CREDENTIALS.replace("_USER=peer", "_USER=p\x01r"), "PEER_USER: is no user name"),
        (CREDENTIALS.replace("_USER=monitor", "_USER=peer"), "has one name for two users"),
        (CREDENTIALS + "what\n", "line 10: has no '='"),
    ],
)
def test_a_bad_credentials_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "users.env"
    file.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        make_member(tmp_path / "m", NEW, FOUNDING, file)
    assert str(caught.value).startswith(str(file))
    assert not (tmp_path / "m").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=f"{tmp_path}/file/m: cannot be made: Not a directory"):
        make_member(tmp_path / "file" / "m", NEW, FOUNDING, None)


DATABASE = NewMember(9, "seed", "198.18.0.9", 161, (), MemberRole.DATABASE)


def test_a_database_member_knows_its_role_and_founds_as_one(tmp_path: Path) -> None:
    make_member(tmp_path / "m", DATABASE, FOUNDING, None)
    assert load_member_file(tmp_path / "m").role is MemberRole.DATABASE
    assert read_identity(tmp_path / "m").role is MemberRole.DATABASE
    store = open_store(tmp_path / "m" / "store.db")
    with store.read() as tx:
        group = tx.group()
    store.close()
    assert group is not None
    assert group.members[0].role is MemberRole.DATABASE


def test_a_database_member_needs_no_interface(tmp_path: Path) -> None:
    new = NewMember(9, "seed", "198.18.0.9", 161, ("eth0",), MemberRole.DATABASE)
    with pytest.raises(ConfigError, match=r"^--interface: .*it serves no clients"):
        make_member(tmp_path / "m", new, FOUNDING, None)


def test_the_engine_of_a_database_member_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_member(tmp_path / "m", DATABASE, FOUNDING, None)
    assert serve([str(tmp_path / "m"), "--only", "engine"]) == 2
    assert "member.role: is database: this member serves no clients" in capsys.readouterr().err


def test_a_role_that_differs_from_the_groups_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_member(tmp_path / "m", DATABASE, FOUNDING, None)
    path = tmp_path / "m" / "member.toml"
    path.write_text(path.read_text().replace('"database"', '"server"'))
    assert serve([str(tmp_path / "m")]) == 2
    assert "is server, but the group knows it as database" in capsys.readouterr().err
    assert held_open(tmp_path) == set()


def test_an_unknown_role_is_named(tmp_path: Path) -> None:
    make_member(tmp_path / "m", DATABASE, FOUNDING, None)
    path = tmp_path / "m" / "member.toml"
    path.write_text(path.read_text().replace('"database"', '"seeder"'))
    with pytest.raises(ConfigError, match=r"member\.role: is 'seeder'; one of server, database"):
        load_member_file(tmp_path / "m")


def test_a_founder_knows_of_the_leases_of_the_server_before_it(tmp_path: Path) -> None:
    before = int(time.time())
    founding = found("lab", None, 3600, 7200)
    said = make_member(tmp_path / "a", NEW, founding, None)
    assert "each address is tried before a client gets it, for 7200 s from now" in said
    store = open_store(tmp_path / "a" / "store.db")
    with store.read() as tx:
        (record,) = tx.configuration(ChangeKind.FORMER_SERVER)
    store.close()
    assert isinstance(record.row, FormerServer)
    assert record.row == FormerServer(0, 0, record.row.until)
    assert before + 7200 <= record.row.until <= time.time() + 7200


def test_where_there_was_none_there_is_nothing_to_try(tmp_path: Path) -> None:
    make_member(tmp_path / "a", NEW, found("lab", None, 3600, 0), None)
    store = open_store(tmp_path / "a" / "store.db")
    with store.read() as tx:
        assert tx.configuration(ChangeKind.FORMER_SERVER) == []
    store.close()


def test_who_founds_nothing_is_not_told_of_a_former_server() -> None:
    assert found("lab", None, 3600, 0, joins=True) is None
    with pytest.raises(ConfigError, match="--former-lease: is told to a member that founds no"):
        found("lab", None, 3600, 7200, joins=True)


@pytest.mark.parametrize("seconds", [-1, FORMER_LEASE_MAX_S + 1])
def test_a_former_lease_has_bounds(seconds: int) -> None:
    with pytest.raises(ConfigError, match=rf"--former-lease: is {seconds} s; 0\.\.31622400 s"):
        found("lab", None, 3600, seconds)


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ("192.0.2.0", "is '192.0.2.0'; a prefix, such as"),
        ("192.0.2.0/33", "is '192.0.2.0/33'"),
        ("192.0.2.0/-1", "is '192.0.2.0/-1'"),
        ("192.0.2.0/", "is '192.0.2.0/'"),
        ("192.0.2.0/0024", "is '192.0.2.0/0024'"),
        ("192.0.2.1/24", "is '192.0.2.1/24'"),
        ("192.0.2/24", "'192.0.2' is no IPv4 address"),
        ("campus", "'campus' is no IPv4 address"),
    ],
)
def test_a_former_server_is_of_a_prefix(network: str, words: str) -> None:
    with pytest.raises(ConfigError, match=f"--network: {words}"):
        former_server(network, 60, "S")
    assert former_server("192.0.2.0/24", 60, "S", 1000) == FormerServer(0xC000_0200, 24, 1060)
    assert former_server(EVERY_NETWORK, 0, "S") == FormerServer(0, 0, 0)


def test_init_says_for_how_long_addresses_are_tried(tmp_path: Path) -> None:
    order = ["init", str(tmp_path / "m1"), "--id", "1", "--address", "192.0.2.1"]
    done = CliRunner().invoke(app, [*order, "--former-lease", "7200"])
    assert done.exit_code == 0
    assert "each address is tried before a client gets it, for 7200 s from now\n" in done.output
    order[1] = str(tmp_path / "m2")
    users = ["--credentials", str(tmp_path / "m1" / "credentials.env")]
    done = CliRunner().invoke(app, [*order, *users, "--join", "--former-lease", "7200"])
    assert isinstance(done.exception, ConfigError)
    assert not (tmp_path / "m2").exists()
