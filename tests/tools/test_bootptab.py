"""bootptab(5): real files as rows, what is refused by line and tag, what an import touches."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.kinds.scope import host_scope
from agent.model import ConfigRow, Option, Reservation, Subnet, configuration_key, parse_address
from agent.settings.validate import validate_configuration
from tools.apply.plan import Action, changes, make_plan
from tools.bootptab.command import plan_import
from tools.bootptab.rows import Bootptab, parse_bootptab
from tools.bootptab.syntax import expand, parse_entries

CAMPUS = """\
# /etc/bootptab of a campus, 1996: everything in templates

.default:\\
    :hn:vm=auto:to=-18000:\\
    :hd=/tftpboot:bf=null:

.subnet13:\\
    :tc=.default:sm=255.255.255.0:gw=128.2.13.1 128.2.13.2:\\
    :ds=128.2.1.10 128.2.1.11:dn=cs.example.edu:

gandalf:tc=.subnet13:ht=ethernet:ha=080020014567:ip=128.2.13.35:
frodo:tc=.subnet13:ht=1:ha=0x08.00.20.01.ab.cd:ip=128.2.13.36:bf=sun3:sa=128.2.13.5:
laser:tc=.subnet13:ha=00000c123456:ip=128.2.13.37:hd@:\\
    :T144="config/laser.cfg":T128=0xe4.45.74.68.00.00:bf=/jet/boot:
"""

XTERMS = """\
xterm1:ht=ether:ha=0000a7001122:ip=192.168.7.11:sm=255.255.255.128:gw=192.168.7.1:\\
  rp="/export/root:1":bs=24:lg=192.168.7.9:td=/tftpboot:
xterm2:ht=token-ring:ha=10005a001122:ip=192.168.7.12:sm=255.255.255.128:vm=cmu:
"""


def key(kind: int, octets: str) -> bytes:
    return bytes((0, kind)) + bytes.fromhex(octets)


def text_of(found: Bootptab, address: str) -> dict[int, bytes]:
    at = parse_address(address)
    return {
        row.code: row.data
        for row in found.rows
        if isinstance(row, Option) and row.place == host_scope(at)
    }


def addresses(*texts: str) -> bytes:
    return b"".join(parse_address(text).to_bytes(4, "big") for text in texts)


def reservations(found: Bootptab) -> list[Reservation]:
    return [row for row in found.rows if isinstance(row, Reservation)]


def test_a_campus_file_with_templates() -> None:
    found = parse_bootptab("bootptab", CAMPUS)
    assert found.rows[0] == Subnet(parse_address("128.2.13.0"), 24)
    assert reservations(found) == [
        Reservation(parse_address("128.2.13.35"), key(1, "080020014567"), "gandalf"),
        Reservation(parse_address("128.2.13.36"), key(1, "08002001abcd"), "frodo"),
        Reservation(parse_address("128.2.13.37"), key(1, "00000c123456"), "laser"),
    ]
    common = {
        2: (-18000).to_bytes(4, "big", signed=True),
        3: addresses("128.2.13.1", "128.2.13.2"),
        6: addresses("128.2.1.10", "128.2.1.11"),
        15: b"cs.example.edu",
    }
    assert text_of(found, "128.2.13.35") == common | {67: b"/tftpboot/null"}
    assert text_of(found, "128.2.13.36") == common | {67: b"/tftpboot/sun3", 66: b"128.2.13.5"}
    assert text_of(found, "128.2.13.37") == common | {
        67: b"/jet/boot",
        128: bytes.fromhex("e44574680000"),
        144: b"config/laser.cfg",
    }
    assert (found.hosts, found.warnings) == (3, ())


def test_x_terminals_with_quotes_and_what_has_no_counterpart() -> None:
    found = parse_bootptab("bootptab", XTERMS)
    assert [row.client_key[1] for row in reservations(found)] == [1, 6]
    assert text_of(found, "192.168.7.11") == {
        3: addresses("192.168.7.1"),
        7: addresses("192.168.7.9"),
        13: (24).to_bytes(2, "big"),
        17: b"/export/root:1",
    }
    assert found.warnings == (
        "line 2: td: has no counterpart: files are the TFTP server's own business",
        "line 3: vm: 'cmu': options are always sent as RFC 1048 has them",
    )


@pytest.mark.parametrize("text", [CAMPUS, XTERMS])
def test_what_a_file_asks_for_is_a_valid_configuration(text: str) -> None:
    plan = plan_import([], parse_bootptab("bootptab", text).rows)
    validate_configuration([], changes(plan), lambda _first, _last: 0)


def test_without_a_mask_the_class_decides_and_it_is_said() -> None:
    found = parse_bootptab("b", "h:ha=0207011eaee1:ip=10.1.2.3:\n")
    assert found.rows[0] == Subnet(parse_address("10.0.0.0"), 8)
    assert found.warnings == ("line 1: ip: no sm is given: the mask of its class, /8, is taken",)


def test_the_file_without_its_last_newline_and_with_a_dangling_backslash() -> None:
    text = "h:ha=0207011eaee1:\\\n ip=10.1.2.3:sm=255.0.0.0\\"
    assert parse_bootptab("b", text).hosts == 1


def test_an_empty_file_asks_for_nothing() -> None:
    assert parse_bootptab("b", "# nothing\n\n").rows == ()


def test_the_first_template_wins_and_the_entry_before_it() -> None:
    entries = parse_entries("b", "a:dn=a:rp=a\nb:dn=b:ef=b\nh:tc=a:tc=b:rp=h:to=1\n")
    tags = expand("b", entries[2], {entry.name: entry for entry in entries})
    assert {tag: field.value for tag, field in tags.items()} == {
        "rp": "h", "to": "1", "dn": "a", "ef": "b",
    }  # fmt: skip


HOST = "h:ha=0207011eaee1:ip=10.1.2.3:sm=255.255.255.0:"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("just words\n", "line 1: is no entry; write name:"),
        (":ha=0207011eaee1:ip=10.1.2.3\n", "line 1: is no entry"),
        (f"{HOST}\n\n{HOST}\n", "line 3: 'h' is there already, on line 1"),
        (HOST + "zz=1\n", "line 1: zz: is no known tag"),
        (HOST + "gww=1\n", r"line 1: gww: is no known tag; did you mean gw\?"),
        (HOST + '\\\n rp="/x:y\n', "line 2: a quote is not closed"),
        (HOST + "-x-=1\n", "line 1: '-x-=1' is no field; write tag=value"),
        (HOST + "tc=none\n", "line 1: tc: no entry is named 'none'"),
        ("a:tc=b\nb:tc=a\nh:tc=a\n", "line 2: tc: .*goes round in circles"),
        ("h:ip=10.1.2.3:sm=255.0.0.0\n", "line 1: ha: is missing; such as ha="),
        ("h:ha=08:00:20:01:02:03:ip=10.1.2.3\n", "line 1: ha: has 1 octets; .* without colons"),
        ("h:ha=xyz:ip=10.1.2.3:sm=255.0.0.0\n", "line 1: ha: 'xyz' is no address; hexadecimal"),
        ("h:ha=0207:ip=10.1.2.3:sm=255.0.0.0\n", "line 1: ha: has 2 octets; this hardware has 6"),
        (HOST + "ht=ethernett\n", "line 1: ht: 'ethernett' is no hardware type; such as ethernet"),
        ("h:ha=0207011eaee1:ip=10.1.2\n", r"line 1: ip: '10\.1\.2' is no IPv4 address"),
        ("h:ha=0207011eaee1:ip=10.1.2.0:sm=255.255.255.0\n", r"ip: 10\.1\.2\.0 is no host of its"),
        ("h:ha=0207011eaee1:ip=10.1.2.3:sm=255.0.255.0\n", "sm: '255.0.255.0' is no mask; such as"),
        (f"{HOST}\ni:tc=h:ha=0207011eaee2\n", r"line 1: ip: 10\.1\.2\.3 is taken on line 1"),
        (f"{HOST}\ni:tc=h:ip=10.1.2.4\n", "ha: has an address in this subnet already, on line 1"),
        (f"{HOST}\ni:ha=0207011eaee2:ip=10.1.2.4:sm=255.0.0.0\n", "line 2: sm: /8 overlaps"),
        (HOST + "gw=router\n", "line 1: gw: 'router'.*is no IPv4 address"),
        (HOST + "to=soon\n", "line 1: to: 'soon': 'soon' is no number"),
        (HOST + "sa=boot\n", "line 1: sa: 'boot' is no IPv4 address"),
        (HOST + "T15=zz\n", "line 1: T15: 'zz' is no octets"),
        (HOST + 'T15=""\n', "line 1: T15: is empty"),
        (HOST + "T3=0a0102\n", "line 1: T3: '0a0102': 3 octets are no multiple of 4"),
        (HOST + "T144=1.123\n", "line 1: T144: '1.123' is no octets"),
        (HOST + "T255=00\n", "line 1: T255: 255 is no option code"),
        (HOST + 'dn=x:T15="y"\n', "line 1: T15: is option 15, as dn of line 1 is"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_tag(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_bootptab("bootptab", text)
    assert str(caught.value).startswith("bootptab: line ")


@pytest.mark.parametrize(
    ("value", "octets"), [("1.4.ac.10.1.2", "0104ac100102"), ("0x0104.ac10", "0104ac10")]
)
def test_octets_that_stand_by_themselves_may_have_one_digit(value: str, octets: str) -> None:
    rows = parse_bootptab("b", HOST + f"T144={value}\n").rows
    assert Option(*host_scope(parse_address("10.1.2.3")), 144, bytes.fromhex(octets)) in rows


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("to=auto", "line 1: to: auto is worked out by bootpd only; give a number"),
        ("bs=auto", "line 1: bs: auto is worked out by bootpd only; give a number"),
        ("hd=/tftpboot", "line 1: hd: has no counterpart: no bf is given, "),
        ("ra=10.1.2.255", "line 1: ra: has no counterpart: replies go where RFC 2131"),
        ("T51=00000e10", "line 1: T51: option 51 is set by the server: the subnet's lease time"),
    ],
)
def test_what_has_no_counterpart_is_a_warning(field: str, words: str) -> None:
    (warning,) = parse_bootptab("b", HOST + field + "\n").warnings
    assert warning.startswith(words)


# --- what an import touches

LAN = Subnet(parse_address("10.1.0.0"), 16, name="all of it", offer_delay_s=6)
OTHER = Reservation(parse_address("10.1.9.9"), key(1, "020000000009"), "other")
OTHER_OPTION = Option(*host_scope(OTHER.address), 67, b"kept")
PRESENT: list[ConfigRow] = [LAN, OTHER, OTHER_OPTION]
WANTED = parse_bootptab("b", HOST + "bf=x.img:dn=example.org\n").rows


def after(present: list[ConfigRow], wanted: tuple[ConfigRow, ...]) -> list[ConfigRow]:
    rows = {configuration_key(row): row for row in present}
    for step in plan_import(present, wanted):
        if step.action is Action.DELETE:
            del rows[configuration_key(step.row)]
        else:
            rows[configuration_key(step.row)] = step.row
    return list(rows.values())


def test_it_adds_hosts_and_leaves_the_rest_alone() -> None:
    steps = plan_import(PRESENT, WANTED)
    assert {(step.action, step.kind) for step in steps} == {
        (Action.CREATE, "reservation"),
        (Action.CREATE, "option"),
    }, "the subnet that holds them stays as it is"


def test_twice_changes_nothing() -> None:
    assert plan_import(after(PRESENT, WANTED), WANTED) == []


def test_an_option_that_the_file_no_longer_has_goes() -> None:
    less = parse_bootptab("b", HOST + "bf=x.img\n").rows
    (step,) = plan_import(after(PRESENT, WANTED), less)
    assert (step.action, step.key) == (Action.DELETE, "host 10.1.2.3:15 (domain-name)")


def test_a_client_that_moved_leaves_its_old_address() -> None:
    moved = parse_bootptab("b", HOST.replace("10.1.2.3", "10.1.2.4") + "bf=x.img\n").rows
    rows = after(after(PRESENT, WANTED), moved)
    validate_configuration([], changes(make_plan([], rows)), lambda _first, _last: 0)
    assert not [r for r in rows if isinstance(r, Reservation) and r.address == 0x0A010203]
    assert OTHER in rows
    assert OTHER_OPTION in rows


def test_a_file_of_two_thousand_hosts_is_parsed_at_once(tmp_path: Path) -> None:
    lines = [".t:sm=255.255.0.0:gw=10.9.0.1:dn=example.org"]
    lines += [f"h{n}:tc=.t:ha=02{n:010x}:ip=10.9.{1 + n // 250}.{1 + n % 250}" for n in range(2000)]
    found = parse_bootptab("b", "\n".join(lines))
    assert (found.hosts, len(found.rows)) == (2000, 1 + 2000 * 3)
    assert len(plan_import([], found.rows)) == 6001
    assert plan_import(found.rows, found.rows) == []
