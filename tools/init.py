"""`dhcpsync init`: a new member's folder, complete before it is visible as one.

member.toml says who the member is, store.db holds its keys and everything that it will know. The
passphrases themselves are in neither: keys are localized to the member's own engine (RFC 3414
2.6), except that the peer user's master keys are kept, to be localized to each peer's engine.
"""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.clock import wall_ms
from agent.errors import ConfigError
from agent.kinds.former_server import FormerServer
from agent.kinds.values import host_bits
from agent.limits import FORMER_LEASE_MAX_S, INTERFACE_OCTETS_MAX, NAME_OCTETS_MAX
from agent.member_file import FILE_NAME, STORE_NAME, MemberFile, load_member_file
from agent.model import (
    Group,
    Member,
    MemberRole,
    MemberState,
    format_address,
    is_host_address,
    parse_address,
)
from agent.names import fault_of_name
from agent.snmp.columns import ENTERPRISE
from agent.snmp.keys import derive_keys
from store import SnmpUser, create_store, open_store
from tools import credentials as credentials_file
from tools.credentials import (
    Credentials,
    Role,
    load_credentials,
    make_credentials,
    write_credentials,
)

AUTH_PROTOCOL = "SHA-256"
PRIV_PROTOCOL = "AES-128"
LEASE_MIN_S = 10
EVERY_NETWORK = "0.0.0.0/0"
FIRST_MUL_S = 3600
"""MUL of a new group, unless its leases are shorter."""
_ENGINE_ID_OCTETS_FORM = 5
"""RFC 3411 5 (SnmpEngineID): the rest is octets, as its maker chose."""


@dataclass(frozen=True, slots=True)
class NewMember:
    number: int
    name: str
    address: str
    port: int
    interfaces: tuple[str, ...]
    role: MemberRole = MemberRole.SERVER


@dataclass(frozen=True, slots=True)
class Founding:
    """The first member founds the group: its name, and its parameters in seconds. `former_lease_s`:
    the longest lease of the server that has served until now; 0: there was none."""

    group: str
    mul_s: int
    lease_s: int
    former_lease_s: int = 0


def make_engine_id() -> bytes:
    """A new snmpEngineID (RFC 3411 5): our enterprise number, and 12 random octets without a 0,
    because some agents and tools trip over long runs of zeros."""
    enterprise = 0x8000_0000 | ENTERPRISE[-1]
    octets = bytes(1 + secrets.randbelow(255) for _ in range(12))
    return enterprise.to_bytes(4, "big") + bytes((_ENGINE_ID_OCTETS_FORM,)) + octets


def make_member(
    folder: Path,
    new: NewMember,
    founding: Founding | None,
    credentials: Path | None,
    *,
    engine_id: bytes | None = None,
) -> list[str]:
    """Make the folder; returns lines that say what was made. ConfigError if it cannot be.

    `engine_id` is given for a member that lost its store, by which its group knows it; how far the
    lost store had come its peers remember (agent/sync/recover.py)."""
    file = _check(new, founding)
    store_path = folder / STORE_NAME
    if store_path.exists():
        raise ConfigError(
            str(store_path), "", "is there already", "a member is made once; name a new folder"
        )
    users = load_credentials(credentials) if credentials else make_credentials()
    missing = [role for role in credentials_file.ROLES if role not in users]
    if missing:
        raise ConfigError(
            str(credentials), f"{missing[0].upper()}_USER", "is missing", "all three are needed"
        )
    if len({user.user for user in users.values()}) < len(users):
        raise ConfigError(str(credentials), "", "has one name for two users", "use three names")
    made_folder = not folder.exists()
    said = [f"made member {new.number} ({new.name}) in {folder}"]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_store(store_path, file, founding, users, engine_id or make_engine_id())
        (folder / FILE_NAME).write_text(file.render(), encoding="utf-8")
        (folder / FILE_NAME).chmod(0o640)
        if credentials is None:
            path = folder / credentials_file.FILE_NAME
            write_credentials(path, users)
            said.append(f"made SNMPv3 users with random passphrases: {path}")
    except OSError as error:
        _remove(folder, made_folder)
        where = error.filename or folder
        raise ConfigError(str(where), "", f"cannot be made: {error.strerror}") from None
    except BaseException:
        _remove(folder, made_folder)
        raise
    if engine_id is not None:
        said.append(f"its group takes it back by itself; next: dhcpsync serve {folder}")
    elif founding is None:
        said.append(f"next: dhcpsync serve {folder}, and dhcpsync member join {folder} --contact A")
    else:
        if founding.former_lease_s:
            wait_s = founding.former_lease_s
            said.append(f"each address is tried before a client gets it, for {wait_s} s from now")
        said.append(f"it founds the group {founding.group}; next: dhcpsync serve {folder}")
    return said


def parse_engine_id(text: str) -> bytes:
    """The value of --engine-id: hexadecimal, as `dhcpsync status --json` prints it."""
    try:
        octets = bytes.fromhex(text.replace(":", " ").removeprefix("0x"))
    except ValueError:
        octets = b""
    if not 5 <= len(octets) <= 32:
        raise ConfigError("--engine-id", "", f"is {text!r}", "5 to 32 octets in hexadecimal")
    return octets


def _check(new: NewMember, founding: Founding | None) -> MemberFile:
    """The arguments as a member file; ConfigError names the option at fault."""
    if not 1 <= new.number < 2**31:
        raise ConfigError("--id", "", f"is {new.number}", "must be 1..2147483647")
    try:
        address = parse_address(new.address)
    except ValueError as error:
        raise ConfigError("--address", "", str(error)) from None
    if not is_host_address(address):
        raise ConfigError(
            "--address", "", f"{new.address} is no host's address", "name the one of this machine"
        )
    if not 1 <= new.port <= 65535:
        raise ConfigError("--port", "", f"is {new.port}", "must be 1..65535")
    if fault := fault_of_name(new.name):
        raise ConfigError("--name", "", f"is {new.name!r}", fault)
    for interface in new.interfaces:
        if (
            not interface.isprintable()
            or not 1 <= len(interface.encode()) <= INTERFACE_OCTETS_MAX
            or any(c in " /" for c in interface)
        ):
            raise ConfigError("--interface", "", f"{interface!r} is no interface", "such as eth0")
    if founding is not None:
        name = founding.group
        if not name.isprintable() or not 1 <= len(name.encode()) <= NAME_OCTETS_MAX:
            raise ConfigError("--group", "", f"is {name!r}", "use 1..64 printable characters")
        for option, value_s in (("--mul", founding.mul_s), ("--lease", founding.lease_s)):
            if not LEASE_MIN_S <= value_s < 2**31:
                raise ConfigError(option, "", f"is {value_s} s", f"at least {LEASE_MIN_S} s")
    if new.role is MemberRole.DATABASE and new.interfaces:
        raise ConfigError(
            "--interface",
            "",
            "is named for a database member",
            "it serves no clients: leave it out",
        )
    return MemberFile(new.number, new.name, address, new.port, new.interfaces, role=new.role)


def found(
    group: str,
    mul_s: int | None,
    lease_s: int,
    former_lease_s: int = 0,
    *,
    joins: bool = False,
) -> Founding | None:
    """The founding that an operator asks for; None where the member founds nothing. ConfigError as
    in `check_mul` and `former_server`, and where it founds nothing and is told what is the
    group's."""
    if not joins:
        mul_s = min(FIRST_MUL_S, lease_s) if mul_s is None else mul_s
        check_mul(mul_s, lease_s)
        former_server(EVERY_NETWORK, former_lease_s, "--former-lease")
        return Founding(group, mul_s, lease_s, former_lease_s)
    if former_lease_s:
        raise ConfigError(
            "--former-lease",
            "",
            "is told to a member that founds no group",
            "the group knows it, or is told: dhcpsync former-lease S",
        )
    return None


def former_server(network: str, seconds: int, option: str, now: int = 0) -> FormerServer:
    """That leases of a former server may run in `network` for so long from `now` on. ConfigError
    names what is wrong; `option` is what the seconds are called."""
    if not 0 <= seconds <= FORMER_LEASE_MAX_S:
        right = f'0..{FORMER_LEASE_MAX_S} s; for ever is `probe = "always"` in the subnet'
        raise ConfigError(option, "", f"is {seconds} s", right)
    address, _, length = network.partition("/")
    bits = int(length) if re.fullmatch("[0-9]{1,2}", length) else -1
    try:
        first = parse_address(address)
    except ValueError as error:
        raise ConfigError("--network", "", str(error)) from None
    if not 0 <= bits <= 32 or host_bits(first, bits):
        raise ConfigError("--network", "", f"is {network!r}", "a prefix, such as 192.0.2.0/24")
    return FormerServer(first, bits, now + seconds)


def check_join(joins: bool, credentials: Path | None) -> None:
    """ConfigError where a member that is to join makes users of its own."""
    if joins and credentials is None:
        raise ConfigError(
            "--join",
            "",
            "without --credentials would make users that the group does not know",
            "give --credentials FILE, the credentials.env of a member of the group",
        )


def check_mul(mul_s: int, lease_s: int) -> None:
    """ConfigError for a MUL that limits nothing, or leaves a client no time to renew: an operator's
    slip. A lab may want one all the same."""
    if mul_s > lease_s:
        raise ConfigError(
            "--mul",
            "",
            f"is {mul_s} s, longer than the lease of {lease_s} s, so that it limits nothing",
            "what is waited for after a death grows with it: at most the lease time",
        )
    if mul_s < LEASE_MIN_S:
        raise ConfigError("--mul", "", f"is {mul_s} s", f"at least {LEASE_MIN_S} s")


def _write_store(
    path: Path,
    file: MemberFile,
    founding: Founding | None,
    users: Mapping[Role, Credentials],
    engine_id: bytes,
) -> None:
    store = create_store(path, member=file.member, engine_id=engine_id)
    try:
        with store.write() as tx:
            for user in users.values():
                tx.put_snmp_user(snmp_user(user, engine_id))
            if founding is not None:
                tx.put_group(_founded(file, founding, engine_id))
                if founding.former_lease_s:
                    now = wall_ms() // 1000
                    row = former_server(EVERY_NETWORK, founding.former_lease_s, "", now)
                    tx.save_configuration([(row, False)])
    finally:
        store.close()


def snmp_user(user: Credentials, engine_id: bytes) -> SnmpUser:
    """A user as the store of the engine `engine_id` keeps it."""
    master = derive_keys(user.authentication, user.privacy)
    own = master.localize(engine_id)
    is_peer = user.role == "peer"
    return SnmpUser(
        user.user,
        user.role,
        AUTH_PROTOCOL,
        PRIV_PROTOCOL,
        own.authentication,
        own.privacy,
        master.authentication if is_peer else None,
        master.privacy if is_peer else None,
    )


def _founded(file: MemberFile, founding: Founding, engine_id: bytes) -> Group:
    member = Member(
        file.member,
        file.name,
        file.address,
        file.port,
        engine_id,
        MemberState.ACTIVE,
        file.role,
    )
    return Group(founding.group, 1, founding.mul_s, founding.lease_s, (member,))


def _remove(folder: Path, made_folder: bool) -> None:
    """Take away what a failed `make_member` left, and nothing else."""
    if made_folder:
        shutil.rmtree(folder, ignore_errors=True)
        return
    for file in (folder / FILE_NAME, *folder.glob(f"{STORE_NAME}*")):
        file.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a group needs to know of a member that is to join."""

    member: int
    name: str
    address: str
    port: int
    engine_id: bytes
    role: MemberRole


def read_identity(folder: Path) -> Identity:
    """Read the identity of the member in `folder`. ConfigError or StoreError if it cannot be."""
    file = load_member_file(folder)
    store = open_store(folder / STORE_NAME)
    try:
        with store.read() as tx:
            local = tx.local()
    finally:
        store.close()
    return Identity(
        file.member,
        file.name,
        format_address(file.address),
        file.port,
        local.engine_id,
        file.role,
    )
