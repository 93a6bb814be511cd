"""The commands' SNMPv3 manager at net-snmp's snmpd, which knows nothing of us: an independent judge
of messages, keys and discovery."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.snmp.columns import Access, Base, Column, Form, Scalar, Syntax, Table
from tools.credentials import Credentials
from tools.errors import ManagerError
from tools.manager import Assignment, Manager

SNMPD = shutil.which("snmpd", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = pytest.mark.skipif(SNMPD is None, reason="snmpd is not installed")

SYSTEM = (1, 3, 6, 1, 2, 1, 1)
TEXT = Syntax(Base.OCTETS, 0, 255, Form.TEXT)
CONTACT = Scalar("sysContact", (*SYSTEM, 4), TEXT)
NAME = Scalar("sysName", (*SYSTEM, 5), TEXT)
LOCATION = Scalar("sysLocation", (*SYSTEM, 6), TEXT)
ENTRY = (1, 3, 6, 1, 4, 1, 8072, 1, 3, 2, 2, 1)
"""NET-SNMP-EXTEND-MIB, nsExtendConfigTable: a row for each `extend` of the configuration."""
EXTEND = Table(
    "nsExtend",
    ENTRY,
    {},
    {
        "Command": Column("nsExtendCommand", (*ENTRY, 2), TEXT, Access.READ_CREATE),
        "Args": Column("nsExtendArgs", (*ENTRY, 3), TEXT, Access.READ_CREATE),
    },
    (),
)
ROWS = 120
USERS = {
    name: Credentials("operator", name, f"{name}-authentication", f"{name}-privacy")
    for name in ("writer", "reader", "nobody")
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    place = tmp_path_factory.mktemp("snmpd")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        number: int = free.getsockname()[1]
    lines = [
        f"createUser {name} SHA-256 {USERS[name].authentication} AES {USERS[name].privacy}"
        for name in ("writer", "reader")
    ]
    lines += ["rwuser writer priv", "rouser reader priv", "sysName here", "sysContact somebody"]
    lines += [f"extend row{at:03} /bin/true {at}" for at in range(ROWS)]
    (place / "snmpd.conf").write_text("\n".join(lines) + "\n")
    process = _start(place, number)
    try:
        yield number
    finally:
        process.terminate()
        process.wait(timeout=20)


def _start(place: Path, port: int) -> subprocess.Popen[bytes]:
    assert SNMPD is not None
    with (place / "log").open("wb") as log:
        return subprocess.Popen(
            [SNMPD, "-f", "-Lo", "-r", "-C", "-c", "snmpd.conf", "-I", "-smux",
             "-p", "pid", "-x", "unix:agentx", f"udp:127.0.0.1:{port}"],
            cwd=place,
            stdout=log,
            stderr=log,
            env=os.environ | {"SNMP_PERSISTENT_DIR": str(place / "state"), "MIBS": ""},
        )  # fmt: skip


def manager(port: int, user: Credentials) -> Manager:
    """It may be starting: what nobody hears is sent again within the time."""
    return Manager("127.0.0.1", port, user, timeout_s=20, retries=0)


def test_it_reads_scalars_and_a_table_of_several_pages(port: int) -> None:
    with manager(port, USERS["reader"]) as reader:
        assert reader.get([NAME, CONTACT]) == [b"here", b"somebody"]
        rows = reader.table(EXTEND)
        index = (6, *b"row007")
        assert reader.row(EXTEND, index) == {"Command": b"/bin/true", "Args": b"7"}
        assert len(reader.below(EXTEND["Args"], (6, *b"row"), 50)) == 50
    assert list(rows) == [(6, *f"row{at:03}".encode()) for at in range(ROWS)]
    assert {row["Command"] for row in rows.values()} == {b"/bin/true"}
    assert [row["Args"] for row in rows.values()] == [str(at).encode() for at in range(ROWS)]


def test_it_writes_and_is_refused_by_name(port: int) -> None:
    location = Column("sysLocation", LOCATION.oid, TEXT, Access.READ_WRITE)
    with manager(port, USERS["writer"]) as writer:
        writer.set([Assignment(location, (0,), b"the attic")])
        assert writer.get([LOCATION]) == [b"the attic"]
        with pytest.raises(ManagerError, match=r"refuses sysLocation\.0: wrongLength"):
            writer.set([Assignment(location, (0,), b"x" * 300)])
    with manager(port, USERS["reader"]) as reader:
        with pytest.raises(ManagerError, match=r"refuses sysLocation\.0: noAccess"):
            reader.set([Assignment(location, (0,), b"mine")])


def test_who_is_not_known_and_whose_passphrase_is_wrong(port: int) -> None:
    with manager(port, USERS["nobody"]) as nobody:
        with pytest.raises(ManagerError, match="does not know this user"):
            nobody.get([NAME])
    wrong = Credentials("monitor", "reader", "another-passphrase", "reader-privacy")
    with manager(port, wrong) as forger:
        with pytest.raises(ManagerError, match="the authentication passphrase is wrong"):
            forger.get([NAME])


def test_an_agent_that_started_again_is_asked_on(
    port: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The second time with one more start behind it, the third without its state: as another
    engine."""
    place = tmp_path_factory.mktemp("again")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        other = free.getsockname()[1]
    user = USERS["reader"]
    with manager(other, user) as reader:
        for name in ("first", "second", "third"):
            (place / "snmpd.conf").write_text(
                f"createUser {user.user} SHA-256 {user.authentication} AES {user.privacy}\n"
                f"rouser {user.user} priv\nsysName {name}\n"
            )
            if name == "third":
                shutil.rmtree(place / "state")
            process = _start(place, other)
            try:
                until = time.monotonic() + 20
                while reader.get([NAME]) != [name.encode()]:
                    assert time.monotonic() < until
            finally:
                process.terminate()
                process.wait(timeout=20)
