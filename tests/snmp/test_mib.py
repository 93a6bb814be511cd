"""The MIB's text and the code's columns say the same; the text is correct SMIv2."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.health import Kind as HealthKind
from agent.kinds import KINDS
from agent.kinds.kind import REQUIRED, Field, Kind
from agent.kinds.values import Address, Choice, Instant, Number, Text
from agent.snmp import columns
from agent.snmp.columns import Base, Form, Syntax
from agent.snmp.oid import format_oid
from agent.snmp.status import PEER_STATUS, ErrorStatus
from agent.sync.hello import LINK_TRANSITIONS, AlignState, LinkState, Peer
from tests.snmp import smi

NODES = smi.read_module()
TYPES = {
    "OCTET": Base.OCTETS,
    "BITS": Base.OCTETS,
    "SnmpAdminString": Base.OCTETS,
    "SnmpEngineID": Base.OCTETS,
    "InetAddressIPv4": Base.OCTETS,
    "IpAddress": Base.OCTETS,  # in an INDEX only: the same four sub-identifiers
    "PhysAddress": Base.OCTETS,
    "DateAndTime": Base.OCTETS,
    "INTEGER": Base.INTEGER,
    "Integer32": Base.INTEGER,
    "RowStatus": Base.INTEGER,
    "TruthValue": Base.INTEGER,
    "Unsigned32": Base.UNSIGNED,
    "Gauge32": Base.UNSIGNED,
    "InetAddressPrefixLength": Base.UNSIGNED,
    "InetPortNumber": Base.UNSIGNED,
    "Counter64": Base.COUNTER64,
    "CounterBasedGauge64": Base.COUNTER64,
}
FORMS = {
    "SnmpAdminString": Form.TEXT,
    "PhysAddress": Form.PHYSICAL,
    "InetAddressIPv4": Form.ADDRESS,
    "IpAddress": Form.ADDRESS,
    "DateAndTime": Form.DATE,
}
WORDS = {
    "SnmpAdminString": (0, 255),
    "SnmpEngineID": (5, 32),
    "InetAddressIPv4": (4, 4),
    "IpAddress": (4, 4),
    "DateAndTime": (0, 11),
    "Integer32": (-(2**31), 2**31 - 1),
    "RowStatus": (1, 6),
    "TruthValue": (1, 2),
    "Unsigned32": (0, 2**32 - 1),
    "Gauge32": (0, 2**32 - 1),
    "InetPortNumber": (0, 65535),
    "Counter64": (0, 2**64 - 1),
    "CounterBasedGauge64": (0, 2**64 - 1),
}
"""What a syntax allows that states no range: RFC 2578 7.1, and the conventions' own texts (of a
date, also the empty one that stands for never)."""


def check_syntax(name: str, syntax: Syntax) -> None:
    text = NODES[name].syntax
    word = text.split(" ")[0]
    assert syntax.base is TYPES[word], name
    assert syntax.form is FORMS.get(word, Form.PLAIN), name
    if word == "INTEGER":
        assert dict(syntax.names) == smi.enumeration(text), name
    elif word == "BITS":
        assert smi.enumeration(text) == {bit: kind.value for bit, kind in enumerate(HealthKind)}
        assert syntax.high * 8 >= len(HealthKind)
    else:
        assert (syntax.low, syntax.high) == (smi.bounds(text) or WORDS[word]), name
        assert word != "TruthValue" or dict(syntax.names) == {1: "true", 2: "false"}, name


def test_scalars() -> None:
    for scalar in columns.SCALARS.values():
        assert NODES[scalar.name].oid == scalar.oid
        assert NODES[scalar.name].access == "read-only"
        check_syntax(scalar.name, scalar.syntax)


@pytest.mark.parametrize("table", columns.TABLES, ids=lambda t: t.name)
def test_table(table: columns.Table) -> None:
    entry = NODES[f"{table.name}Entry"]
    assert entry.oid == table.entry
    assert entry.index == tuple(table.index)
    for name, syntax in table.index.items():
        assert NODES[name].access == "not-accessible"
        check_syntax(name, syntax)
    for short, column in table.columns.items():
        assert column.name == table.name + short
        assert NODES[column.name].oid == column.oid, column.name
        assert NODES[column.name].access == column.access.value, column.name
        check_syntax(column.name, column.syntax)


def test_the_code_knows_every_object_of_the_mib() -> None:
    known = {scalar.oid for scalar in columns.SCALARS.values()}
    known |= {column.oid for table in columns.TABLES for column in table.columns.values()}
    known.add(columns.MESSAGE[:-1])
    for node in NODES.values():
        if node.macro == "OBJECT-TYPE" and node.access and node.access != "not-accessible":
            assert node.oid in known, f"{node.name} is in the MIB and not in the code"


def test_the_code_knows_every_table_of_the_mib() -> None:
    entries = {node.oid for node in NODES.values() if node.index}
    assert entries == {table.entry for table in columns.TABLES}
    hidden = {n for n, node in NODES.items() if node.access == "not-accessible" and node.syntax}
    tables = {n for t in columns.TABLES for n in (f"{t.name}Table", f"{t.name}Entry", *t.index)}
    assert hidden == tables


SAID_OTHERWISE = {
    "dhcpSyncOptionText": "dhcpSyncOptionValue",
    "dhcpSyncReservationHardwareAddress": "dhcpSyncReservationClientKey",
}
"""Columns that are written and are no field: each is another way to say one that is."""


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_a_kind_is_in_the_mib_as_it_is_declared(kind: Kind) -> None:
    """Index, arcs, types, ranges and defaults; and nothing is written that is not declared."""
    entry = (*columns.OBJECTS, 4, kind.table, 1)
    below = {node.oid[-1]: node for node in NODES.values() if node.oid[:-1] == entry}
    (table,) = [node for node in NODES.values() if node.oid == entry]
    name = table.name.removesuffix("Entry")
    assert list(table.index) == [name + field.column for field in kind.keys]
    for at, field in enumerate(kind.fields, 1):
        node = below.pop(at if field.key is not None else field.arc)
        assert node.name == name + field.column
        assert node.access == ("read-create" if field.key is None else "not-accessible"), node.name
        check_declared(node, field)
    assert below.pop(kind.status_arc).name == f"{name}RowStatus"
    beside = {node.name: node.access for node in below.values() if node.access != "read-only"}
    assert beside == {n: "read-create" for n in SAID_OTHERWISE if n.startswith(name)}


def check_declared(node: smi.Node, field: Field) -> None:
    word, type_ = node.syntax.split(" ")[0], field.type
    bounds = smi.bounds(node.syntax) or WORDS.get(word)
    if isinstance(type_, Choice):
        words = {number: kebab(word) for number, word in smi.enumeration(node.syntax).items()}
        assert words == {int(one): spelled for spelled, one in type_.spelled.items()}, node.name
    elif isinstance(type_, Number):
        assert TYPES[word] is Base.UNSIGNED, node.name
        assert bounds == (type_.least, type_.most), node.name
    elif isinstance(type_, Instant):
        assert TYPES[word] is Base.UNSIGNED, node.name
        assert bounds == (0, type_.ahead_s), node.name
    elif isinstance(type_, Address):
        assert FORMS[word] is Form.ADDRESS, node.name
    else:
        is_text = isinstance(type_, Text)
        assert (word == "SnmpAdminString", word == "OCTET") == (is_text, not is_text), node.name
        assert bounds == (0, type_.most), node.name
    if field.default is REQUIRED:
        assert not node.default, node.name
    elif isinstance(type_, Choice):
        assert type_.spelled[kebab(node.default)] is field.default, node.name
    else:
        default = '""' if field.default in ("", b"") else str(field.default)
        assert node.default == default, node.name


def kebab(word: str) -> str:
    """`knownOnly` as the file of `apply` has it."""
    return re.sub("([A-Z])", r"-\1", word).lower()


def test_notifications() -> None:
    assert NODES["dhcpSyncHello"].oid == columns.HELLO
    assert NODES["dhcpSyncBindingUpdate"].oid == columns.BINDING_UPDATE
    assert (*NODES["dhcpSyncMessage"].oid, 0) == columns.MESSAGE
    notified = {n.name for n in NODES.values() if n.macro == "NOTIFICATION-TYPE"}
    assert notified == {"dhcpSyncHello", "dhcpSyncBindingUpdate", *columns.EVENTS}
    for name, oid in columns.EVENTS.items():
        assert NODES[name].oid == oid


def test_reasons_that_peers_are_told_are_in_the_mib() -> None:
    """Of every refusal a member learns why by the error-status, so each must be explained."""
    told = smi.description("dhcpSyncBindingUpdate")
    for status in [*PEER_STATUS.values(), ErrorStatus.GEN_ERR]:
        assert f"{status.word}, " in told, status.word


def test_what_the_mib_says_of_states_that_are_never_shown() -> None:
    """Three words of the draft are in an enumeration and not in a table: who reads of them is told
    so, and nothing writes them."""
    assert "summarize(3) is never shown" in smi.description("dhcpSyncMemberAlignState")
    peer = Peer(2, align=AlignState.NEGOTIATE, told=True)
    seen = set()
    for mine, its in (({}, {1: 1}), ({1: 1}, {1: 1})):
        peer.vector = its
        peer.compare(mine)
        seen.add(peer.align)
    assert seen == {AlignState.UPDATE, AlignState.ALIGNED}
    assert "not looked yet (1)" in smi.description("dhcpSyncMemberHelloState")
    assert Peer(2).link is LinkState.DOWN
    peer = Peer(2)
    peer.judge(now_ms=1, dead_ms=1)
    assert peer.link is LinkState.WAITING
    assert LinkState.DOWN not in LINK_TRANSITIONS.values()
    said = smi.description("dhcpSyncBindingTransactionType")
    assert "expiration(6) is the draft's and never shown" in said
    folders = ("agent", "store", "tools")
    sources = [path for folder in folders for path in (smi.ROOT / folder).rglob("*.py")]
    assert [path.name for path in sources if "EXPIRATION" in path.read_text()] == ["model.py"]


def base_texts() -> Path:
    """The folder of the modules that ours imports. Debian ships none; a distribution's net-snmp
    libraries or an NMS has them, and DHCPSYNC_MIB_BASE says where."""
    places = [os.environ.get("DHCPSYNC_MIB_BASE", "")]
    places += ["/usr/share/snmp/mibs", "/usr/share/mibs", "/var/lib/mibs/ietf"]
    for place in filter(None, places):
        if list(Path(place).glob("HCNUM-TC*")):
            return Path(place)
    pytest.skip("no base MIB texts here: DHCPSYNC_MIB_BASE names their folder")


def test_smilint_finds_nothing() -> None:
    base = base_texts()
    if not shutil.which("smilint"):
        pytest.skip("smilint is not installed (Debian: smitools)")
    result = subprocess.run(
        ["smilint", "-s", "-l", "5", str(smi.MIB_FILE)],
        env={**os.environ, "SMIPATH": str(base)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout + result.stderr == ""
    assert result.returncode == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_pysmi_reads_the_same_objects() -> None:
    from pysmi.codegen import JsonCodeGen
    from pysmi.compiler import MibCompiler
    from pysmi.parser import SmiV2Parser
    from pysmi.reader import FileReader
    from pysmi.searcher import StubSearcher
    from pysmi.writer import CallbackWriter

    base = base_texts()
    written: dict[str, dict[str, dict[str, str]]] = {}
    compiler = MibCompiler(
        SmiV2Parser(),
        JsonCodeGen(),
        CallbackWriter(lambda name, text, _: written.update({name: json.loads(text)})),
    )
    compiler.add_sources(FileReader(str(smi.MIB_FILE.parent)), FileReader(str(base)))
    compiler.add_searchers(StubSearcher(*JsonCodeGen.baseMibs))
    assert compiler.compile("DHCP-SYNC-MIB", noDeps=False)["DHCP-SYNC-MIB"] == "compiled"
    module = written["DHCP-SYNC-MIB"]
    for table in columns.TABLES:
        for column in table.columns.values():
            assert module[column.name]["oid"] == ".".join(map(str, column.oid))
            assert module[column.name]["maxaccess"] == column.access.value
    for scalar in columns.SCALARS.values():
        assert module[scalar.name]["oid"] == ".".join(map(str, scalar.oid))


def test_net_snmp_loads_it(tmp_path: Path) -> None:
    base = base_texts()
    if not shutil.which("snmptranslate"):
        pytest.skip("net-snmp's tools are not installed (Debian: snmp)")
    name = "DHCP-SYNC-MIB::dhcpSyncBindingState.10.0.0.1"
    folders = f"{base}:{smi.MIB_FILE.parent}"
    result = subprocess.run(
        ["snmptranslate", "-M", folders, "-m", "DHCP-SYNC-MIB", "-On", name],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    oid = "." + ".".join(map(str, (*columns.BINDING["State"].oid, 10, 0, 0, 1)))
    assert result.stdout.strip() == oid
    result = subprocess.run(
        ["snmptranslate", "-M", folders, "-m", "DHCP-SYNC-MIB", oid],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "SNMP_PERSISTENT_DIR": str(tmp_path), "HOME": str(tmp_path)},
    )
    assert result.stdout.strip() == name, "people must be able to read an index"


def test_the_documents_name_no_object_that_there_is_not() -> None:
    root = smi.MIB_FILE.parents[1]
    known = set(re.findall(r"\bdhcpSync\w+", smi.MIB_FILE.read_text(encoding="utf-8")))
    for path in (root / "README.md", root / "SECURITY.md", *sorted((root / "docs").glob("*.md"))):
        named = set(re.findall(r"\bdhcpSync\w+", path.read_text(encoding="utf-8")))
        assert named <= known, f"{path.name}: {sorted(named - known)}"


def test_the_numbers_in_the_documents_are_those_of_the_objects() -> None:
    """People type them where net-snmp has no MIB texts."""
    shown = []
    for path in ("README.md", "docs/lab.md"):
        text = (smi.MIB_FILE.parents[1] / path).read_text(encoding="utf-8")
        assert f"mib={format_oid(columns.OBJECTS)}\n" in text
        shown += re.findall(r"\$mib((?:\.\d+)+) +# (\w+Table)", text)
    assert len(shown) == 3
    for number, name in shown:
        assert format_oid(NODES[name].oid) == format_oid(columns.OBJECTS) + number
    readme = (smi.MIB_FILE.parents[1] / "README.md").read_text(encoding="utf-8")
    for table, index in ((columns.SUBNET, "192.0.2.0.24"), (columns.POOL, "192.0.2.10.192.0.2.99")):
        number = format_oid(table["RowStatus"].oid[len(columns.OBJECTS) :])
        assert f" $mib.{number}.{index} i 4 " in readme
